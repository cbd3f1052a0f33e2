"""Compare two trees that are each made of layers: what the kernel would show of them, without mounting anything."""

from __future__ import annotations

import errno
import os
import stat

from pypod.errors import SystemFailure
from pypod.images.stack import close, is_whiteout, open_directories, step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DEPTH_LIMIT = 200  # of directories in each other; each has descriptors here
_FIELDS = ("st_mode", "st_uid", "st_gid", "st_rdev")


def compare(new: Sequence[str], old: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield how the tree of the layers ``new`` differs from that of ``old``, each the topmost first.

    (``A``, ``C`` or ``D``, path), in the order of the paths; a directory that leads to a difference is ``C`` as well.
    Files are alike by owner, mode, size and time, as podman has it. Raises OSError.
    """
    ours = open_directories(new)
    try:
        theirs = open_directories(old)
    except BaseException:
        close(ours)
        raise
    yield from _directory("", ours, theirs)


def _directory(path: str, ours: list[int], theirs: list[int]) -> Iterator[tuple[str, str]]:
    """Yield what is different in a directory; closes the descriptors."""
    try:
        if path.count("/") > _DEPTH_LIMIT:
            raise SystemFailure("compare", errno.ENAMETOOLONG, f"a path is too long: {path[:80]!r}...")
        for name in sorted(_names(ours) | _names(theirs)):
            yield from _name(f"{path}/{name}", name, ours, theirs)
    finally:
        close((*ours, *theirs))


def _name(path: str, name: str, ours: list[int], theirs: list[int]) -> Iterator[tuple[str, str]]:
    now, inside = step(ours, name)
    try:
        before, inside_before = step(theirs, name)
    except BaseException:
        close(inside)
        raise
    if now is None:
        close((*inside, *inside_before))
        yield "D", path
        return
    kind = "A" if before is None else "C" if _differ(now, before) else ""
    if kind:
        yield kind, path
    deeper = _directory(path, inside, inside_before)
    for found in deeper:
        if not kind:
            yield "C", path
            kind = "C"
        yield found


def _differ(one: os.stat_result, other: os.stat_result) -> bool:
    if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        return False
    if any(getattr(one, field) != getattr(other, field) for field in _FIELDS) or one.st_mtime_ns != other.st_mtime_ns:
        return True
    return not stat.S_ISDIR(one.st_mode) and one.st_size != other.st_size


def _names(layers: Sequence[int]) -> set[str]:
    """Return the names in directories that lie on each other, without those that the upper ones delete."""
    found: set[str] = set()
    for fd in reversed(layers):
        for name in os.listdir(fd):
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            (found.discard if is_whiteout(status) else found.add)(name)
    return found
