"""Forward queries to upstream servers, one after the other until one answers, and pass their answers on unchanged."""

from __future__ import annotations

import _socket
import errno
import os

from pypod.network.dns import message
from pypod.network.dns.message import HEADER_BYTES, SERVER_FAILURE, TCP_BYTES
from pypod.network.loop import READABLE, WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.network.dns.message import Query
    from pypod.network.loop import Loop

PORT = 53
# For one server, and for all of a network's: resolvers give up after five seconds (RES_TIMEOUT of resolv.h).
TIMEOUT_S, TOGETHER_S = 2.0, 4.5
_AT_ONCE, _AT_ONCE_FOR_ONE = 256, 64
_NONBLOCKING = _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
_ASK_THE_NEXT = (SERVER_FAILURE, message.NOT_IMPLEMENTED, message.REFUSED)


class Forwarder:
    """Forwards clients' queries. The number of pending ones is limited, per client and in total."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._under_way: dict[str, int] = {}

    def ask(
        self,
        data: bytes,
        query: Query,
        servers: tuple[str, ...],
        client: str,
        deliver: Callable[[bytes], object],
        *,
        tcp: bool = False,
    ) -> None:
        """Forward a message and call ``deliver`` with the answer: a server's, or SERVFAIL when all of them failed."""
        if self._under_way.get(client, 0) >= _AT_ONCE_FOR_ONE or sum(self._under_way.values()) >= _AT_ONCE:
            deliver(_failure(query))
            return
        self._under_way[client] = self._under_way.get(client, 0) + 1

        def done(answer: bytes) -> None:
            left = self._under_way.pop(client) - 1
            if left:
                self._under_way[client] = left
            deliver(answer)

        kind = _socket.SOCK_STREAM if tcp else _socket.SOCK_DGRAM
        _Exchange(self.loop, data, query, servers, kind, done).next_server()


def _failure(query: Query) -> bytes:
    return message.pack(query, SERVER_FAILURE, authoritative=False)


class _Exchange:
    """One pending query. Its id and source port are random: a spoofed answer must guess both, and repeat the name."""

    def __init__(
        self,
        loop: Loop,
        data: bytes,
        query: Query,
        servers: tuple[str, ...],
        kind: int,
        done: Callable[[bytes], None],
    ) -> None:
        self._loop = loop
        self._query = query
        self._servers = list(servers)
        self._timeout_s = min(TIMEOUT_S, TOGETHER_S / len(servers))
        self._kind = kind
        self._done = done
        self._identifier = os.urandom(2)
        message = self._identifier + data[2:]
        self._message = message if kind == _socket.SOCK_DGRAM else len(message).to_bytes(2, "big") + message
        self._socket: _socket.socket | None = None
        self._received = b""

    def next_server(self) -> None:
        """Try the next server; after the last one answer SERVFAIL."""
        self._close()
        while self._servers:
            self._received = b""
            try:
                self._connect(self._servers.pop(0))
            except (OSError, ValueError):  # no route, unsupported family, invalid address; ValueError: an embedded NUL
                self._close()
            else:
                self._give_time(self._socket)
                return
        self._done(_failure(self._query))

    def _give_time(self, asked: _socket.socket | None) -> None:
        self._loop.later(self._timeout_s, lambda: self.next_server() if self._socket is asked else None)

    def _connect(self, server: str) -> None:
        family, kind, _, _, address = _socket.getaddrinfo(server, PORT, 0, self._kind, 0, _socket.AI_NUMERICHOST)[0]
        made = self._socket = _socket.socket(family, kind | _NONBLOCKING)
        error = made.connect_ex(address)
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, os.strerror(error))
        if kind == _socket.SOCK_DGRAM:
            made.send(self._message)
            self._loop.watch(made.fileno(), self._readable)
        else:
            self._loop.watch(made.fileno(), self._writable, WRITABLE)

    def _writable(self) -> None:
        assert self._socket is not None  # noqa: S101
        try:
            sent = self._socket.send(self._message)  # a few hundred bytes: they fit into an empty buffer
        except OSError:
            sent = 0
        if sent < len(self._message):
            self.next_server()
        else:
            self._loop.watch(self._socket.fileno(), self._readable, READABLE)

    def _readable(self) -> None:
        assert self._socket is not None  # noqa: S101
        try:
            data = self._socket.recv(TCP_BYTES + 2)
        except BlockingIOError:
            return
        except OSError:  # connection refused
            self.next_server()
            return
        if self._kind == _socket.SOCK_DGRAM:
            self._take(data)
            return
        self._received += data
        length = int.from_bytes(self._received[:2], "big")
        if len(self._received) >= 2 + length >= 2 + HEADER_BYTES:
            self._take(self._received[2 : 2 + length])
        if not data and self._socket is not None:
            self.next_server()

    def _take(self, answer: bytes) -> None:
        question = self._query.question
        end = HEADER_BYTES + len(question)
        fits = len(answer) >= end and answer[HEADER_BYTES:end].lower() == question.lower()
        if not fits or answer[:2] != self._identifier or not answer[2] & 0x80:
            return  # not the answer to our query: the right one may still come
        if answer[3] & 15 in _ASK_THE_NEXT and self._servers:
            self.next_server()
            return
        self._close()
        self._done(self._query.identifier + answer[2:])

    def _close(self) -> None:
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
