"""Reading and writing by file descriptors."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all data, even to a descriptor that was made non-blocking. Raises OSError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            import select

            select.select([], [fd], [])


def read_whole(fd: int, limit_bytes: int) -> bytes:
    """Return the content of a regular file that was just opened, no more than ``limit_bytes`` of it. Raises OSError.

    The buffer is as large as the file: one as large as the limit would be mapped and unmapped each time.
    """
    return os.read(fd, min(os.fstat(fd).st_size, limit_bytes))


def read_file(path: str, limit_bytes: int) -> bytes:
    """Return the content of a file, no more than about ``limit_bytes`` of it; a link is not followed. Raises OSError.

    A FIFO without a writer is empty.
    """
    fd = os.open(path, _READ)
    try:
        content = b""
        while len(content) <= limit_bytes and (piece := os.read(fd, 1 << 16)):
            content += piece
        return content
    finally:
        os.close(fd)


def connect_in(channel: socket, directory: str, name: str) -> None:
    """Connect to a socket in a directory, whose path may be longer than the 108 bytes of an address (unix(7))."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        channel.connect(f"/proc/self/fd/{fd}/{name}")
    finally:
        os.close(fd)
