"""Look into stacked layers as overlayfs would show them (Documentation/filesystems/overlayfs.rst).

By descriptor, one name at a time: the content of layers is untrusted, so symbolic links in it are not followed.
"""

from __future__ import annotations

import os
import stat

from pypod.kernel.idmap import in_user_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DEPTH_LIMIT = 200  # of nested directories; each takes a descriptor or two
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE, _USER_OPAQUE = "trusted.overlay.opaque", "user.overlay.opaque"
# fuse-overlayfs marks opaque directories by a file, and sometimes by another whiteout, taking that file's name for one.
# It does not let anybody create them. The kernel does, but that only hides from a commit what could be removed as well.
_MARKS = _MARK, _ = (".wh..wh..opq", ".wh..opq")
# Attributes that a layer carries; the same as in pause/unpack/attributes.c. Others are the host's or overlayfs's own.
_OVERLAYS = ("user.overlay.", "user.fuseoverlayfs.")
_CARRIED = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")


def is_whiteout(status: os.stat_result) -> bool:
    """Return whether a file is a whiteout, which hides its name in the layers below."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(directory: int) -> bool:
    """Return whether a directory is opaque, which hides its content in the layers below."""
    if attribute(directory, _OPAQUE) == b"y":
        return True
    # in a user's containers; root's could set it themselves, and overlayfs ignores it there
    return in_user_namespace() and (attribute(directory, _USER_OPAQUE) == b"y" or _is_marked(directory))


def _is_marked(directory: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(_MARK, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:  # it does not exist, or may not be accessed
        return False


def names(directory: int) -> list[str]:
    """Return the names in a directory of a layer, including whiteouts, without marks of opaqueness."""
    found = os.listdir(directory)
    if _MARK in found and is_opaque(directory):
        return [name for name in found if name not in _MARKS]
    return found


def attribute(fd: int, name: str) -> bytes:
    """Return an extended attribute, or an empty value."""
    try:
        return os.getxattr(fd, name)
    except OSError:  # ENODATA, or a file system without attributes
        return b""


def carried_attributes(fd: int) -> dict[str, bytes]:
    """Return the extended attributes of a file that belong to the image."""
    try:
        names = os.listxattr(fd)
    except OSError:
        return {}
    return {name: attribute(fd, name) for name in sorted(names) if is_carried(name)}


def is_carried(name: str) -> bool:
    """Return whether an extended attribute belongs to the image."""
    return name in _CARRIED or (name.startswith("user.") and not name.startswith(_OVERLAYS))


def open_directories(paths: Iterable[str]) -> list[int]:
    """Open several directories; the caller closes them."""
    fds: list[int] = []
    try:
        fds += (os.open(path, OPEN_DIRECTORY & ~os.O_NOFOLLOW) for path in paths)
    except BaseException:
        close(fds)
        raise
    return fds


def close(fds: Iterable[int]) -> None:
    """Close several descriptors."""
    for fd in fds:
        os.close(fd)


def step(fds: Sequence[int], name: str) -> tuple[os.stat_result | None, list[int]]:
    """Go down one level from stacked directories, topmost first.

    Return the status of ``name`` there, if it exists, and if it is a directory, the descriptors of the stacked
    directories of that name; the caller closes them.
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
    """Give directories that a layer only implies the attributes that they have in the layers below.

    Those are owner, mode, time and extended attributes. ``directory`` is where the layer was unpacked, ``implied`` is
    ``Unpacked.implied``, ``lowers`` are the directories of the layers below, topmost first, already fitted themselves.
    A directory that no layer below shows stays as it is. podman leaves them all root's and 0755.

    Raises OSError.
    """
    if not lowers:
        return
    for place in _places(directory, implied, lowers):
        if place.below:
            _copy_attributes(place.below[0], place.own)


def remove_idle_whiteouts(directory: str, whitening: Iterable[str], lowers: Sequence[str]) -> None:
    """Remove a layer's whiteouts from directories in which they hide nothing.

    overlayfs lists a directory that exists in a single layer unfiltered (fs/overlayfs/readdir.c: ovl_iterate), so the
    names of its whiteouts would be listed, although they could not be opened. ``whitening`` is
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
    """Yield the place of each path, continuing from there where the next one lies below it.

    A layer of a few kB may imply 2,000 nested directories: two million steps if each started from the root.
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
    """A directory of a layer, and those stacked below it; initially the root.

    ``own`` is -1 where the path leads through a symbolic link of the layer: it is not a directory of its own there.
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
        """Go down a path; all descriptors are closed if it is not a directory."""
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
        """Close the open descriptors."""
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
    """Return the merged names of stacked directories, without those that the upper ones delete."""
    found: set[str] = set()
    for fd in reversed(directories):
        for name in names(fd):
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            (found.discard if is_whiteout(status) else found.add)(name)
    return found
