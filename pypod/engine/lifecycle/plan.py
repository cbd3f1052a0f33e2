"""The plan of a start: its OCI configuration, the settings that OCI cannot express, and those of the monitor."""

from __future__ import annotations

from pypod.engine.core import announce
from pypod.engine.lifecycle import joining, restarts
from pypod.engine.lifecycle.derived import filter_of, ulimits
from pypod.engine.networks import network_ops
from pypod.engine.resources import limits
from pypod.engine.session import id_maps, session
from pypod.engine.storage import mapped_layers, overlay
from pypod.kernel import idmap, programs
from pypod.kernel.programs import path as program_path
from pypod.model.mount import IMAGE, TMPFS, VOLUME, plain_path
from pypod.model.namespace import HOST, OWN_IDS, POD
from pypod.model.pod import STOP
from pypod.runtime.compiler.plans import container_ops
from pypod.runtime.compiler.surroundings import WHOLE_MAPS, Surroundings
from pypod.runtime.oci import OCI_VERSION, Places, runtime_spec
from pypod.runtime.ops import Op, plan
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.engine.lifecycle.start import Start
    from pypod.engine.networks.running import Attachment
    from pypod.model.container import ContainerSpec
    from pypod.model.mount import Mount
    from pypod.model.secret import SecretUse
    from pypod.runtime.compiler.surroundings import Root
    from pypod.runtime.ops import Plan
    from pypod.runtime.trees import Tree

REMOVE, STOP_POD = "r", "p"  # what the monitor's last command does
TTY_GROUP = 5  # the gid of tty on every distribution


def container_plan(start: Start, attached: tuple[Attachment, ...] = ()) -> Plan:
    """Return the plan of the monitor and of the container's first process, with these attachments."""
    context, record, spec = start.context, start.record, start.spec
    root = overlay.container_root(context, start.driver, start.mapped, start.directory, start.maps, start.without)
    tracked = context.cgroups_of(record).tracking_directory(record.cgroup)
    settings = [
        *session.ops(context, start.session),
        *root.settings,
        *_settings(start, tracked),
        *_hooks(start),
        *_device_filter(start, tracked),
        *network_ops.host_ops(context, record.id, record.name, spec, attached, watched=True),
    ]
    if words := _after_its_end(start):
        settings.append(Op("finally", *cleanup_command(context, record.id, words)))
    sourced = _sourced(start)
    if start.caller.environment:
        variables = {**dict(sourced.environment), **dict(start.caller.environment)}
        sourced = sourced.replace(environment=tuple(variables.items()))
    config = runtime_spec(sourced, _places(start, None))
    ops = container_ops(config, _surroundings(start, root, tracked, attached))
    if start.caller.initialize:
        ops.insert(-1, Op("await_start"))
    if any(one.stage == "startContainer" for one in start.hooks):
        ops.insert(-1, Op("run_hooks", "startContainer"))
    return plan(settings, ops)


def configuration(start: Start) -> dict[str, Any]:
    """Return the OCI configuration of a start, as any runtime takes it.

    The built-in runtime does without ``linux.seccomp``: it uses the compiled program, which is cached. Reading a
    profile takes several times as long as the rest of a start.
    """
    spec, seccomp = start.spec, None
    if not (spec.privileged or spec.seccomp == "unconfined"):
        from pypod.runtime.seccomp.config import seccomp_of

        path = spec.image if spec.seccomp_profile else spec.seccomp or None
        seccomp = seccomp_of(path, frozenset(spec.capabilities), spec.seccomp_profile)
    return runtime_spec(_sourced(start), _places(start, seccomp))


def _sourced(start: Start) -> ContainerSpec:
    """Return the specification with the places on the host of what it mounts as the sources."""
    spec = start.spec
    if start.volumes is None and start.special is None:
        return spec
    return spec.replace(mounts=tuple(_placed(start, mount) for mount in spec.mounts))


def _placed(start: Start, mount: Mount) -> Mount:
    if start.special is not None and (mount.type == IMAGE or mount.overlay):
        return mount.replace(options=tuple(start.special.overlay(mount)))
    if mount.type == TMPFS and mount.chown:
        from pypod.engine.lifecycle.special_mounts import owned_options

        return mount.replace(options=owned_options(mount, start.spec.user))
    if start.volumes is None or mount.type != VOLUME:
        return mount
    place = start.volumes.place(mount)
    return mount.replace(source=f"{place}/{mount.subpath}" if mount.subpath else place, options=())


