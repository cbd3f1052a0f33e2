"""The named files of an image, in a directory or in an archive, behind one interface."""

from __future__ import annotations

import os
import stat

from pypod.errors import InvalidImage
from pypod.images.new_file import PIECE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    class Files(Protocol):
        """Files under names with ``/``. Calls are independent, so several threads may read at once."""

        where: str

        def __contains__(self, name: str) -> bool: ...

        def read(self, name: str, limit_bytes: int) -> bytes:
            """Return a whole file. Raises InvalidImage: missing, not a regular file, or larger than ``limit_bytes``."""

        def size(self, name: str) -> int:
            """Return the size of a file in bytes. Raises InvalidImage."""

        def pieces(self, name: str, offset: int = 0) -> Iterator[bytes]:
            """Yield a file from ``offset`` on. Raises InvalidImage."""

        def close(self) -> None: ...


HEAD_BYTES = 16  # enough to detect the compression
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO without a writer would block forever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Directory:
    """The files below a directory. Symbolic links are not followed: they could lead anywhere on the host."""

    def __init__(self, path: str) -> None:
        self.where = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __contains__(self, name: str) -> bool:
        try:
            os.close(open_beneath(self._fd, name))
        except OSError:
            return False
        return True

    def size(self, name: str) -> int:
        fd = self._open(name)
        try:
            return os.fstat(fd).st_size
        finally:
            os.close(fd)

    def read(self, name: str, limit_bytes: int) -> bytes:
        fd = self._open(name)
        try:
            return read_at(fd, 0, min(os.fstat(fd).st_size, limit_bytes + 1), limit_bytes, f"{self.where}/{name}")
        finally:
            os.close(fd)

    def pieces(self, name: str, offset: int = 0) -> Iterator[bytes]:
        fd = self._open(name)
        try:
            while piece := os.pread(fd, PIECE_BYTES, offset):
                yield piece
                offset += len(piece)
        finally:
            os.close(fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self, name: str) -> int:
        try:
            fd = open_beneath(self._fd, name)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise InvalidImage(f"open {self.where}/{name}", reason) from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise InvalidImage(f"{self.where}/{name}", "it is not a regular file")
        return fd


def open_beneath(directory_fd: int, name: str, flags: int = _FILE) -> int:
    """Open a file below a directory; a symbolic link anywhere in ``name`` fails with ELOOP or ENOTDIR."""
    *parents, last = name.split("/")
    opened: list[int] = []
    try:
        for part in parents:
            opened.append(os.open(part, _DIRECTORY, dir_fd=opened[-1] if opened else directory_fd))
        return os.open(last, flags, 0o666, dir_fd=opened[-1] if opened else directory_fd)
    finally:
        for fd in opened:
            os.close(fd)


def read_at(fd: int, offset: int, size: int, limit_bytes: int, what: str) -> bytes:
    """Read ``size`` bytes of a small file at ``offset``."""
    if size > limit_bytes:
        raise InvalidImage(what, f"it is larger than {limit_bytes} bytes")
    found = bytearray()
    while len(found) < size:
        piece = os.pread(fd, size - len(found), offset + len(found))
        if not piece:
            raise InvalidImage(what, "it is truncated")
        found += piece
    return bytes(found)


def peek(pieces: Iterable[bytes], wanted: int) -> tuple[bytes, Iterator[bytes]]:
    """Return at least ``wanted`` bytes, unless there are fewer, and all pieces including them."""
    beginning = b""
    rest = iter(pieces)
    for piece in rest:
        beginning += piece
        if len(beginning) >= wanted:
            break
    return beginning, _after(beginning, rest)


def _after(beginning: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield beginning
    yield from pieces
