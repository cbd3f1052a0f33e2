"""Look into layers that lie on each other as overlayfs would show them (Documentation/filesystems/overlayfs.rst).

By descriptor, a name at a time: what is in a layer was made by others, so no symbolic link in it is followed.
"""

from __future__ import annotations

import os
import stat

from pypod.kernel.idmap import in_user_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DEPTH_LIMIT = 200  # of directories in each other; each is a descriptor or two
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE, _USER_OPAQUE = "trusted.overlay.opaque", "user.overlay.opaque"
# How fuse-overlayfs says the same of what it makes: by a file, and at times a whiteout that it takes that name for. It
# lets nobody make one. The kernel does; who does so hides from a commit what they could remove as well.
_MARKS = _MARK, _ = (".wh..wh..opq", ".wh..opq")
# What a layer carries; the same as in pause/unpack/attributes.c. The others are the host's, or overlayfs's own.
_OVERLAYS = ("user.overlay.", "user.fuseoverlayfs.")
_CARRIED = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")


def is_whiteout(status: os.stat_result) -> bool:
    """Whether this says that nothing is here, whatever the layers below have."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(directory: int) -> bool:
    """Whether this directory hides what the layers below have in it."""
    if attribute(directory, _OPAQUE) == b"y":
        return True
    # where a user's containers run; root's could write it themselves, and for overlayfs it says nothing there
    return in_user_namespace() and (attribute(directory, _USER_OPAQUE) == b"y" or _is_marked(directory))


def _is_marked(directory: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(_MARK, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:  # there is none, or nobody may look
        return False


def names(directory: int) -> list[str]:
    """Return the names in a directory of a layer, whiteouts as well, without marks that it is opaque."""
    found = os.listdir(directory)
    if _MARK in found and is_opaque(directory):
        return [name for name in found if name not in _MARKS]
    return found


def attribute(fd: int, name: str) -> bytes:
    """Return an extended attribute, or nothing."""
    try:
        return os.getxattr(fd, name)
    except OSError:  # ENODATA, or a file system without any
        return b""


def carried_attributes(fd: int) -> dict[str, bytes]:
    """Return the extended attributes of a file that belong to the image."""
    try:
        names = os.listxattr(fd)
    except OSError:
        return {}
    return {name: attribute(fd, name) for name in sorted(names) if is_carried(name)}


def is_carried(name: str) -> bool:
    """Whether an extended attribute belongs to the image."""
    return name in _CARRIED or (name.startswith("user.") and not name.startswith(_OVERLAYS))


def open_directories(paths: Iterable[str]) -> list[int]:
    """Open several; the caller closes them."""
    fds: list[int] = []
    try:
        fds += (os.open(path, OPEN_DIRECTORY & ~os.O_NOFOLLOW) for path in paths)
    except BaseException:
        close(fds)
        raise
    return fds


def close(fds: Iterable[int]) -> None:
    """Close several."""
    for fd in fds:
        os.close(fd)


def step(fds: Sequence[int], name: str) -> tuple[os.stat_result | None, list[int]]:
    """Go down from directories that lie on each other, the topmost first.

    Return what ``name`` is there, if anything, and when that is a directory the descriptors of those that lie on each
    other there; the caller closes them.
    """
    found: os.stat_result | None = None
    below: list[int] = []
    try:
        for fd in fds:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            is_directory = stat.S_ISDIR(status.st_mode)
            if is_whiteout(status) or (found is not None and not is_directory):
                break
            if found is None:
                found = status
            if not is_directory:
                break
            below.append(os.open(name, OPEN_DIRECTORY, dir_fd=fd))
            if is_opaque(below[-1]):
                break
    except BaseException:
        close(below)
        raise
    return found, below


def inherit(directory: str, implied: Iterable[str], lowers: Sequence[str]) -> None:
    """Give directories that a layer only implied what they have in the layers below it.

    That is owner, mode, time and extended attributes. ``directory`` is where the layer was unpacked, ``implied`` is
    ``Unpacked.implied``, ``lowers`` are the directories of the layers below, the topmost first, which inherited before.
    A directory that no layer below shows stays as it is. podman leaves them all root's and 0755.

    Raises OSError.
    """
    if not lowers:
        return
    for place in _places(directory, implied, lowers):
        if place.below:
            _copy_attributes(place.below[0], place.own)


def remove_idle_whiteouts(directory: str, whitening: Iterable[str], lowers: Sequence[str]) -> None:
    """Remove the whiteouts of a layer in directories that hide nothing.

    overlayfs reads a directory that only one layer has as it is (fs/overlayfs/readdir.c: ovl_iterate), so the names of
    whiteouts in it would be listed, though nothing of that name could be opened. ``whitening`` is
    ``Unpacked.whitening``; the rest as for ``inherit``. Raises OSError.
    """
    for place in _places(directory, whitening, lowers):
        if place.own < 0 or (place.below and not is_opaque(place.own)):
            continue
        before = os.fstat(place.own)
        for name in os.listdir(place.own):
            if is_whiteout(os.stat(name, dir_fd=place.own, follow_symlinks=False)):
                os.unlink(name, dir_fd=place.own)
        os.utime(place.own, ns=(before.st_atime_ns, before.st_mtime_ns))


def _places(directory: str, paths: Iterable[str], lowers: Sequence[str]) -> Iterator[_Place]:
    """Yield the place of each path, and go on from there where the next one lies in it.

    A layer of a few kB may imply 2,000 directories, each in the one before: two million steps from the root.
    """
    place, at = None, ""
    try:
        for path in sorted(paths, key=lambda one: one.replace("/", "\0")):
            if place is None or not path.startswith(f"{at}/"):
                if place is not None:
                    place.leave()
                place, rest = _Place(directory, lowers), path
            else:
                rest = path[len(at) + 1 :]
            place.go(rest)
            at = path
            yield place
    finally:
        if place is not None:
            place.leave()


class _Place:
    """A directory of a layer, and those that lie below it; at first the root.

    ``own`` is -1 where the path leads through a symbolic link of the layer: there it is no directory of its own.
    """

    def __init__(self, directory: str, lowers: Sequence[str]) -> None:
        self.own = -1
        self.below = open_directories(lowers)
        try:
            (self.own,) = open_directories([directory])
        except BaseException:
            self.leave()
            raise

    def go(self, path: str) -> None:
        """Go to a directory in it; nothing is left where there is none."""
        try:
            for name in path.split("/") if path != "." and self.own >= 0 else ():
                self._go(name)
        except NotADirectoryError:
            self.leave()

    def _go(self, name: str) -> None:
        hidden = is_opaque(self.own)
        below, self.below = self.below, []
        try:
            if not hidden:
                self.below = step(below, name)[1]
        finally:
            close(below)
        own, self.own = self.own, -1
        try:
            self.own = os.open(name, OPEN_DIRECTORY, dir_fd=own)
        finally:
            os.close(own)

    def leave(self) -> None:
        """Close what is open."""
        below, self.below = self.below, []
        own, self.own = self.own, -1
        close((*below, own) if own >= 0 else below)


def _copy_attributes(source: int, target: int) -> None:
    status = os.fstat(source)
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    for name, value in carried_attributes(source).items():
        os.setxattr(target, name, value)
    os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))


def shown_names(directories: Sequence[int]) -> set[str]:
    """Return the names in directories that lie on each other, without those that the upper ones delete."""
    found: set[str] = set()
    for fd in reversed(directories):
        for name in names(fd):
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            (found.discard if is_whiteout(status) else found.add)(name)
    return found
