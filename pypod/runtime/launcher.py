"""Hand a plan to one of the C programs and read its reports.

Python neither forks nor joins a namespace: posix_spawn starts the program, the plan is a file in memory, and 64-byte
reports come back (pause/common/report.h). The layout of both is documented in docs/wire-format.md.
"""

from __future__ import annotations

import os
import sys
from _struct import Struct  # the C half alone, as everywhere

from pypod.errors import LaunchFailed
from pypod.kernel.children import FIRST_SAFE_FD, copy_up, move_up, reap
from pypod.kernel.descriptors import write_all
from pypod.model.value import Value
from pypod.runtime.sealed_programs import renew

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Self

    from pypod.runtime.ops import Plan

STARTED, FAILED, EXITED = 1, 2, 3
_REPORT = Struct("<IIiiQi36s")
REPORT_BYTES = _REPORT.size
_PLAN_FD, _REPORT_FD = 3, 4
_ETXTBSY = 26
# Signals that the caller ignores (Python ignores SIGPIPE) stay ignored across exec. Not SIGKILL and SIGSTOP, which
# nobody can ignore, nor 32 and 33, which glibc keeps to itself: pause/supervise/begin.c resets those.
_SIGNALS = tuple(number for number in range(1, 65) if number not in {9, 19, 32, 33})


class Report(Value):
    """One report of a program."""

    kind: int
    operation: int
    error: int
    pid: int
    start_time: int
    status: int
    call: str


def parse_report(data: bytes) -> Report:
    """Parse a 64-byte report, laid out as in pause/common/report.h."""
    kind, operation, error, pid, start_time, status, call = _REPORT.unpack(data)
    return Report(
        kind=kind,
        operation=operation,
        error=error,
        pid=pid,
        start_time=start_time,
        status=status,
        call=call.partition(b"\0")[0].decode("ascii", "replace"),
    )


class Launched:
    """A program that runs a plan and has sent its first report; ``report_fd`` brings more unless it is -1.

    ``terminal_fd`` is the master of the process's terminal if the plan has one and it was passed over the socket.
    ``late_failure`` is that of a hook which runs when the process already does.
    """

    __slots__ = ("late_failure", "pid", "process_pid", "report_fd", "start_time", "terminal_fd")

    def __init__(
        self, pid: int, report: Report, report_fd: int, terminal_fd: int, late_failure: Exception | None = None
    ) -> None:
        self.pid = pid
        self.process_pid = report.pid
        self.start_time = report.start_time
        self.report_fd = report_fd
        self.terminal_fd = terminal_fd
        self.late_failure = late_failure


class Launching:
    """A program that was started and waits for its plan: it loads while the plan is still being computed.

    ``stdio`` are descriptors for 0, 1 and 2 (-1: /dev/null). The program stays our child and reports the exit, unless
    there is a ``group``: then it goes on detached from us in that cgroup directory (empty: in our own).
    ``bring`` is called with its pid before that, to move it where it can enter cgroups. ``passed`` are descriptors for
    the process of the plan, which has the operation ``descriptors`` for them.
    ``run`` may be called once; leaving the block without it ends the program before it has done anything.
    """

    def __init__(
        self,
        executable: str,
        name: str,
        *,
        stdio: tuple[int, int, int] = (-1, -1, -1),
        group: str | None = None,
        bring: Callable[[int], object] | None = None,
    ) -> None:
        import _socket

        if _left:
            _reap_left()
        self._name = name
        self._keep_report = group is None
        self._plan_fd = move_up(os.memfd_create("plan", os.MFD_CLOEXEC))
        try:
            # A socket, because it supports MSG_NOSIGNAL and can pass the terminal; SEQPACKET keeps reports apart.
            ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC, 0)
            report_fd = move_up(theirs.detach())
            try:
                argv = [name] if group is None else [name, group, *(["held"] if bring else [])]
                self._pid = _spawn(executable, argv, self._plan_fd, report_fd, stdio)
            except BaseException:
                ours.close()
                raise
            finally:
                os.close(report_fd)
        except BaseException:
            os.close(self._plan_fd)
            raise
        self._channel: _socket.socket | None = ours
        self.passed: tuple[int, ...] = ()
        if bring is not None:
            try:
                bring(self._pid)
            except BaseException:
                self.__exit__()
                raise
            if group is not None:
                _tell(ours)

    def run(self, plan: Plan, meanwhile: Callable[[], object] | None = None, *, lock_fd: int = -1) -> Launched:
        """Hand the plan over and wait until its process runs; ``meanwhile`` is called while the program works.

        The program holds ``lock_fd`` as well until the start is recorded: if we are killed, a half-started container is
        not mistaken for one that does not run.

        Raises CommandNotFound, CommandNotExecutable or LaunchFailed, naming the operation and the call that failed.
        """

        channel, self._channel = self._channel, None
        assert channel is not None, "run was called before"  # noqa: S101
        try:
            try:
                write_all(self._plan_fd, plan.encode())
            finally:
                os.close(self._plan_fd)  # the program has its own copy
            _tell(channel, *((lock_fd,) if lock_fd >= 0 else ()), *self.passed)
            try:
                if meanwhile is not None:
                    meanwhile()
            finally:
                data, passed = _receive(channel)
        except BaseException:
            channel.close()
            reap_later(self._pid)
            raise
        report = parse_report(data) if len(data) == REPORT_BYTES else None
        started = report is not None and report.kind == STARTED
        if not (self._keep_report and started):
            channel.close()
            reap(self._pid)
        if report is None or not started:
            from pypod.runtime.failures import failure

            raise failure(plan, report, self._name)
        late = None
        if report.error:
            from pypod.runtime.failures import failure

            late = failure(plan, report, self._name)
        return Launched(self._pid, report, channel.detach() if self._keep_report else -1, passed, late)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
            os.close(self._plan_fd)
            reap(self._pid)


