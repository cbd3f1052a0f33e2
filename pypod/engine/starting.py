"""Start containers: from record and spec to a running process under a monitor."""

from __future__ import annotations

import os

from pypod.engine import (
    announce,
    bridges,
    connecting,
    effects,
    files,
    groups,
    layers,
    limits,
    mapped_layers,
    observe,
    published,
    session,
    user_namespaces,
    user_network,
    volumes,
)
from pypod.engine.boundary import Boundary
from pypod.engine.locks import EXCLUSIVE, SHARED, Lock
from pypod.errors import InvalidSpec, LaunchFailed, PodBroken, WrongState
from pypod.kernel import idmap
from pypod.kernel.pidfd import Process
from pypod.kernel.proc import read_text
from pypod.model.connection import NO_RESOLV_CONF
from pypod.model.container import Ulimit
from pypod.model.ids import short
from pypod.model.namespace import HOST, POD, PRIVATE
from pypod.runtime import launcher
from pypod.runtime.compiler import WHOLE_MAPS, Join, Surroundings, container_ops, plan
from pypod.runtime.oci import Places, runtime_spec
from pypod.runtime.ops import Op
from pypod.runtime.programs import path as program_path
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pypod.engine.connecting import Wire
    from pypod.engine.engine import Engine
    from pypod.engine.layout import Layout
    from pypod.model.container import ContainerSpec
    from pypod.model.namespace import Mode
    from pypod.model.pod import PodSpec
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord, PodRecord

# podman's, as root: name, number of resource(2), value
_DEFAULT_LIMITS = (("RLIMIT_NOFILE", 7, 1_048_576), ("RLIMIT_NPROC", 6, 4_194_304))
# A page, of which mount(2) takes one byte less (copy_mount_options in fs/namespace.c), and "lowerdir=".
_OPTIONS_BYTES_LIMIT = 4096 - 1 - 9
_ATTEMPTS = 3  # an infra may be stopped between its start and its member's
TTY_GROUP = 5  # that of terminals, everywhere
_JOINABLE = ("net", "ipc", "uts", "pid", "user", "cgroup")


class Terminal:
    """The first size of a container's terminal, in characters; 0 leaves it to the kernel."""

    def __init__(self, columns: int = 0, rows: int = 0) -> None:
        self.columns = columns
        self.rows = rows


def start(engine: Engine, record: ContainerRecord, terminal: Terminal | None = None, *, attended: bool = False) -> None:
    """Start a container; its pod's infra first, if that is not running. Nothing to do when it runs already.

    ``attended`` says that the caller will wait for its end and remove it if it is to be removed.

    Raises WrongState, PodBroken, LaunchFailed and its kin; then nothing is left running.
    """
    if record.pod_id:
        _start_member(engine, record, terminal, attended=attended)
    else:
        _start_locked(engine, record, None, terminal, attended=attended)


def require_startable(engine: Engine, record: ContainerRecord) -> None:
    """Raise PodBroken when a member could not be started were it stopped now."""
    from pypod.engine import infra

    pod = records.find_pod(engine.database, record.pod_id)
    if pod.infra_id and not infra.is_ready(engine, pod):
        infra.require_no_members(engine, pod, but=record.id)


def _start_member(engine: Engine, record: ContainerRecord, terminal: Terminal | None, *, attended: bool) -> None:
    from pypod.engine import infra

    directory = engine.layout.pod(record.pod_id)
    for left in reversed(range(_ATTEMPTS)):
        with Boundary(f"start container {record.name}"), Lock(directory, SHARED) as lock, lock:
            pod = records.find_pod(engine.database, record.pod_id)
            if not left or not pod.infra_id or infra.is_ready(engine, pod):
                _start_locked(engine, record, pod, terminal, attended=attended)
                return
        with Boundary(f"start container {record.name}"), Lock(directory, EXCLUSIVE) as lock, lock:
            infra.start(engine, pod)


def _start_locked(
    engine: Engine, record: ContainerRecord, pod: PodRecord | None, terminal: Terminal | None, *, attended: bool
) -> None:
    directory = engine.layout.container(record.id)
    with Boundary(f"start container {record.name}"), Lock(directory) as lock, lock:
        record = records.find_container(engine.database, record.id)
        state = observe.container_state(directory, engine.boot_id)
        if state.status == "paused":
            message = f"container {record.id} must be in Created or Stopped state to be started"
            hint = f"it is paused: pypod unpause {record.name}"
            raise WrongState(record.name, state.status, f"{message}: container state improper", hint=hint)
        if state.running:
            return
        spec = engine.container_spec(record)
        effects.perform(groups.for_monitors(engine))
        program, group = engine.programs.executable("monitor"), groups.monitors(engine)
        bring = groups.bringing(engine)
        with launcher.Launching(program, "pypod-monitor", group=group, bring=bring) as monitor:
            _run(engine, record, spec, pod, terminal or Terminal(), monitor, attended=attended)


