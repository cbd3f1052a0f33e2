"""Output of a container."""

from __future__ import annotations


class Piece:
    """A piece of output: ``stream`` is stdout or stderr, ``time`` RFC 3339 text, ``data`` the bytes."""

    __slots__ = ("data", "stream", "time")

    def __init__(self, stream: str, time: str, data: bytes) -> None:
        self.stream = stream
        self.time = time
        self.data = data

    def __repr__(self) -> str:
        return f"Piece({self.stream!r}, {self.time!r}, {self.data!r})"
