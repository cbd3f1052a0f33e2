"""``podman inspect`` of a container."""

from __future__ import annotations

import os

from pypod.engine.core import observe
from pypod.engine.inspect import form, limits, mounts
from pypod.engine.inspect.annotations import annotations_of
from pypod.engine.inspect.networks import bindings, network_settings
from pypod.engine.lifecycle import exec_ids, files
from pypod.engine.storage import drivers, layers
from pypod.engine.storage.mount_points import mounted_roots
from pypod.kernel.capabilities import CAPABILITIES, DEFAULT_CAPABILITIES
from pypod.model.ids import INFRA_IMAGE
from pypod.model.moment import Timestamp
from pypod.model.namespace import POD, PRIVATE, Mode
from pypod.model.network_flags import NO_RESOLV_CONF
from pypod.store import images, records, stored_specs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec, ContainerState
    from pypod.model.device import Device
    from pypod.model.health import Healthcheck
    from pypod.model.mount import Mount
    from pypod.store.records import ContainerRecord, PodRecord


# podman lists additions and removals relative to Docker's fourteen, of a privileged container to all there are
# (libpod/container_inspect.go).
_SHOWN_AGAINST = frozenset((*DEFAULT_CAPABILITIES, "CAP_AUDIT_WRITE", "CAP_MKNOD", "CAP_NET_RAW"))
# What stays writable in a container with a read-only root (podman-run(1), --read-only-tmpfs).
_WRITABLE = ("/run", "/tmp", "/var/tmp")  # noqa: S108
_NETWORK_FILES = ("resolv.conf", "hostname", "hosts")


def inspect_container(context: Context, record: ContainerRecord) -> dict[str, Any]:
    """Return a container's configuration and current state, under podman's names and in podman's order.

    An unknown exit code is -1, with State.ExitCodeKnown false. Raises StoreError for a damaged record.
    """
    pod = records.find_pod(context.database, record.pod_id) if record.pod_id else None
    infra = record.kind == records.INFRA
    spec = _infra_spec(record, pod) if infra and pod is not None else stored_specs.container_spec(record)
    directory = context.layout.container(record.id)
    if pod is not None and spec.ipc == POD:  # /dev/shm is the infra's
        spec = spec.replace(shm_size_bytes=stored_specs.pod_spec(pod).shm_size_bytes)
    shared = context.layout.pod(record.pod_id) if pod is not None and (infra or spec.net == POD) else directory
    paths = _network_files(context, record, spec, pod, shared)
    infra_id = pod.infra_id if pod is not None else ""
    uses_infra = any(mode == POD for mode in (spec.net, spec.ipc, spec.uts, spec.pid, spec.cgroup, spec.user_namespace))
    words = ("/run/podman-init", "--", *spec.arguments) if spec.init else spec.arguments
    # an unprivileged user has those that were added by name (runtime/compiler.py)
    effective = spec.capabilities if _is_root(spec.user) else spec.added_capabilities
    settings = network_settings(context, record, spec)
    state = observe.container_state(directory, context.boot_id)
    started = state.status != "created"
    values: dict[str, Any] = {
        "Id": record.id,
        "Created": Timestamp(record.created_ns),
        "RestartCount": state.restarts,
        "Path": words[0],
        "Args": list(words[1:]),
        "State": _state(state, cgroup_path(context, record.cgroup), spec, directory),
        "Image": record.image_id,
        "ImageDigest": images.digest_of(context.database, record.image_id) if record.image_id else "",
        "ImageName": record.image or (INFRA_IMAGE if infra else ""),
        "Rootfs": "" if infra else spec.rootfs,
        "Pod": record.pod_id,
        "ResolvConfPath": paths[0],
        "HostnamePath": paths[1],
        "HostsPath": paths[2],
        "LogPath": f"{directory}/ctr.log",
        "StaticDir": directory,
        "ConmonPidFile": spec.conmon_pidfile,
        "PidFile": spec.pidfile,
        "Name": record.name,
        "EffectiveCaps": list(effective) or None,
        "BoundingCaps": list(spec.capabilities),
        "ExecIDs": exec_ids.running(context, record, state),
        "GraphDriver": {"Name": drivers.OVERLAY, "Data": {}} if infra else _layers(context, spec, directory),
        "Mounts": mounts.shown(context, spec.mounts),
        "Dependencies": [*([infra_id] if uses_infra and infra_id else []), *_targets(spec)],
        "NetworkSettings": settings,
        "IsInfra": infra,
        "Config": _config(context, record, spec, infra=infra, started=started),
        "HostConfig": _host_config(record, spec, infra_id, f"{directory}/ctr.log", infra=infra),
    }
    values["Config"]["Annotations"] = {
        **annotations_of(record, spec, infra_id, started=started),
        **dict(spec.annotations),
    }
    if spec.net == PRIVATE and "Networks" in settings:
        values["HostConfig"]["NetworkMode"] = "bridge"
    return form.fill(form.CONTAINER, values)


