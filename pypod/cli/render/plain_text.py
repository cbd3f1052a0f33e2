"""Text output in which names and commands that others chose cannot control the terminal.

A terminal executes control sequences in an image's command, a label or a registry's error: it moves the cursor over
earlier output, sets titles, types answers. So every stream that is a terminal shows control characters as JSON escapes,
and cells of listings never contain them: a newline in a command could otherwise fake a row. The output of containers
(logs, attach, run, exec) bypasses this module, byte for byte.
"""

from __future__ import annotations

import io
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from pypod.errors import PypodError

_LAYOUT = "\n\t"
_BEGUN_S = time.monotonic()


def escaped(text: str, *, but: str = "") -> str:
    """Return text with unprintable characters escaped, except those in ``but``."""
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() or one in but else _escape(ord(one)) for one in text])


def _escape(number: int) -> str:
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def tell(text: str) -> None:
    """Write an error to stderr; escape it in files, too: errors are read at a terminal sooner or later."""
    sys.stderr.write(f"{escaped(text, but=_LAYOUT)}\n")


def tell_error(error: BaseException) -> None:
    """Write an error with its notes to stderr, in podman's form."""
    tell("\n".join([f"Error: {error}", *getattr(error, "__notes__", ())]))


def warn(text: str) -> None:
    """Write a warning to stderr as podman's logger does: with a time and in quotes, except on a terminal."""
    if sys.stderr.isatty():
        tell(f"WARN[{int(time.monotonic() - _BEGUN_S):04d}] {text}")
        return
    from pypod.cli.go.strconv import quote
    from pypod.model.moment import rfc3339

    now = rfc3339(time.time_ns() // 1_000_000_000 * 1_000_000_000)
    tell(f"time={quote(now)} level=warning msg={quote(text)}")


class TerminalStream(io.TextIOWrapper):
    """A text stream to a terminal; only ``control`` writes control sequences."""

    def write(self, text: str) -> int:
        """Write text with escapes, except for newlines and tabs; return the length of ``text``."""
        super().write(escaped(text, but=_LAYOUT))
        return len(text)

    def control(self, sequence: str) -> None:
        """Write a control sequence."""
        super().write(sequence)


def control(stream: TextIO, sequence: str) -> None:
    """Write a control sequence to a stream, which may or may not be a terminal."""
    if isinstance(stream, TerminalStream):
        stream.control(sequence)
    else:
        stream.write(sequence)


def joined(failures: Sequence[PypodError]) -> str:
    """Return the message of one failure, or of several as podman lists them."""
    said = [str(failure) for failure in failures]
    return said[0] if len(said) == 1 else "\n\t* ".join([f"{len(said)} errors occurred:", *said])
