"""The namespaces that a container joins: its pod's, another container's, or those at a path."""

from __future__ import annotations

import os

from pypod.engine.core import observe
from pypod.errors import InvalidSpec, PodBroken, WrongState
from pypod.kernel.pidfd import Process
from pypod.model.mount import plain_path
from pypod.model.namespace import FLAGS, HOST, POD, PRIVATE
from pypod.runtime.compiler.surroundings import Join
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.model.namespace import Mode
    from pypod.model.pod import PodSpec
    from pypod.store.records import ContainerRecord, PodRecord

_JOINABLE = ("net", "ipc", "uts", "pid", "user", "cgroup")
_SPOKEN = {"net": "network", "ipc": "IPC", "uts": "UTS", "pid": "PID"}


def joins(
    context: Context, spec: ContainerSpec, pod: PodRecord | None, given: Process | None
) -> tuple[tuple[Join, ...], Process | None]:
    """Return the namespaces to join, and the infra if some of them are the pod's."""
    joins: list[Join] = []
    infra: Process | None = None
    by_target: dict[Process, list[str]] = {}
    for kind in _JOINABLE:
        mode = spec.namespace(kind)
        if mode == POD:
            infra = infra or given or _infra(context, pod)
            by_target.setdefault(infra, []).append(kind)
        elif mode.mode == "container":
            by_target.setdefault(_target(context, mode, kind), []).append(kind)
        elif mode.mode == "ns":
            joins.append(Join(kinds=(kind,), path=mode.target))
    for process, asked in by_target.items():
        inodes = context.proc.namespaces(process.pid, asked) or {}
        kinds = without_host(context, asked, inodes)
        known = tuple((kind, inodes[kind][1]) for kind in kinds if kind in inodes)
        if kinds:
            joins.append(Join(kinds=tuple(kinds), process=process, inodes=known))
    return tuple(joins), infra


def paths(joins: Iterable[Join]) -> tuple[tuple[str, str], ...]:
    """Return the kinds of joined namespaces, each with the path of its namespace file."""
    return tuple(
        (kind, join.path or f"/proc/{join.process.pid if join.process else 0}/ns/{kind}")
        for join in joins
        for kind in join.kinds
    )


def require_paths(spec: ContainerSpec) -> None:
    """Raise InvalidSpec when the path of a namespace to join does not exist. Its type is checked only by the join."""
    for kind in _JOINABLE:
        mode = spec.namespace(kind)
        try:
            if mode.mode == "ns":
                os.stat(mode.target)
        except OSError as error:
            spoken, why = _SPOKEN.get(kind, kind), os.strerror(error.errno or 0).lower()
            message = f"cannot find specified {spoken} namespace path: stat {mode.target}: {why}"
            raise InvalidSpec(FLAGS[kind], message) from error


def stopped_targets(context: Context, record: ContainerRecord) -> list[ContainerRecord]:
    """Return the stopped containers that a container joins or requires; none if the container itself is running.

    Raises NoSuchContainer for one that was removed.
    """
    spec = context.container_spec(record)
    modes = [spec.namespace(kind) for kind in _JOINABLE]
    targets = sorted({*spec.requires, *(mode.target for mode in modes if mode.mode == "container")})
    if not targets or _is_running(context, record):
        return []
    found = [records.find_container(context.database, target) for target in targets]
    return [one for one in found if not _is_running(context, one)]


def _is_running(context: Context, record: ContainerRecord) -> bool:
    return observe.state_of(context, record.id).running


def without_host(context: Context, kinds: Iterable[str], inodes: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return the kinds to join: a rootless process may not join a namespace of the host's, and is in it already."""
    own = context.proc.namespaces("self", inodes) or {} if context.rootless else {}
    return [kind for kind in kinds if kind not in own or inodes.get(kind) != own[kind]]


def foreign(context: Context, spec: ContainerSpec, pod: PodSpec | None, joins: tuple[Join, ...]) -> tuple[str, ...]:
    """Return the kinds of namespaces that are the host's or of unknown owner: none that the user's session owns."""
    found = {kind for kind in _JOINABLE if spec.namespace(kind).mode in ("host", "ns")}
    if spec.user_namespace != HOST:  # it owns only the namespaces that are created in it
        owned = (PRIVATE, spec.user_namespace)
        found = {kind for kind in _JOINABLE if kind != "user" and spec.namespace(kind) not in owned}
    if pod is not None and spec.net == POD and pod.net == "host":
        found.add("net")
    joined = [one for join in joins for one in join.inodes]  # some of these may be the host's
    own = context.proc.namespaces("self", [kind for kind, _ in joined]) or {}
    found |= {kind for kind, inode in joined if kind in own and own[kind][1] == inode}
    return tuple(sorted(found))


def _infra(context: Context, pod: PodRecord | None) -> Process:
    if pod is None:
        raise InvalidSpec("--pod", "only a member of a pod can join the pod's namespaces")
    state = observe.state_of(context, pod.infra_id)
    if not state.running:
        raise PodBroken(
            pod.name,
            "Broken",
            f"the infra container of pod {pod.name} is gone: its namespaces cannot be joined",
            hint=f"pypod pod restart {pod.name} creates new ones",
        )
    return Process(state.pid, state.start_time)


def _target(context: Context, mode: Mode, kind: str) -> Process:
    other = records.find_container(context.database, mode.target)
    state = observe.state_of(context, other.id)
    if not state.running:
        raise WrongState(
            other.name, state.status, f"cannot join the {kind} namespace of container {other.name}: it is not running"
        )
    return Process(state.pid, state.start_time)


def shm_of(context: Context, spec: ContainerSpec, infra: Process | None) -> Process | None:
    if any(plain_path(mount.target) == "/dev/shm" for mount in spec.mounts):  # noqa: S108
        return None  # the requested mount takes its place
    if spec.ipc == POD:
        return infra
    return _target(context, spec.ipc, "ipc") if spec.ipc.mode == "container" else None