def _run(
    engine: Engine,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodRecord | None,
    terminal: Terminal,
    monitor: launcher.Launching,
    *,
    attended: bool,
) -> None:
    effects.perform(preparations(engine, record, spec))
    try:
        wires = connecting.attach(engine, record.id) if spec.net == PRIVATE else ()
        effects.perform(bridges.preparations(engine, connecting.networks_of(wires)))
        effects.perform(files_of(engine, record, spec, pod, wires))
        group = group_of(engine, record, spec, pod)
        what = container_plan(engine, record, spec, pod, terminal, group, attended=attended, wires=wires)
        effects.perform(groups.renewal(engine, group))
        _launch(engine, record, monitor, what)
        connecting.settle(wires)
    except BaseException:
        engine.cgroups.remove(record.cgroup)
        if spec.net == PRIVATE:
            connecting.detach(engine, record.id)
        raise


def _launch(engine: Engine, record: ContainerRecord, monitor: launcher.Launching, what: Plan) -> None:
    try:
        published.run(engine, monitor, what)
    except LaunchFailed as error:
        file = engine.cgroups.oom_file(record.cgroup)
        counted = file and [line for line in read_text(file).splitlines() if line.startswith("oom_kill ")]
        if not counted or counted == ["oom_kill 0"]:
            raise
        message = "the kernel killed the first process for want of memory while it was being started"
        hint = "the limit of memory is too low, its own or its pod's"
        raise LaunchFailed(error.operation, error.call, error.errno, message=message, hint=hint) from error


def group_of(engine: Engine, record: ContainerRecord, spec: ContainerSpec, pod: PodRecord | None) -> groups.Group:
    """Return the cgroup of a run. Raises Unsupported for a limit that this host does not have."""
    return groups.of_container(engine, record, spec.limits, records.pod_spec(pod) if pod is not None else None)


def preparations(engine: Engine, record: ContainerRecord, spec: ContainerSpec) -> list[effects.Effect]:
    """Return what has to be made before the plan: the directories and files that it names.

    Raises InvalidSpec when something of the host's is not there.
    """
    directory = engine.layout.container(record.id)
    maps = user_namespaces.maps_for(engine, spec)
    mapped = mapped_layers.with_mapped(engine, spec, maps)
    root = _root_status(engine.layout, spec)
    for mount in spec.mounts:
        if mount.type != "volume" and mount.source and not os.path.lexists(mount.source):
            raise InvalidSpec(mount.argument, f"statfs {mount.source}: no such file or directory")
    made = []
    if not os.path.isdir(f"{directory}/upper"):
        made.append(layers.upper(engine, f"{directory}/upper", root, maps, of_image=bool(spec.image)))
    made = [*session.preparations(engine), *mapped_layers.preparations(engine, mapped, maps), *made]
    made += layers.work(f"{directory}/work")
    made += volumes.making(engine, spec, maps)
    made += user_network.preparations(engine, record.id, spec)
    if spec.privileged:
        made.append(files.container_env(f"{directory}/containerenv", record.name, record.id, spec.image))
    return made


def files_of(
    engine: Engine,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodRecord | None,
    wires: Sequence[Wire],
    *,
    running: bool = False,
) -> list[effects.Effect]:
    """Return what writes a container's own /etc/hosts and its like, for one that is connected by ``wires``."""
    if spec.net == POD and record.pod_id:
        return []
    directory, hostname = engine.layout.container(record.id), hostname_of(engine, record, spec, pod)
    on_host = spec.net.mode == "host"
    names = (record.name,)
    return [files.network_files(directory, spec, hostname, names, wires, on_host=on_host, running=running)]


def _shared_files(
    engine: Engine, record: ContainerRecord, spec: ContainerSpec, pod: PodRecord | None
) -> tuple[str, str]:
    """Return the paths of the /etc/hosts and /etc/resolv.conf of whose network it is, empty where the root's stay."""
    asked: ContainerSpec | PodSpec = spec
    directory = engine.layout.container(record.id)
    if spec.net.mode == "container":
        other = records.find_container(engine.database, spec.net.target)
        other_pod = records.find_pod(engine.database, other.pod_id) if other.pod_id else None
        spec = spec.replace(net=POD) if other.kind == records.INFRA else engine.container_spec(other)
        return _shared_files(engine, other, spec, other_pod)
    if pod is not None and spec.net == POD:
        directory, asked = engine.layout.pod(pod.id), engine.pod_spec(pod)
    hosts = "" if asked.no_hosts else f"{directory}/hosts"
    return hosts, "" if NO_RESOLV_CONF in asked.dns_servers else f"{directory}/resolv.conf"


