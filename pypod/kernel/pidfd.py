"""Processes by descriptor. A pid alone is never trusted: the kernel may have reused it.

A process is identified by pid and start time, stored together with the boot id. Two processes of one boot could share
both only if the pid range wrapped around within one clock tick (10 ms).
"""

from __future__ import annotations

import errno
import os

from pypod.kernel.proc import VANISHED, Proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    # The stubs do not know the C half; importing the Python half costs 4 ms (enum).
    import signal as _signal
    from collections.abc import Iterable
else:
    import _signal

PROC = Proc()


class Process:
    """The identity of one process: a hashable value, valid until the next boot of the machine."""

    __slots__ = ("pid", "start_time")

    def __init__(self, pid: int, start_time: int) -> None:
        self.pid = pid
        self.start_time = start_time

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Process) and (self.pid, self.start_time) == (other.pid, other.start_time)

    def __hash__(self) -> int:
        return hash((self.pid, self.start_time))

    def __repr__(self) -> str:
        return f"Process({self.pid}, {self.start_time})"


def identify(pid: int, *, proc: Proc = PROC) -> Process | None:
    """Return the identity of the process that now has ``pid``, None when there is none."""
    stat = proc.stat(pid)
    return None if stat is None or stat.is_gone else Process(pid, stat.start_time)


def is_alive(pid: int, start_time: int, *, proc: Proc = PROC) -> bool:
    """Return whether this very process is running and not a zombie. One read of /proc/PID/stat."""
    return proc.is_running(pid, start_time)


def open_process(pid: int, start_time: int, *, proc: Proc = PROC) -> int | None:
    """Return a descriptor (close-on-exec; the caller closes it) of this very process, None when it has exited.

    The start time is checked after opening. A match then proves that the descriptor refers to the right process: if it
    referred to a later one with the same pid, the right one would be gone already and could not match.
    """
    fd = open_pid(pid)
    if fd is None:
        return None
    try:
        alive = is_alive(pid, start_time, proc=proc)
    except BaseException:
        os.close(fd)
        raise
    if alive:
        return fd
    os.close(fd)
    return None


def open_pid(pid: int) -> int | None:
    """Return a descriptor of the process that now has ``pid``, None when there is none."""
    try:
        return os.pidfd_open(pid)
    except VANISHED:
        return None
    except OSError as error:
        # No process has this pid, or it is that of a thread other than a leader (ENOENT since Linux 6.16).
        if error.errno == errno.EINVAL:
            return None
        raise


def send_signal(fd: int, number: int) -> bool:
    """Send a signal to the process of a descriptor; return False when it has exited and been reaped."""
    try:
        _signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    return True


def wait(fd: int, timeout_s: float | None = None) -> bool:
    """Wait until the process of a descriptor has exited, reaped or not; return False after ``timeout_s``.

    Any process may wait, not only the parent; the exit code is available to the parent only.
    """
    import select

    poll = select.poll()
    poll.register(fd, select.POLLIN)
    # poll(2) takes a negative timeout as infinite, and a C int; an expired deadline must become neither.
    timeout_ms = None if timeout_s is None else min(max(timeout_s, 0) * 1000, 2**31 - 1)
    return bool(poll.poll(timeout_ms))


def wait_any(fds: Iterable[int], timeout_s: float) -> list[int]:
    """Wait until one of several processes has exited; return the descriptors of those that have."""
    import select

    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(min(max(timeout_s, 0) * 1000, 2**31 - 1))]


def end(pid: int, start_time: int, number: int, timeout_s: float) -> bool:
    """Signal a process, if it is the right one, and wait for its exit; return whether it was running."""
    fd = open_process(pid, start_time)
    if fd is None:
        return False
    try:
        send_signal(fd, number)
        wait(fd, timeout_s)
    finally:
        os.close(fd)
    return True
