"""A tar archive as files that can be read in any order, without unpacking it.

An uncompressed archive in a file is read in place, by offset. Input from a pipe, or compressed, is first copied,
decompressed, into an unnamed temporary file, which disappears with its descriptor in any case.
"""

from __future__ import annotations

import os
import stat

from pypod.errors import InvalidImage
from pypod.images.archive.files import HEAD_BYTES, peek, read_at
from pypod.images.layers.compression import decompressed, kind_of
from pypod.images.new_file import PIECE_BYTES, temporary_file, write_pieces
from pypod.images.tar.entries import BLOCK_BYTES
from pypod.images.tar.headers import check_header, read_members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.images.tar.headers import Member

_LINKS_LIMIT = 8
_LINK_KINDS = ("symbolic link", "hard link")


class Archive:
    """The files in a tar archive, at ``path`` or in the descriptor ``fd``, which remains the caller's.

    With ``links``, links inside the archive are followed, a few steps and never out of it; otherwise they do not count
    as files. Raises OSError, and InvalidImage when it is not an archive.
    """

    def __init__(self, path: str, fd: int = -1, *, links: bool = False) -> None:
        self.where = path
        self.links = links
        self._fd = os.dup(fd) if fd >= 0 else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not _is_plain(self._fd):
                copy = _spooled(_stream(self._fd), path)
                os.close(self._fd)
                self._fd = copy
            self._members = read_members(self._fd, path)
        except BaseException:
            self.close()
            raise

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def resolve(self, name: str) -> str:
        """Return the name of the file that ``name`` leads to. Raises InvalidImage if there is none."""
        here = name
        for _ in range(_LINKS_LIMIT):
            member = self._members.get(here)
            if member is None:
                raise InvalidImage(f"{self.where}: {name}", "no such file or directory in the archive")
            if member.kind == "file":
                return here
            if not self.links or member.kind not in _LINK_KINDS:
                raise InvalidImage(f"{self.where}: {name}", f"it is not a regular file but a {member.kind}")
            here = _target(here, member)
        raise InvalidImage(f"{self.where}: {name}", "too many links")

    def size(self, name: str) -> int:
        return self._find(name).size

    def read(self, name: str, limit_bytes: int) -> bytes:
        member = self._find(name)
        return read_at(self._fd, member.offset, member.size, limit_bytes, f"{self.where}: {name}")

    def pieces(self, name: str, offset: int = 0) -> Iterator[bytes]:
        member = self._find(name)
        at, end = member.offset + offset, member.offset + member.size
        while at < end:
            piece = os.pread(self._fd, min(PIECE_BYTES, end - at), at)
            if not piece:
                raise InvalidImage(f"{self.where}: {name}", "it is cut off")
            yield piece
            at += len(piece)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _find(self, name: str) -> Member:
        return self._members[self.resolve(name)]


def _target(name: str, member: Member) -> str:
    """Return the target of a link: a hard link starts at the archive's root, a symbolic link at its own place.

    A target outside of the archive is cut at the root, so it names nothing or something inside.
    """
    parts = name.split("/")[:-1] if member.kind == "symbolic link" and not member.link.startswith("/") else []
    for part in member.link.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _is_plain(fd: int) -> bool:
    if not stat.S_ISREG(os.fstat(fd).st_mode) or os.lseek(fd, 0, os.SEEK_CUR):
        return False
    return not kind_of(os.pread(fd, HEAD_BYTES, 0))


def _stream(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, PIECE_BYTES):
        yield piece


def _spooled(pieces: Iterator[bytes], what: str) -> int:
    beginning, pieces = peek(decompressed(pieces, what), BLOCK_BYTES)
    check_header(beginning[:BLOCK_BYTES], what)  # before /dev/zero or a video fills the disk
    copy = temporary_file()
    try:
        write_pieces(copy, pieces)
    except BaseException:
        os.close(copy)
        raise
    return copy
