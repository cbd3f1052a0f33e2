"""Text for a terminal in which names and commands that others chose cannot steer it.

A terminal acts upon what an image's command, a label or a registry's error holds: it moves the cursor over what was
shown before, sets titles, types answers. So every stream that is a terminal shows such characters as JSON writes them,
and cells of listings never hold them: a newline in a command would otherwise make up a row. What containers write
(logs, attach, run, exec) goes past this, byte for byte.
"""

from __future__ import annotations

import io
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_LAYOUT = "\n\t"


def escaped(text: str, *, but: str = "") -> str:
    """Return text with characters that cannot be seen as escapes, except those in ``but``."""
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() or one in but else _escape(ord(one)) for one in text])


def _escape(number: int) -> str:
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def tell(text: str) -> None:
    """Write what went wrong to stderr; escaped in a file, too, since errors are read at a terminal sooner or later."""
    sys.stderr.write(f"{escaped(text, but=_LAYOUT)}\n")


class TerminalStream(io.TextIOWrapper):
    """A terminal that is written text to; ``control`` is how to steer it on purpose."""

    def write(self, text: str) -> int:
        """Write text as ``escaped`` makes it, lines and tabs kept; return the length of ``text``."""
        super().write(escaped(text, but=_LAYOUT))
        return len(text)

    def control(self, sequence: str) -> None:
        """Write a sequence that the terminal is to act upon."""
        super().write(sequence)


def control(stream: TextIO, sequence: str) -> None:
    """Write a control sequence to a stream, which may or may not be a terminal."""
    if isinstance(stream, TerminalStream):
        stream.control(sequence)
    else:
        stream.write(sequence)
