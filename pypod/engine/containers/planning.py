"""What a start of a container does: the plan for its monitor, from record and spec."""

from __future__ import annotations

import os

from pypod.engine.containers import joining
from pypod.engine.containers.derived import hostname_of, ulimits
from pypod.engine.core import announce
from pypod.engine.networks import network_ops
from pypod.engine.resources import groups, limits
from pypod.engine.session import id_maps, session
from pypod.engine.storage import mapped_layers, overlay, volumes
from pypod.kernel import idmap, programs
from pypod.kernel.pidfd import Process
from pypod.model.connection import NO_RESOLV_CONF
from pypod.model.namespace import HOST, POD
from pypod.runtime.compiler import WHOLE_MAPS, Surroundings, container_ops, plan
from pypod.runtime.oci import Places, filled, runtime_spec
from pypod.runtime.ops import Op
from pypod.runtime.programs import path as program_path
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.networks.attachments import Wire
    from pypod.engine.storage.drivers import Driver
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord, PodRecord

TTY_GROUP = 5  # that of terminals, everywhere


class Terminal:
    """The first size of a container's terminal, in characters; 0 leaves it to the kernel."""

    def __init__(self, columns: int = 0, rows: int = 0) -> None:
        self.columns = columns
        self.rows = rows


def container_plan(
    context: Context,
    record: ContainerRecord,
    spec: ContainerSpec,
    pod: PodRecord | None,
    terminal: Terminal,
    group: groups.Group,
    driver: Driver | None,
    *,
    attended: bool = False,
    infra: Process | None = None,
    wires: tuple[Wire, ...] = (),
) -> Plan:
    """Return what a start of this container in ``group`` would do now, connected by ``wires``, its root by ``driver``.

    ``infra`` stands for the pod's, if that does not run yet.
    """
    directory = context.layout.container(record.id)
    own_session = session.of(context)
    own_maps = id_maps.maps_of(context, spec)
    maps = id_maps.maps_for(context, spec) or (own_session.maps if own_session else None)
    ids = id_maps.root_of(maps)
    joins, infra = joining.joins(context, spec, pod, infra)
    shm_of = joining.shm_of(context, spec, infra)
    hostname = hostname_of(context, record, spec, pod)
    of_pod = bool(record.pod_id) and spec.net == POD
    shared = context.layout.pod(record.pod_id) if of_pod else directory
    hosts, resolv_conf = shared_files(context, record, spec, pod)
    cgroups = context.cgroups
    places = Places(
        root=context.layout.merged if spec.overlay else spec.rootfs,
        hosts=hosts,
        hostname_file=f"{shared}/hostname",
        resolv_conf=resolv_conf,
        container_env=f"{directory}/containerenv" if spec.privileged else context.layout.container_env,
        init=program_path("init") if spec.init else "",
        cgroup_path=record.cgroup,
        cgroup_mount=cgroups.shown,
        resources=limits.resources_of(spec.limits, default_pids=True),
        hostname=hostname,
        shared_shm=shm_of is not None,
        ulimits=ulimits(spec),
        rootless=context.rootless or spec.user_namespace != HOST,
        foreign=joining.foreign(context, spec, pod, joins) if context.rootless or spec.user_namespace != HOST else (),
        has_tty_group=maps is None or idmap.has(maps[1], TTY_GROUP),
        id_maps=maps if own_maps and maps else ((), ()),
        namespace_paths=joining.paths(joins),
        devices=_host_devices() if spec.privileged else (),
        console=(terminal.columns, terminal.rows),
    )
    config = runtime_spec(volumes.with_sources(context.layout, spec), places)
    mapped = mapped_layers.with_mapped(context, spec, id_maps.maps_for(context, spec))
    root = overlay.container_root(context, driver, mapped, directory)
    tracked = cgroups.tracking_directory(record.cgroup)
    seccomp, flags = seccomp_of(context, spec)
    around = Surroundings(
        root=root,
        target=context.layout.merged,
        joins=joins,
        shm_of=shm_of,
        born_in=tracked if cgroups.clones_into_cgroup else "",
        join_files=cgroups.join_files(record.cgroup, group.trees),
        seccomp=seccomp,
        seccomp_flags=flags,
        create_cwd=spec.create_working_directory,
        filled=filled(spec),
        keyring=f"_ses.{record.id}",
        network=network_ops.inside_ops(context, spec, wires),
        copies="" if spec.overlay else directory,
        maps=(idmap.lines(maps[0]), idmap.lines(maps[1])) if maps else WHOLE_MAPS,
        ids=ids,
        ids_outside=(idmap.outside(maps[0], ids[0]), idmap.outside(maps[1], ids[1])) if maps else ids,
        mapped=_mapped(context, spec, maps),
        keep_groups=own_session is not None and own_session.has_one_id,
    )
    settings = [
        *session.ops(context, own_session),
        *root.settings,
        *_settings(context, record, spec, terminal, tracked),
        *network_ops.host_ops(context, record.id, record.name, spec, wires, watched=True),
    ]
    if spec.remove and not attended:
        settings.append(Op("finally", *cleanup_command(context, record.id)))
    return plan(settings, container_ops(config, around))


