"""Facts about the host and the storage, in the form of ``podman info``."""

from __future__ import annotations

import os
import time

import psutil

from pypod.engine.configuration import current
from pypod.engine.containers.listing import listed_containers, listed_pods
from pypod.engine.core.context import NO_EVENTS
from pypod.engine.inspect import info_programs
from pypod.engine.session import session
from pypod.engine.storage import drivers
from pypod.errors import PypodError
from pypod.kernel.capabilities import DEFAULT_CAPABILITIES
from pypod.kernel.host.checks import check
from pypod.kernel.host.facts import Host
from pypod.model.pod import pod_status
from pypod.store.images import all_images
from pypod.store.records import INFRA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.core.context import Context

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_POD_STATES = ("created", "running", "degraded", "exited", "stopped", "broken")
_DAY_S = 86400


def information(context: Context) -> dict[str, Any]:
    """Return the facts about the host, the plugins, the registries, and the store."""
    return {
        "host": _host(context, Host()),
        "plugins": {
            "authorization": None,
            "log": ["k8s-file"],
            "network": ["bridge", "macvlan", "ipvlan"],
            "volume": ["local"],
        },
        "registries": _registries(),
        "store": _store(context),
    }


def _registries() -> dict[str, Any]:
    from pypod.images.config.registries import load

    try:
        search = list(load().search)
    except PypodError:  # a pull names what is wrong with the file
        return {}
    return {"search": search} if search else {}


def _configuration(context: Context) -> list[str]:
    """Return the files of containers.conf(5) that count here, in the order in which they are merged."""
    try:
        return list(current.of(context).files)
    except PypodError:  # a run names what is wrong with the file
        return []


def architecture(machine: str) -> str:
    """Return an architecture's name in Go."""
    return _ARCHITECTURES.get(machine, machine)


def _host(context: Context, host: Host) -> dict[str, Any]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    can = {one.name for one in check(host) if one.ok}
    return {
        "arch": architecture(host.machine),
        "buildahVersion": "",
        "cgroupControllers": list(context.cgroups.controllers() if context.rootless else host.cgroup_controllers),
        "cgroupManager": "cgroupfs",
        "cgroupMode": host.cgroups.mode,
        "cgroupVersion": "v2" if host.cgroups.mode == "unified" else "v1",
        "configFiles": _configuration(context),
        "conmon": info_programs.monitor(),
        "cpuUtilization": info_programs.processor_usage(),
        "cpus": psutil.cpu_count(),
        "databaseBackend": "sqlite",
        "distribution": {
            "codename": host.os_release.get("VERSION_CODENAME", ""),
            "distribution": host.os_release.get("ID", "unknown"),
            "version": host.os_release.get("VERSION_ID", ""),
        },
        "eventLogger": NO_EVENTS if context.event_file == os.devnull else "file",
        "hostname": host.hostname,
        "idMappings": _id_mappings(context),
        "kernel": host.kernel,
        "linkmode": "dynamic",
        "logDriver": "k8s-file",
        "memFree": memory.free,
        "memTotal": memory.total,
        "namespaces": list(host.namespaces),
        "networkBackend": "pypod",
        "ociRuntime": info_programs.runtime(),
        "os": "linux",
        "overlay": "overlay" in can,
        "remoteSocket": info_programs.remote_socket(context),
        "security": {
            "apparmorEnabled": False,
            "capabilities": ",".join(DEFAULT_CAPABILITIES),
            "rootless": context.rootless,
            "seccompEnabled": "seccomp" in can,
            "seccompProfilePath": "built-in",
            "selinuxEnabled": False,
        },
        "serviceIsRemote": False,
        **info_programs.network_programs(),
        "swapFree": swap.free,
        "swapTotal": swap.total,
        "uptime": _uptime(time.clock_gettime(time.CLOCK_BOOTTIME)),
    }


def _id_mappings(context: Context) -> dict[str, Any]:
    """Return the ids of a user's session, existing or to be made; none for root, as in podman."""
    own = session.of(context)
    if own is None:
        return {"gidmap": None, "uidmap": None}
    return {
        name: [{"container_id": inside, "host_id": outside, "size": count} for inside, outside, count in ranges]
        for name, ranges in (("gidmap", own.gid_map), ("uidmap", own.uid_map))
    }


def _uptime(seconds: float) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours:.0f}h {minutes:.0f}m {left:.2f}s (Approximately {seconds / _DAY_S:.2f} days)"


def _store(context: Context) -> dict[str, Any]:
    containers = listed_containers(context)
    states = [state.status for _, state in containers]
    found = []
    for pod in listed_pods(context):
        members = [(one, state) for one, state in containers if one.pod_id == pod.id]
        infra = next((state for one, state in members if one.kind == INFRA), None)
        found.append(pod_status(infra, [state for one, state in members if one.counts_in_pod]).lower())
    driver = drivers.shown(context)
    disk = os.statvfs(context.layout.root)
    return {
        "configFile": "",
        "containerStore": {
            "created": states.count("created"),
            "number": len(states),
            "paused": states.count("paused"),
            "running": states.count("running"),
            "stopped": states.count("exited"),
        },
        "graphDriverName": driver.name,
        "graphOptions": {"overlay.mount_program": {"Executable": driver.program}} if driver.program else {},
        "graphRoot": context.layout.root,
        "graphRootAllocated": disk.f_blocks * disk.f_frsize,
        "graphRootUsed": (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
        "graphStatus": _graph_status(context, native=driver.name == "overlay" and not driver.program),
        "imageCopyTmpDir": f"{context.layout.images}/incoming",
        "imageStore": {"number": len(all_images(context.database))},
        "podStore": {"number": len(found), **{name: found.count(name) for name in _POD_STATES}},
        "runRoot": context.layout.root,
        "volumePath": context.layout.volumes,
    }


def _graph_status(context: Context, *, native: bool) -> dict[str, str]:
    return {
        "Backing Filesystem": info_programs.backing_file_system(context.layout.root),
        "Native Overlay Diff": "true" if native else "false",
        "Supports d_type": "true",
        "Using metacopy": "false",
    }
