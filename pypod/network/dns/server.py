"""Answer the clients of networks, over UDP and TCP. One thread, one loop; dns/names.py decides on the answers."""

from __future__ import annotations

import _socket

from pypod.model.network import packed_address
from pypod.network.dns import message
from pypod.network.dns.forward import Forwarder
from pypod.network.dns.names import answer
from pypod.network.loop import READABLE, WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.network.dns.names import View
    from pypod.network.loop import Loop

_BURST = 64  # messages read from one socket before the others get their turn
_MESSAGE_BYTES = 4096
_CLIENTS, _CLIENTS_OF_ONE = 128, 16  # over TCP
_IDLE_S = 10.0


class Server:
    """Serves the sockets of networks. ``look`` returns what a client, by its packed address, may see."""

    def __init__(self, loop: Loop, look: Callable[[str, bytes], View | None]) -> None:
        self.loop = loop
        self._look = look
        self._forwarder = Forwarder(loop)
        self._sockets: dict[str, list[_socket.socket]] = {}
        self._clients: dict[_Client, None] = {}
        self._turn = 0

    def add(self, network: str, sockets: list[_socket.socket]) -> None:
        """Serve the sockets of a network."""
        self._sockets.setdefault(network, []).extend(sockets)
        for one in sockets:
            self.loop.watch(one.fileno(), self._ready(network, one))

    def _ready(self, network: str, one: _socket.socket) -> Callable[[], None]:
        if one.type & ~(_socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK) == _socket.SOCK_DGRAM:
            return lambda: self._receive(network, one)
        return lambda: self._accept(network, one)

    def drop(self, network: str) -> None:
        """Stop serving a network and close its sockets."""
        for client in [client for client in self._clients if client.network == network]:
            client.close()
        for one in self._sockets.pop(network, ()):
            self.loop.forget(one.fileno())
            one.close()

    def _receive(self, network: str, one: _socket.socket) -> None:
        for _ in range(_BURST):
            try:
                data, client = one.recvfrom(_MESSAGE_BYTES)
            except OSError:  # drained
                return
            self.respond(network, data, client, _sender(one, client))

    def respond(
        self,
        network: str,
        data: bytes,
        client: tuple[str, int],
        deliver: Callable[[bytes], object],
        *,
        tcp: bool = False,
    ) -> None:
        """Answer a message from ``client``: now, or when an upstream server has answered."""
        query = message.parse(data, tcp=tcp)
        if query is None:
            return
        host = client[0].partition("%")[0]
        view = self._look(network, packed_address(host))
        self._turn += 1
        reply = answer(query, view, self._turn)
        if reply is not None:
            deliver(reply)
        elif view is not None:
            self._forwarder.ask(data, query, view.servers, host, deliver, tcp=tcp)

    def _accept(self, network: str, listener: _socket.socket) -> None:
        try:
            fd, address = listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        of_this = [client for client in self._clients if client.address[0] == address[0]]
        for crowded, limit in ((of_this, _CLIENTS_OF_ONE), (list(self._clients), _CLIENTS)):
            if len(crowded) >= limit:
                crowded[0].close()  # the oldest
        one = _socket.socket(fileno=fd)
        one.setblocking(False)
        self._clients[_Client(self, network, one, address)] = None

    def gone(self, client: _Client) -> None:
        """Forget a client that has closed its connection."""
        self._clients.pop(client, None)


def _sender(one: _socket.socket, client: tuple[str, int]) -> Callable[[bytes], None]:
    def send(reply: bytes) -> None:
        try:
            one.sendto(reply, client)
        except OSError:  # the send buffer is full or the socket closed: the client will retry
            return

    return send


class _Client:
    """A connection: length-prefixed messages (RFC 7766), handled one after the other, closed when idle."""

    def __init__(self, server: Server, network: str, one: _socket.socket, address: tuple[str, int]) -> None:
        self.network = network
        self.address = address
        self._server = server
        self._socket: _socket.socket | None = one
        self._received = self._to_send = b""
        self._waits = self._heard = self._serves = False
        server.loop.watch(one.fileno(), self._readable)
        server.loop.later(_IDLE_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._socket is not None and not self._heard:
            self.close()
        elif self._socket is not None:
            self._heard = False
            self._server.loop.later(_IDLE_S, self._close_if_idle)

    def _readable(self) -> None:
        assert self._socket is not None  # noqa: S101
        try:
            data = self._socket.recv(_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        self._serve()

    def _serve(self) -> None:
        """Answer buffered messages, one at a time; nothing more is read while the client does not take its answers."""
        self._serves = True
        while self._socket is not None and not self._waits:
            end = 2 + int.from_bytes(self._received[:2], "big")
            if len(self._received) < max(end, 2):
                self._server.loop.watch(self._socket.fileno(), self._readable, READABLE)
                break
            data, self._received = self._received[2:end], self._received[end:]
            if message.parse(data, tcp=True) is None:
                self.close()
                break
            self._heard = self._waits = True
            self._server.loop.watch(self._socket.fileno(), self._readable, 0)
            self._server.respond(self.network, data, self.address, self._deliver, tcp=True)
        self._serves = False

    def _deliver(self, reply: bytes) -> None:
        self._to_send = len(reply).to_bytes(2, "big") + reply
        self._writable()

    def _writable(self) -> None:
        if self._socket is None:
            return
        try:
            self._to_send = self._to_send[self._socket.send(self._to_send, _socket.MSG_NOSIGNAL) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if self._to_send:
            self._server.loop.watch(self._socket.fileno(), self._writable, WRITABLE)
            return
        self._waits = False
        if not self._serves:
            self._serve()

    def close(self) -> None:
        """Close the connection; pending answers are dropped."""
        if self._socket is not None:
            self._server.loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self._server.gone(self)
