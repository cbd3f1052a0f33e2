"""Connect our standard streams to a container or a command: the loops behind run, attach, start -a and exec."""

from __future__ import annotations

import os

from pypod.cli.render.signals import Signals, proxied_signals
from pypod.cli.render.terminal import DetachScanner, RawMode, size
from pypod.kernel import descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    from collections.abc import Collection

    from pypod import Attachment, Container, LogReader, Process

_CHUNK_BYTES = 1 << 16
_SETTLE_MS = 50
_OUTPUTS = ("stdout", "stderr")


def write_output(fd: int, data: bytes) -> None:
    """Write all data to an output of this command.

    Raises BrokenPipeError, and SystemFailure for any other error.
    """
    try:
        descriptors.write_all(fd, data)
    except BrokenPipeError:
        raise
    except OSError as error:
        from pypod.errors import SystemFailure

        where = "/dev/stderr" if fd == 2 else "/dev/stdout"
        raise SystemFailure("write", error.errno or 0, f"write {where}: {error.strerror}") from error


def follow_container(
    container: Container,
    attachment: Attachment | None,
    reader: LogReader,
    *,
    stdin: bool,
    terminal: bool,
    detach_keys: bytes,
    sig_proxy: bool,
    streams: Collection[str] = _OUTPUTS,
) -> bool:
    """Show a container's output and pass on typed input until it ends; return True when the user detached.

    Only the output of ``streams`` is shown.
    """
    import select
    import signal

    numbers = proxied_signals() if sig_proxy else ()
    scanner = DetachScanner(detach_keys if terminal else b"")
    with RawMode(0, wanted=terminal, keys=stdin):
        with Signals(numbers) as signals:
            poll = select.poll()
            poll.register(signals.fd, select.POLLIN)
            if attachment is not None:
                poll.register(attachment.fileno(), select.POLLIN)
                if stdin:
                    poll.register(0, select.POLLIN)
                if terminal:
                    attachment.resize(*size(0))
            while attachment is not None:
                # A block at a time: a container that writes as fast as we read must not starve input and signals.
                more = _show(reader, streams)
                ended = False
                for fd, event in poll.poll(0 if more else None):
                    if fd == signals.fd:
                        for number in signals.arrived():
                            _pass_signal(container, attachment, number, signal.SIGWINCH, terminal=terminal)
                    elif fd == attachment.fileno():
                        ended = not _hear(attachment, event, poll)
                    elif _type(attachment, scanner, poll):
                        return True
                if ended:
                    break
        # The rest of the log is finite: signals affect this process again.
        while _show(reader, streams):
            pass
    return False


def _hear(attachment: Attachment, event: int, poll: select.poll) -> bool:
    """Receive a monitor's messages and send it pending input; return False when the monitor has ended."""
    import select

    if event & select.POLLOUT:
        attachment.flush()
    if event & ~select.POLLOUT and not attachment.heard():
        return False
    if event & select.POLLOUT and not attachment.pending:
        poll.modify(attachment.fileno(), select.POLLIN)
        poll.register(0, select.POLLIN)
    return True


def _show(reader: LogReader, streams: Collection[str]) -> bool:
    """Show the next block of the log, as far as it is of ``streams``; return False at its present end."""
    pieces = reader.some()
    batch: list[bytes] = []
    stream = ""
    for piece in pieces or ():
        if piece.stream != stream:
            _flush(stream, batch)
        stream = piece.stream
        if stream in streams:
            batch.append(piece.data)
    _flush(stream, batch)
    return pieces is not None


def _flush(stream: str, batch: list[bytes]) -> None:
    if batch:
        write_output(2 if stream == "stderr" else 1, b"".join(batch))
        batch.clear()


def _pass_signal(container: Container, attachment: Attachment, number: int, winch: int, *, terminal: bool) -> None:
    from pypod.errors import WrongState

    if number == winch:
        if terminal:
            attachment.resize(*size(0))
        return
    try:
        container.kill(number)
    except WrongState:
        return  # it has ended in the meantime


