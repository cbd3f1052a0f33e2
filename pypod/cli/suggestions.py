"""What an unknown command may have meant."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_EDITS = 2


def suggestions(word: str, names: Sequence[str]) -> str:
    """Return podman's lines that name the commands close to ``word``; empty if there are none.

    >>> suggestions("runn", ["run", "stop"])
    '\\nDid you mean this?\\n\\trun\\n\\n'
    """
    word = word.lower()
    close = [name for name in names if name.startswith(word) or _edits(word, name) <= _MOST_EDITS]
    return "".join(["\nDid you mean this?\n", *(f"\t{name}\n" for name in close), "\n"]) if close else ""


def _edits(one: str, other: str) -> int:
    """Return the number of letters to insert, delete or replace to get from one word to another."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, its in enumerate(other, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (letter != its)))
        before = now
    return before[-1]
