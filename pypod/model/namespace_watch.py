"""Namespaces of pods as one look found them, and what is different between two looks."""

from __future__ import annotations

from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    Key = tuple[str, int]

SAME, NEW, GONE, DIFFERENT = "=", "+", "-", "~"


class SeenNamespace(Value):
    """A namespace of a pod, as one look found it.

    ``who`` are the members that run in it, ``infra`` for the pod's infra; ``why`` is what keeps it alive, in the words
    of ``NamespaceFacts``; ``pid`` is the lowest of ``nprocs`` processes in it and ``command`` that one's, as it is:
    anything may stand in it.
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
        """What it is known by."""
        return self.kind, self.inode


def changes(before: dict[Key, SeenNamespace], now: dict[Key, SeenNamespace]) -> list[tuple[str, SeenNamespace]]:
    """Return what is different between two looks: those that went, came, and are not what they were, in this order.

    One that has passed to another pod went and came.
    """
    moved = {key for key in before.keys() & now.keys() if before[key].pod != now[key].pod}
    gone = [(GONE, one) for key, one in before.items() if key not in now or key in moved]
    new = [(NEW, one) for key, one in now.items() if key not in before or key in moved]
    kept = [one for key, one in now.items() if key in before and key not in moved]
    return [*gone, *new, *((DIFFERENT, one) for one in kept if _facts(one) != _facts(before[one.key]))]


def _facts(one: SeenNamespace) -> tuple[object, ...]:
    return one.nprocs, one.pid, one.who, one.why
