"""Find the processes of a pid namespace, those of the namespaces below it included."""

from __future__ import annotations

import os

from pypod.kernel.pidfd import PROC
from pypod.kernel.proc import Proc


def members(pid: int, proc: Proc = PROC) -> list[int]:
    """Return the processes that a proc file system mounted in the pid namespace of ``pid`` shows, in ascending order.

    The pids are the caller's. The list is empty when the process has exited. Raises PermissionError.
    """
    try:
        wanted = _namespace(proc, pid)
    except (FileNotFoundError, ProcessLookupError):
        return []
    if wanted == _namespace(proc, "self"):
        return proc.pids()
    below: dict[str, bool] = {wanted: True, _namespace(proc, "self"): False}
    found = []
    for one in proc.pids():
        try:
            link = _namespace(proc, one)
        except OSError:  # gone, or another user's: that one is in no namespace that the caller owns
            continue
        if link not in below:
            below[link] = _is_below(proc, one, wanted)
        if below[link]:
            found.append(one)
    return found


def _namespace(proc: Proc, pid: int | str) -> str:
    return os.readlink(f"{proc.root}/{pid}/ns/pid")


def _is_below(proc: Proc, pid: int, wanted: str) -> bool:
    """Return whether the pid namespace of a process is a descendant of another."""
    import fcntl

    from pypod.kernel.abi import NS_GET_PARENT

    opened: list[int] = []
    try:
        opened.append(os.open(f"{proc.root}/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC))
        while True:
            opened.append(fcntl.ioctl(opened[-1], NS_GET_PARENT))
            if f"pid:[{os.fstat(opened[-1]).st_ino}]" == wanted:
                return True
    except OSError:  # the root of the tree or beyond the caller's own namespace, or the process has exited
        return False
    finally:
        for fd in opened:
            os.close(fd)
