"""TLS to an origin inside TLS to a proxy, which the ssl module's sockets do not support: they need a real socket."""

from __future__ import annotations

import ssl

from pypod.images.registry.pace import file_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from typing import Any

    from pypod.images.registry.pace import Paced

_PIECE_BYTES = 1 << 16


class Nested:
    """The part of a socket that http.client uses; ``sock`` is the tunnel. Raises OSError."""

    def __init__(self, sock: Paced, context: ssl.SSLContext, name: str) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._do(self._tls.do_handshake)
        self.fileno, self.close = sock.fileno, sock.close

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._do(self._tls.write, rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return file_of(self, self._sock.makefile("rb"))

    def recv_into(self, buffer: Any) -> int:
        try:
            count: int = self._do(self._tls.read, len(buffer), buffer)
        except ssl.SSLZeroReturnError:
            return 0
        return count

    def _do(self, step: Callable[..., Any], *words: Any) -> Any:
        """Perform a TLS step, sending its output and waiting for the input it needs."""
        while True:
            try:
                found = step(*words)
            except ssl.SSLWantReadError:
                self._flush()
                if piece := self._sock.recv(_PIECE_BYTES):
                    self._incoming.write(piece)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return found

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._sock.sendall(self._outgoing.read())