def wait_for_exit(launched: Launched) -> int:
    """Return the wait status of the process of a program that was started without ``group``, and reap the program.

    Raises LaunchFailed when the program died before it could report.
    """
    data = b""
    if launched.report_fd >= 0:
        data = os.read(launched.report_fd, REPORT_BYTES)
        os.close(launched.report_fd)
        launched.report_fd = -1
        reap(launched.pid)
    if len(data) != REPORT_BYTES:
        raise LaunchFailed("wait for the process", "read", 32, message="the launcher died: the exit code is unknown")
    return parse_report(data).status


def release(launched: Launched) -> None:
    """Release a program that was started without ``group``, without waiting for its exit."""
    if launched.report_fd >= 0:
        os.close(launched.report_fd)
        launched.report_fd = -1
        reap_later(launched.pid)


# Children that nobody waits for. As in subprocess, each later start checks whether they have ended.
_left: set[int] = set()


def reap_later(pid: int) -> None:
    """Reap a child once it has ended, without waiting for that."""
    _left.add(pid)
    _reap_left()


def _reap_left() -> None:
    for pid in tuple(_left):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # after a fork they are children of the parent
            ended = pid
        if ended:
            _left.discard(pid)


def _spawn(executable: str, argv: list[str], plan_fd: int, report_fd: int, stdio: tuple[int, int, int]) -> int:
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = []
    copies: list[int] = []
    try:
        for target, fd in enumerate(stdio):
            if fd < 0:
                actions.append((os.POSIX_SPAWN_OPEN, target, "/dev/null", os.O_RDWR, 0))
                continue
            source = fd
            if fd < FIRST_SAFE_FD:
                source = copy_up(fd)
                copies.append(source)
            actions.append((os.POSIX_SPAWN_DUP2, source, target))
        actions.append((os.POSIX_SPAWN_DUP2, plan_fd, _PLAN_FD))
        actions.append((os.POSIX_SPAWN_DUP2, report_fd, _REPORT_FD))
        try:
            return os.posix_spawn(executable, argv, {}, file_actions=actions, setsigdef=_SIGNALS)
        except OSError as error:
            if error.errno != _ETXTBSY or not renew(executable):
                raise
            return os.posix_spawn(executable, argv, {}, file_actions=actions, setsigdef=_SIGNALS)
    finally:
        for fd in copies:
            os.close(fd)


def _tell(channel: _socket.socket, *fds: int) -> None:
    """Signal that the plan is complete; ignore a program that has already ended: it may have reported why."""
    import _socket

    try:
        if not fds:
            channel.send(b"g", _socket.MSG_NOSIGNAL)
            return
        passed = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, b"".join([fd.to_bytes(4, sys.byteorder) for fd in fds]))
        channel.sendmsg([b"g"], [passed], _socket.MSG_NOSIGNAL)
    except BrokenPipeError:
        return


def _receive(channel: _socket.socket) -> tuple[bytes, int]:
    """Return one report (empty at end of file) and the descriptor that came with it, or -1."""
    import _socket

    room = _socket.CMSG_SPACE(4)
    try:
        data, ancillary, _flags, _address = channel.recvmsg(REPORT_BYTES, room)
    except ConnectionResetError:  # the peer closed without reading our byte, which the kernel reports first
        data, ancillary, _flags, _address = channel.recvmsg(REPORT_BYTES, room)
    passed = -1
    for level, kind, content in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            passed = int.from_bytes(content[:4], "little")
            os.set_inheritable(passed, False)
    return data, passed
