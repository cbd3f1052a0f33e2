"""Compare two trees that are each made of layers, as the kernel would show them, without mounting anything."""

from __future__ import annotations

import errno
import os
import stat

from pypod.errors import SystemFailure
from pypod.images.layers.changes import ADDED, CHANGED, DELETED
from pypod.images.layers.stack import DEPTH_LIMIT, close, open_directories, shown_names, step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FIELDS = ("st_mode", "st_uid", "st_gid", "st_rdev")


def compare(new: Sequence[str], old: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the differences of the tree of the layers ``new`` from that of ``old``, each topmost first.

    (``A``, ``C`` or ``D``, path), in the order of the paths. A directory that leads to something added or
    deleted is ``C`` as well; one that only leads to something changed is not. Files are compared by owner, mode,
    size and time. All of this follows podman (containers/storage: pkg/archive/changes.go). Directories that consist of
    the same layers in both are skipped. Raises OSError.
    """
    ours = open_directories(new)
    try:
        theirs = open_directories(old)
    except BaseException:
        close(ours)
        raise
    yield from _directory("", ours, theirs)


def _directory(path: str, ours: list[int], theirs: list[int]) -> list[tuple[str, str]]:
    """Return the differences in a directory; closes the descriptors."""
    try:
        if path.count("/") > DEPTH_LIMIT:
            raise SystemFailure("compare", errno.ENAMETOOLONG, f"a path is too long: {path[:80]!r}...")
        if _identities(ours) == _identities(theirs):
            return []
        found = []
        for name in sorted(shown_names(ours) | shown_names(theirs)):
            found += _name(f"{path}/{name}", name, ours, theirs)
        return found
    finally:
        close((*ours, *theirs))


def _identities(layers: Sequence[int]) -> list[tuple[int, int]]:
    return [(status.st_dev, status.st_ino) for status in map(os.fstat, layers)]


def _name(path: str, name: str, ours: list[int], theirs: list[int]) -> list[tuple[str, str]]:
    now, inside = step(ours, name)
    try:
        before, inside_before = step(theirs, name)
    except BaseException:
        close(inside)
        raise
    if now is None:
        close((*inside, *inside_before))
        return [(DELETED, path)] if before is not None else []
    deeper = _directory(path, inside, inside_before)
    if before is None:
        return [(ADDED, path), *deeper]
    leads = any(kind != CHANGED for kind, _ in deeper)
    return [*([(CHANGED, path)] if leads or _differ(now, before) else []), *deeper]


def _differ(one: os.stat_result, other: os.stat_result) -> bool:
    if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        return False
    if any(getattr(one, field) != getattr(other, field) for field in _FIELDS) or one.st_mtime_ns != other.st_mtime_ns:
        return True
    return not stat.S_ISDIR(one.st_mode) and one.st_size != other.st_size
