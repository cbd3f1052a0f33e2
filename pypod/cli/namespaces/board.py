"""The contents of ``ns watch``'s live view: existing namespaces and, for some seconds, vanished ones, with marks."""

from __future__ import annotations

from pypod.model.reports.namespace_watch import DIFFERENT, GONE, NEW, SAME, changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.model.reports.namespace_watch import Key, SeenNamespace


class Board:
    """Accumulate successive looks. For ``hold_s`` seconds a namespace stays marked as new or gone."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._now: dict[Key, SeenNamespace] | None = None
        self._marks: dict[Key, tuple[str, float]] = {}
        self._gone: list[tuple[float, SeenNamespace]] = []

    def update(self, now: dict[Key, SeenNamespace], time_s: float) -> None:
        """Add a look made at ``time_s``. The namespaces of the first look are not marked as new."""
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
        """Return marks and namespaces, ordered by pod, kind and inode; vanished ones after existing ones."""
        there: Iterable[tuple[str, SeenNamespace]] = (
            (self._marks.get(key, (SAME, 0.0))[0], one) for key, one in (self._now or {}).items()
        )
        rows = [*there, *((GONE, one) for _, one in self._gone)]
        return sorted(rows, key=lambda row: (row[1].pod, row[1].kind, row[1].inode))
