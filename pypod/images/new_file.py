"""Files that appear under their name complete or not at all, and files that never have a name."""

from __future__ import annotations

import errno
import os

from pypod.kernel.descriptors import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Errors of open(2) where a file system does not support O_TMPFILE: NFS, FUSE, old overlays.
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
PIECE_BYTES = 1 << 20  # for one read or write
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NewFile:
    """An unnamed file in a directory; ``commit`` gives it a name. Until then SIGKILL leaves nothing behind."""

    def __init__(self, directory_fd: int, mode: int = 0o666) -> None:
        self._directory_fd = directory_fd
        self._temporary_name = ""
        try:
            self.fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode, dir_fd=directory_fd)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
            self._temporary_name = _unused_name()
            self.fd = os.open(self._temporary_name, _NEW, mode, dir_fd=directory_fd)

    def commit(self, name: str) -> None:
        """Give the file its ``name`` in the directory, atomically replacing an existing file."""
        if not self._temporary_name:
            # linkat(2) does not replace, so the file gets a temporary name first, and rename(2) replaces. Without
            # dst_dir_fd Python calls link(2), which would link the entry in /proc instead of following it.
            unused = _unused_name()
            os.link(f"/proc/self/fd/{self.fd}", unused, dst_dir_fd=self._directory_fd, follow_symlinks=True)
            self._temporary_name = unused
        os.rename(self._temporary_name, name, src_dir_fd=self._directory_fd, dst_dir_fd=self._directory_fd)
        self._temporary_name = ""

    def close(self) -> None:
        """Close the file; without a commit it is deleted."""
        if self._temporary_name:
            os.unlink(self._temporary_name, dir_fd=self._directory_fd)
            self._temporary_name = ""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def write_file(directory_fd: int, name: str, pieces: Iterable[bytes], mode: int = 0o666) -> int:
    """Write a file atomically, replacing an existing one; return its size in bytes."""
    file = NewFile(directory_fd, mode)
    try:
        size = write_pieces(file.fd, pieces)
        file.commit(name)
    finally:
        file.close()
    return size


def replace_file(path: str, text: str, *, mode: int = 0o600) -> None:
    """Write one of our own files atomically, replacing an existing one; safe against concurrent writers."""
    directory, name = os.path.split(path)
    directory_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_file(directory_fd, name, [text.encode()], mode)
    finally:
        os.close(directory_fd)


def temporary_file() -> int:
    """Return a descriptor of an unnamed file: in TMPDIR or, as podman does for large files, in /var/tmp."""
    directory_fd = os.open(os.environ.get("TMPDIR") or "/var/tmp", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: S108
    try:
        file = NewFile(directory_fd)
        try:
            return os.dup(file.fd)
        finally:
            file.close()
    finally:
        os.close(directory_fd)


def write_pieces(fd: int, pieces: Iterable[bytes]) -> int:
    """Write the pieces at the current position of ``fd``; return the number of bytes."""
    size = 0
    for piece in pieces:
        write_all(fd, piece)
        size += len(piece)
    return size


def exactly(size: int, pieces: Iterable[bytes], what: str) -> Iterable[bytes]:
    """Yield the pieces. Raises InvalidImage when they do not add up to ``size`` bytes."""
    from pypod.errors import InvalidImage

    left = size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise InvalidImage(what, f"it does not have the announced {size} bytes")


def _unused_name() -> str:
    return f".pypod-{os.urandom(8).hex()}"
