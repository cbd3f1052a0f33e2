"""Kill a process at a chosen system call, by ptrace(2).

What strace's ``inject=...:signal=KILL:when=N`` does for one system call number, this does for the Nth call whatever it
is, and for the Nth call of any process that the traced one starts; and a run costs milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable

_SYSCALL, _GETEVENTMSG, _SEIZE = 24, 0x4201, 0x4206
_O_SYSGOOD, _O_FORK, _O_VFORK, _O_CLONE, _O_EXEC = 1, 2, 4, 8, 16
_WALL = 0x40000000
_DEADLINE_S = 20

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, data: int = 0) -> None:
    if _libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request}, {pid})")


def run(
    action: Callable[[], object],
    kill: tuple[int, int] | None = None,
    *,
    follow: bool = False,
    number: int = signal.SIGKILL,
) -> list[int]:
    """Run ``action`` in a forked process; SIGKILL process ``kill[0]`` when it enters its system call ``kill[1]``.

    ``number`` is another signal to send instead.
    Process 0 is the forked one; with ``follow`` 1, 2, ... are those that come of it, in the order of their making.
    Returns how many system calls each entered. What still runs when process 0 has ended goes on untraced.
    """
    results, results_in = os.pipe()
    tracer = os.fork()
    if tracer == 0:
        code = 1
        try:
            signal.alarm(_DEADLINE_S)
            counts = _Tracer(kill, number, follow=follow).trace(_traced(action, results_in))
            os.write(results_in, " ".join(map(str, counts)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(results_in)
    with os.fdopen(results) as reader:
        text = reader.read()
    _, status = os.waitpid(tracer, 0)
    assert status == 0, f"killing {kill}: somebody waits for ever (the tracer ended with {status:#x})"
    return [int(word) for word in text.split()]


def _traced(action: Callable[[], object], results_in: int) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(results_in)
            signal.alarm(_DEADLINE_S)  # it must not outlive a tracer that gave up
            os.kill(os.getpid(), signal.SIGSTOP)
            action()
            code = 0
        finally:
            os._exit(code)
    return pid


class _Tracer:
    def __init__(self, kill: tuple[int, int] | None, number: int, *, follow: bool) -> None:
        self._kill = kill
        self._number = number
        self._options = _O_SYSGOOD | ((_O_FORK | _O_VFORK | _O_CLONE | _O_EXEC) if follow else 0)
        self._roles: dict[int, int] = {}
        self._counts: list[int] = []
        self._inside: set[int] = set()

    def trace(self, first: int) -> list[int]:
        os.waitpid(first, _WALL | os.WUNTRACED)
        self._add(first)
        # not PTRACE_TRACEME: what comes of it would begin with a SIGSTOP, and stay stopped when we end before that
        _ptrace(_SEIZE, first, self._options)
        os.kill(first, signal.SIGCONT)
        while first in self._roles:
            pid, status = os.waitpid(-1, _WALL)
            if os.WIFSTOPPED(status):
                self._stopped(pid, status)
            else:
                self._roles.pop(pid, None)
        return self._counts

    def _add(self, pid: int) -> None:
        if pid not in self._roles:
            self._roles[pid] = len(self._counts)
            self._counts.append(0)

    def _stopped(self, pid: int, status: int) -> None:
        number, event = os.WSTOPSIG(status), status >> 16
        passed_on = 0
        if event in (1, 2, 3):  # fork, vfork, clone
            message = ctypes.c_ulong()
            _ptrace(_GETEVENTMSG, pid, ctypes.addressof(message))
            self._add(message.value)
        elif number == signal.SIGTRAP | 0x80:
            if self._at_system_call(pid):
                return
        elif event == 0 and number not in (signal.SIGTRAP, signal.SIGSTOP):
            passed_on = number
        self._add(pid)  # a child may stop before its parent reports it
        with contextlib.suppress(OSError):  # killed meanwhile
            _ptrace(_SYSCALL, pid, passed_on)

    def _at_system_call(self, pid: int) -> bool:
        """Count an entry; return whether this was the one to die at."""
        if pid in self._inside:
            self._inside.discard(pid)
            return False
        self._inside.add(pid)
        role = self._roles[pid]
        self._counts[role] += 1
        if self._kill != (role, self._counts[role]):
            return False
        os.kill(pid, self._number)
        return self._number == signal.SIGKILL
