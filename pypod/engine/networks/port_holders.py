"""The holders of host ports, and reserving a port for a program that binds it itself.

pasta and slirp4netns bind the ports that they forward. pasta shares UDP ports with other sharers (SO_REUSEADDR): of two
started at once, both would get the port.
"""

from __future__ import annotations

import errno
import time

from pypod.engine.core import observe
from pypod.engine.core.locks import AT_ONCE, Lock
from pypod.engine.networks.connections import lock_of
from pypod.errors import InvalidSpec, PortInUse, cannot_listen
from pypod.model.network import packed_address
from pypod.model.port import PROTOCOLS, Port
from pypod.model.value import Value
from pypod.network.user_mode import PASTA, parse
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Self

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord

_LOOKS, _PAUSE_S = 10, 0.02  # the holder may not have recorded itself yet


def socket_of(protocol: str, *, ipv6: bool) -> _socket.socket:
    """Return a socket for a protocol. Raises OSError when this kernel does not support it."""
    import _socket

    kind = _socket.SOCK_DGRAM if protocol == "udp" else _socket.SOCK_STREAM
    family = _socket.AF_INET6 if ipv6 else _socket.AF_INET
    return _socket.socket(family, kind | _socket.SOCK_CLOEXEC, PROTOCOLS[protocol])


def bound(port: Port, number: int, *, used_before: bool = False) -> _socket.socket | None:
    """Return a socket bound to host port ``number``, 0 to let the kernel choose; None when the port is taken.

    A port that was ``used_before`` counts as free when only connections in TIME_WAIT are left on it (tcp(7)).
    Raises InvalidSpec for a port that cannot be bound at all.
    """
    import _socket

    one = socket_of(port.protocol, ipv6=":" in port.host_ip)
    try:
        if used_before and port.protocol != "udp":
            one.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        one.bind((port.host_ip, number))
    except OSError as error:
        one.close()
        if error.errno == errno.EADDRINUSE:
            return None
        hint = ""
        if error.errno == errno.EACCES:
            hint = "users may publish ports from net.ipv4.ip_unprivileged_port_start on (ip(7))"
        what = cannot_listen(port.protocol, port.host_ip, number)
        raise InvalidSpec("--publish", f"{what}: {str(error.strerror).lower()}", hint=hint) from error
    except BaseException:
        one.close()
        raise
    return one


class ForwardedPorts(Value):
    """Ports that a program binds: ``program`` as in --network."""

    ports: tuple[Port, ...] = ()
    program: str = ""

    def is_shared(self, port: Port) -> bool:
        """Whether the program would share the port with other sharers. A listening socket cannot be shared."""
        return port.protocol == "udp" and parse(self.program).program == PASTA


class HeldPorts:
    """``with HeldPorts(context, forwarded, container_id):`` reserves ports until the program has bound them.

    Ports that the program binds exclusively are only probed. Raises PortInUse, naming the holder, for a port that is
    taken.
    """

    __slots__ = ("_container_id", "_context", "_forwarded", "_sockets")

    def __init__(self, context: Context, forwarded: ForwardedPorts, container_id: str) -> None:
        self._context, self._forwarded, self._container_id = context, forwarded, container_id
        self._sockets: list[_socket.socket] = []

    def __enter__(self) -> Self:
        try:
            for port in self._forwarded.ports:
                for number in range(port.host_port, port.host_port + port.count):
                    self._keep(port, number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _keep(self, port: Port, number: int) -> None:
        import _socket

        one = bound(port, number, used_before=True)
        if one is None:
            error = PortInUse(port.protocol, port.host_ip, number)
            raise with_holder(self._context, error, self._container_id)
        if not self._forwarded.is_shared(port):
            one.close()
            return
        self._sockets.append(one)
        # Bound without SO_REUSEADDR, it excludes all others. Setting the option now lets the program bind it, which
        # sets the option too, but no other start, which binds without it as this one did (inet_rcv_saddr_equal in
        # net/ipv4/udp.c).
        one.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            one.close()


def require_free(context: Context, forwarded: ForwardedPorts, container_id: str) -> None:
    """Raise PortInUse, naming the holder, for a port that the container cannot have."""
    with HeldPorts(context, forwarded, container_id):
        return


def with_holder(context: Context, error: PortInUse, container_id: str) -> PortInUse:
    """Return the error with the holder of the port, if that is not the container itself."""
    from pypod.kernel import sockets

    wanted = Port(container_port=1, host_port=error.port, host_ip=error.address, protocol=error.protocol)
    where = packed_address(error.address) if error.address else b""
    for _ in range(_LOOKS):
        ours = _holder(context, wanted, container_id)
        if ours is not None:
            record, state = ours
            return PortInUse(error.protocol, error.address, error.port, container=record.name, pid=state.pid)
        process = sockets.holder(error.protocol, where, error.port)
        if process is not None:
            return PortInUse(error.protocol, error.address, error.port, pid=process.pid, command=process.comm)
        time.sleep(_PAUSE_S)
    return error


def _holder(context: Context, wanted: Port, container_id: str) -> tuple[ContainerRecord, ContainerState] | None:
    """Return the container or infra, other than ``container_id``, that has a port or is being started with it."""
    for record, ports in all_ports(context):
        if record.id != container_id and any(wanted.meets(port) for port in ports):
            state = observe.state_of(context, record.id)
            if state.active or _is_being_started(context, record):
                return record, state
    return None


def _is_being_started(context: Context, record: ContainerRecord) -> bool:
    try:
        with Lock(lock_of(context, record), AT_ONCE) as lock, lock:
            return False
    except BlockingIOError:
        return True


def all_ports(context: Context) -> list[tuple[ContainerRecord, tuple[Port, ...]]]:
    """Return what publishes ports, running or not; for a pod, its infra."""
    pods = {one.id: one for one in records.all_pods(context.database)}
    found = []
    for record in records.all_containers(context.database):
        if record.publishes_ports:
            found.append((record, context.container_spec(record).ports))
        elif record.kind == records.INFRA and record.pod_id in pods and pods[record.pod_id].publishes_ports:
            found.append((record, context.pod_spec(pods[record.pod_id]).ports))
    return found
