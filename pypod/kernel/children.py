"""Processes that we start: descriptors for them, and how they ended."""

from __future__ import annotations

import os

# Above every number that a program of ours is given a descriptor under.
FIRST_SAFE_FD = 10


def move_up(fd: int) -> int:
    """Move a descriptor above those that a child is given: a dup2 action of posix_spawn may not clobber its source.

    What a child opens by number, as /proc/self/fd/N, is such a source, too.
    """
    if fd >= FIRST_SAFE_FD:
        return fd
    try:
        return copy_up(fd)
    finally:
        os.close(fd)


def copy_up(fd: int) -> int:
    """Return a copy of a descriptor above those that a child is given."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_SAFE_FD)


def exit_code_of(pid: int) -> int:
    """Wait for a child and return its exit code, or a signal's number below zero.

    0 when the caller has seen its end, who waits for any child or ignores SIGCHLD: then other signs must tell.
    """
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return 0
