"""A client of a container's monitor: it sends input and window sizes, and is notified when the log has grown.

Output is read from the log (pause/monitor/attach.h says why), from its end at the moment of attaching.
"""

from __future__ import annotations

from pypod.errors import WrongState
from pypod.kernel.descriptors import connect_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

FRAME_LIMIT = 4096
_HELLO_BYTES = 9


class Attachment:
    """A connection to a monitor; ``offset`` is the size of the log at the moment of attaching."""

    def __init__(self, directory: str, name: str) -> None:
        self._channel = _connect(directory, name)
        self._pending = b""
        hello = b""
        while len(hello) < _HELLO_BYTES:
            part = self._receive(_HELLO_BYTES - len(hello))
            if not part:
                self._channel.close()
                raise WrongState(
                    name, "running", f"container {name} has ended or takes no more clients", hint="detach one of them"
                )
            hello += part
        self.offset = int.from_bytes(hello[1:], "little")

    def _receive(self, count: int) -> bytes:
        try:
            return self._channel.recv(count)
        except ConnectionResetError:  # the monitor ended while we were still in its queue
            return b""

    def fileno(self) -> int:
        """The descriptor to poll: readable when the monitor has sent a notification or has ended."""
        return self._channel.fileno()

    def heard(self) -> bool:
        """Consume notifications; return False when the monitor has ended."""
        return bool(self._receive(4096))

    def send_input(self, data: bytes) -> None:
        """Send bytes to the container's standard input; block while the container does not read."""
        for start in range(0, len(data), FRAME_LIMIT):
            part = data[start : start + FRAME_LIMIT]
            self._send(b"I" + len(part).to_bytes(2, "little") + part)

    def offer_input(self, data: bytes) -> None:
        """Send as many bytes as the container accepts now; the rest stays ``pending`` until ``flush``."""
        for start in range(0, len(data), FRAME_LIMIT):
            part = data[start : start + FRAME_LIMIT]
            self._pending += b"I" + len(part).to_bytes(2, "little") + part
        self.flush()

    @property
    def pending(self) -> bool:
        """Whether offered bytes are still unsent: poll for writing, and ``flush``."""
        return bool(self._pending)

    def flush(self) -> None:
        """Send as many pending bytes as the container accepts."""
        import _socket

        try:
            while self._pending:
                sent = self._channel.send(self._pending, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
                self._pending = self._pending[sent:]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._pending = b""

    def close_input(self) -> None:
        """Signal the end of the input."""
        self._send(b"E\0\0")

    def resize(self, columns: int, rows: int) -> None:
        """Set the terminal's size."""
        self._send(b"W\4\0" + rows.to_bytes(2, "little") + columns.to_bytes(2, "little"))

    def own(self, start_time: int) -> None:
        """Bind the container's life to this process, which has the given start time."""
        self._send(b"O\x08\0" + start_time.to_bytes(8, "little"))

    def _send(self, frame: bytes) -> None:
        try:
            self._channel.sendall(frame)
        except (BrokenPipeError, ConnectionResetError):
            return  # the container has ended; the reader of the log notices, too

    def close(self) -> None:
        """Detach, leaving the container's input open for other clients.

        Its input is closed when we disconnect without a detach message: when killed, or when so much input is pending
        that the message does not fit.
        """
        import _socket

        try:
            if not self._pending:
                self._channel.send(b"D\0\0", _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
        except OSError:
            pass  # the message does not fit, or the container has ended
        finally:
            self._channel.close()


def _connect(directory: str, name: str) -> socket:
    import _socket

    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connect_in(channel, directory, "attach")
    except (FileNotFoundError, ConnectionRefusedError) as error:
        channel.close()
        raise WrongState(
            name, "exited", f"container {name} has no monitor to attach to: it never ran, ended or was killed"
        ) from error
    except BaseException:
        channel.close()
        raise
    return channel
