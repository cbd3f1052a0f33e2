"""The sockets that queries arrive on."""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PORT = 53
_BACKLOG = 64
_IP_FREEBIND = 15  # linux/in.h
_IPV6_FREEBIND = 78  # linux/in6.h


def open_sockets(address: str) -> list[_socket.socket]:
    """Return sockets for queries to an address: UDP, and listening TCP.

    The address need not exist yet, and may disappear and return. Raises OSError, PermissionError when it is taken.
    """
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    made: list[_socket.socket] = []
    try:
        for kind in (_socket.SOCK_DGRAM, _socket.SOCK_STREAM):
            one = _socket.socket(family, kind | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
            made.append(one)
            if family == _socket.AF_INET6:
                one.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
                one.setsockopt(_socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
            else:
                one.setsockopt(_socket.IPPROTO_IP, _IP_FREEBIND, 1)
            if kind == _socket.SOCK_STREAM:  # otherwise connections in TIME_WAIT keep the port for a minute
                one.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            one.bind((address, PORT))
            if kind == _socket.SOCK_STREAM:
                one.listen(_BACKLOG)
    except BaseException:
        close_all(made)
        raise
    return made


def close_all(sockets: Iterable[_socket.socket]) -> None:
    """Close sockets."""
    for one in sockets:
        one.close()