def _infra_spec(record: ContainerRecord, pod: PodRecord) -> ContainerSpec:
    """Return an infra as if it were an ordinary container, which is how podman shows it."""
    from pypod.kernel.programs import DIRECTORY
    from pypod.model.container import ContainerSpec

    spec = stored_specs.pod_spec(pod)
    arguments = spec.infra_command or (f"{DIRECTORY}/pause",)
    if record.image_id:
        arguments = stored_specs.container_spec(record).arguments
    return ContainerSpec(
        name=record.name,
        entrypoint=arguments,
        rootfs="/",
        hostname=(spec.hostname or spec.name)[:64] if "uts" in spec.held else "",
        uts=PRIVATE if "uts" in spec.held else Mode(mode="host"),
        ipc=PRIVATE if "ipc" in spec.share else Mode(mode="host"),
        net=PRIVATE if "net" in spec.share and spec.net != "host" else Mode(mode="host"),
        net_program=spec.net_program,
        labels=spec.labels,
        sysctls=spec.sysctls,
        add_hosts=spec.add_hosts,
        no_hosts=spec.no_hosts,
        ports=spec.ports,
        dns_servers=spec.dns_servers,
        dns_options=spec.dns_options,
        dns_search=spec.dns_search,
        shm_size_bytes=spec.shm_size_bytes,
        cgroup_parent=spec.cgroup_parent,
        mounts=spec.mounts,
        read_only=True,
        no_new_privileges=True,
    )


def _network_files(
    context: Context, record: ContainerRecord, spec: ContainerSpec, pod: PodRecord | None, directory: str
) -> list[str]:
    """Return the files that are written into ``directory`` and shown in the container, empty for others."""
    pod_spec = stored_specs.pod_spec(pod) if pod is not None else None
    asked = spec.replace(net=POD) if record.kind == records.INFRA else spec
    without = files.left_out(spec, *files.shown(context, record, asked, pod_spec))
    paths = {name: "" if name in without else f"{directory}/{name}" for name in _NETWORK_FILES}
    return [path if os.path.exists(path) else "" for path in paths.values()]


def _is_root(user: str) -> bool:
    return user.partition(":")[0] in ("", "0", "root")


def _state(state: ContainerState, cgroup: str, spec: ContainerSpec, directory: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "Status": state.status,
        "Running": state.status == "running",
        "Paused": state.status == "paused",
        "OOMKilled": state.oom_killed,
        "Restarting": state.restarting,
        "Pid": state.pid,
        "ConmonPid": state.supervisor_pid if state.alive else 0,
        "ExitCode": (state.exit_code or 0) if state.exit_code_known else -1,
        "ExitCodeKnown": state.exit_code_known,
        "StartedAt": Timestamp(state.started_ns),
        "FinishedAt": Timestamp(state.finished_ns),
        "CgroupPath": cgroup if state.running else "",
        "CheckpointedAt": Timestamp(0),
        "RestoredAt": Timestamp(0),
    }
    if spec.health_command() and state.started_ns:
        values["Health"] = _health(directory, state)
    return form.fill(form.STATE, values)


def _healthcheck(asked: Healthcheck) -> dict[str, Any]:
    return {
        "Test": list(asked.test),
        "Interval": asked.interval_ns,
        "Timeout": asked.timeout_ns,
        "StartPeriod": asked.start_period_ns,
        "Retries": asked.retries,
    }