def _places(start: Start, seccomp: dict[str, Any] | None) -> Places:
    context, record, spec, maps = start.context, start.record, start.spec, start.all_maps
    layout, cgroups = context.layout, context.cgroups_of(record)
    hosts, resolv_conf = start.shown
    shared = layout.pod(record.pod_id) if record.pod_id and spec.net == POD else start.directory
    in_user_namespace = context.rootless or spec.user_namespace != HOST
    return Places(
        root=layout.merged if spec.overlay else spec.rootfs,
        hosts=hosts,
        hostname_file=f"{shared}/hostname",
        resolv_conf=resolv_conf,
        container_env=f"{start.directory}/containerenv" if spec.privileged else layout.container_env,
        init=(spec.init_path or program_path("init")) if spec.init else "",
        cgroup_path=record.cgroup,
        cgroup_mount=cgroups.shown,
        resources=_resources(spec),
        hostname=start.hostname,
        shared_shm=start.shm_of is not None,
        ulimits=ulimits(spec),
        rootless=in_user_namespace,
        foreign=joining.foreign(context, spec, start.pod_spec, start.joins) if in_user_namespace else (),
        has_tty_group=maps is None or idmap.has(maps[1], TTY_GROUP),
        id_maps=start.maps if start.maps and spec.user_namespace.mode in OWN_IDS else ((), ()),
        namespace_paths=joining.paths(start.joins),
        **_devices(start),
        seccomp=seccomp,
        console=(start.caller.columns, start.caller.rows),
        identifier=record.id,
        localtime=f"{start.directory}/localtime" if spec.timezone else "",
    )


def _trees(start: Start) -> tuple[Tree, ...]:
    """Return the v1 trees that the container sees: none where it mounts something itself, nor for users."""
    context, spec = start.context, start.spec
    found = context.cgroups_of(start.record).trees(start.group.trees)
    own = any(plain_path(mount.target).startswith("/sys/fs/cgroup") for mount in spec.mounts)
    if not found or own or context.rootless or spec.user_namespace != HOST:
        return ()
    from pypod.runtime.trees import Tree

    shown = context.cgroups.shown[0]
    return tuple(
        Tree(
            target=one.target,
            options=tuple(one.options.split(",")) if one.options else (),
            source=one.source,
            writable=spec.privileged or (spec.systemd and "name=" in one.options),
        )
        for one in found
        if one.target != shown
    )


def _resources(spec: ContainerSpec) -> dict[str, Any]:
    found = limits.resources_of(spec.limits, default_pids=True)
    return {**found, "unified": dict(spec.cgroup_conf)} if spec.cgroup_conf else found


def _devices(start: Start) -> dict[str, Any]:
    """Return the arguments of ``Places`` about devices, which few containers ask for."""
    if start.spec.privileged:
        from pypod.engine.lifecycle.device_access import of_host

        return {"devices": of_host(consoles=not start.spec.systemd)}
    if not start.limits_devices:
        return {}
    from pypod.engine.lifecycle.device_access import rules

    return {"device_rules": rules(start.context, start.spec, start.driver)}


def _device_filter(start: Start, tracked: str) -> list[Op]:
    if not start.limits_devices or not tracked:
        return []
    from pypod.engine.lifecycle.device_access import filter_ops

    return filter_ops(start.context, start.spec, start.driver, tracked)


