"""How long a server is waited for: one rule for connecting and TLS, for what it sends and for what is sent to it.

What is worth nothing until it is done has a time: to be connected (TCP, a proxy's CONNECT, TLS, all together), and to
begin an answer. What flows has a rate: each ``slow_after_s`` of waiting must move ``lowest_rate`` bytes a second, or
end what is waited for. Only waiting counts, so a reader may take its time; and only bytes count, so a server gains
nothing by sending them one at a time, each of which would restart a socket's own time limit.
"""

from __future__ import annotations

import io
from http.client import HTTPException
from socket import SOCK_STREAM, getaddrinfo, socket
from time import monotonic

from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any, NoReturn, Protocol

    class Readable(Protocol):
        """What a file can be made of."""

        def recv_into(self, buffer: Any) -> int: ...


__all__ = ["Limits", "Pace", "Paced", "Slow", "connect", "file_of", "left_after", "secure"]

_HEAD_BYTES_LIMIT = 1 << 20
_WRAPPING = 16  # a chunk of one byte (RFC 9112, section 7.1) is six bytes
_WRAPPING_BYTES = 64 << 10
_SIOCOUTQ = 0x5411  # linux/sockios.h: what the other end has not acknowledged yet
_SLOW_REPEATS = 1
_WHOLE = float("inf")  # no rate is enough for what has to be done as a whole


class Limits(Value):
    """The rule's numbers (``Access`` has their defaults)."""

    connect_s: float
    answer_s: float
    slow_after_s: float
    lowest_rate: int


class Slow(TimeoutError):
    """A server is too slow to be waited for."""

    hint = "try again, or use a mirror that is faster (containers-registries.conf(5))"


class Wordy(HTTPException):
    """An answer has a head without end, or hardly anything in a lot of wrapping: chunks, trailers."""


