"""The private network of a user's pod or container: an unprivileged sidecar process.

The supervisor starts the program once the namespace exists, and it ends with the process (pause/supervise/sidecar.c).
The directory ``network`` of the container has its status file, like the container's own, and its output.
"""

from __future__ import annotations

import os
import sys

from pypod.engine.core import observe
from pypod.engine.core.effects import Effect, directory
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.programs import installed
from pypod.network.user_mode import MAP_GUEST_ADDRESS, PASTA, SLIRP4NETNS, parse
from pypod.runtime.ops import Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.engine.networks.port_holders import ForwardedPorts
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.model.port import Port
    from pypod.network.user_mode import UserMode

NONE = "none"
PACKAGES = {PASTA: "passt", SLIRP4NETNS: SLIRP4NETNS}  # in Debian and others
_TUN = "/dev/net/tun"
_ROUTE_UP, _DEFAULT = 0x1, "00000000"  # of /proc/net/route


def default() -> str:
    """Return the network of a user's pod that does not ask for a particular one."""
    return _default()[0]


def host_name_server() -> str:
    """Return the address where the default network's program forwards queries to the host's servers; empty for none."""
    chosen = default()
    return "" if chosen == NONE else parse(chosen).name_server


def notice() -> str:
    """Return why the default is ``none``, and what to do about it; empty when it is not."""
    return _default()[1]


def _default() -> tuple[str, str]:
    found = [name for name in (PASTA, SLIRP4NETNS) if installed(name)]
    without = "pods have no network but lo"
    if not found:
        return NONE, f"neither pasta nor slirp4netns is installed: {without}. Install passt"
    if not os.access(_TUN, os.R_OK | os.W_OK):
        return NONE, f"{_TUN} is not accessible to you: {without}. An administrator can chmod it to 666"
    if found[0] == PASTA and not _has_way_outside():
        # pasta copies the addresses of the interface with the default route, and exits when there is none
        if found[-1] == SLIRP4NETNS:
            return SLIRP4NETNS, ""
        return NONE, f"this host has no default route, which pasta needs: {without}"
    return found[0], ""


def _way_outside() -> tuple[str, str]:
    """Return interface and gateway of the first IPv4 default route; empty strings when there is none."""
    try:
        with open("/proc/net/route", encoding="ascii") as file:
            routes = [line.split() for line in file.readlines()[1:]]
    except OSError:
        routes = []
    for row in routes:
        if row[1] == _DEFAULT and row[7] == _DEFAULT and int(row[3], 16) & _ROUTE_UP:
            gateway = int(row[2], 16).to_bytes(4, sys.byteorder)
            return row[0], ".".join(map(str, gateway)) if any(gateway) else ""
    return "", ""


def _has_way_outside() -> bool:
    if _way_outside()[0]:
        return True
    try:
        with open("/proc/net/ipv6_route", encoding="ascii") as file:
            rows = [line.split() for line in file]
    except OSError:
        return False
    return any(row[0] == "0" * 32 and row[1] == "00" and row[9] != "lo" for row in rows)


def host_address(mode: UserMode) -> str:
    """Return an address where a namespace connected by ``mode`` reaches this host; empty when there is none.

    As in podman: one that stands for the host, or else one of the host's own. Addresses that pasta copies from an
    interface are the namespace's own and do not reach the host.
    """
    from pypod.network.host import first_address

    if _gives_host_an_address(mode):
        mode = mode.with_host()
    if mode.host or mode.program == SLIRP4NETNS:
        return mode.host or first_address()
    interface, gateway = _way_outside()
    if mode.host_is_gateway:
        return mode.gateway or gateway
    return first_address(but="" if mode.address else mode.interface or interface)


def host_of_default() -> str:
    """Return the address that reaches the host through the default network's program; empty when there is none."""
    chosen = default()
    return "" if chosen == NONE else host_address(parse(chosen))


