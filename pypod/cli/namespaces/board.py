"""What the live view of ``ns watch`` shows: what is there, and for some seconds what went; each with a mark."""

from __future__ import annotations

from pypod.model.namespace_watch import DIFFERENT, GONE, NEW, SAME, changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.model.namespace_watch import Key, SeenNamespace


class Board:
    """Takes in one look after the other. ``hold_s`` is for how long something is marked as new or gone."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._now: dict[Key, SeenNamespace] | None = None
        self._marks: dict[Key, tuple[str, float]] = {}
        self._gone: list[tuple[float, SeenNamespace]] = []

    def update(self, now: dict[Key, SeenNamespace], time_s: float) -> None:
        """Take in a look that was made at ``time_s``. What the first one finds is not new."""
        until = time_s + self._hold_s
        self._marks = {key: mark for key, mark in self._marks.items() if mark[1] > time_s and mark[0] != DIFFERENT}
        self._gone = [row for row in self._gone if row[0] > time_s]
        for mark, one in changes(now if self._now is None else self._now, now):
            if mark == GONE:
                self._gone.append((until, one))
                self._marks.pop(one.key, None)
            elif mark == NEW or one.key not in self._marks:
                self._marks[one.key] = (mark, until)
        self._now = now

    def rows(self) -> list[tuple[str, SeenNamespace]]:
        """Return marks and namespaces, ordered by pod, kind and number; what went behind what is there."""
        there: Iterable[tuple[str, SeenNamespace]] = (
            (self._marks.get(key, (SAME, 0.0))[0], one) for key, one in (self._now or {}).items()
        )
        rows = [*there, *((GONE, one) for _, one in self._gone)]
        return sorted(rows, key=lambda row: (row[1].pod, row[1].kind, row[1].inode))
