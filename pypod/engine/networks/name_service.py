"""See to it that a name server answers on the networks that have names. One for all networks of an engine.

Its sockets are made here, before anything runs that could ask, and handed to the server: what comes early waits in
them. With them goes the descriptor of a file that is locked for as long as the server has it, so that a look at the
lock tells whether a network is served, and no server leaves anything behind that would say so.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
import sys
import time

from pypod.engine.core import effects, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import AT_ONCE, Lock, is_held
from pypod.engine.resources import groups
from pypod.engine.storage.trash import discard
from pypod.errors import InUse
from pypod.kernel import pidfd, programs
from pypod.kernel.abi import SIGNALS
from pypod.model.ids import is_id
from pypod.model.network import BRIDGE
from pypod.model.value import Value
from pypod.runtime import launcher
from pypod.runtime.ops import Op, Plan
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.network import NetworkSpec

SERVER_NAME = "pypod-names"  # what the kernel calls it
SOCKET, _ERRORS = "socket", "errors.log"
FILES_LIMIT = 4096  # the server's open files: a socket for each question that is passed on
_BACKLOG = 64
_GATEWAYS_LIMIT = 30  # of those that are served: the sockets go in one message, and resolvers ask three (MAXNS)
# a server that has just begun takes seconds to hear us on a machine that is busy or emulated
_RETRY_S, _RETRY_PAUSE_S = 10.0, 0.01


class NameServer(Value):
    """The name server of an engine: its process, and the ids of the networks it serves."""

    pid: int
    start_time: int
    networks: tuple[str, ...]


def preparations(context: Context, network: NetworkSpec) -> list[effects.Effect]:
    """Return what has to be done before somebody starts on a network who may ask for names there."""
    if not _has_names(network) or is_served(context, network.id):
        return []
    at = ", ".join(subnet.gateway for subnet in network.subnets if subnet.gateway)
    words = f"answer the names of network {network.name} at {at}"
    return [effects.Effect(words, "resolv.conf(5)", lambda: serve(context, network))]


def _has_names(network: NetworkSpec) -> bool:
    return network.dns and network.driver == BRIDGE and any(subnet.gateway for subnet in network.subnets)


def serve(context: Context, network: NetworkSpec) -> None:
    """Have a network's names answered at its gateways, if it has any; 10 us when that is so already.

    To be called when the addresses of who is about to start are in the store: then the server knows that it is needed.

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
                        _begin(context, network)
            except _Taken as error:
                # without the lock: a server of ours takes it to let go
                _require_letting_go(network, error, is_late=time.monotonic() > deadline)
                time.sleep(_RETRY_PAUSE_S)


def is_served(context: Context, network_id: str) -> bool:
    """Return whether a server that lives has the network's sockets."""
    try:
        return is_held(f"{context.layout.names}/{network_id}", os.O_NOFOLLOW)
    except FileNotFoundError:
        return False


def let_go(context: Context, network: NetworkSpec) -> None:
    """Have the server let go of a network that nobody runs on, whose gateways are others now. Raises InUse."""
    process = observe.running_process(context.layout.names, context.boot_id)
    deadline = time.monotonic() + _RETRY_S
    while process is not None and is_served(context, network.id):
        if time.monotonic() > deadline:
            raise InUse(network.name, f"the name server (pid {process[0]}) does not let go of network {network.name}")
        _hurry(*process)
        time.sleep(_RETRY_PAUSE_S)


def info(context: Context) -> NameServer | None:
    """Return what is known of the engine's name server; None when none runs."""
    found = observe.running_process(context.layout.names, context.boot_id)
    if found is None:
        return None
    served = (one.id for one in networks.all_networks(context.database) if one.dns and is_served(context, one.id))
    return NameServer(pid=found[0], start_time=found[1], networks=tuple(served))


def unserved(context: Context) -> list[NetworkSpec]:
    """Return the networks whose names nobody answers although a container runs on them: the server was killed."""
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
    """Serve what is unserved; return what that was."""
    found = unserved(context)
    for network in found:
        serve(context, network)
    return found


