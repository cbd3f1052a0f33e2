"""Copies of layers, file by file: one layer with other owners, or several merged into the tree that they show.

Made by a process with privilege over every id (``inside.call``). Files are copied with copy_file_range(2), which shares
blocks where the file system supports it (btrfs, xfs), so that neither ``cp --reflink`` nor a tar in between would gain
anything; and whiteouts are handled. What the caller may not read of a host directory is skipped.
"""

from __future__ import annotations

import errno
import os
import stat

from pypod.images.layers.stack import OPEN_DIRECTORY, is_carried, is_opaque, is_whiteout, names
from pypod.kernel import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from pypod.engine.session.id_maps import Maps

_CHUNK_BYTES = 1 << 20
_REFUSED = (errno.EPERM, errno.EOPNOTSUPP)


def copy(source: str, target: str, maps: Maps) -> None:
    """Copy a layer; an owner's id in the image becomes the same id of a user namespace with these maps.

    An id missing from the maps becomes the namespace's root. Raises OSError.
    """
    _Mapped(maps).copy(source, target)


def merge(layers: Sequence[str], target: str) -> None:
    """Copy the tree that stacked directories show, the topmost first, as overlayfs would merge them.

    ``target`` must not exist. Raises OSError.
    """
    for layer in reversed(layers):
        _Merged(os.lstat(layer).st_dev).copy(layer, target)


def lay(layer: str, lowers: Sequence[str], target: str) -> None:
    """Like ``merge``, for a layer and those below it, but take sockets in the layer for whiteouts."""
    merge(lowers, target)
    _Laid(os.lstat(layer).st_dev).copy(layer, target)


class _Copy:
    """One walk over one tree, preserving hard links."""

    def __init__(self) -> None:
        self._links: dict[int, str] = {}

    def copy(self, path: str, to: str) -> None:
        status = os.lstat(path)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            first = self._links.setdefault(status.st_ino, to)
            if first != to:
                os.link(first, to, follow_symlinks=False)
                return
        self.make(path, to, status)
        self.own(to, status)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(to, stat.S_IMODE(status.st_mode))
        for name in os.listxattr(path, follow_symlinks=False):
            self.copy_attribute(path, to, name)
        if stat.S_ISDIR(status.st_mode):
            for name in self.names(path):
                self.copy(f"{path}/{name}", f"{to}/{name}")
        os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)

    def names(self, directory: str) -> list[str]:
        return os.listdir(directory)

    def make(self, path: str, to: str, status: os.stat_result) -> None:
        _make(path, to, status)

    def own(self, to: str, status: os.stat_result) -> None:
        os.lchown(to, status.st_uid, status.st_gid)

    def copy_attribute(self, path: str, to: str, name: str) -> None:
        try:
            os.setxattr(to, name, os.getxattr(path, name, follow_symlinks=False), follow_symlinks=False)
        except OSError as error:  # an attribute of the host's security module, or a file system without attributes
            if error.errno not in _REFUSED:
                raise


class _Mapped(_Copy):
    """A layer that remains one: whiteouts and overlayfs's attributes are copied as they are."""

    def __init__(self, maps: Maps) -> None:
        super().__init__()
        self._maps = maps
        self._root = (idmap.root_of(maps[0]), idmap.root_of(maps[1]))

    def own(self, to: str, status: os.stat_result) -> None:
        uid, gid = (
            idmap.outside(ranges, one if idmap.has(ranges, one) else first)
            for ranges, one, first in zip(self._maps, (status.st_uid, status.st_gid), self._root, strict=True)
        )
        os.lchown(to, uid, gid)


class _Merged(_Copy):
    """A layer merged with those below it; of other file systems mounted in it, only the mount points are copied."""

    def __init__(self, device: int) -> None:
        super().__init__()
        self._device = device

    def names(self, directory: str) -> list[str]:
        if os.lstat(directory).st_dev != self._device:
            return []
        fd = os.open(directory, OPEN_DIRECTORY)
        try:
            return names(fd)
        finally:
            os.close(fd)

    def copy(self, path: str, to: str) -> None:
        status = os.lstat(path)
        if not (stat.S_ISDIR(status.st_mode) and _is_directory(to) and not _hides(path)):
            _remove(to)
        if self.deletes(status):
            return
        try:
            super().copy(path, to)
        except PermissionError:  # not readable to us, or a device node that only root may create
            _remove(to)

    def deletes(self, status: os.stat_result) -> bool:
        return is_whiteout(status)

    def make(self, path: str, to: str, status: os.stat_result) -> None:
        if not _is_directory(to):
            super().make(path, to, status)

    def own(self, to: str, status: os.stat_result) -> None:
        try:
            super().own(to, status)
        except OSError as error:  # the owner of a host file is not mapped here: the copy is ours then
            if error.errno != errno.EINVAL:
                raise

    def copy_attribute(self, path: str, to: str, name: str) -> None:
        if is_carried(name):
            super().copy_attribute(path, to, name)


class _Laid(_Merged):
    """The same for a layer that was unpacked where whiteouts cannot be made (``Unpacked.stands_in``)."""

    def deletes(self, status: os.stat_result) -> bool:
        return is_whiteout(status) or stat.S_ISSOCK(status.st_mode)


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _hides(directory: str) -> bool:
    fd = os.open(directory, OPEN_DIRECTORY)
    try:
        return is_opaque(fd)
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    import shutil

    try:
        if _is_directory(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return


def _copy_content(read: IO[bytes], written: IO[bytes]) -> None:
    try:
        while os.copy_file_range(read.fileno(), written.fileno(), _CHUNK_BYTES):
            pass
    except OSError as error:  # across kinds of file systems, or unsupported by one of them
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        import shutil

        shutil.copyfileobj(read, written, _CHUNK_BYTES)


def _make(path: str, to: str, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        os.mkdir(to, 0o700)
    elif kind == stat.S_IFLNK:
        os.symlink(os.readlink(path), to)
    elif kind == stat.S_IFREG:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags), "rb") as read, open(to, "xb") as written:
            _copy_content(read, written)
    else:  # a whiteout, which anyone may make, or a FIFO
        os.mknod(to, kind | 0o600, status.st_rdev)