def _type(attachment: Attachment, scanner: DetachScanner, poll: select.poll) -> bool:
    """Pass on typed input; return True when the detach keys were typed.

    A container that does not read its input must not keep us from showing its output: input that it does not accept is
    kept, and no more is read until it does.
    """
    import select

    data = os.read(0, _CHUNK_BYTES)
    if not data:
        poll.unregister(0)
        attachment.close_input()
        return False
    passed, detached = scanner.feed(data)
    if passed:
        attachment.offer_input(passed)
    if attachment.pending:
        poll.unregister(0)
        poll.modify(attachment.fileno(), select.POLLIN | select.POLLOUT)
    return detached


def follow_command(process: Process, *, stdin: bool, detach_keys: bytes) -> int | None:
    """Show a command's output and pass on typed input; return its exit code, None when the user detached."""
    if process.terminal_fd >= 0:
        return _follow_terminal(process, detach_keys)
    import select

    poll = select.poll()
    streams = process.streams()
    for fd in streams:
        poll.register(fd, select.POLLIN)
    waiting = b""
    if stdin:
        os.set_blocking(process.stdin_fd, False)
        poll.register(0, select.POLLIN)
    while streams:
        for fd, _ in poll.poll():
            if fd == 0:
                waiting = os.read(0, _CHUNK_BYTES)
                poll.unregister(0)
                if waiting:
                    poll.register(process.stdin_fd, select.POLLOUT)
                else:
                    process.close_stdin()
            elif fd == process.stdin_fd:
                waiting = _feed(process, poll, waiting)
            elif data := os.read(fd, _CHUNK_BYTES):
                write_output(streams[fd], data)
            else:
                poll.unregister(fd)
                del streams[fd]
    process.close()
    return process.wait()


def _feed(process: Process, poll: select.poll, waiting: bytes) -> bytes:
    """Write input as far as the command accepts it; return the rest. With no rest, poll our own input again."""
    import select

    try:
        waiting = waiting[os.write(process.stdin_fd, waiting) :]
    except BlockingIOError:
        return waiting
    except BrokenPipeError:  # the command has closed its input
        poll.unregister(process.stdin_fd)
        process.close_stdin()
        return b""
    if not waiting:
        poll.unregister(process.stdin_fd)
        poll.register(0, select.POLLIN)
    return waiting


def _follow_terminal(process: Process, detach_keys: bytes) -> int | None:
    import select
    import signal

    master = process.terminal_fd
    scanner = DetachScanner(detach_keys)
    with Signals(()) as signals, RawMode(0, wanted=True):
        _resize(master)
        poll = select.poll()
        for fd in (0, master, process.report_fd, signals.fd):
            poll.register(fd, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == signals.fd and int(signal.SIGWINCH) in signals.arrived():
                    _resize(master)
                elif fd == master and not _copy_from(master):
                    poll.unregister(master)
                elif fd == 0:
                    data = os.read(0, _CHUNK_BYTES)
                    passed, detached = scanner.feed(data)
                    if detached:
                        return None
                    if not data:
                        poll.unregister(0)
                    write_output(master, passed)
                elif fd == process.report_fd:
                    _drain(master)
                    return process.wait()


def _copy_from(master: int) -> bool:
    """Copy a terminal's available output; return False at its end, which Linux reports as EIO."""
    try:
        data = os.read(master, _CHUNK_BYTES)
    except BlockingIOError:
        return True
    except OSError:
        return False
    write_output(1, data)
    return bool(data)


def _drain(master: int) -> None:
    import select

    poll = select.poll()
    poll.register(master, select.POLLIN)
    while any(event & select.POLLIN for _, event in poll.poll(_SETTLE_MS)):
        if not _copy_from(master):
            return


def _resize(master: int) -> None:
    import termios

    columns, rows = size(0)
    if columns and rows:
        termios.tcsetwinsize(master, (rows, columns))