def _root_status(layout: Layout, spec: ContainerSpec) -> os.stat_result:
    root = layers.roots(layout, spec)[0]
    try:
        return os.stat(root)
    except OSError as error:
        if spec.image:
            hint = f"pypod pull {spec.image} brings it again"
            raise InvalidSpec("image", f"a layer of image {spec.image} is gone: {error}", hint=hint) from error
        raise InvalidSpec("--rootfs", f"rootfs {spec.rootfs}: {error.strerror}") from error


def hostname_of(engine: Engine, record: ContainerRecord, spec: ContainerSpec, pod: PodRecord | str | None) -> str:
    """Return the hostname a container has: its pod's, the host's, or its own. ``pod`` is a record or an id."""
    if spec.uts == POD and pod:
        of_pod = engine.pod_spec(pod)
        return of_pod.hostname or of_pod.name
    if spec.uts.mode == "host" or (spec.net.mode == "host" and not spec.hostname):
        return os.uname().nodename
    return spec.hostname or short(record.id)


def container_plan(
    engine: Engine,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodRecord | None,
    terminal: Terminal,
    group: groups.Group,
    *,
    attended: bool = False,
    infra: Process | None = None,
    wires: tuple[Wire, ...] = (),
) -> Plan:
    """Return what a start of this container in ``group`` would do now, connected by ``wires``.

    ``infra`` stands for the pod's, if that does not run yet.
    """
    directory = engine.layout.container(record.id)
    own_session = session.of(engine)
    own_maps = user_namespaces.maps_of(engine, spec)
    maps = user_namespaces.maps_for(engine, spec) or (own_session.maps if own_session else None)
    ids = user_namespaces.root_of(maps)
    joins, infra = _joins(engine, spec, pod, infra)
    shm_of = _shm_of(engine, spec, infra)
    hostname = hostname_of(engine, record, spec, pod)
    of_pod = bool(record.pod_id) and spec.net == POD
    shared = engine.layout.pod(record.pod_id) if of_pod else directory
    hosts, resolv_conf = _shared_files(engine, record, spec, pod)
    cgroups = engine.cgroups
    joined = {kind for join in joins for kind in join.kinds}
    places = Places(
        root=engine.layout.merged if spec.overlay else spec.rootfs,
        hosts=hosts,
        hostname_file=f"{shared}/hostname",
        resolv_conf=resolv_conf,
        container_env=f"{directory}/containerenv" if spec.privileged else engine.layout.container_env,
        init=program_path("init") if spec.init else "",
        cgroup_path=record.cgroup,
        cgroup_mount=cgroups.shown,
        resources=limits.resources_of(spec.limits, default_pids=True),
        hostname=hostname,
        shared_shm=shm_of is not None,
        ulimits=ulimits(spec),
        rootless=engine.rootless or spec.user_namespace != HOST,
        foreign=_foreign(engine, spec, pod, joins) if engine.rootless or spec.user_namespace != HOST else (),
        has_tty_group=maps is None or idmap.has(maps[1], TTY_GROUP),
        id_maps=maps if own_maps and maps else ((), ()),
        namespace_paths=tuple((kind, f"/proc/{infra.pid if infra else 0}/ns/{kind}") for kind in sorted(joined)),
    )
    config = runtime_spec(volumes.with_sources(engine.layout, spec), places)
    mapped = mapped_layers.with_mapped(engine, spec, user_namespaces.maps_for(engine, spec))
    options, base = _overlay(engine, mapped, directory) if spec.overlay else ("", "")
    tracked = cgroups.tracking_directory(record.cgroup)
    seccomp, flags = seccomp_of(engine, spec)
    around = Surroundings(
        overlay=options,
        base=base,
        target=engine.layout.merged,
        joins=joins,
        shm_of=shm_of,
        born_in=tracked if cgroups.clones_into_cgroup else "",
        join_files=cgroups.join_files(record.cgroup, group.trees),
        seccomp=seccomp,
        seccomp_flags=flags,
        create_cwd=spec.create_working_directory,
        devices=_host_devices() if spec.privileged else (),
        keyring=f"_ses.{record.id}",
        network=(*connecting.inside_ops(wires), *user_network.inside_ops(engine, spec)),
        copies="" if spec.overlay else directory,
        maps=(idmap.lines(maps[0]), idmap.lines(maps[1])) if maps else WHOLE_MAPS,
        ids=ids,
        ids_outside=(idmap.outside(maps[0], ids[0]), idmap.outside(maps[1], ids[1])) if maps else ids,
        mapped=_mapped(engine, spec, maps),
        keep_groups=own_session is not None and own_session.has_one_id,
    )
    led = () if engine.rootless else spec.ports  # a user's are led by pasta
    settings = [
        *session.ops(engine, own_session),
        *_settings(engine, record, spec, terminal, tracked),
        *published.hold_ops(led),
        *connecting.host_ops(engine, wires, hairpin=bool(led)),
        *published.lead_ops(led, wires, record.name, watched=True),
        *user_network.host_ops(engine, record.id, spec),
    ]
    if spec.remove and not attended:
        settings.append(Op("finally", *cleanup_command(engine, record.id)))
    return plan(settings, container_ops(config, around))


