"""Registries, token servers and proxies that send or receive a byte at a time (slowloris), or never end."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pypod import Engine, RegistryError
from pypod.images.config.registries import Registries
from pypod.images.registry.access import Access
from pypod.images.registry.client import RegistryDestination
from pypod.model.images.image import Descriptor
from pypod.model.images.reference import Reference
from tests.certificates import Certificates, make_certificates
from tests.cli.program import Program
from tests.fake_registry import Images, Request, images_of
from tests.images.forms import digest
from tests.images.made import Made, layer

pytestmark = pytest.mark.root

LIMIT_S = 0.5
EVERY_S = 0.02  # 50 bytes a second where a thousand are required
BOUND_S = 4 * LIMIT_S + 2  # each step has two attempts, and this machine may be slow
ACCESS = Access(
    tls_verify=False,
    connect_timeout_s=LIMIT_S,
    read_timeout_s=LIMIT_S,
    slow_after_s=LIMIT_S,
    sleep=lambda _: None,
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n"
TLS_RECORD = b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + bytes(16380)  # a ServerHello that takes its time

MADE = Made(layer({"f": os.urandom(30_000)}), config={"Cmd": ["x"]})
Script = Callable[[bytes], tuple[bytes, bytes]]
Serve = Callable[[socket.socket, threading.Event], None]


class Listener:
    """Serve 127.0.0.1 with threads; ``serve`` gets each connection, and an event that is set when the test is over."""

    def __init__(self, serve: Serve, receive_bytes: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        if receive_bytes:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._serve = serve
        self._is_over = threading.Event()
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self._threads.append(threading.Thread(target=self._one, args=(connection,)))
                self._threads[-1].start()

    def _one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ssl.SSLError):
            connection.settimeout(30)
            self._serve(connection, self._is_over)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


def drip(connection: socket.socket, data: bytes, is_over: threading.Event) -> None:
    """Send ``data`` over and over, a byte at a time."""
    while data:
        for at in range(len(data)):
            if is_over.wait(EVERY_S):
                return
            connection.sendall(data[at : at + 1])


def head_of(connection: socket.socket) -> bytes:
    """Read the head of a request. Anything but HTTP, such as the beginning of TLS, is not answered."""
    found = b""
    while not found.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece or found[:1] == b"\x16":
            raise OSError("no HTTP")
        found += piece
    return found


def scripted(script: Script) -> Serve:
    """Return an HTTP server: from a request's head, ``script`` makes what is sent at once and what drips after it."""

    def serve(connection: socket.socket, is_over: threading.Event) -> None:
        at_once, after = script(head_of(connection))
        connection.sendall(at_once)
        drip(connection, after, is_over)
        if not at_once:
            is_over.wait(30)

    return serve


def registry(special: str, at_once: bytes, after: bytes) -> Script:
    """Return a registry with an image that gives this answer where the request line contains ``special``."""
    images = images_of(MADE)

    def script(head: bytes) -> tuple[bytes, bytes]:
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        if special in f"{method} {path}.":
            return at_once, after
        return answered(images, method, path), b""

    return script


