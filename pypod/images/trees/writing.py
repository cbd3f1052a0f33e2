"""Write a tree by descriptors: the directories written to may be exchanged for links meanwhile.

Directories are entered one name at a time and without following links, and files are created where nothing is, or
beside what they replace, so no write goes through a link that was put in the way.
"""

from __future__ import annotations

import errno
import os
import stat

from pypod.errors import SystemFailure
from pypod.images.tar import entries
from pypod.images.trees.content import copy_content
from pypod.kernel import idmap
from pypod.kernel.syscalls import RESOLVE_NO_XDEV, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.images.trees.items import Item
    from pypod.images.trees.reading import Maps

_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TYPES = {
    entries.CHARACTER_DEVICE: stat.S_IFCHR,
    entries.BLOCK_DEVICE: stat.S_IFBLK,
    entries.FIFO: stat.S_IFIFO,
    entries.SYMLINK: stat.S_IFLNK,
}
_NO_ATTRIBUTES = (errno.EOPNOTSUPP, errno.EPERM)
_EXISTS = FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
_ANOTHER = "--overwrite replaces a file by a directory, and a directory by a file"


class _Level:
    """An open directory on the way to the current item, and its time, which is set when it is left."""

    __slots__ = ("fd", "mtime_ns", "name")

    def __init__(self, name: str, fd: int, mtime_ns: int | None = None) -> None:
        self.name = name
        self.fd = fd
        self.mtime_ns = mtime_ns


