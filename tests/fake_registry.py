"""An HTTP server for one test, which answers as the test says and records the requests."""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from pypod.model.images.image import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from tests.images import forms
from tests.images.forms import digest as digest_of
from tests.images.made import Made

Answer = tuple[int, dict[str, str], bytes]


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


class Server:
    """An HTTP server on 127.0.0.1; ``answer`` maps a request to (status, headers, body).

    Two headers of an answer are not sent: ``X-Cut: N`` closes the connection after N bytes of the body, ``X-Drip: N``
    sends N bytes of it every 10 ms.
    """

    def __init__(self, answer: Callable[[Request], Answer], context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                outer.requests.append(request)
                status, answered, body = outer.answer(request)
                cut, drip = answered.pop("X-Cut", None), answered.pop("X-Drip", None)
                self.send_response_only(status)
                length_header = {} if "Transfer-Encoding" in answered else {"Content-Length": str(len(body))}
                for name, value in {**length_header, **answered}.items():
                    for each in value.split("\n"):
                        self.send_header(name, each)
                self.end_headers()
                if drip is not None:
                    self.drip(body, int(drip))
                elif self.command != "HEAD":
                    self.wfile.write(body if cut is None else body[: int(cut)])
                if cut is not None:
                    self.close_connection = True

            def drip(self, body: bytes, count: int) -> None:
                for at in range(0, len(body), count):
                    self.wfile.write(body[at : at + count])
                    time.sleep(0.01)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = respond

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def asked(self, method: str = "", part: str = "") -> list[Request]:
        return [one for one in self.requests if one.method.startswith(method) and part in one.path]


class Images:
    """The content of a well-behaved registry; ``__call__`` answers requests for it.

    Tests replace single answers: ``special`` maps a regular expression on ``METHOD path`` to an answer or a function
    of the request.
    """

    def __init__(self, layer: bytes = b"layer" * 1000) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.special: dict[str, Any] = {}
        self.layer = layer
        config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
        self.config = config
        self.manifest = forms.manifest(config, [layer])
        for body, media_type in ((config, OCI_CONFIG), (layer, OCI_LAYER)):
            self.descriptor(body, media_type)
        self.put("latest", self.manifest)

    def descriptor(self, body: bytes, media_type: str) -> dict[str, object]:
        self.blobs[digest_of(body)] = body
        return forms.descriptor(body, media_type)

    def put(self, version: str, body: bytes, media_type: str = OCI_MANIFEST) -> str:
        self.manifests[version] = self.manifests[digest_of(body)] = (media_type, body)
        return digest_of(body)

    def __call__(self, request: Request) -> Answer:
        for pattern, answer in self.special.items():
            if re.search(pattern, f"{request.method} {request.path}"):
                found = answer(request) if callable(answer) else answer
                if found is not None:
                    status, headers, body = found
                    return status, dict(headers), body
        path = request.path.partition("?")[0]
        version = path.rpartition("/")[2]
        if path == "/v2/":
            return 200, {}, b"{}"
        if "/manifests/" in path and version in self.manifests:
            media_type, body = self.manifests[version]
            return 200, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(body)}, body
        if "/blobs/" in path and version in self.blobs:
            return ranged(request, self.blobs[version])
        return error(404, "MANIFEST_UNKNOWN", "manifest unknown")


def images_of(made: Made) -> Images:
    """Return a well-behaved registry that has this image under every name."""
    found = Images()
    found.blobs = {digest_of(body): body for body in (*made.layers, made.config_body)}
    found.manifests = {}
    found.put("latest", made.manifest_body())
    return found


def ranged(request: Request, body: bytes) -> Answer:
    wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if not wanted:
        return 200, {}, body
    start = int(wanted[1])
    if start >= len(body):
        return 416, {}, b""
    return 206, {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}, body[start:]


def error(status: int, code: str, message: str) -> Answer:
    return status, {}, json.dumps({"errors": [{"code": code, "message": message}]}).encode()
