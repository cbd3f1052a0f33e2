"""Pack a directory: a container's changes as a layer (commit), or a whole tree (export).

The same files give the same bytes: entries are sorted by name, a directory before its content.
"""

from __future__ import annotations

import errno
import os
import stat

from pypod.errors import SystemFailure, Unsupported
from pypod.images.layers.changes import DELETED
from pypod.images.layers.stack import (
    DEPTH_LIMIT,
    OPEN_DIRECTORY,
    attribute,
    carried_attributes,
    close,
    is_opaque,
    is_whiteout,
    names,
    open_directories,
    shown_names,
    step,
)
from pypod.images.tar import entries, sparse
from pypod.kernel import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypod.kernel.idmap import Range

    Maps = tuple[tuple[Range, ...], tuple[Range, ...]]

_WHITEOUT, _OPAQUE_MARK = b".wh.", b".wh..wh..opq"
_PATH_BYTES_LIMIT = 4096
# Attributes by which overlayfs refers to other layers when it was mounted with other options than ours.
_REFERENCES = ("trusted.overlay.redirect", "trusted.overlay.metacopy")


def layer(upper: str, lowers: Sequence[str] | None = None, maps: Maps | None = None) -> Iterator[bytes]:
    """Yield the tar of a layer: the content of an overlay's upper directory, its deletions as OCI whiteouts.

    ``lowers`` are the directories below, topmost first. They serve to leave out opaque marks for directories that do
    not exist there; nothing else is lost without them. ``maps`` are the user and group maps of a user namespace: the
    tar has the ids inside.

    Raises OSError; Unsupported for content of an overlay mounted with redirect_dir or metacopy, and for names
    that begin with ``.wh.``, which no layer can hold.
    """
    yield from _Packing(overlay=True, marks_all=lowers is None, maps=maps).stream(upper, lowers or ())


def tree(directory: str, *, root: bool = True) -> Iterator[bytes]:
    """Yield a tar of a whole tree; other file systems mounted in it are left out. Raises OSError.

    ``root``: with an entry for the directory itself.
    """
    yield from _Packing(overlay=False, root=root).stream(directory, ())


def merged(directories: Sequence[str], maps: Maps | None = None) -> Iterator[bytes]:
    """Yield a tar of the merged tree of directories, topmost first, as overlayfs would show it.

    No mount is needed, so it is the same for running and stopped containers. ``maps`` as in ``layer``.
    Raises OSError.
    """
    yield from _Merging(maps).stream(directories)


def difference(new: str, old: Sequence[str], maps: Maps | None = None) -> Iterator[bytes]:
    """Yield the tar of a layer: the changes from the merged tree of the directories ``old`` to the tree ``new``.

    ``maps`` as in ``layer``. Files are compared as in ``compare``. Raises OSError.
    """
    yield from _Differing(maps).stream(new, old)


class _Packing:
    """One walk over one tree. Sockets are left out; a file that shrinks while it is read is padded with zeros."""

    def __init__(self, *, overlay: bool, marks_all: bool = False, maps: Maps | None = None, root: bool = True) -> None:
        self._root = root
        self._maps = maps
        self._overlay = overlay
        self._marks_all = marks_all
        self._links: dict[tuple[int, int], bytes] = {}
        self._device = 0

    def stream(self, top: str, lowers: Sequence[str]) -> Iterator[bytes]:
        below = open_directories(lowers)
        try:
            (fd,) = open_directories([top])
        except BaseException:
            close(below)
            raise
        self._device = os.fstat(fd).st_dev
        yield from self._directory(fd, b"", below)
        yield entries.END

    def _entry(self, path: bytes, status: os.stat_result, fd: int = -1) -> entries.Entry:
        made = _entry(path, status, fd)
        if self._maps is None:
            return made
        uid, gid = (idmap.inside(ranges, one) for ranges, one in zip(self._maps, (made.uid, made.gid), strict=True))
        return made.replace(uid=uid or 0, gid=gid or 0)

    def _directory(self, fd: int, path: bytes, lowers: list[int]) -> Iterator[bytes]:
        """Yield a directory and its content; closes the descriptors."""
        try:
            status = os.fstat(fd)
            if path or self._root:
                yield self._entry(path or b".", status, fd).encode()
            if not self._overlay and status.st_dev != self._device:
                return
            if self._overlay:
                _require_whole(fd, path)
            if self._overlay and (lowers or self._marks_all) and is_opaque(fd):
                yield entries.Entry(path=entries.joined(path, _OPAQUE_MARK)).encode()
            for name in sorted(os.fsencode(name) for name in names(fd)):
                yield from self._name(fd, name, entries.joined(path, name), lowers)
        finally:
            close((fd, *lowers))

    def _name(self, parent: int, name: bytes, path: bytes, lowers: list[int]) -> Iterator[bytes]:
        if len(path) >= _PATH_BYTES_LIMIT or path.count(b"/") > DEPTH_LIMIT:
            raise SystemFailure("pack", errno.ENAMETOOLONG, f"a path is too long: {os.fsdecode(path[:80])!r}...")
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:  # a running container may delete files meanwhile
            return
        if self._overlay and name.startswith(_WHITEOUT):
            raise Unsupported(".wh.", f"no layer can hold a file named {os.fsdecode(path)!r}", hint="rename it")
        if self._overlay and is_whiteout(status):
            yield entries.Entry(path=path[: len(path) - len(name)] + _WHITEOUT + name).encode()
        elif stat.S_ISDIR(status.st_mode):
            below = step(lowers, os.fsdecode(name))[1] if lowers else []
            try:
                fd = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
            except BaseException as error:
                close(below)
                if isinstance(error, FileNotFoundError):
                    return
                raise
            yield from self._directory(fd, path, below)
        elif kind := entries.type_of(status.st_mode):
            yield from self._other(parent, name, path, kind, status)

    def _other(self, parent: int, name: bytes, path: bytes, kind: str, status: os.stat_result) -> Iterator[bytes]:
        if status.st_nlink > 1:
            first = self._links.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                yield self._entry(path, status).replace(type=entries.HARD_LINK, link=first).encode()
                return
        if kind == entries.FILE:
            yield from self._file(parent, name, path)
        elif kind == entries.SYMLINK:
            yield self._entry(path, status).replace(link=os.readlink(name, dir_fd=parent)).encode()
        else:
            yield self._entry(path, status).encode()

    def _file(self, parent: int, name: bytes, path: bytes) -> Iterator[bytes]:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        except FileNotFoundError:
            return
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise SystemFailure(
                    "pack", errno.ESTALE, f"{os.fsdecode(path)!r} was replaced by another file while it was read"
                )
            if self._overlay:
                _require_whole(fd, path)
            entry = self._entry(path, status, fd)
            parts = sparse.parts(fd, status) or ((0, status.st_size),)
            if parts == ((0, status.st_size),):
                yield entry.replace(size=status.st_size).encode()
            else:
                yield from sparse.head(entry, status.st_size, parts)
            for offset, length in parts:
                yield from sparse.content(fd, offset, length)
            yield entries.padding(sum(length for _, length in parts))
        finally:
            os.close(fd)


