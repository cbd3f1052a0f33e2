"""Reusable HTTP/1.1 connections: http.client's, with what it lacks.

That is: keeping idle connections, using proxies, detecting truncated bodies, and limiting the wait for a server as
in ``pypod.images.registry.pace``.
"""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from socket import IPPROTO_TCP, TCP_NODELAY

from pypod.images.registry.pace import Limits, Pace, Paced, connect, secure
from pypod.images.registry.url import PORTS
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from http.client import HTTPMessage
    from socket import socket
    from typing import Any

    from pypod.images.registry.nested_tls import Nested
    from pypod.images.registry.url import Url

__all__ = ["Limits", "Response", "Route", "Routes"]

_IDLE_LIMIT = 16  # the number of threads that may read at once without reconnecting each time


class Route(Value):
    """The way to an origin: its URL's scheme, host and port, and a proxy with its authorization."""

    scheme: str
    host: str
    port: int
    proxy: Url | None = None
    proxy_authorization: str = ""


class Routes:
    """Connections by route, kept while they are idle. Usable from several threads.

    ``context`` creates the TLS context of a route to an origin.
    """

    def __init__(self, limits: Limits, context: Callable[[Route], ssl.SSLContext]) -> None:
        self._limits = limits
        self._context = context
        self._contexts: dict[Route, ssl.SSLContext] = {}
        self._idle: dict[Route, list[_Connection]] = {}

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
            connection.pace.sends()
            try:
                connection.request(method, target, body=body, headers=headers)
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:
                    raise
                # the server stopped reading the body, and has said why (RFC 9112, section 9.5)
            connection.pace.awaits(connection.sock)
            response = connection.getresponse()
            connection.pace.reads()
            return Response(connection, response, lambda: self._keep(route, connection))
        except BaseException:
            connection.close()
            raise

    def _connection(self, route: Route) -> _Connection:
        idle = self._idle.setdefault(route, [])
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                return self._connected(route)
            if _is_open(connection.sock):
                return connection
            connection.close()

    def _keep(self, route: Route, connection: _Connection) -> None:
        idle = self._idle.setdefault(route, [])
        if len(idle) < _IDLE_LIMIT:
            idle.append(connection)
        else:
            connection.close()

    def _connected(self, route: Route) -> _Connection:
        """Return a new connection. http.client must not open one itself: it does not know about the proxy."""
        connection = _Connection(route, Pace(self._limits))
        connection.sock = self._socket(route, connection.pace)
        return connection

    def _socket(self, route: Route, pace: Pace) -> Paced | Nested:
        proxy = route.proxy
        host, port = (proxy.host, proxy.port or PORTS[proxy.scheme]) if proxy else (route.host, route.port)
        host = host.strip("[]")
        sock = connect(host.encode("ascii"), port, pace)
        try:
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            if proxy is not None and proxy.scheme == "https":
                sock = secure(sock, _proxy_context(), host, pace, "the TLS handshake with the proxy")
            if route.scheme == "http":
                return Paced(sock, pace)
            if proxy is not None:
                pace.part("the proxy's answer to CONNECT")
                _tunnel(Paced(sock, pace), route)
            return self._secure(sock, route, pace)
        except BaseException:
            sock.close()
            raise

    def _secure(self, sock: socket, route: Route, pace: Pace) -> Paced | Nested:
        context = self._contexts.get(route)
        if context is None:
            context = self._contexts.setdefault(route, self._context(route))
        name, what = route.host.strip("[]"), "the TLS handshake"
        if route.proxy is not None and route.proxy.scheme == "https":
            from pypod.images.registry.nested_tls import Nested

            pace.part(what)
            return Nested(Paced(sock, pace), context, name)
        return Paced(secure(sock, context, name, pace, what), pace)


def _tunnel(sock: Paced, route: Route) -> None:
    """Have a proxy connect us to an origin (RFC 9110, section 9.3.6)."""
    to = f"{route.host}:{route.port}"
    login = f"Proxy-Authorization: {route.proxy_authorization}\r\n" if route.proxy_authorization else ""
    sock.sendall(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n".encode("ascii"))
    answer = HTTPResponse(sock, method="CONNECT")  # type: ignore[arg-type]
    try:
        answer.begin()
    finally:
        answer.close()
    if not 200 <= answer.status < 300:
        raise OSError(f"the proxy refused to connect: {answer.status} {answer.reason}")


class _Connection(HTTPConnection):
    """http.client's, with a given socket and its pace."""

    auto_open = 0

    def __init__(self, route: Route, pace: Pace) -> None:
        super().__init__(route.host.strip("[]"), route.port)
        self.pace = pace
        self.sock: Any = None


class Response:
    """An answer: ``status``, ``reason``, ``headers`` and a body that is read in pieces.

    It owns its connection until ``release``, which returns it for reuse, or ``close``.
    """

    def __init__(self, connection: _Connection, response: HTTPResponse, keep: Callable[[], None]) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers: HTTPMessage = response.headers
        self._connection = connection
        self._response = response
        self._keep = keep
        lengths = set(self.headers.get_all("Content-Length", ()))
        if len(lengths) > 1:  # RFC 9112, section 6.3: the end of the body is ambiguous
            self.close()
            raise HTTPException(f"the answer has {len(lengths)} lengths")

    def read(self, limit_bytes: int) -> bytes:
        """Return at most ``limit_bytes`` of the rest of the body, nothing at its end.

        Raises OSError, and HTTPException when the body ends before its announced length.
        """
        self._connection.pace.allow(limit_bytes)
        piece = self._response.read(limit_bytes)
        if not piece and limit_bytes and self._response.length:
            raise IncompleteRead(piece, self._response.length)
        return piece

    def release(self) -> None:
        """Return the connection for reuse if the body was read to its end; close it otherwise."""
        if self._response.isclosed() and self._connection.sock is not None:
            self._keep()
        else:
            self.close()

    def close(self) -> None:
        """Close the response and its connection."""
        self._response.close()
        self._connection.close()


def _is_open(sock: Paced | Nested | None) -> bool:
    """Return whether an idle connection is still open: one with anything to read has been closed by the server."""
    from select import POLLIN, poll

    if sock is None:
        return False
    watched = poll()
    watched.register(sock, POLLIN)
    return not watched.poll(0)


def _proxy_context() -> ssl.SSLContext:
    from pypod.images.registry.tls import context

    return context([], verify=True, with_client_key=False)