def _health(directory: str, state: ContainerState) -> dict[str, Any]:
    from pypod.engine.containers.health import of

    found = of(directory, state)
    log = [
        {
            "Start": Timestamp(one.started_ns),
            "End": Timestamp(one.ended_ns),
            "ExitCode": one.exit_code,
            "Output": one.output,
        }
        for one in found.log
    ]
    return {"Status": found.status, "FailingStreak": found.failing_streak, "Log": log or None}


def _layers(context: Context, spec: ContainerSpec, directory: str) -> dict[str, Any]:
    name = drivers.shown(context).name
    if os.path.isdir(layers.copy_in(directory)) or (spec.overlay and name == drivers.VFS):
        return {"Name": drivers.VFS, "Data": {}}
    data = {"LowerDir": ":".join(layers.roots(context.layout, spec))}
    if path := mounted_roots(context, [os.path.basename(directory)]):
        data |= {"MergedDir": path[os.path.basename(directory)]}
    data |= {"UpperDir": f"{directory}/upper", "WorkDir": f"{directory}/work"}
    return {"Name": name, "Data": data if spec.overlay else {}}


def _config(
    context: Context, record: ContainerRecord, spec: ContainerSpec, *, infra: bool, started: bool
) -> dict[str, Any]:
    from pypod.engine.inspect.environment import environment_of
    from pypod.engine.lifecycle.derived import known_hostname

    hostname = spec.hostname if infra else known_hostname(context, record, spec)
    values = {
        "Hostname": hostname,
        "User": spec.user,
        "Tty": spec.terminal,
        "OpenStdin": spec.interactive,
        "Env": [] if infra else environment_of(context, record, spec, hostname, started=started),
        "Cmd": list(spec.command) or None,
        "Image": INFRA_IMAGE if infra else record.image,
        "WorkingDir": spec.working_directory,
        "Entrypoint": " ".join(spec.entrypoint),
        "Labels": dict(spec.labels) or None,
        "StopSignal": spec.stop_signal,
        "Umask": f"{spec.umask:04o}",
        "Timeout": spec.timeout_s,
        "StopTimeout": spec.stop_timeout_s,
        "CreateCommand": list(spec.create_command),
        "Passwd": spec.passwd,
    }
    found = form.fill(form.CONFIG, values)
    files = [use for use in spec.secrets if use.is_file]
    if files:  # omitted by podman otherwise; secrets that are variables do not appear
        found["Secrets"] = [
            {"Name": use.name, "ID": use.secret_id, "UID": use.uid, "GID": use.gid, "Mode": use.mode} for use in files
        ]
    if spec.healthcheck is not None:  # omitted by podman otherwise
        found["Healthcheck"] = _healthcheck(spec.healthcheck)
    found |= {"Timezone": spec.timezone} if spec.timezone else {}
    found |= {"SystemdMode": True} if spec.systemd else {}
    found |= {"ChrootDirs": list(spec.chroot_directories)} if spec.chroot_directories else {}
    if spec.exposed_ports:  # as in podman since version 5
        from pypod.engine.inspect.networks import bindings
        from pypod.model.port import parse_exposed

        found["ExposedPorts"] = {name: {} for name in bindings((), map(parse_exposed, spec.exposed_ports))}
    return found


