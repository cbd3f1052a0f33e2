"""Kill a process at a chosen system call, or make the call fail, with ptrace(2).

strace's ``inject=...:signal=KILL:when=N`` counts the calls with one system call number; this counts all calls, also
those of each process that the traced one starts, and a run takes milliseconds.
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
_GETREGS, _SETREGS = 12, 13
_RAX, _ORIG_RAX = 10, 15  # in struct user_regs_struct of x86_64
# Calls that can fail in practice, with their x86_64 numbers: all but those for memory, signals and clocks.
FAILING_CALLS = {
    **{"read": 0, "write": 1, "open": 2, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "ioctl": 16},
    **{"pread64": 17, "pwrite64": 18, "access": 21, "pipe": 22, "dup": 32, "dup2": 33, "socket": 41},
    **{"connect": 42, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "bind": 49, "socketpair": 53},
    **{"clone": 56, "fork": 57, "vfork": 58, "kill": 62, "fcntl": 72, "flock": 73, "fsync": 74},
    **{"fdatasync": 75, "ftruncate": 77, "chdir": 80, "rename": 82, "mkdir": 83, "rmdir": 84, "link": 86},
    **{"unlink": 87, "symlink": 88, "readlink": 89, "chmod": 90, "fchmod": 91, "chown": 92, "statfs": 137},
    **{"mount": 165, "umount2": 166, "getdents64": 217, "openat": 257, "mkdirat": 258, "newfstatat": 262},
    **{"unlinkat": 263, "renameat": 264, "dup3": 292, "pipe2": 293, "setns": 308, "renameat2": 316},
    **{"memfd_create": 319, "statx": 332, "pidfd_send_signal": 424, "pidfd_open": 434, "clone3": 435},
    **{"openat2": 437},
}
_DEADLINE_S = 20

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, data: int = 0) -> None:
    if _libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request}, {pid})")


def _registers(pid: int) -> ctypes.Array[ctypes.c_long]:
    registers = (ctypes.c_long * 27)()
    _ptrace(_GETREGS, pid, ctypes.addressof(registers))
    return registers


def _register(pid: int, index: int) -> int:
    return _registers(pid)[index]


def _change(pid: int, index: int, value: int) -> None:
    registers = _registers(pid)
    registers[index] = value
    _ptrace(_SETREGS, pid, ctypes.addressof(registers))


def run(
    action: Callable[[], object],
    kill: tuple[int, int] | None = None,
    *,
    follow: bool = False,
    number: int = signal.SIGKILL,
    error: int = 0,
) -> list[int]:
    """Run ``action`` in a forked process; SIGKILL process ``kill[0]`` when it enters its system call ``kill[1]``.

    ``number`` is another signal to send instead. With ``error`` no process is killed: the call fails with that errno,
    and only calls in FAILING_CALLS are counted.
    Process 0 is the forked one; with ``follow``, 1, 2, ... are its descendants in the order of their creation.
    Return how many system calls each entered. Processes that outlive process 0 continue untraced.
    """
    results, results_in = os.pipe()
    tracer = os.fork()
    if tracer == 0:
        code = 1
        try:
            signal.alarm(_DEADLINE_S)
            counts = _Tracer(kill, number, follow=follow, error=error).trace(_traced(action, results_in))
            os.write(results_in, " ".join(map(str, counts)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(results_in)
    with os.fdopen(results) as reader:
        text = reader.read()
    _, status = os.waitpid(tracer, 0)
    assert status == 0, f"killing {kill}: a process hangs (the tracer ended with {status:#x})"
    return [int(word) for word in text.split()]


def _traced(action: Callable[[], object], results_in: int) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(results_in)
            signal.alarm(_DEADLINE_S)  # it must not outlive a tracer that timed out
            os.kill(os.getpid(), signal.SIGSTOP)
            action()
            code = 0
        finally:
            os._exit(code)
    return pid


class _Tracer:
    def __init__(self, kill: tuple[int, int] | None, number: int, *, follow: bool, error: int) -> None:
        self._kill = kill
        self._number = number
        self._error = error
        self._failing: set[int] = set()
        self._options = _O_SYSGOOD | ((_O_FORK | _O_VFORK | _O_CLONE | _O_EXEC) if follow else 0)
        self._roles: dict[int, int] = {}
        self._counts: list[int] = []
        self._inside: set[int] = set()

    def trace(self, first: int) -> list[int]:
        os.waitpid(first, _WALL | os.WUNTRACED)
        self._add(first)
        # not PTRACE_TRACEME: its children would begin with a SIGSTOP, and stay stopped if the tracer ends before that
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
        with contextlib.suppress(OSError):  # killed in the meantime
            _ptrace(_SYSCALL, pid, passed_on)

    def _at_system_call(self, pid: int) -> bool:
        """Count the entry of a system call; return whether the process was killed at it."""
        if pid in self._inside:
            self._inside.discard(pid)
            if pid in self._failing:
                self._failing.discard(pid)
                _change(pid, _RAX, -self._error)
            return False
        self._inside.add(pid)
        if self._error and _register(pid, _ORIG_RAX) not in FAILING_CALLS.values():
            return False
        role = self._roles[pid]
        self._counts[role] += 1
        if self._kill != (role, self._counts[role]):
            return False
        if self._error:
            _change(pid, _ORIG_RAX, -1)  # an invalid number: the kernel does nothing
            self._failing.add(pid)
            return False
        os.kill(pid, self._number)
        return self._number == signal.SIGKILL
