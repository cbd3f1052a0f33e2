"""Other users of the host and web pages against ``pypod view``: slow clients, DNS rebinding, CSRF."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pypod.cli.namespaces import page
from tests.facts import wait_until

CONTENT = "<p>the picture</p>"


class Served:
    def __init__(self) -> None:
        self.server = page.Server("pod p", lambda: CONTENT)
        self.port = self.server.server_port
        self.path = f"/{self.server.token}/"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def connect(self, said: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        made.sendall(said)
        return made

    def request(self, path: str | None = None, **headers: str) -> bytes:
        """Return a complete request."""
        path = self.path if path is None else path
        headers = {"Host": f"127.0.0.1:{self.port}"} | headers
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()

    def ask(self, request: bytes) -> bytes:
        with self.connect(request) as connection:
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()
        # join returns before the kernel's thread is gone: the next test would count it
        wait_until(lambda: not os.path.exists(f"/proc/self/task/{self._thread.native_id}"))


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    try:
        yield made
    finally:
        made.close()


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


SLOW = {
    "silent": b"",
    "half a request line": b"GET /",
    "half a header": b"GET / HTTP/1.1\r\nHost: 127",
    "headers without an end": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 50,
}


@pytest.mark.parametrize("said", SLOW.values(), ids=SLOW.keys())
@pytest.mark.parametrize("count", [16, 100])
def test_slow_clients_do_not_keep_the_page_from_others(served: Served, said: bytes, count: int) -> None:
    before = threads()
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(served.connect(said))
        began = time.monotonic()
        for _ in range(3):
            assert CONTENT.encode() in served.ask(served.request())
        assert time.monotonic() - began < 2
        wait_until(lambda: threads() <= before + 17)
    wait_until(lambda: threads() == before)


def test_a_byte_now_and_then_gains_no_time(served: Served, monkeypatch) -> None:
    monkeypatch.setattr(page, "_REQUEST_TIMEOUT_S", 0.3)
    with served.connect(b"GET / HTTP/1.1\r\nX: ") as slow:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 5:
                slow.sendall(b"x")
                slow.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    if slow.recv(1) == b"":
                        break
        assert time.monotonic() - began < 3


def test_who_watches_is_not_sent_away_for_who_does_not_ask(served: Served) -> None:
    with contextlib.ExitStack() as stack:
        live = stack.enter_context(served.connect(served.request(f"{served.path}live")))
        seen = live.recv(65536)
        for _ in range(60):
            stack.enter_context(served.connect(b"GET /"))
        while b"the picture" not in seen:
            seen += live.recv(65536)
        live.settimeout(0.3)
        with pytest.raises(TimeoutError):
            live.recv(1)  # still open


def test_a_place_is_kept_only_by_who_has_the_address(served: Served) -> None:
    """A client that guesses tokens and does not read the answers does not occupy a place."""
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(served.connect(served.request(f"/{secrets.token_urlsafe(24)}/live")))
        assert CONTENT.encode() in served.ask(served.request())


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "", "127.0.0.2:{port}", "[::1]:{port}"]
)
def test_a_name_that_leads_here_is_refused(served: Served, host: str) -> None:
    """DNS rebinding: the browser takes the page for one of that host name."""
    answer = served.ask(served.request(Host=host.format(port=served.port)))
    assert answer.startswith(b"HTTP/1.0 421 ")
    assert CONTENT.encode() not in answer


def test_a_page_elsewhere_gets_nothing(served: Served) -> None:
    """CSRF: another page can send requests but has no token; even with one, the browser would hide the answer."""
    elsewhere = {"Origin": "https://evil.example", "Referer": "https://evil.example/"}
    assert served.ask(served.request("/", **elsewhere)).startswith(b"HTTP/1.0 404 ")
    answer = served.ask(served.request(**elsewhere))
    assert b"Access-Control-Allow-Origin" not in answer
    assert b"Cross-Origin-Resource-Policy: same-origin" in answer
    for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS"):
        assert served.ask(served.request().replace(b"GET", method, 1)).startswith(b"HTTP/1.0 501 ")
