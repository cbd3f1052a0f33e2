"""The namespaces of pods, polled: which appeared, which disappeared, what changed."""

from __future__ import annotations

from _collections_abc import Collection

from pypod.engine.core import types
from pypod.engine.core.boundary import Boundary
from pypod.kernel.namespaces import Survey
from pypod.kernel.watch import Watch
from pypod.model.reports.namespace_watch import Key, SeenNamespace
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.kernel.namespaces import Namespace


class NamespaceWatcher(Watch):
    """Takes snapshots of the namespaces of some pods (default: all), and remembers which pod they belong to.

    A namespace without members remains the pod's as long as it is kept alive by something from that time: a process
    that was in it before, a bind mount or a descriptor.

    Between two snapshots ``wait`` waits for a change of any pod or container, or poll ``fileno``. Close it, or use it
    as a context manager.
    """

    def __init__(self, context: types.Context, pods: Collection[str] = ()) -> None:
        self._context = context
        with Boundary("watch namespaces"):
            super().__init__(context.layout.root)
        self._wanted = frozenset(pods)
        self._known: dict[Key, tuple[str, frozenset[int]]] = {}

    def __enter__(self) -> types.Self:  # Watch's, with a type that can be read at run time
        return self

    def look(self) -> dict[Key, SeenNamespace]:
        """Return a snapshot ordered by pod, kind and inode."""
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
        """Return the pod that a namespace belongs to, empty when that is not a watched one."""
        if pods:
            return ",".join(pods) if not self._wanted or not self._wanted.isdisjoint(pods) else ""
        before = self._known.get((namespace.kind, namespace.inode))
        if before is None:
            return ""
        # The kernel reuses inode numbers: with only unknown processes in it, this is another namespace.
        pod, pids = before
        return pod if not namespace.processes or any(one.pid in pids for one in namespace.processes) else ""


def _seen(namespace: Namespace, pod: str, who: tuple[str, ...]) -> SeenNamespace:
    from pypod.engine.inspect.lsns import command_line

    first = namespace.processes[0].pid if namespace.processes else None
    return SeenNamespace(
        pod=pod,
        kind=namespace.kind,
        inode=namespace.inode,
        nprocs=len(namespace.processes),
        pid=first,
        who=who,
        why=tuple(namespace.why),
        command="" if first is None else command_line(first),
    )
