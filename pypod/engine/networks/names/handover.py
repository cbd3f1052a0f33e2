"""Sockets for port 53 of a network, created and handed over to the name server, which is started if none runs."""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
import sys

from pypod.engine.core import effects
from pypod.engine.resources import groups
from pypod.errors import InUse
from pypod.kernel import pidfd, programs
from pypod.kernel.abi import SIGNALS
from pypod.runtime import launcher
from pypod.runtime.ops import Op, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.network import NetworkSpec

SERVER_NAME = "pypod-names"  # its comm
SOCKET, ERRORS = "socket", "errors.log"
FILES_LIMIT = 4096  # the server's open files: one socket per forwarded query
_BACKLOG = 64
_GATEWAYS_LIMIT = 30  # served per network: all sockets go in one message, and resolvers try three servers (MAXNS)


def hand_over(context: Context, network: NetworkSpec) -> None:
    """Create a network's sockets and hand them to the server, started if need be; the caller holds the lock."""
    from pypod.network.dns.sockets import close_all

    directory = os.open(context.layout.names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    opened: list[_socket.socket] = []
    channel: _socket.socket | None = None
    held = -1
    try:
        for subnet in network.subnets[:_GATEWAYS_LIMIT]:
            opened += _open(subnet.gateway) if subnet.gateway else []
        # A socket's path is limited to 108 bytes (unix(7)); that of the storage may be longer.
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
        raise Taken(gateway) from error


class Taken(Exception):
    """Port 53 of a gateway is taken."""

    def __init__(self, gateway: str) -> None:
        super().__init__(gateway)
        self.gateway = gateway


def require_release(network: NetworkSpec, taken: Taken, *, is_late: bool) -> None:
    """Ask a server of ours that no longer needs a gateway to release it. Raises InUse for any other holder."""
    from pypod.kernel import sockets
    from pypod.model.network import packed_address
    from pypod.network.dns.sockets import PORT

    gateway = taken.gateway
    packed = packed_address(gateway)
    holder = sockets.holder("udp", packed, PORT) or sockets.holder("tcp", packed, PORT)
    is_ours = holder is not None and holder.comm == SERVER_NAME
    # that it has exited or does not have them yet is worth another attempt, too
    if not (is_ours or holder is None) or is_late:
        by = f"{holder.comm} (pid {holder.pid})" if holder else "another socket"
        raise InUse(
            f"{gateway}:{PORT}",
            f"cannot answer names on network {network.name}: port {PORT} of {gateway} is taken by {by}",
            hint="let it listen elsewhere (dnsmasq: bind-interfaces), or create the network with --disable-dns",
        ) from taken.__cause__
    if holder is not None:
        hurry(holder.pid, holder.start_time)


def hurry(pid: int, start_time: int) -> None:
    """Tell a name server to release at once whatever is not needed."""
    fd = pidfd.open_process(pid, start_time)
    if fd is not None:
        try:
            pidfd.send_signal(fd, SIGNALS["HUP"])
        finally:
            os.close(fd)


def _connected(address: str) -> _socket.socket | None:
    """Return a connection to the running server, None when there is none."""
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
    """Start the server and return a connection to it; what is sent is queued until it is ready."""
    if os.path.lexists(address):  # left by a server that was killed
        os.unlink(address)
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    errors = -1
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
        errors = os.open(
            f"{context.layout.names}/{ERRORS}",
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
        raise ConnectionRefusedError(errno.ECONNREFUSED, "the name server exited at once", context.layout.names)
    return channel


def _plan(context: Context) -> Plan:
    """Return the plan that turns a process into the server: detached, in the monitors' cgroup, its socket as stdin."""
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
            Op("execute", *programs.python("pypod.engine.networks.names.server", context.layout.root)),
        ]
    )
