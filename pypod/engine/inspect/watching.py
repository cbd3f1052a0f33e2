"""The namespaces of pods, looked at again and again: which came, which went, what is different."""

from __future__ import annotations

from pypod.kernel.namespaces import Survey
from pypod.model.value import Value
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pypod.engine.core.context import Context
    from pypod.kernel.namespaces import Namespace

    Key = tuple[str, int]

SAME, NEW, GONE, DIFFERENT = "=", "+", "-", "~"


class Seen(Value):
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


class Watcher:
    """Looks at the namespaces of some pods (default: all), and remembers whose they were.

    A namespace that no member of the pod is in any more stays the pod's as long as something of then keeps it: a
    process that was in it before, a bind mount or a descriptor.
    """

    def __init__(self, context: Context, pods: Collection[str] = ()) -> None:
        self._context = context
        self._wanted = frozenset(pods)
        self._known: dict[Key, tuple[str, frozenset[int]]] = {}

    def look(self) -> dict[Key, Seen]:
        """Return what is there now, ordered by pod, kind and number."""
        from pypod.engine.inspect.lsns import owners

        survey = Survey()
        survey.find_holders()
        whose = owners(survey, self._context)
        everyone = records.all_containers(self._context.database)
        infras = {record.name for record in everyone if record.kind == records.INFRA}
        found = []
        known: dict[Key, tuple[str, frozenset[int]]] = {}
        for namespace in survey.namespaces:
            users = [(pod, name) for pod, name in whose.get((namespace.kind, namespace.inode), ()) if pod]
            pod = self._pod(namespace, tuple(dict.fromkeys(pod for pod, _ in users)))
            if pod:
                who = tuple("infra" if name in infras else name for _, name in users)
                found.append(_seen(namespace, pod, who))
                pids = frozenset(process.pid for process in namespace.processes)
                known[namespace.kind, namespace.inode] = (pod, pids)
        self._known = known
        return {one.key: one for one in sorted(found, key=lambda one: (one.pod, one.kind, one.inode))}

    def _pod(self, namespace: Namespace, pods: tuple[str, ...]) -> str:
        """Return whose it is, empty when it is none of those that are watched."""
        if pods:
            return ",".join(pods) if not self._wanted or not self._wanted.isdisjoint(pods) else ""
        before = self._known.get((namespace.kind, namespace.inode))
        if before is None:
            return ""
        # The kernel gives numbers again: with other processes only in it, it is another one.
        pod, pids = before
        return pod if not namespace.processes or any(one.pid in pids for one in namespace.processes) else ""


def _seen(namespace: Namespace, pod: str, who: tuple[str, ...]) -> Seen:
    from pypod.engine.inspect.lsns import command_line

    first = namespace.processes[0].pid if namespace.processes else None
    return Seen(
        pod=pod,
        kind=namespace.kind,
        inode=namespace.inode,
        nprocs=len(namespace.processes),
        pid=first,
        who=who,
        why=tuple(namespace.why),
        command="" if first is None else command_line(first),
    )


def changes(before: dict[Key, Seen], now: dict[Key, Seen]) -> list[tuple[str, Seen]]:
    """Return what is different between two looks: those that went, came, and are not what they were, in this order.

    One that has passed to another pod went and came.
    """
    moved = {key for key in before.keys() & now.keys() if before[key].pod != now[key].pod}
    gone = [(GONE, one) for key, one in before.items() if key not in now or key in moved]
    new = [(NEW, one) for key, one in now.items() if key not in before or key in moved]
    kept = [one for key, one in now.items() if key in before and key not in moved]
    return [*gone, *new, *((DIFFERENT, one) for one in kept if _facts(one) != _facts(before[one.key]))]


def _facts(one: Seen) -> tuple[object, ...]:
    return one.nprocs, one.pid, one.who, one.why


class Board:
    """What a live view shows: what is there, and for some seconds what went; each with a mark.

    ``hold_s`` is for how long something is marked as new or gone.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._now: dict[Key, Seen] | None = None
        self._marks: dict[Key, tuple[str, float]] = {}
        self._gone: list[tuple[float, Seen]] = []

    def update(self, now: dict[Key, Seen], time_s: float) -> None:
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

    def rows(self) -> list[tuple[str, Seen]]:
        """Return marks and namespaces, ordered by pod, kind and number; what went behind what is there."""
        there: Iterable[tuple[str, Seen]] = (
            (self._marks.get(key, (SAME, 0.0))[0], one) for key, one in (self._now or {}).items()
        )
        rows = [*there, *((GONE, one) for _, one in self._gone)]
        return sorted(rows, key=lambda row: (row[1].pod, row[1].kind, row[1].inode))