class _Merging(_Packing):
    """One walk over several trees at once: in each directory, their merged names."""

    def __init__(self, maps: Maps | None) -> None:
        super().__init__(overlay=False, maps=maps)

    def stream(self, directories: Sequence[str]) -> Iterator[bytes]:  # type: ignore[override]
        yield from self._merge(open_directories(directories), b"")
        yield entries.END

    def _merge(self, fds: list[int], path: bytes) -> Iterator[bytes]:
        """Yield a directory and its content; closes the descriptors."""
        try:
            yield self._entry(path or b".", os.fstat(fds[0]), fds[0]).encode()
            for name in sorted(os.fsencode(name) for name in shown_names(fds)):
                inside = entries.joined(path, name)
                found, below = step(fds, os.fsdecode(name))
                if below:
                    yield from self._merge(below, inside)
                elif found is not None:
                    yield from self._name(_holder(fds, name), name, inside, [])
        finally:
            close(fds)


class _Differing(_Packing):
    """The entries that a comparison reports, each looked up again from the top: symbolic links are not followed."""

    def __init__(self, maps: Maps | None) -> None:
        super().__init__(overlay=False, maps=maps)

    def stream(self, top: str, lowers: Sequence[str]) -> Iterator[bytes]:
        from pypod.images.layers.compare import compare

        for kind, path in compare([top], lowers):
            *parents, name = path.strip("/").split("/")
            fd = _descend(top, parents)
            if fd < 0:  # the removal of a directory covers its content
                continue
            try:
                yield from self._one(fd, kind, "/".join((*parents, "")), name)
            finally:
                os.close(fd)
        yield entries.END

    def _one(self, fd: int, kind: str, directory: str, name: str) -> Iterator[bytes]:
        before, own = os.fsencode(directory), os.fsencode(name)
        if own.startswith(_WHITEOUT):
            raise Unsupported(".wh.", f"no layer can hold a file named {directory}{name!r}", hint="rename it")
        if kind == DELETED:
            yield entries.Entry(path=before + _WHITEOUT + own).encode()
            return
        below = _descend(fd, [name])
        if below < 0:
            yield from self._name(fd, own, before + own, [])
            return
        try:
            yield self._entry(before + own, os.fstat(below), below).encode()
        finally:
            os.close(below)


def _descend(top: str | int, names: Sequence[str]) -> int:
    """Return a descriptor of the directory at the path of ``names``, or -1 if one of them is not a directory."""
    fd = os.dup(top) if isinstance(top, int) else os.open(top, OPEN_DIRECTORY & ~os.O_NOFOLLOW)
    for name in names:
        try:
            below = os.open(name, OPEN_DIRECTORY, dir_fd=fd)
        except (NotADirectoryError, FileNotFoundError):
            below = -1
        except OSError as error:
            if error.errno != errno.ELOOP:  # a symbolic link
                raise
            below = -1
        finally:
            os.close(fd)
        if below < 0:
            return -1
        fd = below
    return fd


def _holder(fds: Sequence[int], name: bytes) -> int:
    """Return the first of several directories that contains a name."""
    for fd in fds:
        try:
            os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            continue
        return fd
    return fds[0]


def _require_whole(fd: int, path: bytes) -> None:
    for name in _REFERENCES:
        if attribute(fd, name):
            raise Unsupported(name, f"{os.fsdecode(path)!r} refers to the layers below ({name})")


def _entry(path: bytes, status: os.stat_result, fd: int = -1) -> entries.Entry:
    is_device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    extended = carried_attributes(fd) if fd >= 0 else {}
    return entries.Entry(
        path=path,
        type=entries.type_of(status.st_mode),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0),
        records=tuple((b"SCHILY.xattr." + os.fsencode(name), value) for name, value in extended.items()),
    )