def ulimits(spec: ContainerSpec) -> tuple[Ulimit, ...]:
    """Return the resource limits: those asked for, and podman's defaults as far as this process may give them."""
    import resource

    given = {limit.name for limit in spec.ulimits}
    if "host" in given:
        return tuple(limit for limit in spec.ulimits if limit.name != "host")
    found = list(spec.ulimits)
    for name, number, default in _DEFAULT_LIMITS:
        if name in given:
            continue
        hard = resource.getrlimit(number)[1]
        value = default if hard < 0 else min(default, hard)
        found.append(Ulimit(name=name, soft=value, hard=value))
    return tuple(found)


def _settings(
    engine: Engine, record: ContainerRecord, spec: ContainerSpec, terminal: Terminal, tracked: str
) -> list[Op]:
    directory = engine.layout.container(record.id)
    ops = [
        Op("status", f"{directory}/status", engine.boot_id),
        Op("log", f"{directory}/ctr.log"),
        Op("attach", directory),
        *([Op("group_kill", tracked)] if tracked else []),
        *([Op("oom_file", oom_file)] if (oom_file := engine.cgroups.oom_file(record.cgroup)) else []),
        announce.event_op(engine, record),
    ]
    if spec.terminal:
        ops.append(Op("terminal", terminal.columns, terminal.rows))
    if spec.interactive:
        ops.append(Op("standard_input"))
    owner = records.parse_owner(record.owner)
    if owner:
        ops.append(Op("owner", owner.pid, owner.start_time))
    return ops


def cleanup_command(engine: Engine, identifier: str) -> tuple[str, ...]:
    """Return the command that removes a container when it has ended and nobody is there to do it."""
    import sys

    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = f"import sys; sys.path.insert(0, {package!r}); from pypod.engine.collect import main; main()"
    return (sys.executable, "-I", "-S", "-c", code, engine.layout.root, identifier)


def _joins(
    engine: Engine, spec: ContainerSpec, pod: PodRecord | None, given: Process | None
) -> tuple[tuple[Join, ...], Process | None]:
    """Return the namespaces to join, and the infra if it is one of those joined."""
    joins: list[Join] = []
    infra: Process | None = None
    by_target: dict[Process, list[str]] = {}
    for kind in _JOINABLE:
        mode = spec.namespace(kind)
        if mode == POD:
            infra = infra or given or _infra(engine, pod)
            by_target.setdefault(infra, []).append(kind)
        elif mode.mode == "container":
            by_target.setdefault(_target(engine, mode, kind), []).append(kind)
        elif mode.mode == "ns":
            joins.append(Join(kinds=(kind,), path=mode.target))
    for process, asked in by_target.items():
        inodes = engine.proc.namespaces(process.pid, asked) or {}
        kinds = without_host(engine, asked, inodes)
        known = tuple((kind, inodes[kind][1]) for kind in kinds if kind in inodes)
        if kinds:
            joins.append(Join(kinds=tuple(kinds), process=process, inodes=known))
    return tuple(joins), infra


