"""Read a tree by descriptors: what is in it may be exchanged for links and devices while it is read.

Each name is opened without following a link and without touching a device (O_PATH); what it is then stays what it is,
and only a regular file or a directory is opened for reading, through that descriptor.
"""

from __future__ import annotations

import errno
import os
import stat

from pypod.errors import SystemFailure
from pypod.images.layers.stack import carried_attributes
from pypod.images.tar import entries
from pypod.images.trees.items import Item
from pypod.kernel import idmap
from pypod.kernel.syscalls import file_system_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pypod.kernel.idmap import Range

    Maps = tuple[tuple[Range, ...], tuple[Range, ...]]

LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PATH_BYTES_LIMIT = 4096
_GENERATED_BYTES_LIMIT = 16 << 20
# proc, sysfs, cgroup, cgroup2, securityfs, debugfs, tracefs, bpf, configfs, selinuxfs (linux/magic.h, statfs(2))
_KERNELS_OWN = frozenset(
    (0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x73636673, 0x64626720, 0x74726163, 0xCAFE4A11, 0x62656570, 0xF97CFF8C)
)
_VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
_UNREADABLE = (errno.EACCES, errno.EPERM)


class Reader:
    """One walk over one tree.

    ``maps`` are the user and group maps of the container's user namespace. ``devices`` says whether device nodes are
    copied. With ``lenient``, what may not be read is left out. ``hidden`` are names at the top that are left out.
    """

    def __init__(
        self,
        *,
        maps: Maps | None = None,
        devices: bool = True,
        lenient: bool = False,
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        self._maps = maps
        self._devices = devices
        self._lenient = lenient
        self._hidden = hidden
        self._links: dict[tuple[int, int], str] = {}

    def items(self, fd: int, top: str) -> Generator[Item, None, None]:
        """Yield what an O_PATH descriptor refers to, called ``top``, and all that is in it.

        With an empty ``top`` only the content of a directory is yielded, as if it were in the directory copied to.
        An item's descriptor is open until the next item is taken. Raises OSError, SystemFailure.
        """
        status = os.fstat(fd)
        if not stat.S_ISDIR(status.st_mode):
            yield from self._other(fd, top, status)
            return
        directory = _opened(fd)
        levels = [(directory, self._names(directory, self._hidden), top)]
        try:
            if top:
                yield self._item(top, entries.DIRECTORY, status, directory)
            while levels:
                parent, names, path = levels[-1]
                if not names:
                    levels.pop()
                    os.close(parent)
                    continue
                name = names.pop()
                inside = f"{path}/{name}" if path else name
                below = yield from self._name(parent, name, inside)
                if below >= 0:
                    levels.append((below, self._names(below), inside))
        finally:
            for level, _, _ in levels:
                os.close(level)

    def _names(self, directory: int, hidden: frozenset[str] = frozenset()) -> list[str]:
        """Return the names in a directory, the first one last; none of the kernel's own file systems."""
        if file_system_type(directory) in _KERNELS_OWN:
            return []
        try:
            return sorted((name for name in os.listdir(directory) if name not in hidden), reverse=True)
        except OSError as error:
            if error.errno in _VANISHED or (self._lenient and error.errno in _UNREADABLE):
                return []
            raise

    def _name(self, parent: int, name: str, path: str) -> Generator[Item, None, int]:
        """Yield one name of a directory; return a descriptor of it if it is a directory, else -1."""
        if len(os.fsencode(path)) >= _PATH_BYTES_LIMIT:
            raise SystemFailure("copy", errno.ENAMETOOLONG, f"a path is too long: {path[:80]!r}...")
        try:
            fd = os.open(name, LOOK, dir_fd=parent)
        except OSError as error:
            if error.errno in _VANISHED or (self._lenient and error.errno in _UNREADABLE):
                return -1
            raise
        try:
            status = os.fstat(fd)
            if not stat.S_ISDIR(status.st_mode):
                yield from self._other(fd, path, status)
                return -1
            try:
                below = _opened(fd)
            except OSError as error:
                if self._lenient and error.errno in _UNREADABLE:
                    return -1
                raise
        finally:
            os.close(fd)
        try:
            yield self._item(path, entries.DIRECTORY, status, below)
        except BaseException:
            os.close(below)
            raise
        return below

    def _other(self, fd: int, path: str, status: os.stat_result) -> Iterator[Item]:
        kind = entries.type_of(status.st_mode)
        if kind == entries.FILE:
            yield from self._file(fd, path, status)
        elif kind == entries.SYMLINK:
            yield self._item(path, kind, status, link=os.readlink("", dir_fd=fd))
        elif kind == entries.FIFO or (kind and self._devices):
            yield self._item(path, kind, status)

    def _file(self, fd: int, path: str, status: os.stat_result) -> Iterator[Item]:
        try:
            opened = os.open(f"/proc/self/fd/{fd}", _READ)
        except OSError as error:
            if self._lenient and error.errno in _UNREADABLE:
                return
            raise
        try:
            item = self._item(path, entries.FILE, status, opened)
            item.fd = opened
            if status.st_nlink > 1:
                first = self._links.setdefault((status.st_dev, status.st_ino), path)
                if first != path:
                    item.kind, item.link = entries.HARD_LINK, first
            if not status.st_size and not status.st_blocks and file_system_type(opened) in _KERNELS_OWN:
                content = _generated(opened)
                item.size, item.pieces, item.generated = len(content), iter((content,)), True
            yield item
        finally:
            os.close(opened)

    def _item(self, path: str, kind: str, status: os.stat_result, fd: int = -1, link: str = "") -> Item:
        uid, gid = status.st_uid, status.st_gid
        if self._maps is not None:
            uid, gid = (idmap.inside(ranges, one) or 0 for ranges, one in zip(self._maps, (uid, gid), strict=True))
        return Item(
            path,
            kind,
            mode=stat.S_IMODE(status.st_mode),
            uid=uid,
            gid=gid,
            size=status.st_size if kind == entries.FILE else 0,
            mtime_ns=status.st_mtime_ns,
            device=status.st_rdev,
            link=link,
            attributes=carried_attributes(fd) if fd >= 0 else None,
        )


def is_kernels_own(fd: int) -> bool:
    """Return whether an O_PATH descriptor is on a file system that shows the kernel: proc, sysfs, cgroup and so on."""
    return file_system_type(fd) in _KERNELS_OWN


def _opened(fd: int) -> int:
    """Return a descriptor for reading the directory behind an O_PATH descriptor."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _generated(fd: int) -> bytes:
    """Return the content of a file that the kernel makes up, whose size is unknown."""
    found = bytearray()
    while len(found) < _GENERATED_BYTES_LIMIT:
        try:
            piece = os.read(fd, 1 << 16)
        except BlockingIOError:
            break
        if not piece:
            break
        found += piece
    return bytes(found)
