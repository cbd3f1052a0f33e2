"""TLS to an origin inside TLS to a proxy, which the ssl module's sockets cannot do: they want a real socket below."""

from __future__ import annotations

import io
import ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket
    from typing import Any

_PIECE_BYTES = 1 << 16


class Nested:
    """As much of a socket as http.client uses; ``sock`` is the tunnel. Raises OSError."""

    def __init__(self, sock: socket, context: ssl.SSLContext, name: str) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._do(self._tls.do_handshake)
        self.settimeout, self.fileno, self.close = sock.settimeout, sock.fileno, sock.close

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._do(self._tls.write, rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_File(self, self._sock.makefile("rb", buffering=0)))

    def recv_into(self, buffer: Any) -> int:
        try:
            count: int = self._do(self._tls.read, len(buffer), buffer)
        except ssl.SSLZeroReturnError:
            return 0
        return count

    def _do(self, step: Callable[..., Any], *words: Any) -> Any:
        """Do a step of TLS, moving what it has to send and waiting for what it wants to read."""
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


class _File(io.RawIOBase):
    """What is read from it; ``below`` keeps the socket open while this is, as a socket's own files do."""

    def __init__(self, nested: Nested, below: io.IOBase) -> None:
        self._nested, self._below = nested, below

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._nested.recv_into(buffer)

    def close(self) -> None:
        self._below.close()
        super().close()
