"""HTTP/1.1 connections that are used again: http.client's, with what it does not do by itself.

That is: to keep idle connections, to go through proxies, to notice a body that is cut off, and to give up a server
that sends so little that it might as well be silent.
"""

from __future__ import annotations

import io
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection
from time import monotonic

from pypod.images.url import PORTS
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from http.client import HTTPMessage
    from socket import socket
    from typing import Any

    from pypod.images.url import Url

__all__ = ["Limits", "Response", "Route", "Routes", "Slow"]

_IDLE_LIMIT = 16  # threads that may read at once without opening a connection each time


class Slow(TimeoutError):
    """A server sends less than the lowest rate."""


class Limits(Value):
    """How long to wait for a connection and for bytes, and how many bytes must come in a second of waiting."""

    connect_s: float
    read_s: float
    lowest_rate: int


class Route(Value):
    """How to get to an origin: its URL's scheme, host and port, and a proxy with what it wants to hear."""

    scheme: str
    host: str
    port: int
    proxy: Url | None = None
    proxy_authorization: str = ""


class Routes:
    """Connections along routes, kept while they are idle. Usable from several threads.

    ``context`` makes the TLS context of a route to an origin.
    """

    def __init__(self, limits: Limits, context: Callable[[Route], ssl.SSLContext]) -> None:
        self._limits = limits
        self._context = context
        self._contexts: dict[Route, ssl.SSLContext] = {}
        self._idle: dict[Route, list[HTTPConnection]] = {}

    def close(self) -> None:
        """Close the connections that are not in use."""
        for connections in self._idle.values():
            while connections:
                connections.pop().close()

    def request(
        self, route: Route, method: str, url: Url, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None
    ) -> Response:
        """Send a request and return the response, unread. Raises OSError, HTTPException."""
        connection = self._connection(route)
        try:
            target = url.target
            headers = {"Host": url.netloc, **headers}
            if route.proxy is not None and route.scheme == "http":
                target = str(url)
                if route.proxy_authorization:
                    headers["Proxy-Authorization"] = route.proxy_authorization
            try:
                connection.request(method, target, body=body, headers=headers)
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:
                    raise
                # the server takes no more of the body, and has said why (RFC 9112, section 9.5)
            return Response(connection, connection.getresponse(), lambda: self._keep(route, connection))
        except BaseException:
            connection.close()
            raise

    def _connection(self, route: Route) -> HTTPConnection:
        idle = self._idle.setdefault(route, [])
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                return self._connected(route)
            if _is_open(connection.sock):
                return connection
            connection.close()

    def _keep(self, route: Route, connection: HTTPConnection) -> None:
        idle = self._idle.setdefault(route, [])
        if len(idle) < _IDLE_LIMIT:
            idle.append(connection)
        else:
            connection.close()

    def _connected(self, route: Route) -> HTTPConnection:
        """Return a new connection. http.client opens none itself: it would not know what lies between."""
        limits = self._limits
        connection = HTTPConnection(route.host.strip("[]"), route.port)
        connection.auto_open = 0
        connection.response_class = partial(_PacedResponse, limits)  # type: ignore[assignment]
        connection.sock = self._socket(route)
        connection.sock.settimeout(limits.read_s)
        return connection

    def _socket(self, route: Route) -> socket:
        proxy = route.proxy
        host, port = (proxy.host, proxy.port or PORTS[proxy.scheme]) if proxy else (route.host, route.port)
        # a name in bytes is not encoded as IDNA, for which Python would import stringprep and more
        address: tuple[Any, int] = (host.strip("[]").encode("ascii"), port)
        sock = create_connection(address, self._limits.connect_s)
        try:
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            if proxy is not None and proxy.scheme == "https":
                sock = _proxy_context().wrap_socket(sock, server_hostname=host.strip("[]"))
            if route.scheme == "http":
                return sock
            if proxy is not None:
                self._tunnel(sock, route)
            return self._secure(sock, route)
        except BaseException:
            sock.close()
            raise

    def _tunnel(self, sock: socket, route: Route) -> None:
        """Let a proxy connect us to an origin (RFC 9110, section 9.3.6)."""
        to = f"{route.host}:{route.port}"
        login = f"Proxy-Authorization: {route.proxy_authorization}\r\n" if route.proxy_authorization else ""
        sock.sendall(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n".encode("ascii"))
        answer = _PacedResponse(self._limits, sock, method="CONNECT")
        try:
            answer.begin()
        finally:
            answer.close()
        if not 200 <= answer.status < 300:
            raise OSError(f"the proxy does not connect: {answer.status} {answer.reason}")

    def _secure(self, sock: socket, route: Route) -> socket:
        context = self._contexts.get(route)
        if context is None:
            context = self._contexts.setdefault(route, self._context(route))
        name = route.host.strip("[]")
        if route.proxy is not None and route.proxy.scheme == "https":
            from pypod.images.nested_tls import Nested

            return Nested(sock, context, name)  # type: ignore[return-value]
        return context.wrap_socket(sock, server_hostname=name)


class Response:
    """An answer: ``status``, ``reason``, ``headers`` and a body that is read in pieces.

    It has its connection until ``release``, after which another request may use that, or ``close``.
    """

    def __init__(self, connection: HTTPConnection, response: HTTPResponse, keep: Callable[[], None]) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers: HTTPMessage = response.headers
        self._connection = connection
        self._response = response
        self._keep = keep
        lengths = set(self.headers.get_all("Content-Length", ()))
        if len(lengths) > 1:  # RFC 9112, section 6.3: what follows is anybody's
            self.close()
            raise HTTPException(f"the answer has {len(lengths)} lengths")

    def read(self, limit_bytes: int) -> bytes:
        """Return the next at most ``limit_bytes`` of the body, nothing at its end.

        Raises OSError, and HTTPException where the body ends before its announced length.
        """
        piece = self._response.read(limit_bytes)
        if not piece and limit_bytes and self._response.length:
            raise IncompleteRead(piece, self._response.length)
        return piece

    def release(self) -> None:
        """Give the connection back if the body was read to its end; close it otherwise."""
        if self._response.isclosed() and self._connection.sock is not None:
            self._keep()
        else:
            self.close()

    def close(self) -> None:
        """Close it, and the connection."""
        self._response.close()
        self._connection.close()


class _PacedResponse(HTTPResponse):
    """An answer that must not come too slowly, from its first byte on."""

    def __init__(self, limits: Limits, sock: socket, *words: Any, **named: Any) -> None:
        super().__init__(sock, *words, **named)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_Paced(raw, limits))


