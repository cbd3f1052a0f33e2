"""The page of ``pypod view``: a live picture of one pod, for clients that have the address with its token.

The page is read-only. The server listens on 127.0.0.1, where other users of this host can reach it, but they lack the
token. Pages of other origins lack it as well, and a foreign name that resolves to 127.0.0.1 (DNS rebinding) is refused
because of its Host header.

Such clients could also occupy all connections and send nothing, or a byte now and then. So a request must arrive within
a few seconds, and when all connections are taken, the one with the oldest incomplete request is closed.
"""

from __future__ import annotations

import io
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket
    from typing import Any

    from _typeshed import WriteableBuffer

INTERVAL_S = 0.25
_HEARTBEAT_S = 10.0
_CONNECTIONS_LIMIT = 16
_REQUEST_TIMEOUT_S = 5.0
_SEND_TIMEOUT_S = 10.0
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font-family: sans-serif }}
body {{ max-width: 80rem; margin: 1rem auto; padding: 0 1rem }}
main {{ overflow-x: auto }}
footer {{ opacity: .7; font-size: .9rem; margin-top: 1rem }}
</style>
<noscript><meta http-equiv="refresh" content="2"></noscript>
</head>
<body>
<main>{content}</main>
<footer>Read only. <span id="state">As it was when the page was loaded.</span></footer>
<script nonce="{nonce}">
const main = document.querySelector("main"), state = document.getElementById("state");
const source = new EventSource("live");
source.onopen = () => {{ state.textContent = "Live: changes are shown as they happen."; }};
source.onmessage = (event) => {{ main.innerHTML = JSON.parse(event.data); }};
source.onerror = () => {{ state.textContent = "Not live any more: pypod view has ended."; }};
</script>
</body>
</html>
"""


class Server(ThreadingHTTPServer):
    """Serve the output of ``render``, which runs at most every 0.25 s however many clients there are."""

    daemon_threads = True
    request_queue_size = 128  # a connection that does not fit is retried after a second
    block_on_close = False

    def __init__(self, title: str, render: Callable[[], str], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.title = title
        self.token = secrets.token_urlsafe(24)
        self._render = render
        self._rendered = ""
        self._rendered_at = -INTERVAL_S
        self._lock = threading.Lock()
        self._asking: dict[Any, None] = {}  # connections whose request is incomplete, the oldest first
        self._answered: set[Any] = set()
        self._places = threading.Lock()

    @property
    def address(self) -> str:
        """The URL of the page."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def content(self) -> str:
        """Return the picture, no older than 0.25 s."""
        with self._lock:
            if time.monotonic() - self._rendered_at >= INTERVAL_S:
                self._rendered = self._render()
                self._rendered_at = time.monotonic()
            return self._rendered

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Answer in a thread, unless all connections are taken by clients that are being answered."""
        with self._places:
            full = len(self._asking) + len(self._answered) >= _CONNECTIONS_LIMIT
            oldest = next(iter(self._asking), None) if full else None
            if oldest is not None:
                del self._asking[oldest]
                _hang_up(oldest)
            if not full or oldest is not None:
                self._asking[request] = None
        if request in self._asking:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Answer, then free the place for the next connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._places:
                self._asking.pop(request, None)
                self._answered.discard(request)

    def keep(self, request: socket) -> None:
        """Let a connection keep its place: its request is complete and allowed."""
        with self._places:
            if request in self._asking:
                del self._asking[request]
                self._answered.add(request)

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Ignore clients that disconnect in the middle."""


def _hang_up(connection: socket) -> None:
    """Make the thread that reads from a connection see end of file."""
    try:
        connection.shutdown(SHUT_RDWR)
    except OSError:  # already closed by the client
        return


class _Hurried(io.RawIOBase):
    """Read from a client with one deadline for the whole request: a byte now and then does not extend it."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + _REQUEST_TIMEOUT_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "pypod"
    sys_version = ""

    def setup(self) -> None:
        """Read the request with a deadline."""
        super().setup()
        self.rfile = io.BufferedReader(_Hurried(self.connection))

    def do_GET(self) -> None:
        """Serve the page and its event stream; answer 404 to everything else."""
        self.connection.settimeout(_SEND_TIMEOUT_S)
        if self.headers.get("Host") not in self._own_names():
            self.send_error(421, "Misdirected Request")
            return
        token, slash, rest = self.path.removeprefix("/").partition("/")
        # bytes: compare_digest accepts only ASCII strings
        if slash and secrets.compare_digest(token.encode(), self.server.token.encode()) and rest in _ANSWERS:
            self.server.keep(self.connection)
            _ANSWERS[rest](self)
        else:
            self.send_error(404)

    def _own_names(self) -> tuple[str, ...]:
        port = self.server.server_port
        return (f"127.0.0.1:{port}", f"localhost:{port}")

    def _page(self) -> None:
        from html import escape

        nonce = secrets.token_urlsafe(16)
        page = _PAGE.format(title=escape(self.server.title), content=self.server.content(), nonce=nonce)
        body = page.encode(errors="replace")
        self._head("text/html; charset=utf-8", nonce)
        self.wfile.write(body)

    def _live(self) -> None:
        """Send the picture, and send it again whenever it changes (server-sent events)."""
        self._head("text/event-stream")
        shown, said_at = "", 0.0
        while True:
            content = self.server.content()
            if content != shown:
                self.wfile.write(f"data: {json.dumps(content)}\n\n".encode())
            elif time.monotonic() - said_at >= _HEARTBEAT_S:
                self.wfile.write(b": still here\n\n")  # otherwise a client that has gone would never be noticed
            else:
                time.sleep(INTERVAL_S)
                continue
            shown, said_at = content, time.monotonic()

    def _head(self, kind: str, nonce: str = "") -> None:
        script = f"script-src 'nonce-{nonce}'; " if nonce else ""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header(
            "Content-Security-Policy",
            f"default-src 'none'; style-src 'unsafe-inline'; {script}connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        )
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the lines would contain the token."""


_ANSWERS = {"": _Handler._page, "live": _Handler._live}