def _settings(
    context: Context, record: ContainerRecord, spec: ContainerSpec, terminal: Terminal, tracked: str
) -> list[Op]:
    directory = context.layout.container(record.id)
    ops = [
        Op("status", f"{directory}/status", context.boot_id),
        Op("log", f"{directory}/ctr.log"),
        Op("attach", directory),
        *([Op("group_kill", tracked)] if tracked else []),
        *([Op("oom_file", oom_file)] if (oom_file := context.cgroups.oom_file(record.cgroup)) else []),
        announce.event_op(context, record),
    ]
    if spec.terminal:
        ops.append(Op("terminal", terminal.columns, terminal.rows))
    if spec.interactive:
        ops.append(Op("standard_input"))
    owner = records.parse_owner(record.owner)
    if owner:
        ops.append(Op("owner", owner.pid, owner.start_time))
    return ops


def cleanup_command(context: Context, identifier: str) -> tuple[str, ...]:
    """Return the command that removes a container when it has ended and nobody is there to do it."""
    return programs.python("pypod.engine.containers.collect", context.layout.root, identifier)


def _mapped(context: Context, spec: ContainerSpec, maps: id_maps.Maps | None) -> tuple[str, ...]:
    """Return the directories whose files have the ids of a user namespace on the disk: our storage, or the root itself.

    A user may map no file system that was mounted by root (mount_setattr(2)): theirs has copies of the layers.
    """
    whole = maps is None or (idmap.is_whole(maps[0]) and idmap.is_whole(maps[1]))
    if whole or context.rootless:
        return ()
    return (context.layout.root,) if spec.overlay else (spec.rootfs,) if spec.idmap else ()


def seccomp_of(context: Context, spec: ContainerSpec) -> tuple[bytes, int]:
    if spec.privileged or spec.seccomp == "unconfined":
        return b"", 0
    if not spec.seccomp:
        return context.default_filter(spec.capabilities)
    from pypod.runtime.seccomp.filter import filter_and_flags

    return filter_and_flags(spec.seccomp, frozenset(spec.capabilities), context.layout.cache)


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


def shared_files(
    context: Context, record: ContainerRecord, spec: ContainerSpec, pod: PodRecord | None
) -> tuple[str, str]:
    """Return the paths of the /etc/hosts and /etc/resolv.conf of whose network it is, empty where the root's stay."""
    asked: ContainerSpec | PodSpec = spec
    directory = context.layout.container(record.id)
    if spec.net.mode == "container":
        other = records.find_container(context.database, spec.net.target)
        other_pod = records.find_pod(context.database, other.pod_id) if other.pod_id else None
        spec = spec.replace(net=POD) if other.kind == records.INFRA else context.container_spec(other)
        return shared_files(context, other, spec, other_pod)
    if pod is not None and spec.net == POD:
        directory, asked = context.layout.pod(pod.id), context.pod_spec(pod)
    hosts = "" if asked.no_hosts else f"{directory}/hosts"
    return hosts, "" if NO_RESOLV_CONF in asked.dns_servers else f"{directory}/resolv.conf"
