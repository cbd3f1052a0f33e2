"""Who holds a port of this network namespace."""

from __future__ import annotations

import os
import sys

from pypod.kernel.pidfd import PROC
from pypod.kernel.proc import VANISHED, read_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.kernel.proc import Stat

# of this thread's namespace, which need not be the process's
_TABLES = "/proc/thread-self/net"
_SOCKET = "socket:["


def holder(protocol: str, address: bytes, port: int) -> Stat | None:
    """Return a process that has a socket on a port, bound to ``address`` (packed; empty: any) or to all addresses.

    None when no process of those that can be looked into has one: a socket may be on its way to another process.
    """
    inodes = set(_inodes(protocol, address, port))
    if not inodes:
        return None
    for pid in PROC.pids():
        if any(link in inodes for link in _links(f"/proc/{pid}/fd")):
            return PROC.stat(pid)
    return None


def _links(directory: str) -> Iterator[str]:
    try:
        names = os.listdir(directory)
    except (*VANISHED, PermissionError):
        return
    for name in names:
        try:
            yield os.readlink(f"{directory}/{name}")
        except (*VANISHED, PermissionError):  # closed meanwhile; in our own, that of the listing always is
            continue


def _inodes(protocol: str, address: bytes, port: int) -> Iterator[str]:
    for name in (protocol, f"{protocol}6"):
        try:
            lines = read_bytes(f"{_TABLES}/{name}").splitlines()[1:]
        except VANISHED:
            continue
        for line in lines:
            fields = line.decode().split()
            local, _, number = fields[1].partition(":")
            bound = _bytes(local)
            if int(number, 16) == port and (not address or bound == address or not any(bound)):
                yield f"{_SOCKET}{fields[9]}]"


def _bytes(digits: str) -> bytes:
    """Addresses stand there as numbers of 32 bits in the host's order."""
    words = (int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8))
    return b"".join(words)
