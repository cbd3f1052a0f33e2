"""A proxy for one test, which connects to one server whatever the request names, and records the requests."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from typing import Self


class Tunnel:
    """A CONNECT proxy on 127.0.0.1, reached over TLS if there is a ``context``."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.heads: list[bytes] = []
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                near = context.wrap_socket(self.request, server_side=True) if context else self.request
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += near.recv(1)
                outer.heads.append(head)
                with near, socket.create_connection(("127.0.0.1", port)) as far:
                    near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = threading.Thread(target=relay, args=(far, near))
                    back.start()
                    relay(near, far)
                    back.join()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def relay(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
