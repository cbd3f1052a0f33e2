"""Processes that we started: how they ended."""

from __future__ import annotations

import os


def exit_code_of(pid: int) -> int:
    """Wait for a child and return its exit code, or a signal's number below zero.

    0 when the caller has seen its end, who waits for any child or ignores SIGCHLD: then other signs must tell.
    """
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return 0
