"""Namespaces as lsns(8) lists them, with their pods and containers, and what keeps each alive."""

from __future__ import annotations

import os

from pypod.display.markup import Shown
from pypod.errors import InvalidSpec, NotFound
from pypod.kernel.abi import KINDS
from pypod.kernel.namespaces import Survey
from pypod.kernel.proc import read_bytes
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.kernel.namespaces import Namespace, SurveyedProcess

_COMMAND_LIMIT = 4096


class ProcessFacts(Value):
    """A process in a namespace. ``uid`` is the owner of its files in /proc.

    ``command`` is its command line as is, including control characters.
    """

    pid: int
    ppid: int
    uid: int
    user: str
    command: str


class NamespaceFacts(Value):
    """One namespace, with lsns(8)'s column names.

    ``ns`` is its inode, ``pid`` the lowest of ``nprocs`` processes in it; ``ppid``, ``uid``, ``user`` and ``command``
    are that process's. They are None without a process (of a user namespace: its creator's). ``netnsid`` is a number or
    ``unassigned``, None for other kinds and where the kernel does not provide it. ``nsfs`` are the mount points in this
    mount namespace that hold it. ``pns`` and ``ons`` are the inodes of parent and owner, 0 where these are not visible.

    ``pods`` and ``containers`` name those of pypod's that run in it, none for the host's own namespaces. ``why`` says
    what keeps it alive: ``process``, ``thread``, ``bind``, ``fd``, or ``below`` (only namespaces that it owns or is the
    parent of).
    """

    ns: int
    type: str
    path: str
    nprocs: int
    pid: int | None = None
    ppid: int | None = None
    command: str | None = None
    uid: int | None = None
    user: str | None = None
    netnsid: str | None = None
    nsfs: tuple[str, ...] = ()
    pns: int = 0
    ons: int = 0
    pods: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    why: tuple[str, ...] = ()


class Namespaces(Shown, list[NamespaceFacts]):
    """The result of ``lsns``: a list that ``print`` and notebooks show as a table."""

    def __str__(self) -> str:
        lines = [_HEADING, *map(_cells, self)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        from pypod.display.markup import table

        return table(_HEADING, [_cells(one) for one in self])


_HEADING = ("NS", "TYPE", "NPROCS", "PID", "USER", "COMMAND", "POD", "CONTAINER", "WHY")


def _cells(one: NamespaceFacts) -> tuple[str, ...]:
    from pypod.display.markup import plain

    names = (",".join(words) for words in (one.pods, one.containers, one.why))
    cells = (one.ns, one.type, one.nprocs, one.pid or "", one.user or "", plain(one.command or "", 40), *names)
    return tuple(plain(cell) for cell in cells)


class NoSuchNamespace(NotFound):
    """No namespace has this inode, or the caller may not see it."""

    kind = "namespace"


def lsns(
    context: Context | None, types: Sequence[str] = (), *, pid: int | None = None, relations: bool = True
) -> Namespaces:
    """Return the namespaces of this host; see ``pypod.lsns``. Without a context, no pods are looked up."""
    for kind in types:
        if kind not in KINDS:
            raise InvalidSpec("--type", f"unknown namespace type: {kind}")
    survey = Survey(types or KINDS)
    survey.find_holders()
    if relations:
        survey.find_relations()
    whose = owners(survey, context)
    namespaces = survey.namespaces
    if pid is not None:
        namespaces = [one for one in namespaces if any(process.pid == pid for process in one.processes)]
    look = _Look()
    return Namespaces(
        _facts(one, whose.get((one.kind, one.inode), []), look, relations=relations) for one in namespaces
    )


def processes_of(inode: int) -> list[ProcessFacts]:
    """Return the processes in the namespace with this inode, by ascending pid. Raises NoSuchNamespace."""
    survey = Survey()
    survey.find_holders()
    found = [one for one in survey.namespaces if one.inode == inode]
    if not found:
        raise NoSuchNamespace(str(inode))
    look = _Look()
    return [ProcessFacts(**look.process(process)) for process in found[0].processes]


class _Look:
    """Facts about processes and users cached for one listing, since most appear in several namespaces."""

    def __init__(self) -> None:
        self._processes: dict[int, dict[str, Any]] = {}
        self._users: dict[int, str] = {}

    def process(self, process: SurveyedProcess) -> dict[str, Any]:
        """Return the fields of ProcessFacts."""
        found = self._processes.get(process.pid)
        if found is None:
            found = self._processes[process.pid] = {
                "pid": process.pid,
                "ppid": process.ppid,
                "uid": process.uid,
                "user": self.user(process.uid),
                "command": command_line(process.pid),
            }
        return found

    def user(self, uid: int) -> str:
        """Return a user's name."""
        found = self._users.get(uid)
        if found is None:
            found = self._users[uid] = user_name(uid)
        return found


def _facts(namespace: Namespace, whose: list[tuple[str, str]], look: _Look, *, relations: bool) -> NamespaceFacts:
    first: dict[str, Any] = {}
    if namespace.processes:
        first = look.process(namespace.processes[0])
    elif namespace.uid is not None:
        first = {"uid": namespace.uid, "user": look.user(namespace.uid)}
    return NamespaceFacts(
        ns=namespace.inode,
        type=namespace.kind,
        path=namespace.path,
        nprocs=len(namespace.processes),
        netnsid=_netnsid(namespace) if relations and namespace.kind == "net" else None,
        nsfs=tuple(dict.fromkeys(namespace.binds)) if namespace.binds else (),
        pns=namespace.parent,
        ons=namespace.owner,
        pods=tuple(dict.fromkeys([pod for pod, _ in whose if pod])) if whose else (),
        containers=tuple([container for _, container in whose]) if whose else (),
        why=tuple(namespace.why),
        **first,
    )


def user_name(uid: int) -> str:
    """Return the name of a user of this host, the number if there is none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def command_line(pid: int) -> str:
    """Return a process's arguments joined by spaces, its name if it has none (kernel threads, zombies)."""
    try:
        return arguments(pid) or os.fsdecode(read_bytes(f"/proc/{pid}/comm")).rstrip("\n")
    except OSError:
        return ""


def arguments(pid: int) -> str:
    """Return a process's arguments joined by spaces; empty when it has exited, has none, or is amid an execve."""
    try:
        return os.fsdecode(read_bytes(f"/proc/{pid}/cmdline")[:_COMMAND_LIMIT]).rstrip("\0").replace("\0", " ")
    except OSError:
        return ""


def _netnsid(namespace: Namespace) -> str | None:
    from pypod.kernel.namespaces import netnsid

    number = netnsid(namespace.path)
    return None if number is None else "unassigned" if number < 0 else str(number)


def owners(survey: Survey, context: Context | None) -> dict[tuple[str, int], list[tuple[str, str]]]:
    """Return (pod, container) names of pypod's running ones by namespace, except for the caller's own namespaces."""
    from pypod.engine.containers.listing import listed_containers
    from pypod.kernel.pidfd import PROC
    from pypod.store.records import all_pods

    found: dict[tuple[str, int], list[tuple[str, str]]] = {}
    if context is None:
        return found
    own = {kind: inode for kind, (_, inode) in (PROC.namespaces("self") or {}).items()}
    by_pid = {process.pid: process for process in survey.processes}
    pods = {record.id: record.name for record in all_pods(context.database)}
    for record, state in listed_containers(context):
        process = by_pid.get(state.pid) if state.alive else None
        for kind, inode in process.inodes.items() if process else ():
            if own.get(kind) != inode:
                found.setdefault((kind, inode), []).append((pods.get(record.pod_id, ""), record.name))
    return found
