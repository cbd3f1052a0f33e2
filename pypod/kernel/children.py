"""Child processes: descriptors for them, and their exit codes."""

from __future__ import annotations

import os

# Above every descriptor number that our programs are given.
FIRST_SAFE_FD = 10


def move_up(fd: int) -> int:
    """Move a descriptor above those that a child is given: a dup2 action of posix_spawn must not overwrite its source.

    Nor must it overwrite what a child opens by number, as /proc/self/fd/N.
    """
    if fd >= FIRST_SAFE_FD:
        return fd
    try:
        return copy_up(fd)
    finally:
        os.close(fd)


def copy_up(fd: int) -> int:
    """Return a duplicate of a descriptor above those that a child is given."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_SAFE_FD)


def reap(pid: int) -> None:
    """Reap a child. The caller's own wait for any child may have reaped it already."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return


def exit_code_of(pid: int) -> int:
    """Wait for a child and return its exit code, or the negated number of its signal.

    0 when the caller's process has reaped it elsewhere or ignores SIGCHLD: then success must be judged by other signs.
    """
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return 0