class Pace:
    """What one connection is waited for at the moment, and how that goes. A new one is about to be connected."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._room = _HEAD_BYTES_LIMIT
        self._waited_s, self._moved = 0.0, 0
        self._begin("the TCP connection", limits.connect_s, _WHOLE)

    def part(self, what: str) -> None:
        """Name the part of connecting that comes next; the time goes on."""
        self._what = what

    def sends(self) -> None:
        """A request is sent."""
        self._begin("the request", self._limits.slow_after_s, self._limits.lowest_rate)

    def awaits(self, sock: Any) -> None:
        """An answer is waited for. The kernel may still have to send most of the request; that it does so counts."""
        self._begin("the beginning of an answer", self._limits.answer_s, _WHOLE, sock)
        self._room = _HEAD_BYTES_LIMIT
        self._unsent = _unsent(sock)

    def reads(self) -> None:
        """The head of the answer has come, the body is read."""
        self._begin("the answer", self._limits.slow_after_s, self._limits.lowest_rate)

    def allow(self, count: int) -> None:
        """So many bytes of a body are asked for; bound what may come around them."""
        self._room = count * _WRAPPING + _WRAPPING_BYTES

    @property
    def left_s(self) -> float:
        """How long may be waited until it is judged again."""
        return self._time_s - self._waited_s

    def wait(self, sock: socket, act: Callable[..., int | None], *words: object) -> int:
        """Let a socket do what may take a while; return how many bytes that moved. Raises Slow, OSError."""
        while True:
            sock.settimeout(self.left_s)
            began_s = monotonic()
            try:
                count = act(*words) or 0
            except TimeoutError as error:
                if error.errno is not None:  # the kernel's: the other end acknowledges nothing
                    raise
                count = -1
            self.spend(monotonic() - began_s, max(count, 0))
            if count >= 0:
                return count

    def receive(self, sock: socket, buffer: Any) -> int:
        """Read what there is. Raises Slow, OSError, and Wordy for too much of what nobody asked for."""
        count = self.wait(sock, sock.recv_into, buffer)
        self._room -= count
        if self._room < 0:
            raise Wordy(f"too many bytes around {self._what}")
        if count and self._awaited is not None:
            self._begin("the head of an answer", self._limits.slow_after_s, self._limits.lowest_rate)
        return count

    def spend(self, seconds: float, count: int = 0) -> None:
        """Count a while of waiting and what it moved. Raises Slow when it is time to judge and that was too little."""
        self._waited_s += seconds
        self._moved += count
        if self._waited_s >= self._time_s:
            if not self._is_enough():
                self.give_up()
            self._waited_s, self._moved = 0.0, 0

    def give_up(self) -> NoReturn:
        """Raise Slow."""
        if self._lowest_rate is _WHOLE:
            raise Slow(f"{self._what} took longer than {self._time_s:g} seconds")
        raise Slow(f"too slow to go on: {self._moved} bytes of {self._what} in {self._waited_s:.0f} seconds")

    def _begin(self, what: str, time_s: float, lowest_rate: float, awaited: Any = None) -> None:
        self._what, self._time_s, self._lowest_rate = what, time_s, lowest_rate
        self._waited_s, self._moved = 0.0, 0
        self._awaited = awaited

    def _is_enough(self) -> bool:
        if self._awaited is None:
            return self._moved >= self._lowest_rate * self._waited_s
        before, self._unsent = self._unsent, _unsent(self._awaited)
        return before - self._unsent >= max(self._limits.lowest_rate * self._waited_s, 1)


class Paced:
    """As much of a socket as http.client uses, and TLS within TLS, at a pace. Raises OSError."""

    def __init__(self, sock: socket, pace: Pace) -> None:
        self._sock, self._pace = sock, pace
        self.fileno, self.close = sock.fileno, sock.close

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._pace.wait(self._sock, self._sock.send, rest) :]

    def recv(self, limit_bytes: int) -> bytes:
        buffer = bytearray(limit_bytes)
        return bytes(memoryview(buffer)[: self.recv_into(buffer)])

    def recv_into(self, buffer: Any) -> int:
        return self._pace.receive(self._sock, buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return file_of(self, self._sock.makefile("rb", buffering=0))


def connect(host: bytes, port: int, pace: Pace) -> socket:
    """Return a connection to a host; those of its addresses that are not tried yet share the time that is left."""
    # a name in bytes is not encoded as IDNA, for which Python would import stringprep and more
    found = getaddrinfo(host, port, type=SOCK_STREAM)
    failure = OSError("the name has no address")
    for number, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket(family, kind, protocol)
        began_s = monotonic()
        try:
            sock.settimeout(pace.left_s / (len(found) - number))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
        pace.spend(monotonic() - began_s)
    if isinstance(failure, TimeoutError) and failure.errno is None:
        pace.give_up()
    raise failure


def secure(sock: socket, context: ssl.SSLContext, host: str, pace: Pace, what: str) -> socket:
    """Return TLS on a connection, agreed upon."""
    pace.part(what)
    made = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        pace.wait(made, made.do_handshake)
    except BaseException:
        made.close()
        raise
    return made


def file_of(source: Readable, below: io.IOBase) -> io.BufferedReader:
    """Return a file to read from a socket; ``below`` keeps that open as long as this is, as a socket's own files do."""
    return io.BufferedReader(_File(source, below))


def left_after(error: BaseException, left: int) -> int:
    """Return how often to try again after an error: what is too slow may be so by an accident of one connection."""
    slow = isinstance(error, Slow) or isinstance(error.__cause__, Slow)
    return min(left, _SLOW_REPEATS) if slow else left


class _File(io.RawIOBase):
    def __init__(self, source: Readable, below: io.IOBase) -> None:
        self._source, self._below = source, below

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.recv_into(buffer)

    def close(self) -> None:
        self._below.close()
        super().close()


def _unsent(sock: Any) -> int:
    """Return how many bytes the other end has not acknowledged (tcp(7), SIOCOUTQ)."""
    import sys
    from fcntl import ioctl

    return int.from_bytes(ioctl(sock.fileno(), _SIOCOUTQ, bytes(4)), sys.byteorder)
