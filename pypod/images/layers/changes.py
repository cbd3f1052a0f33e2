"""The changes that an overlay's upper directory makes to the directories below."""

from __future__ import annotations

import errno
import os
import stat

from pypod.errors import SystemFailure
from pypod.images.layers.stack import (
    DEPTH_LIMIT,
    OPEN_DIRECTORY,
    close,
    is_opaque,
    is_whiteout,
    names,
    open_directories,
    shown_names,
    step,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ADDED, CHANGED, DELETED = "A", "C", "D"


def changes(upper: str, lowers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the changes in an overlay's upper directory: (``A``, ``C`` or ``D``, path), in the order of the paths.

    A directory that only leads to a change is ``C`` as well, as in podman. One that was removed and created again is
    ``C`` and its lost entries ``D``, where podman 4.3 reports it as ``D`` although it exists. ``lowers`` are the
    directories below, topmost first. Raises OSError; SystemFailure for paths that are too long.
    """
    below = open_directories(lowers)
    try:
        (fd,) = open_directories([upper])
    except BaseException:
        close(below)
        raise
    yield from _changes_in(fd, "", below)


def _changes_in(fd: int, path: str, lowers: list[int]) -> Iterator[tuple[str, str]]:
    """Yield the differences in a directory; closes the descriptors."""
    try:
        own = set(names(fd))
        hidden = shown_names(lowers) - own if is_opaque(fd) else set()
        for name in sorted(own | hidden):
            if name in hidden:
                yield DELETED, f"{path}/{name}"
            else:
                yield from _change(fd, name, f"{path}/{name}", lowers)
    finally:
        close((fd, *lowers))


def _change(parent: int, name: str, path: str, lowers: list[int]) -> Iterator[tuple[str, str]]:
    if path.count("/") > DEPTH_LIMIT:
        raise SystemFailure("compare", errno.ENAMETOOLONG, f"a path is too long: {path[:80]!r}...")
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    before, below = step(lowers, name)
    if is_whiteout(status) or not stat.S_ISDIR(status.st_mode):
        close(below)
        if not is_whiteout(status):
            yield CHANGED if before else ADDED, path
        elif before:
            yield DELETED, path
        return
    if before is None or not stat.S_ISDIR(before.st_mode) or not _are_alike(before, status):
        yield CHANGED if before else ADDED, path
        yield from _changes_in(os.open(name, OPEN_DIRECTORY, dir_fd=parent), path, below)
        return
    inside = [*_changes_in(os.open(name, OPEN_DIRECTORY, dir_fd=parent), path, below)]
    if any(kind != CHANGED for kind, _ in inside):
        yield CHANGED, path
    yield from inside


def _are_alike(one: os.stat_result, other: os.stat_result) -> bool:
    return all(getattr(one, field) == getattr(other, field) for field in ("st_mode", "st_uid", "st_gid", "st_mtime_ns"))
