"""The holder of a port in this network namespace."""

from __future__ import annotations

import os
import socket

import psutil

from pypod.kernel.pidfd import PROC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.kernel.proc import Stat

_PROTOCOLS = ("tcp", "udp")  # those that psutil supports


def holder(protocol: str, address: bytes, port: int) -> Stat | None:
    """Return a process with a socket on a port, bound to ``address`` (packed; empty: any) or to all addresses.

    None when no accessible process has one: a socket may also be in flight between processes. None, too, on a thread
    that is in another network namespace than the process, because psutil looks into the process's.
    """
    if protocol not in _PROTOCOLS or _network("thread-self") != _network("self"):
        return None
    for connection in psutil.net_connections(protocol):
        if connection.pid and connection.laddr and connection.laddr.port == port:
            bound = _packed(connection.laddr.ip)
            if not address or bound == address or not any(bound):
                return PROC.stat(connection.pid)
    return None


def _network(whose: str) -> int:
    return os.stat(f"/proc/{whose}/ns/net").st_ino


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
