"""What is mounted on the host inside a storage: the roots of containers and images, file systems of volumes."""

from __future__ import annotations

import os

from pypod.kernel.proc import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context

_DETACH, _NOFOLLOW = 2, 8  # umount(2)
_NAME = "merged"  # as in podman


def points(process: str = "self") -> frozenset[str]:
    """Return the mount points of a process's mount namespace. os.path.ismount does not see binds of the same device."""
    lines = read_text(f"/proc/{process}/mountinfo").splitlines()
    return frozenset(line.split(" ", 5)[4] for line in lines)


def as_shown(path: str) -> str:
    """Return a path as /proc/PID/mountinfo shows it (proc(5))."""
    real = f"{os.path.realpath(os.path.dirname(path))}/{os.path.basename(path)}"
    return real.replace("\\", r"\134").replace(" ", r"\040").replace("\n", r"\012")


def detach(path: str) -> bool:
    """Unmount what is on a path and remove the mount point; return whether anything was. Files open in it stay usable.

    A mount in another mount namespace is detached when its mount point is removed (vfs_rmdir in fs/namei.c).
    """
    from pypod.kernel import syscalls

    was_mounted = os.path.isdir(path) and as_shown(path) in points()
    if was_mounted:
        syscalls.umount2(path, _DETACH | _NOFOLLOW)
    try:
        os.rmdir(path)
    except OSError:  # none was made, or it is mounted in another namespace as well
        return was_mounted
    return was_mounted


def of_container(directory: str) -> str:
    """Return where the root of the container with this directory is mounted on the host, if it is."""
    return f"{directory}/{_NAME}"


def mounted_roots(context: Context, identifiers: list[str]) -> dict[str, str]:
    """Return where the roots of those of some containers are that are mounted, by id."""
    paths = {one: of_container(context.layout.container(one)) for one in identifiers}
    there = {one: path for one, path in paths.items() if os.path.lexists(path)}
    now = points() if there else ()
    return {one: path for one, path in there.items() if as_shown(path) in now}


def detach_root(directory: str) -> None:
    """Unmount the root of a container that is being removed: its files are deleted, not what is mounted over them."""
    path = of_container(directory)
    if os.path.lexists(path):
        detach(path)