class Writer:
    """Creates items in a directory; it keeps the descriptor ``directory`` but does not close it.

    ``shown`` is the directory's path in messages, empty for the current one. ``owner`` gets everything, else each item
    keeps its ids. Ids are those inside of the container with the user and group ``maps``. ``overwrite`` lets files
    replace directories and the reverse. ``devices`` says whether device nodes may be created. ``enter`` opens an
    existing directory, by its path, where a link leads to one: for archives, whose paths may go through links.
    """

    def __init__(
        self,
        directory: int,
        shown: str,
        *,
        owner: tuple[int, int] | None = None,
        maps: Maps | None = None,
        overwrite: bool = False,
        devices: bool = True,
        enter: Callable[[str], int] | None = None,
    ) -> None:
        self._directory = directory
        self._shown = f"{shown.rstrip('/')}/" if shown else ""
        self._owner = owner
        self._maps = maps
        self._overwrite = overwrite
        self._devices = devices
        self._enter_link = enter
        self._levels: list[_Level] = []

    def write(self, items: Iterable[Item]) -> None:
        """Create items, a directory before its content. Raises SystemFailure naming the file and the call."""
        for item in items:
            *parents, name = item.path.split("/")
            self._go(parents)
            try:
                self._make(self._levels[-1].fd if self._levels else self._directory, name, item)
            except OSError as error:
                raise self._failed(item.path, error) from error
        self._go([])

    def close(self) -> None:
        """Close what is open after an error."""
        while self._levels:
            os.close(self._levels.pop().fd)

    def _failed(self, path: str, error: OSError, hint: str = "") -> SystemFailure:
        shown = f"{self._shown}{path}"
        message = f'error creating "{shown}": {os.strerror(error.errno or 0).lower()}'
        return SystemFailure("copy", error.errno or 0, message, hint=hint)

    def _go(self, parents: list[str]) -> None:
        """Make the directory at a path the current one; directories that an archive leaves out are created."""
        same = 0
        while same < min(len(parents), len(self._levels)) and self._levels[same].name == parents[same]:
            same += 1
        while len(self._levels) > same:
            self._leave()
        for at in range(same, len(parents)):
            above = self._levels[-1].fd if self._levels else self._directory
            path = "/".join(parents[: at + 1])
            try:
                fd = self._entered(above, parents[at], path)
            except OSError as error:
                raise self._failed(path, error) from error
            self._levels.append(_Level(parents[at], fd))

    def _leave(self) -> None:
        level = self._levels.pop()
        try:
            if level.mtime_ns is not None:
                os.utime(level.fd, ns=(level.mtime_ns, level.mtime_ns))
        finally:
            os.close(level.fd)

    def _entered(self, above: int, name: str, path: str) -> int:
        try:
            return os.open(name, _ENTER, dir_fd=above)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=above)
            return os.open(name, _ENTER, dir_fd=above)
        except OSError as error:
            if self._enter_link is None or error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            return self._enter_link(path)

    def _make(self, parent: int, name: str, item: Item) -> None:
        if name in ("", ".", ".."):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        kind = item.kind
        if kind == entries.DIRECTORY:
            self._make_directory(parent, name, item)
        elif kind == entries.FILE:
            self._make_file(parent, name, item)
        elif kind == entries.HARD_LINK:
            self._make_link(parent, name, item)
        elif kind == entries.SYMLINK:
            self._replace(parent, name, lambda to: os.symlink(item.link, to, dir_fd=parent))
            self._finish_node(parent, name, item)
        elif kind == entries.FIFO or self._devices:
            made = _TYPES[kind] | 0o600
            self._replace(parent, name, lambda to: os.mknod(to, made, item.device, dir_fd=parent))
            self._finish_node(parent, name, item)

    def _make_directory(self, parent: int, name: str, item: Item) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
            made = True
        except FileExistsError:
            made = False
        if not made:
            try:
                self._levels.append(_Level(name, os.open(name, _ENTER, dir_fd=parent)))
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                if not self._overwrite:
                    raise self._failed(item.path, _EXISTS, _ANOTHER) from error
                _require_no_mount(parent, name)
                os.unlink(name, dir_fd=parent)
                os.mkdir(name, 0o700, dir_fd=parent)
            else:
                return  # it keeps its attributes
        fd = os.open(name, _ENTER, dir_fd=parent)
        self._levels.append(_Level(name, fd, item.mtime_ns))
        self._finish(fd, item)

    def _make_file(self, parent: int, name: str, item: Item) -> None:
        try:
            fd, to = os.open(name, _CREATE, 0o600, dir_fd=parent), name
        except FileExistsError:
            if is_mount_point(parent, name):
                self._write_in_place(parent, name, item)
                return
            self._make_room(parent, name, item)
            to = _beside(name)
            fd = os.open(to, _CREATE, 0o600, dir_fd=parent)
        try:
            try:
                self._fill(fd, item)
            finally:
                os.close(fd)
            if to != name:
                os.rename(to, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            _remove(parent, to)
            raise

    def _fill(self, fd: int, item: Item) -> None:
        copy_content(item, fd)
        self._finish(fd, item)
        os.utime(fd, ns=(item.mtime_ns, item.mtime_ns))

    def _write_in_place(self, parent: int, name: str, item: Item) -> None:
        """Write into a file that cannot be replaced, as it is mounted there."""
        fd = os.open(name, _WRITE, dir_fd=parent)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            os.ftruncate(fd, 0)
            self._fill(fd, item)
        finally:
            os.close(fd)

    def _make_link(self, parent: int, name: str, item: Item) -> None:
        """Create a hard link to an earlier item; a copy where that is on another file system."""
        *parents, first = item.link.split("/")
        try:
            fd = self._descend(parents)
            try:
                self._replace(
                    parent,
                    name,
                    lambda to: os.link(first, to, src_dir_fd=fd, dst_dir_fd=parent, follow_symlinks=False),
                )
            finally:
                os.close(fd)
        except OSError:
            if item.fd < 0:
                raise
            self._make_file(parent, name, item)

    def _descend(self, parents: list[str]) -> int:
        fd = os.dup(self._directory)
        for at, name in enumerate(parents):
            try:
                below = self._entered(fd, name, "/".join(parents[: at + 1]))
            finally:
                os.close(fd)
            fd = below
        return fd

    def _replace(self, parent: int, name: str, make: Callable[[str], object]) -> None:
        """Create something without content, in the place of what is there."""
        try:
            make(name)
        except FileExistsError:
            _require_no_mount(parent, name)
            self._make_room(parent, name)
            to = _beside(name)
            make(to)
            try:
                os.rename(to, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                _remove(parent, to)
                raise

    def _make_room(self, parent: int, name: str, item: Item | None = None) -> None:
        """Remove a directory that a file replaces. Raises SystemFailure without ``overwrite``."""
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            return
        if not self._overwrite:
            path = "/".join((*(level.name for level in self._levels), name)) if item is None else item.path
            raise self._failed(path, _EXISTS, _ANOTHER)
        remove_tree(parent, name)

    def _finish(self, fd: int, item: Item) -> None:
        self._own(item, lambda uid, gid: os.fchown(fd, uid, gid))
        os.fchmod(fd, item.mode)  # changing the owner clears set-ID bits
        for name, value in item.attributes.items():
            try:
                os.setxattr(fd, name, value)
            except OSError as error:  # a file system without attributes, or an attribute that only root may set
                if error.errno not in _NO_ATTRIBUTES:
                    raise

    def _finish_node(self, parent: int, name: str, item: Item) -> None:
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            if stat.S_IFMT(os.fstat(fd).st_mode) != _TYPES[item.kind]:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            self._own(item, lambda uid, gid: os.chown(f"/proc/self/fd/{fd}", uid, gid))
            if item.kind != entries.SYMLINK:
                os.chmod(f"/proc/self/fd/{fd}", item.mode)
        finally:
            os.close(fd)

    def _own(self, item: Item, change: Callable[[int, int], object]) -> None:
        uid, gid = self._owner or (item.uid, item.gid)
        if self._maps is not None:
            uid, gid = (idmap.outside(ranges, one) for ranges, one in zip(self._maps, (uid, gid), strict=True))
        change(uid, gid)


def _beside(name: str) -> str:
    """Return the name of a new file that is going to replace one."""
    return f".{os.fsdecode(os.fsencode(name)[:200])}.{os.urandom(6).hex()}"


def is_mount_point(parent: int, name: str) -> bool:
    """Return whether something is mounted on a name in a directory, in whichever mount namespace that is.

    What the kernel refuses with EBUSY in our own, it does in another one, and takes the mount away (vfs_rename and
    vfs_unlink in fs/namei.c: is_local_mountpoint, detach_mounts).
    """
    try:
        os.close(openat2(parent, name, os.O_PATH | os.O_NOFOLLOW, RESOLVE_NO_XDEV))
    except OSError as error:
        if error.errno == errno.EXDEV:
            return True
        if error.errno != errno.ENOENT:
            raise
    return False


def _require_no_mount(parent: int, name: str) -> None:
    if is_mount_point(parent, name):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def remove_tree(parent: int, name: str) -> None:
    """Remove a directory with all in it, by descriptors. Raises OSError with EBUSY where something is mounted in it."""
    _require_no_mount(parent, name)
    fd = os.open(name, _ENTER, dir_fd=parent)
    try:
        for inside in os.listdir(fd):
            if stat.S_ISDIR(os.stat(inside, dir_fd=fd, follow_symlinks=False).st_mode):
                remove_tree(fd, inside)
            else:
                _require_no_mount(fd, inside)
                os.unlink(inside, dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def _remove(parent: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except OSError:
        return