class _Paced(io.RawIOBase):
    """What comes from a connection; raises Slow when a while of waiting brought less than it must.

    How long the server thinks before its first byte is the socket's time limit to bound; how long the reader does
    something else does not count.
    """

    def __init__(self, raw: io.RawIOBase, limits: Limits) -> None:
        self._raw = raw
        self._limits = limits
        self._has_begun = False
        self._waited_s = 0.0
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began_s = monotonic()
        count = self._raw.readinto(buffer)
        if self._has_begun:
            self._waited_s += monotonic() - began_s
            self._count += count or 0
            if self._waited_s >= self._limits.read_s:
                self._judge()
        self._has_begun = True
        return count

    def _judge(self) -> None:
        if self._count < self._limits.lowest_rate * self._waited_s:
            raise Slow(f"{self._count} bytes came in {self._waited_s:.0f} seconds, too slow to go on")
        self._waited_s, self._count = 0.0, 0

    def close(self) -> None:
        self._raw.close()
        super().close()


def _is_open(sock: socket | None) -> bool:
    """Return whether a connection that nobody uses is still there: one with anything to read is at its end."""
    from select import POLLIN, poll

    if sock is None:
        return False
    watched = poll()
    watched.register(sock, POLLIN)
    return not watched.poll(0)


def _proxy_context() -> ssl.SSLContext:
    from pypod.images.tls import context

    return context([], verify=True, with_client_key=False)
