"""Commands that run in containers beside their first process: their streams, input and exit code."""

from __future__ import annotations

import _thread
import os
from _collections_abc import Iterator

from pypod.engine.core import types
from pypod.engine.core.boundary import Boundary
from pypod.engine.lifecycle import exec as execution
from pypod.errors import DeadlineExceeded, InvalidSpec
from pypod.kernel import pidfd
from pypod.kernel.descriptors import write_all
from pypod.model.value import Value
from pypod.runtime import launcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.lifecycle.exec import ExecSpec
    from pypod.store.records import ContainerRecord

_CHUNK_BYTES = 1 << 16
_EVERYTHING = 1 << 62  # bytes


class ExecResult(Value):
    """The result of a command: ``exit_code`` is 128 + n after signal n; the streams are bytes."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


class Process:
    """A command that runs in a container: its output as a stream, its input, and its exit code.

    Iterating yields (stream, bytes), stream being ``stdout`` or ``stderr``, until both have ended. As a context manager
    it ends with the block: a command that is still running is killed.
    """

    def __init__(self, launched: launcher.Launched, pipes: tuple[int, int, int]) -> None:
        self._launched = launched
        self._stdin, self._stdout, self._stderr = pipes
        self._exit_code: int | None = None
        self._started_by = os.getpid()
        self._waiting = _thread.allocate_lock()
        self.pid = launched.process_pid
        self.terminal_fd = launched.terminal_fd  # our end of its terminal, -1 without one

    @property
    def report_fd(self) -> int:
        """A descriptor that is readable once the command has ended."""
        return self._launched.report_fd

    @property
    def stdin_fd(self) -> int:
        """The descriptor of its standard input, -1 when it has none or when it was closed."""
        return self._stdin

    def streams(self) -> dict[int, int]:
        """Return the descriptors to read its output from, each with 1 for stdout or 2 for stderr."""
        return {fd: number for fd, number in ((self._stdout, 1), (self._stderr, 2)) if fd >= 0}

    def write(self, data: bytes) -> None:
        """Send bytes to the command's standard input.

        Raises BrokenPipeError when the command has closed its input, InvalidSpec when it was started without
        ``stdin=True`` or ``close_stdin`` was called.
        """
        if self._stdin < 0:
            raise InvalidSpec("stdin", "the command has no open standard input", hint="start it with stdin=True")
        write_all(self._stdin, data)

    def close_stdin(self) -> None:
        """Close the command's standard input."""
        if self._stdin >= 0:
            fd, self._stdin = self._stdin, -1  # cleared before the close, see engine/core/locks.py
            os.close(fd)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        import select

        with Boundary("read what the command writes"):
            poll = select.poll()
            open_streams = {self._stdout: "stdout", self._stderr: "stderr"}
            open_streams.pop(-1, None)
            for fd in open_streams:
                poll.register(fd, select.POLLIN)
            while open_streams:
                for fd, _ in poll.poll():
                    data = os.read(fd, _CHUNK_BYTES)
                    if data:
                        yield open_streams[fd], data
                    else:
                        poll.unregister(fd)
                        del open_streams[fd]

    def kill(self, number: int = 9) -> None:
        """Send a signal to the command; does nothing when it has ended."""
        fd = pidfd.open_process(self.pid, self._launched.start_time)
        if fd is not None:
            try:
                pidfd.send_signal(fd, number)
            finally:
                os.close(fd)

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the command and return its exit code. Raises DeadlineExceeded after ``timeout_s`` seconds."""
        # the exit is reported only once, however many threads wait
        if not self._waiting.acquire(timeout=-1 if timeout_s is None else max(timeout_s, 0)):
            raise DeadlineExceeded("wait for the command", timeout_s or 0)
        try:
            if self._exit_code is None:
                if timeout_s is not None and not _readable(self._launched.report_fd, timeout_s):
                    raise DeadlineExceeded("wait for the command", timeout_s)
                with Boundary("wait for the command"):
                    status = launcher.wait_for_exit(self._launched)
                self._exit_code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
            return self._exit_code
        finally:
            self._waiting.release()

    def close(self) -> None:
        """Close the streams and the terminal; the command keeps running, but its terminal hangs up."""
        self.close_stdin()
        if self.terminal_fd >= 0:
            fd, self.terminal_fd = self.terminal_fd, -1
            os.close(fd)
        while self._stdout >= 0 or self._stderr >= 0:
            self._stdout, self._stderr, fd = self._stderr, -1, self._stdout
            if fd >= 0:
                os.close(fd)

    def __enter__(self) -> types.Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._exit_code is None and self._started_by == os.getpid():  # a fork must not kill it
                self.kill()
                self.wait()
        finally:
            self.close()

    def __del__(self) -> None:
        self.close()
        launcher.release(self._launched)


def _readable(fd: int, timeout_s: float) -> bool:
    import select

    if fd < 0:
        return True
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(timeout_s, 0) * 1000))


def execute(context: Context, record: ContainerRecord, spec: ExecSpec, *, stdin: bool = False) -> Process:
    """Start a command on a terminal if requested, else with pipes for its output and, with ``stdin``, its input."""
    if spec.terminal:
        return Process(execution.start(context, record, spec, (-1, -1, -1)), (-1, -1, -1))
    pairs = _pipes(f"exec in container {record.name}", 3 if stdin else 2)
    inside = (pairs[2][0] if stdin else -1, pairs[0][1], pairs[1][1])
    outside = (pairs[2][1] if stdin else -1, pairs[0][0], pairs[1][0])
    try:
        launched = execution.start(context, record, spec, inside)
    except BaseException:
        for fd in outside:
            if fd >= 0:
                os.close(fd)
        raise
    finally:
        for fd in inside:
            if fd >= 0:
                os.close(fd)
    return Process(launched, outside)


def _pipes(operation: str, count: int) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    with Boundary(operation):
        try:
            while len(made) < count:
                made.append(os.pipe2(os.O_CLOEXEC))
        except BaseException:
            for fd in (end for pair in made for end in pair):
                os.close(fd)
            raise
    return made


def run(
    context: Context,
    record: ContainerRecord,
    spec: ExecSpec,
    stdin: bytes | None,
    timeout_s: float | None,
    *,
    keep_bytes: int = _EVERYTHING,
) -> ExecResult:
    """Run a command to its end and return the first ``keep_bytes`` of each stream; the rest is read and discarded.

    Raises DeadlineExceeded on timeout, after killing the command.
    """
    import time

    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    kept = {"stdout": bytearray(), "stderr": bytearray()}
    with execute(context, record, spec, stdin=stdin is not None) as process:
        try:
            with Boundary(f"exec in container {record.name}"):
                _exchange(process, stdin or b"", kept, keep_bytes, deadline)
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            code = process.wait(left)
        except DeadlineExceeded:
            process.kill()
            process.wait()
            raise DeadlineExceeded(f"exec {spec.command[0]}", timeout_s or 0) from None
        except BaseException:  # KeyboardInterrupt: the command must not be left behind
            process.kill()
            raise
    return ExecResult(exit_code=code, stdout=bytes(kept["stdout"]), stderr=bytes(kept["stderr"]))


def _exchange(
    process: Process, stdin: bytes, kept: dict[str, bytearray], keep_bytes: int, deadline: float | None
) -> None:
    """Write input and read output concurrently, so that neither side waits for the other forever."""
    import select
    import time

    streams = {process._stdout: "stdout", process._stderr: "stderr"}
    poll = select.poll()
    for fd in streams:
        poll.register(fd, select.POLLIN)
    if process._stdin >= 0:
        os.set_blocking(process._stdin, False)
        poll.register(process._stdin, select.POLLOUT)
    view = memoryview(stdin)
    while streams or process._stdin >= 0:
        left_ms = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
        ready = poll.poll(left_ms)
        if not ready or left_ms == 0:  # the output of a command that never stops writing is always readable
            raise DeadlineExceeded("exec", 0)
        for fd, event in ready:
            if fd == process._stdin:
                view = _feed(process, poll, view, broken=bool(event & (select.POLLERR | select.POLLHUP)))
                continue
            data = os.read(fd, _CHUNK_BYTES)
            if data:
                stream = kept[streams[fd]]
                stream += data[: max(keep_bytes - len(stream), 0)]
            else:
                poll.unregister(fd)
                del streams[fd]


def _feed(process: Process, poll: object, view: memoryview, *, broken: bool) -> memoryview:
    if view and not broken:
        try:
            view = view[os.write(process._stdin, view[:_CHUNK_BYTES]) :]
        except BrokenPipeError:
            view = view[:0]
    if not view or broken:
        poll.unregister(process._stdin)  # type: ignore[attr-defined]
        process.close_stdin()
    return view
