"""The page of ``pypod view``: one pod's picture, live, for whoever has the address with its token.

It only reads. It listens on 127.0.0.1, where other users of this host can reach it: they lack the token. A page of
another origin lacks it, too, and a name that somebody points at 127.0.0.1 (DNS rebinding) is refused by its Host.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket
    from typing import Any

INTERVAL_S = 0.25
_HEARTBEAT_S = 10.0
_CONNECTIONS_LIMIT = 16
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
    """Serves what ``render`` returns, made anew at most every 0.25 s however many look on."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, title: str, render: Callable[[], str], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.title = title
        self.token = secrets.token_urlsafe(24)
        self._render = render
        self._rendered = ""
        self._rendered_at = -INTERVAL_S
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_CONNECTIONS_LIMIT)

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def content(self) -> str:
        """Return the picture, no older than 0.25 s."""
        with self._lock:
            if time.monotonic() - self._rendered_at >= INTERVAL_S:
                self._rendered = self._render()
                self._rendered_at = time.monotonic()
            return self._rendered

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Answer in a thread, unless there are too many already."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Answer, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A client that goes away in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "pypod"
    sys_version = ""
    timeout = 10  # of a client that does not say what it wants

    def do_GET(self) -> None:
        """Answer the page and its stream; whatever else is asked for does not exist."""
        if self.headers.get("Host") not in self._own_names():
            self.send_error(421, "Misdirected Request")
            return
        token, slash, rest = self.path.removeprefix("/").partition("/")
        # bytes: compare_digest takes text only when it is ASCII
        if slash and secrets.compare_digest(token.encode(), self.server.token.encode()) and rest in _ANSWERS:
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
        """Send the picture, and again whenever it has changed (server-sent events)."""
        self._head("text/event-stream")
        shown, said_at = "", 0.0
        while True:
            content = self.server.content()
            if content != shown:
                self.wfile.write(f"data: {json.dumps(content)}\n\n".encode())
            elif time.monotonic() - said_at >= _HEARTBEAT_S:
                self.wfile.write(b": still here\n\n")  # or we would never learn that nobody listens
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
        """Say nothing: the lines would hold the token."""


_ANSWERS = {"": _Handler._page, "live": _Handler._live}