def without_host(engine: Engine, kinds: Iterable[str], inodes: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return the kinds that are to be joined: a user may not join a namespace of the host's, and is in it anyway."""
    own = engine.proc.namespaces("self") or {} if engine.rootless else {}
    return [kind for kind in kinds if kind not in own or inodes.get(kind) != own[kind]]


def _foreign(engine: Engine, spec: ContainerSpec, pod: PodRecord | None, joins: tuple[Join, ...]) -> tuple[str, ...]:
    """Return the kinds of namespaces that are the host's, or whose owner nobody knows: none of the user's session."""
    found = {kind for kind in _JOINABLE if spec.namespace(kind).mode in ("host", "ns")}
    if spec.user_namespace != HOST:  # its own, or another's: what belongs to that is what is made in it
        owned = (PRIVATE, spec.user_namespace)
        found = {kind for kind in _JOINABLE if kind != "user" and spec.namespace(kind) not in owned}
    if pod is not None and spec.net == POD and engine.pod_spec(pod).net == "host":
        found.add("net")
    own = engine.proc.namespaces("self") or {}  # of what a container joined, some may be the host's
    for join in joins:
        found |= {kind for kind, inode in join.inodes if kind in own and own[kind][1] == inode}
    return tuple(sorted(found))


def _mapped(engine: Engine, spec: ContainerSpec, maps: user_namespaces.Maps | None) -> tuple[str, ...]:
    """Return the directories whose files have the ids of a user namespace on the disk: our storage.

    A user may map no file system that was mounted by root (mount_setattr(2)): theirs has copies of the layers.
    """
    whole = maps is None or (idmap.is_whole(maps[0]) and idmap.is_whole(maps[1]))
    return () if whole or engine.rootless or not spec.overlay else (engine.layout.root,)


def _infra(engine: Engine, pod: PodRecord | None) -> Process:
    if pod is None:
        raise InvalidSpec("--pod", "only a member of a pod can join the pod's namespaces")
    state = observe.container_state(engine.layout.container(pod.infra_id), engine.boot_id)
    if not state.running:
        raise PodBroken(
            pod.name,
            "Broken",
            f"the infra container of pod {pod.name} is gone: its namespaces cannot be joined",
            hint=f"pypod pod restart {pod.name} makes them anew",
        )
    return Process(state.pid, state.start_time)


def _target(engine: Engine, mode: Mode, kind: str) -> Process:
    other = records.find_container(engine.database, mode.target)
    state = observe.container_state(engine.layout.container(other.id), engine.boot_id)
    if not state.running:
        raise WrongState(
            other.name, state.status, f"cannot join the {kind} namespace of container {other.name}: it is not running"
        )
    return Process(state.pid, state.start_time)


def _shm_of(engine: Engine, spec: ContainerSpec, infra: Process | None) -> Process | None:
    if any(os.path.normpath(mount.target) == "/dev/shm" for mount in spec.mounts):  # noqa: S108
        return None  # what was asked for is there instead
    if spec.ipc == POD:
        return infra
    return _target(engine, spec.ipc, "ipc") if spec.ipc.mode == "container" else None


def seccomp_of(engine: Engine, spec: ContainerSpec) -> tuple[bytes, int]:
    if spec.privileged or spec.seccomp == "unconfined":
        return b"", 0
    if not spec.seccomp:
        return engine.default_filter(spec.capabilities)
    from pypod.runtime.seccomp import filter_and_flags

    return filter_and_flags(spec.seccomp, frozenset(spec.capabilities), engine.layout.cache)


def _overlay(engine: Engine, spec: ContainerSpec, directory: str) -> tuple[str, str]:
    """Return the options of a container's overlay, and where the relative paths in them begin."""
    own = layers.escaped(directory, "\\,")
    # in a user namespace overlayfs keeps its attributes among the user's (Linux 5.11)
    words = ",volatile,userxattr" if engine.rootless else ",volatile"
    return overlay_of(engine.layout, spec, f",upperdir={own}/upper,workdir={own}/work{words}")


def overlay_of(layout: Layout, spec: ContainerSpec, above: str = "") -> tuple[str, str]:
    """Return the options of an overlay of a root's layers with what is ``above``, and where its paths begin."""
    # No layer may lie in another (ELOOP, ovl_check_layer in fs/overlayfs/super.c), as ours would in the host's root.
    lowers = layers.roots(layout, spec)
    if spec.image or not layout.is_inside(_root_status(layout, spec)):
        lowers = list(dict.fromkeys((*lowers, layout.mount_points)))
    below = ":".join(layers.escaped(layer, "\\,:") for layer in lowers)
    if len(below) + len(above) < _OPTIONS_BYTES_LIMIT or not spec.image:
        return f"lowerdir={below}{above}", ""
    below = ":".join((*spec.layers, layers.escaped(layout.mount_points, "\\,:")))
    return f"lowerdir={below}{above}", layout.image_layers


def _host_devices() -> tuple[tuple[str, int, int, int], ...]:
    """Return path, major, minor and mode of the devices directly in /dev, for --privileged."""
    import stat

    found = []
    standard = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"}
    for entry in os.scandir("/dev"):
        if entry.name in standard:
            continue
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            found.append((entry.path, os.major(status.st_rdev), os.minor(status.st_rdev), status.st_mode))
    return tuple(sorted(found))
