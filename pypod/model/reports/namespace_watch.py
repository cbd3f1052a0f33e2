"""Namespaces of pods in snapshots, and the differences between two snapshots."""

from __future__ import annotations

from pypod.model.value import Value

Key = tuple[str, int]
SAME, NEW, GONE, DIFFERENT = "=", "+", "-", "~"


class SeenNamespace(Value):
    """A namespace of a pod in one snapshot.

    ``who`` are the members running in it, ``infra`` for the pod's infra; ``why`` is what keeps it alive, as in
    ``NamespaceFacts``; ``pid`` is the lowest of ``nprocs`` processes in it and ``command`` that process's command line,
    not sanitized.
    """

    pod: str
    kind: str
    inode: int
    nprocs: int = 0
    pid: int | None = None
    who: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    command: str = ""

    @property
    def key(self) -> Key:
        """Its identity across snapshots."""
        return self.kind, self.inode


def changes(before: dict[Key, SeenNamespace], now: dict[Key, SeenNamespace]) -> list[tuple[str, SeenNamespace]]:
    """Return the differences between two snapshots: namespaces that disappeared, then new, then changed ones.

    One that passed to another pod counts as gone and new.
    """
    moved = {key for key in before.keys() & now.keys() if before[key].pod != now[key].pod}
    gone = [(GONE, one) for key, one in before.items() if key not in now or key in moved]
    new = [(NEW, one) for key, one in now.items() if key not in before or key in moved]
    kept = [one for key, one in now.items() if key in before and key not in moved]
    return [*gone, *new, *((DIFFERENT, one) for one in kept if _facts(one) != _facts(before[one.key]))]


def _facts(one: SeenNamespace) -> tuple[object, ...]:
    return one.nprocs, one.pid, one.who, one.why