def _surroundings(start: Start, root: Root, tracked: str, attached: tuple[Attachment, ...]) -> Surroundings:
    context, record, spec, maps = start.context, start.record, start.spec, start.all_maps
    cgroups = context.cgroups_of(record)
    ids = id_maps.root_of(maps)
    seccomp, flags = filter_of(context, spec)
    return Surroundings(
        root=root,
        target=context.layout.merged,
        joins=start.joins,
        shm_of=start.shm_of,
        born_in=tracked if cgroups.clones_into_cgroup else "",
        join_files=cgroups.join_files(record.cgroup, start.group.trees),
        seccomp=seccomp,
        seccomp_flags=flags,
        create_cwd=spec.create_working_directory,
        filled=start.volumes.filled() if start.volumes else {},
        taken={
            **(start.volumes.taken() if start.volumes else {}),
            **(start.special.taken() if start.special else {}),
        },
        given={
            **(start.volumes.given() if start.volumes else {}),
            **(start.special.given() if start.special else {}),
        },
        keyring=f"_ses.{record.id}",
        network=network_ops.inside_ops(context, spec, attached),
        copies="" if spec.overlay else start.directory,
        maps=(idmap.lines(maps[0]), idmap.lines(maps[1])) if maps else WHOLE_MAPS,
        ids=ids,
        ids_outside=(idmap.outside(maps[0], ids[0]), idmap.outside(maps[1], ids[1])) if maps else ids,
        mapped=(*mapped_layers.mapped_trees(context, spec, maps), *(start.special.mapped() if start.special else ())),
        trees=_trees(start),
        hooks=frozenset(one.stage for one in start.hooks),
        keep_groups=start.session is not None and start.session.has_one_id,
        secrets=_secrets(context, record.id, spec),
    )


def _hooks(start: Start) -> list[Op]:
    if not start.hooks:
        return []
    from pypod.engine.configuration.hooks import STATES
    from pypod.runtime.hooks import hook

    annotations = dict(start.spec.annotations)
    return [
        hook(
            one.stage,
            one.path,
            one.arguments,
            one.variables,
            one.timeout_s,
            {
                "ociVersion": OCI_VERSION,
                "id": start.record.id,
                "status": STATES[one.stage],
                "root": start.context.layout.merged if start.spec.overlay else start.spec.rootfs,
                "bundle": start.directory,
                "annotations": annotations,
            },
        )
        for one in start.hooks
    ]


def _secrets(context: Context, identifier: str, spec: ContainerSpec) -> tuple[tuple[str, SecretUse], ...]:
    if not spec.secrets:
        return ()
    from pypod.engine.storage import secrets

    return secrets.with_paths(context, identifier, spec)


def _settings(start: Start, tracked: str) -> list[Op]:
    context, record, directory = start.context, start.record, start.directory
    ops = [
        Op("status", f"{directory}/status", context.boot_id),
        Op("log", f"{directory}/ctr.log"),
        Op("attach", directory),
        *([Op("group_kill", tracked)] if tracked else []),
        *([Op("oom_file", oom_file)] if (oom_file := context.cgroups_of(record).oom_file(record.cgroup)) else []),
        announce.event_op(context, record, start=announce.ATTENDED if start.attended else announce.STARTED),
    ]
    if start.spec.terminal:
        ops.append(Op("terminal", start.caller.columns, start.caller.rows))
    if start.spec.interactive:
        ops.append(Op("standard_input"))
    if start.caller.pass_fds:
        ops.append(Op("descriptors", *(number for number, _ in start.caller.pass_fds)))
    spec = start.spec
    ops += [Op("pid_file", spec.pidfile)] if spec.pidfile else []
    ops += [Op("supervisor_pid_file", spec.conmon_pidfile)] if spec.conmon_pidfile else []
    ops += [Op("timeout", spec.timeout_s)] if spec.timeout_s else []
    ops += restarts.ops(spec)
    owner = records.parse_owner(record.owner)
    if owner:
        ops.append(Op("owner", owner.pid, owner.start_time))
    return ops


def _after_its_end(start: Start) -> str:
    """Return what is to be done once it has ended, as ``collect`` understands it; empty for nothing."""
    stops = start.pod_spec is not None and start.pod_spec.exit_policy == STOP and not start.spec.init_container
    return REMOVE * (start.spec.remove and not start.attended) + STOP_POD * stops


def cleanup_command(context: Context, identifier: str, what: str) -> tuple[str, ...]:
    """Return the command that does ``what`` (REMOVE, STOP_POD) is to be done after the end of a container."""
    backend = (context.events_backend,) if context.events_backend else ()  # the monitor has not our environment
    return programs.python("pypod.engine.containers.collect", context.layout.root, identifier, what, *backend)