def answered(images: Images, method: str, path: str) -> bytes:
    status, headers, body = images(Request(method, path, {}, b""))
    lines = {**headers, "Content-Length": str(len(body)), "Connection": "close"}
    head = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
    return "\r\n".join(head).encode() + body


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def too_slow(engine: Engine, host: str, message: str, access: Access = ACCESS) -> None:
    """Assert that a pull ends in time, with an error that names what was slow and what to do, and leaves nothing."""
    began_s = time.monotonic()
    with pytest.raises(RegistryError, match=message) as caught:
        engine.images.pull(f"{host}/team/app:latest", access=access)
    assert time.monotonic() - began_s < BOUND_S
    assert "a mirror" in caught.value.hint
    assert engine.images.list() == []


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SLOW = {
    "silence": (".", b"", b"", "the beginning of an answer took longer than"),
    "status line": (".", b"H", b"TTP/1.1 200 " + b"O" * 1000, "bytes of the head of an answer in"),
    "head": (".", b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", "bytes of the head of an answer in"),
    "interim answers": (".", b"", b"HTTP/1.1 100 Continue\r\n\r\n", "bytes of the head of an answer in"),
    "head of a manifest": ("/manifests/", HEAD, b"X-A: b\r\n", "bytes of the head of an answer in"),
    "body of a manifest": ("/manifests/", HEAD + b"Content-Length: 9000\r\n\r\n", b" ", "bytes of the answer in"),
    "body without length": ("/manifests/", HEAD + b"\r\n", b" ", "bytes of the answer in"),
    "size of a chunk": ("/manifests/", CHUNKED, b"0", "bytes of the answer in"),
    "chunks": ("/manifests/", CHUNKED, b"1\r\n \r\n", "bytes of the answer in"),
    "trailers": ("/manifests/", CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-A: b\r\n", "bytes of the answer in"),
    "head of a blob": ("/blobs/", b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", "bytes of the head of an answer in"),
}


@pytest.mark.parametrize(("special", "at_once", "after", "message"), SLOW.values(), ids=SLOW.keys())
def test_a_registry_that_drips(
    engine: Engine, stack: ExitStack, special: str, at_once: bytes, after: bytes, message: str
) -> None:
    server = stack.enter_context(Listener(scripted(registry(special, at_once, after))))
    too_slow(engine, server.host, message)


def test_the_body_of_a_blob_that_drips(engine: Engine, stack: ExitStack) -> None:
    size = len(MADE.layers[0])
    script = registry(digest(MADE.layers[0]), HEAD + b"Content-Length: %d\r\n\r\n" % size, b"x")
    too_slow(
        engine, stack.enter_context(Listener(scripted(script))).host, rf"cut off after 0 of {size} bytes: too slow"
    )


def test_a_token_server_that_drips(engine: Engine, stack: ExitStack) -> None:
    tokens = stack.enter_context(Listener(scripted(lambda _: (HEAD + b"Content-Length: 9000\r\n\r\n", b" "))))
    challenge = f'WWW-Authenticate: Bearer realm="http://{tokens.host}/t"\r\nContent-Length: 0\r\nConnection: close\r\n'
    server = stack.enter_context(Listener(scripted(lambda _: (f"HTTP/1.1 401 No\r\n{challenge}\r\n".encode(), b""))))
    too_slow(engine, server.host, rf"{tokens.host}/t.*bytes of the answer in")


def test_a_redirect_that_leads_to_a_drip(engine: Engine, stack: ExitStack) -> None:
    store = stack.enter_context(Listener(scripted(lambda _: (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"))))
    moved = f"HTTP/1.1 307 No\r\nLocation: http://{store.host}/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    server = stack.enter_context(Listener(scripted(registry(digest(MADE.layers[0]), moved.encode(), b""))))
    too_slow(engine, server.host, rf"{store.host}/x.*bytes of the head of an answer in")


ENDLESS = {
    "interim answers": (".", b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "too many bytes around"),
    "trailers": (
        "/manifests/",
        CHUNKED + b"2\r\n{}\r\n0\r\n",
        b"X-A: b\r\n" * 1000,
        "too many bytes around the answer",
    ),
    "parts of chunks": ("/manifests/", CHUNKED, b"1;%b\r\n \r\n" % (b"x" * 9000), "too many bytes around the answer"),
}


@pytest.mark.parametrize(("special", "at_once", "after", "message"), ENDLESS.values(), ids=ENDLESS.keys())
def test_wrapping_without_end(
    engine: Engine, stack: ExitStack, special: str, at_once: bytes, after: bytes, message: str
) -> None:
    """The data come at full speed, so no rule about slowness applies."""
    images = images_of(MADE)

    def serve(connection: socket.socket, is_over: threading.Event) -> None:
        method, path, _ = head_of(connection).split(b"\r\n")[0].decode().split(" ")
        if special not in f"{method} {path}.":
            connection.sendall(answered(images, method, path))
            return
        connection.sendall(at_once)
        while not is_over.is_set():
            connection.sendall(after)

    server = stack.enter_context(Listener(serve))
    began_s = time.monotonic()
    with pytest.raises(RegistryError, match=message):
        engine.images.pull(f"{server.host}/team/app:latest", access=ACCESS.replace(slow_after_s=60, retries=0))
    assert time.monotonic() - began_s < 10


# --- TLS and proxies


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def strict(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Access:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.directory / "ca.crt"))
    return ACCESS.replace(tls_verify=True)


def tls_drip(connection: socket.socket, is_over: threading.Event) -> None:
    connection.recv(5)
    drip(connection, TLS_RECORD, is_over)


def test_a_tls_handshake_that_drips(engine: Engine, stack: ExitStack, strict: Access) -> None:
    server = stack.enter_context(Listener(tls_drip))
    too_slow(engine, server.host, r"the TLS handshake took longer than 0\.5 seconds", strict)


def test_a_head_within_tls_that_drips(
    engine: Engine, stack: ExitStack, strict: Access, certificates: Certificates
) -> None:
    context = certificates.context()

    def serve(connection: socket.socket, is_over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            scripted(lambda _: (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"))(inner, is_over)

    server = stack.enter_context(Listener(serve))
    access = strict.replace(connect_timeout_s=10)
    too_slow(engine, server.host, "bytes of the head of an answer in", access)


def proxied(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    proxy: str,
    message: str,
    access: Access,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    too_slow(engine, "registry.test", message, access)


def test_the_answer_to_connect_that_drips(
    engine: Engine, stack: ExitStack, strict: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = stack.enter_context(Listener(scripted(lambda _: (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"))))
    proxied(engine, monkeypatch, f"http://{proxy.host}", "the proxy's answer to CONNECT took longer than", strict)


def test_tls_to_a_proxy_that_drips(
    engine: Engine, stack: ExitStack, strict: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = stack.enter_context(Listener(tls_drip))
    proxied(engine, monkeypatch, f"https://{proxy.host}", "the TLS handshake with the proxy took longer than", strict)


@pytest.mark.parametrize("through_tls", [False, True], ids=["http", "https"])
def test_tls_behind_a_proxy_that_drips(
    engine: Engine,
    stack: ExitStack,
    strict: Access,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    through_tls: bool,
) -> None:
    context = certificates.context()

    def serve(connection: socket.socket, is_over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) if through_tls else connection as near:
            head_of(near)
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            tls_drip(near, is_over)

    proxy = stack.enter_context(Listener(serve))
    scheme = "https" if through_tls else "http"
    access = strict.replace(connect_timeout_s=1)
    proxied(engine, monkeypatch, f"{scheme}://{proxy.host}", "the TLS handshake took longer than 1 seconds", access)


# --- uploads

BLOB = os.urandom(8 << 20)
DESCRIPTOR = Descriptor(media_type="x", digest=digest(BLOB), size=len(BLOB))


def taking(count: int, *, at_once: int = 0) -> Serve:
    """Return a registry that takes ``count`` bytes of a blob at a time, after ``at_once`` at full speed."""
    accepted = b"HTTP/1.1 202 OK\r\nLocation: /put\r\nContent-Length: 0\r\n\r\n"

    def serve(connection: socket.socket, is_over: threading.Event) -> None:
        while True:
            head = head_of(connection)
            if not head.startswith(b"PUT"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" if head[:1] == b"G" else accepted)
                continue
            left = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            fast = at_once
            while left and not is_over.is_set():
                piece = connection.recv(min(65536 if fast > 0 else count, left))
                left, fast = left - len(piece), fast - len(piece)
                if fast <= 0:
                    is_over.wait(EVERY_S)
            connection.sendall(b"HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n")

    return serve


def push(stack: ExitStack, serve: Serve, blob: bytes, access: Access) -> None:
    server = stack.enter_context(Listener(serve, receive_bytes=4096))
    reference = Reference(domain=server.host, path="team/app")
    descriptor = DESCRIPTOR.replace(digest=digest(blob), size=len(blob))
    with RegistryDestination(reference, access, Registries()) as destination:
        destination.put_blob(descriptor, [blob[at : at + (1 << 20)] for at in range(0, len(blob), 1 << 20)])


def test_a_registry_that_takes_an_upload_byte_by_byte(stack: ExitStack) -> None:
    began_s = time.monotonic()
    with pytest.raises(RegistryError, match="bytes of the request in") as caught:
        push(stack, taking(1), BLOB, ACCESS)
    assert time.monotonic() - began_s < BOUND_S
    assert "a mirror" in caught.value.hint


def test_an_upload_over_a_slow_link_goes_through(stack: ExitStack) -> None:
    """100 kB/s: what the kernel buffered takes more than a second, and the answer is due in half a second."""
    push(stack, taking(2000), BLOB[:200_000], ACCESS.replace(retries=0))
    push(stack, taking(2000, at_once=7 << 20), BLOB[: (7 << 20) + 200_000], ACCESS.replace(retries=0))


def test_a_download_over_a_slow_link_goes_through(engine: Engine, stack: ExitStack) -> None:
    """2,500 bytes/s, where a thousand suffice: for longer than every limit."""
    made = Made(layer({"f": b"x"}), config={"Cmd": ["x"]})
    images = images_of(made)

    def serve(connection: socket.socket, is_over: threading.Event) -> None:
        method, path, _ = head_of(connection).split(b"\r\n")[0].decode().split(" ")
        answer = answered(images, method, path)
        for at in range(0, len(answer), 50):
            if is_over.wait(EVERY_S):
                return
            connection.sendall(answer[at : at + 50])

    server = stack.enter_context(Listener(serve))
    engine.images.pull(f"{server.host}/team/app:latest", access=ACCESS.replace(retries=0))
    assert [image.id for image in engine.images.list()] == [made.id]


def test_by_command(stack: ExitStack, tmp_path: Path, full: bool) -> None:
    """With the default limits, a byte every half second holds up a pull for at most two minutes."""
    default = Access()
    longest_s = 2 * max(default.connect_timeout_s, default.read_timeout_s, default.slow_after_s)
    assert longest_s <= 120
    if not full:
        return

    def serve(connection: socket.socket, is_over: threading.Event) -> None:
        head_of(connection)
        while not is_over.wait(0.5):
            connection.sendall(b"HTTP/1.1 200 OK"[:1])

    server = stack.enter_context(Listener(serve))
    began_s = time.monotonic()
    command = Program(str(tmp_path / "storage")).start("pull", "--tls-verify=false", f"{server.host}/team/app:latest")
    assert command.wait(150) == 125
    assert time.monotonic() - began_s < 90
