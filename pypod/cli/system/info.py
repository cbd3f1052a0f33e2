"""The facts behind ``info`` and ``version``, and the YAML podman prints them in."""

from __future__ import annotations

import os
import time

from pypod.cli.go.values import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.api.engine import Engine
    from pypod.kernel.host.facts import Host

__all__ = ["Facts", "information", "version_facts", "yaml"]

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_POD_STATES = ("created", "running", "degraded", "exited", "stopped", "broken")
_DAY_S = 86400


class Facts(Struct):
    """A struct whose fields go by their JSON name (``memFree``) and by Go's (``MemFree``)."""

    def __missing__(self, key: str) -> Any:
        lowered = key.lower()
        for name, value in self.items():
            if name.lower() == lowered:
                return value
        raise KeyError(key)


def version_facts() -> Facts:
    """Return what ``version`` tells of this program."""
    import sys

    from pypod import __version__

    machine = os.uname().machine
    return Facts(
        APIVersion=__version__,
        Version=__version__,
        PythonVersion=".".join(map(str, sys.version_info[:3])),
        OsArch=f"linux/{_ARCHITECTURES.get(machine, machine)}",
        Os="linux",
    )


def information(engine: Engine) -> Facts:
    """Return everything ``info`` tells: host, plugins, store and version."""
    from pypod.kernel.host.facts import Host

    facts = Facts(host=_host(engine, Host()), plugins=_plugins(), store=_store(engine), version=version_facts())
    facts.type_name = "*define.Info"
    return facts


def _host(engine: Engine, host: Host) -> Facts:
    import psutil  # not for ``version``

    unified = host.cgroups.mode == "unified"
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    facts = Facts(
        arch=_ARCHITECTURES.get(host.machine, host.machine),
        cgroupControllers=list(engine.cgroups.controllers() if engine.rootless else host.cgroup_controllers),
        cgroupManager="cgroupfs",
        cgroupMode=host.cgroups.mode,
        cgroupVersion="v2" if unified else "v1",
        cpus=psutil.cpu_count(),
        distribution=Facts(
            codename=host.os_release.get("VERSION_CODENAME", ""),
            distribution=host.os_release.get("ID", "unknown"),
            version=host.os_release.get("VERSION_ID", ""),
        ),
        hostname=host.hostname,
        idMappings=_id_mappings(engine),
        kernel=host.kernel,
        logDriver="k8s-file",
        memFree=memory.free,
        memTotal=memory.total,
        namespaces=list(host.namespaces),
        networkBackend="pypod",
        ociRuntime=_runtime(),
        os="linux",
        overlay=_can(host, "overlay"),
        security=_security(engine, host),
        swapFree=swap.free,
        swapTotal=swap.total,
        uptime=_uptime(time.clock_gettime(time.CLOCK_BOOTTIME)),
    )
    facts.type_name = "*define.HostInfo"
    return facts


def _id_mappings(engine: Engine) -> Facts:
    """Return the ids of a user's session, as it is or would be; root has none, as podman's."""
    from pypod.engine.session import session

    own = session.of(engine)
    if own is None:
        return Facts(gidmap=None, uidmap=None)
    maps = {"gidmap": own.gid_map, "uidmap": own.uid_map}
    return Facts(
        **{
            name: [Facts(container_id=inside, host_id=outside, size=count) for inside, outside, count in ranges]
            for name, ranges in maps.items()
        }
    )


def _can(host: Host, name: str) -> bool:
    from pypod.kernel.host.checks import check

    return any(one.ok for one in check(host) if one.name == name)


def _runtime() -> Facts:
    from pypod import __version__
    from pypod.runtime.programs import DIRECTORY

    return Facts(name="pypod", path=f"{DIRECTORY}/launch", version=f"pypod version {__version__}")


def _security(engine: Engine, host: Host) -> Facts:
    from pypod.kernel.capabilities import DEFAULT_CAPABILITIES

    return Facts(
        apparmorEnabled=False,
        capabilities=",".join(DEFAULT_CAPABILITIES),
        rootless=engine.rootless,
        seccompEnabled=_can(host, "seccomp"),
        seccompProfilePath="built-in",
        selinuxEnabled=False,
    )


def _uptime(seconds: float) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours:.0f}h {minutes:.0f}m {left:.2f}s (Approximately {seconds / _DAY_S:.2f} days)"


def _plugins() -> Facts:
    return Facts(log=["k8s-file"], network=["bridge", "macvlan", "ipvlan"], volume=[])


def _store(engine: Engine) -> Facts:
    from pypod.engine.containers.listing import listed_containers, listed_pods
    from pypod.engine.storage import drivers
    from pypod.model.pod import pod_status
    from pypod.store.images import all_images
    from pypod.store.records import INFRA

    containers = listed_containers(engine)
    states = [state.status for _, state in containers]
    found = []
    for pod in listed_pods(engine):
        members = [(one, state) for one, state in containers if one.pod_id == pod.id]
        infra = next((state for one, state in members if one.kind == INFRA), None)
        found.append(pod_status(infra, [state for one, state in members if one.kind != INFRA]).lower())
    driver = drivers.shown(engine)
    options = {"overlay.mount_program": Facts(Executable=driver.program)} if driver.program else {}
    disk = os.statvfs(engine.layout.root)
    return Facts(
        containerStore=Facts(
            created=states.count("created"),
            number=len(states),
            paused=states.count("paused"),
            running=states.count("running"),
            stopped=states.count("exited"),
        ),
        graphDriverName=driver.name,
        graphOptions=options,
        graphRoot=engine.layout.root,
        graphRootAllocated=disk.f_blocks * disk.f_frsize,
        graphRootUsed=(disk.f_blocks - disk.f_bfree) * disk.f_frsize,
        imageStore=Facts(number=len(all_images(engine.database))),
        podStore=Facts(number=len(found), **{name: found.count(name) for name in _POD_STATES}),
    )


def yaml(value: dict[str, Any], indent: str = "") -> str:
    """Return a mapping as YAML, keys in order, as podman prints it."""
    lines = []
    for key in sorted(value):
        item = value[key]
        if isinstance(item, dict) and item:
            lines.append(f"{indent}{key}:\n{yaml(item, indent + '  ')}")
        elif isinstance(item, list) and item:
            lines.append(f"{indent}{key}:\n" + "".join([_element(one, indent) for one in item]))
        else:
            lines.append(f"{indent}{key}: {_scalar(item)}\n")
    return "".join(lines)


def _element(value: object, indent: str) -> str:
    if isinstance(value, dict) and value:
        return f"{indent}- {yaml(value, indent + '  ')[len(indent) + 2 :]}"
    return f"{indent}- {_scalar(value)}\n"


def _scalar(value: object) -> str:
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return "null" if value is None else str(value)
    return value if _is_plain(value) else _quoted(value)


def _is_plain(text: str) -> bool:
    """Whether a string stands for itself in YAML without quotes (YAML 1.2, 7.3.3, and what would be another type)."""
    if not text or text.strip() != text or text[0] in "-?:,[]{}#&*!|>'\"%@`" or not text.isprintable():
        return False
    if ": " in text or " #" in text or text.endswith(":"):
        return False
    if text.lower() in ("true", "false", "null", "yes", "no", "on", "off", "~", "y", "n"):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


def _quoted(text: str) -> str:
    from pypod.cli.go.strconv import quote

    return quote(text)