def _gives_host_an_address(mode: UserMode) -> bool:
    """Return whether the installed pasta can: its file is searched for the option, since running it would be slow."""
    path = installed(mode.program) if mode.program == PASTA else ""
    if not path:
        return False
    try:
        with open(path, "rb") as file:
            return MAP_GUEST_ADDRESS.removeprefix("--").encode() in file.read()
    except OSError:
        return False


def require_user(context: Context, text: str) -> None:
    """Raise InvalidSpec for root's pasta, as podman does, and Unsupported when the program is not installed."""
    name = parse(text).program
    if name == PASTA and not context.rootless:
        message = f"{name} networking is only supported for rootless mode"
        raise InvalidSpec("--network", message, hint="use a bridge network as root: --network bridge")
    if not installed(name):
        message = f"could not find {name}, the network namespace cannot be configured"
        raise Unsupported(f"network {name}", message, hint=f"install it (Debian: {PACKAGES[name]})")


def preparations(context: Context, container_id: str, spec: ContainerSpec | PodSpec) -> list[Effect]:
    """Return what has to be made before the plan."""
    if not program_of(context, spec):
        return []
    made = [directory(f"{context.layout.container(container_id)}/network")]
    if spec.ports:

        def look() -> None:
            from pypod.engine.networks.port_holders import require_free

            require_free(context, forwarded(context, spec), container_id)

        made.append(Effect(f"check that {', '.join(map(str, spec.ports))} can be bound", "bind(2)", look))
    return made


def host_ops(context: Context, container_id: str, spec: ContainerSpec | PodSpec) -> list[Op]:
    """Return the supervisor's operations once the network namespace exists. Raises Unsupported, InvalidSpec."""
    text = program_of(context, spec)
    if not text:
        return []
    require_user(context, text)
    return sidecar_ops(context, context.layout.container(container_id), text, spec.ports)


def program_of(context: Context, spec: ContainerSpec | PodSpec) -> str:
    """Return the sidecar program of a container: the one asked for, and with bridges the one that publishes its ports.

    That one brings the first default route, so that replies leave the way requests came.
    """
    return spec.net_program or (_for_ports() if context.rootless and spec.ports else "")


def forwarded(context: Context, spec: ContainerSpec | PodSpec) -> ForwardedPorts:
    """Return the ports that the program binds; the supervisor holds those that no program forwards."""
    from pypod.engine.networks.port_holders import ForwardedPorts

    text = program_of(context, spec) if spec.ports else ""
    return ForwardedPorts(ports=spec.ports, program=text) if text else ForwardedPorts()


def _for_ports() -> str:
    # pasta would give its interface the host's name, often eth0, which is also that of the first bridge network's
    return SLIRP4NETNS if installed(SLIRP4NETNS) and not installed(PASTA) else f"{PASTA}:-I,{PASTA}0"


def require_for_ports(ports: Iterable[Port], text: str) -> None:
    """Raise Unsupported when the program that connects a namespace, or only publishes its ports, is missing.

    Raises InvalidSpec when it cannot publish them.
    """
    mode = parse(text or _for_ports())
    mode.arguments(ports)
    if not installed(mode.program):
        hint = f"install it (Debian: {PACKAGES[mode.program]})"
        raise Unsupported("published ports", f"a user's ports are published by {mode.program}, not here", hint=hint)


def sidecar_ops(context: Context, place: str, text: str, ports: Iterable[Port] = ()) -> list[Op]:
    """Return the operations that start a program beside a process with its directory at ``place``."""
    mode = parse(text)
    if _gives_host_an_address(mode):
        mode = mode.with_host()
    words = (installed(mode.program), *mode.arguments(ports))
    return [Op("sidecar", f"{place}/network", context.boot_id, "\n".join(mode.requests(ports)), *words)]


def is_there(context: Context, place: str) -> bool:
    """Return whether the program runs beside the process with its directory at ``place``."""
    return observe.running_process(f"{place}/network", context.boot_id) is not None


def inside_ops(context: Context, spec: ContainerSpec | PodSpec) -> list[Op]:
    """Return the operations of the new process in its network namespace."""
    return [Op("hand_network")] if program_of(context, spec) else []