def _host_config(
    record: ContainerRecord, spec: ContainerSpec, infra_id: str, log: str, *, infra: bool
) -> dict[str, Any]:
    from pypod.engine.lifecycle.derived import ulimits

    capabilities, usual = set(spec.capabilities), frozenset(CAPABILITIES) if spec.privileged else _SHOWN_AGAINST
    at_most = () if infra else ulimits(spec)
    values = {
        "VolumesFrom": list(spec.volumes_from) or None,
        "Binds": mounts.binds(spec.mounts),
        "CgroupMode": _mode(spec.cgroup, infra_id),
        "Cgroups": "default" if spec.cgroups == "enabled" else spec.cgroups,
        "CgroupConf": dict(spec.cgroup_conf) or None,
        "Devices": devices_of(spec.devices),
        "LogConfig": {**form.HOST_CONFIG["LogConfig"], "Path": log, "Tag": spec.log_tag},
        "NetworkMode": _own_network(spec) if spec.net == PRIVATE else _mode(spec.net, infra_id),
        "PortBindings": bindings(spec.ports),
        "AutoRemove": spec.remove,
        "CapAdd": sorted(capabilities - usual),
        "CapDrop": sorted(usual - capabilities),
        "Dns": [one for one in spec.dns_servers if one != NO_RESOLV_CONF],
        "DnsOptions": list(spec.dns_options),
        "DnsSearch": list(spec.dns_search),
        "ExtraHosts": list(spec.add_hosts),
        "GroupAdd": list(spec.groups),
        "IpcMode": "shareable" if spec.ipc == PRIVATE else _mode(spec.ipc, infra_id),
        "PidMode": _mode(spec.pid, infra_id),
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only,
        "SecurityOpt": _security(spec),
        "Tmpfs": {} if infra else {one.target: mounts.tmpfs(one) for one in user_mounts(spec) if one.type == "tmpfs"},
        "UTSMode": _mode(spec.uts, infra_id),
        "UsernsMode": "" if spec.user_namespace.mode == "host" else _mode(spec.namespace("user"), infra_id),
        "IDMappings": _id_mappings(spec),
        "ShmSize": spec.shm_size_bytes,
        "CgroupParent": _cgroup_parent(record, spec),
        "RestartPolicy": {"Name": spec.restart_policy, "MaximumRetryCount": spec.restart_retries},
        "Init": spec.init,
        **({} if infra else limits.of(spec)),
        "Ulimits": [{"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard} for limit in at_most],
    }
    return form.fill(form.HOST_CONFIG, values)


def _cgroup_parent(record: ContainerRecord, spec: ContainerSpec) -> str:
    """Return the cgroup of its pod if it is in there, else the parent that was asked for."""
    parent = record.cgroup.rpartition("/")[0]
    return parent if record.pod_id and parent.endswith(f"/{record.pod_id}") else spec.cgroup_parent


def _id_mappings(spec: ContainerSpec) -> dict[str, list[str]] | None:
    """Return the id maps of a container with a user namespace of its own."""
    if not spec.uid_map:
        return None
    both = (("UidMap", spec.uid_map), ("GidMap", spec.gid_map))
    return {name: [":".join(map(str, one)) for one in ranges] for name, ranges in both}


def user_mounts(spec: ContainerSpec) -> list[Mount]:
    """Return the mounts besides the standard file systems: those asked for, and those a read-only root needs."""
    from pypod.model.mount import parse_tmpfs

    found = list(spec.mounts)
    if spec.read_only and spec.read_only_tmpfs:
        taken = {mount.target for mount in found}
        found += [parse_tmpfs(f"{target}:notmpcopyup") for target in _WRITABLE if target not in taken]
    return found


def _own_network(spec: ContainerSpec) -> str:
    return spec.net_program.partition(":")[0] or "none"


def _mode(mode: Mode, infra_id: str) -> str:
    return f"container:{infra_id}" if mode == POD else str(mode)


def _security(spec: ContainerSpec) -> list[str]:
    found = [f"seccomp={spec.seccomp}"] if spec.seccomp else []
    found += ["no-new-privileges"] if spec.no_new_privileges else []
    found += [f"mask={':'.join(spec.masks)}"] if spec.masks else []
    return found + ([f"unmask={':'.join(spec.unmasks)}"] if spec.unmasks else [])


def _targets(spec: ContainerSpec) -> list[str]:
    """Return the containers that it joins or requires."""
    joined = (spec.net, spec.ipc, spec.uts, spec.pid, spec.cgroup, spec.user_namespace)
    return sorted({*spec.requires, *(mode.target for mode in joined if mode.mode == "container")})


def devices_of(devices: tuple[Device, ...]) -> list[dict[str, str]]:
    """Return devices in podman's form."""
    return [{"PathOnHost": one.source, "PathInContainer": one.path, "CgroupPermissions": ""} for one in devices]


def cgroup_path(context: Context, path: str) -> str:
    """Return the path of a cgroup on the host, empty for a caller who cannot create any."""
    return context.cgroups.prefix + path if path and context.cgroups.tracking_directory(path) else ""
