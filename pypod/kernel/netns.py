"""What the network subsystem knows of network namespaces."""

from __future__ import annotations

import os
import sys

# include/uapi/linux/netlink.h, rtnetlink.h and net_namespace.h
_NETLINK_ROUTE = 0
_NLM_F_REQUEST = 1
_RTM_NEWNSID, _RTM_GETNSID = 88, 90
_NETNSA_NSID, _NETNSA_FD = 1, 3
_ORDER = sys.byteorder
_MESSAGE_BYTES, _ATTRIBUTE_AT = 28, 24


def netnsid(path: str) -> int | None:
    """Return the number by which this process's network namespace knows the one at ``path``.

    -1 when it has given it none; None when the kernel does not tell. See RTM_GETNSID in rtnetlink(7).
    """
    import _socket

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    channel = None
    try:
        channel = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        channel.send(_request(fd))
        return _answer(channel.recv(4096))
    except OSError:
        return None
    finally:
        os.close(fd)
        if channel is not None:
            channel.close()


def _request(fd: int) -> bytes:
    header = (_MESSAGE_BYTES, 4), (_RTM_GETNSID, 2), (_NLM_F_REQUEST, 2), (0, 4), (0, 4)  # nlmsghdr
    body = (0, 4), (8, 2), (_NETNSA_FD, 2), (fd, 4)  # rtgenmsg, padded; rtattr
    return b"".join(number.to_bytes(size, _ORDER) for number, size in (*header, *body))


def _answer(message: bytes) -> int | None:
    def number(start: int, end: int, *, signed: bool = False) -> int:
        return int.from_bytes(message[start:end], _ORDER, signed=signed)

    if len(message) < _MESSAGE_BYTES or number(4, 6) != _RTM_NEWNSID or number(22, 24) != _NETNSA_NSID:
        return None
    return number(_ATTRIBUTE_AT, _MESSAGE_BYTES, signed=True)