def left_behind(context: Context) -> list[str]:
    """Return the files of the name server's directory that a server left when it was killed, or that are nobody's.

    Nothing while somebody starts a server or lets go of a network.
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
    kept = {"status", _ERRORS, *([SOCKET] if runs else [])}
    return [f"{context.layout.names}/{one}" for one in there if one not in kept and not _is_held(context, one)]


def _is_held(context: Context, name: str) -> bool:
    try:
        return is_id(name) and is_served(context, name)
    except OSError:  # a link, a directory
        return False


def _begin(context: Context, network: NetworkSpec) -> None:
    """Make a network's sockets and hand them to the server, which is started if need be; the caller holds the lock."""
    from pypod.network.dns.sockets import close_all

    directory = os.open(context.layout.names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    opened: list[_socket.socket] = []
    channel: _socket.socket | None = None
    held = -1
    try:
        for subnet in network.subnets[:_GATEWAYS_LIMIT]:
            opened += _open(subnet.gateway) if subnet.gateway else []
        # The path of a socket has 108 bytes at most (unix(7)), that of the storage may be longer.
        address = f"/proc/self/fd/{directory}/{SOCKET}"
        channel = _connected(address) or _started(context, address)
        held = os.open(network.id, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=directory)
        fcntl.flock(held, fcntl.LOCK_EX)
        passed = (held, *(one.fileno() for one in opened))
        rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in passed)
        channel.sendmsg([network.id.encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    finally:
        if channel is not None:
            channel.close()
        if held >= 0:
            os.close(held)
        close_all(opened)
        os.close(directory)


def _open(gateway: str) -> list[_socket.socket]:
    from pypod.network.dns.sockets import open_sockets

    try:
        return open_sockets(gateway)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise _Taken(gateway) from error


class _Taken(Exception):
    """Port 53 of a gateway is taken."""

    def __init__(self, gateway: str) -> None:
        super().__init__(gateway)
        self.gateway = gateway


def _require_letting_go(network: NetworkSpec, taken: _Taken, *, is_late: bool) -> None:
    """Ask a server of ours that does not need a gateway any more to let go of it. Raises InUse for anybody else."""
    from pypod.kernel import sockets
    from pypod.model.network import packed_address
    from pypod.network.dns.sockets import PORT

    gateway = taken.gateway
    packed = packed_address(gateway)
    holder = sockets.holder("udp", packed, PORT) or sockets.holder("tcp", packed, PORT)
    is_ours = holder is not None and holder.comm == SERVER_NAME
    # that it has gone, or has not got them yet, is worth another attempt as well
    if not (is_ours or holder is None) or is_late:
        by = f"{holder.comm} (pid {holder.pid})" if holder else "another socket"
        raise InUse(
            f"{gateway}:{PORT}",
            f"cannot answer names on network {network.name}: port {PORT} of {gateway} is taken by {by}",
            hint="let it listen on other addresses (dnsmasq: bind-interfaces), or make the network with --disable-dns",
        ) from taken.__cause__
    if holder is not None:
        _hurry(holder.pid, holder.start_time)


def _hurry(pid: int, start_time: int) -> None:
    """Tell a name server to let go at once of what nobody needs."""
    fd = pidfd.open_process(pid, start_time)
    if fd is not None:
        try:
            pidfd.send_signal(fd, SIGNALS["HUP"])
        finally:
            os.close(fd)


def _connected(address: str) -> _socket.socket | None:
    """Return a connection to the server that runs, None when there is none."""
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        channel.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        channel.close()
        return None
    except BaseException:
        channel.close()
        raise
    return channel


def _started(context: Context, address: str) -> _socket.socket:
    """Start the server and return a connection to it: it finds what is sent when it has come up."""
    if os.path.lexists(address):  # of one that was killed
        os.unlink(address)
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    errors = -1
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
        errors = os.open(
            f"{context.layout.names}/{_ERRORS}",
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW,
            0o600,
        )
        effects.perform(groups.for_monitors(context))
        program = context.programs.executable("launch")
        stdio = (listener.fileno(), -1, errors)
        group, bring = groups.monitors(context), groups.bringing(context)
        with launcher.Launching(program, "pypod-launch", stdio=stdio, group=group, bring=bring) as launching:
            launching.run(_plan(context))
        channel = _connected(address)
    finally:
        listener.close()
        if errors >= 0:
            os.close(errors)
    if channel is None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "the name server ended at once", context.layout.names)
    return channel


def _plan(context: Context) -> Plan:
    """Return what makes a process of ours the server: nobody's child, in the monitors' cgroup, its socket as input."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = FILES_LIMIT if hard < 0 else min(FILES_LIMIT, hard)
    return Plan(
        [
            Op("status", f"{context.layout.names}/status", context.boot_id),
            Op("leave"),
            Op("clone", 0, groups.monitors(context)),
            Op("resource_limit", resource.RLIMIT_NOFILE, files, hard if hard >= 0 else FILES_LIMIT),
            Op("umask", "077"),
            Op("environment"),
            Op("execute", *programs.python("pypod.engine.networks.name_server", context.layout.root)),
        ]
    )
