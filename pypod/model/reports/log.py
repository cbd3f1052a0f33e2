"""Output of a container."""

from __future__ import annotations

# Where podman writes the output of containers (podman-run(1), --log-driver).
DRIVERS = ("k8s-file", "json-file", "journald", "none", "passthrough")


class Piece:
    """A piece of output: ``stream`` is stdout or stderr, ``time`` RFC 3339 text, ``data`` the bytes."""

    __slots__ = ("data", "stream", "time")

    def __init__(self, stream: str, time: str, data: bytes) -> None:
        self.stream = stream
        self.time = time
        self.data = data

    def __repr__(self) -> str:
        return f"Piece({self.stream!r}, {self.time!r}, {self.data!r})"
