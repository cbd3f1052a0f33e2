"""Make sure that a name server answers on the networks with name resolution. One serves all networks of a storage.

Its sockets are created before anything runs that could query it, and handed to the server (``handover``): early
queries wait in them. Along goes the descriptor of a file that stays locked as long as the server has it. So the lock
tells whether a network is served, and a server leaves no stale claim to that behind.
"""

from __future__ import annotations

import os
import time

from pypod.engine.core import effects, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import AT_ONCE, Lock, is_held
from pypod.engine.networks.names.handover import ERRORS, SOCKET, Taken, hand_over, hurry, require_release
from pypod.engine.storage.trash import discard
from pypod.errors import InUse
from pypod.model.ids import is_id
from pypod.model.network import BRIDGE
from pypod.model.value import Value
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.network import NetworkSpec

# a server that has just started may take seconds to respond on a busy or emulated machine
_RETRY_S, _RETRY_PAUSE_S = 10.0, 0.01


class NameServer(Value):
    """The name server of an engine: its process, and the ids of the networks it serves."""

    pid: int
    start_time: int
    networks: tuple[str, ...]


def preparations(context: Context, network: NetworkSpec) -> list[effects.Effect]:
    """Return what must be done before a container starts that may resolve names on a network."""
    if not _has_names(network) or is_served(context, network.id):
        return []
    at = ", ".join(subnet.gateway for subnet in network.subnets if subnet.gateway)
    words = f"answer the names of network {network.name} at {at}"
    return [effects.Effect(words, "resolv.conf(5)", lambda: serve(context, network))]


def _has_names(network: NetworkSpec) -> bool:
    return network.dns and network.driver == BRIDGE and any(subnet.gateway for subnet in network.subnets)


def serve(context: Context, network: NetworkSpec) -> None:
    """Have a network's names answered at its gateways, if it has any; takes 10 us when they are already.

    To be called when the addresses of the starting container are in the store, so that the server knows it is needed.

    Raises InUse, naming the holder, when port 53 of a gateway is taken; LaunchFailed and its kin.
    """
    if not _has_names(network):
        return
    deadline = time.monotonic() + _RETRY_S
    with Boundary(f"serve the names of network {network.name}"):
        while not is_served(context, network.id):
            try:
                with Lock(context.layout.names) as lock, lock:
                    if not is_served(context, network.id):
                        hand_over(context, network)
            except Taken as error:
                # without the lock: our server takes it to release a network
                require_release(network, error, is_late=time.monotonic() > deadline)
                time.sleep(_RETRY_PAUSE_S)
            except (BrokenPipeError, ConnectionResetError):  # a server that was killed as it was handed the sockets
                if time.monotonic() > deadline:
                    raise


def is_served(context: Context, network_id: str) -> bool:
    """Return whether a live server has the network's sockets."""
    try:
        return is_held(f"{context.layout.names}/{network_id}", os.O_NOFOLLOW)
    except FileNotFoundError:
        return False


def release(context: Context, network: NetworkSpec) -> None:
    """Have the server release an idle network whose gateways have changed. Raises InUse."""
    process = observe.running_process(context.layout.names, context.boot_id)
    deadline = time.monotonic() + _RETRY_S
    while process is not None and is_served(context, network.id):
        if time.monotonic() > deadline:
            raise InUse(network.name, f"the name server (pid {process[0]}) does not release network {network.name}")
        hurry(*process)
        time.sleep(_RETRY_PAUSE_S)


def info(context: Context) -> NameServer | None:
    """Return the engine's name server; None when none runs."""
    found = observe.running_process(context.layout.names, context.boot_id)
    if found is None:
        return None
    served = (one.id for one in networks.all_networks(context.database) if one.dns and is_served(context, one.id))
    return NameServer(pid=found[0], start_time=found[1], networks=tuple(served))


def unserved(context: Context) -> list[NetworkSpec]:
    """Return the networks that containers run on but no name server answers on: it was killed."""
    return [
        one
        for one in networks.all_networks(context.database)
        if _has_names(one) and not is_served(context, one.id) and _is_in_use(context, one.id)
    ]


def _is_in_use(context: Context, network_id: str) -> bool:
    return any(
        made and observe.running_process(context.layout.container(container_id), context.boot_id)
        for container_id, _, made in networks.connected_to(context.database, network_id)
    )


def renew(context: Context) -> list[NetworkSpec]:
    """Serve the unserved networks; return them."""
    found = unserved(context)
    for network in found:
        serve(context, network)
    return found


def left_behind(context: Context) -> list[str]:
    """Return stale files in the name server's directory: of a server that was killed, or unknown.

    Nothing while a server is being started or a network released.
    """
    if not os.path.isdir(context.layout.names):
        return []
    try:
        with Lock(context.layout.names, AT_ONCE) as lock, lock:
            return _strays(context)
    except BlockingIOError:
        return []


def remove_left_behind(context: Context) -> list[str]:
    """Delete them; return their paths."""
    if not os.path.isdir(context.layout.names):
        return []
    with Boundary("tidy up after name servers"), Lock(context.layout.names) as lock, lock:
        found = _strays(context)
        for path in found:
            if os.path.isdir(path) and not os.path.islink(path):
                discard(context, [path])
            else:
                os.unlink(path)
    return found


def _strays(context: Context) -> list[str]:
    there = sorted(os.listdir(context.layout.names))
    runs = observe.running_process(context.layout.names, context.boot_id) is not None
    kept = {"status", ERRORS, *([SOCKET] if runs else [])}
    return [f"{context.layout.names}/{one}" for one in there if one not in kept and not _is_held(context, one)]


def _is_held(context: Context, name: str) -> bool:
    try:
        return is_id(name) and is_served(context, name)
    except OSError:  # a symbolic link, a directory
        return False
