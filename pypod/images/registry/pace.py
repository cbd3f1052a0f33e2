"""Time limits for servers: one rule for connecting and TLS, for receiving and for sending.

Steps that are worthless until complete have a time: connecting (TCP, a proxy's CONNECT and TLS together), and the
beginning of an answer. Transfers have a rate: each ``slow_after_s`` of waiting must move ``lowest_rate`` bytes a
second, or the transfer is ended. Only waiting counts, so a reader may take its time; and only bytes count, so a server
gains nothing by sending them one at a time, each of which would restart a socket's own timeout.
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
        """A source for ``file_of``."""

        def recv_into(self, buffer: Any) -> int: ...


__all__ = ["Limits", "Pace", "Paced", "Slow", "connect", "file_of", "left_after", "secure"]

_HEAD_BYTES_LIMIT = 1 << 20
_WRAPPING = 16  # a chunk of one byte (RFC 9112, section 7.1) is six bytes
_WRAPPING_BYTES = 64 << 10
_SIOCOUTQ = 0x5411  # linux/sockios.h: bytes not acknowledged by the peer yet
_SLOW_REPEATS = 1
_WHOLE = float("inf")  # no rate suffices for a step that must complete


class Limits(Value):
    """The rule's numbers (``Access`` has their defaults)."""

    connect_s: float
    answer_s: float
    slow_after_s: float
    lowest_rate: int


class Slow(TimeoutError):
    """A server is too slow."""

    hint = "try again, or use a mirror that is faster (containers-registries.conf(5))"


class Wordy(HTTPException):
    """An answer has an endless head, or hardly any data in a lot of framing: chunks, trailers."""


class Pace:
    """The current wait on one connection, and its progress. A new one is about to be connected."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._room = _HEAD_BYTES_LIMIT
        self._waited_s, self._moved = 0.0, 0
        self._begin("the TCP connection", limits.connect_s, _WHOLE)

    def part(self, what: str) -> None:
        """Name the next step of connecting; the time goes on."""
        self._what = what

    def sends(self) -> None:
        """Start to send a request."""
        self._begin("the request", self._limits.slow_after_s, self._limits.lowest_rate)

    def awaits(self, sock: Any) -> None:
        """Start to wait for an answer. The kernel may still be sending the request, which counts as progress."""
        self._begin("the beginning of an answer", self._limits.answer_s, _WHOLE, sock)
        self._room = _HEAD_BYTES_LIMIT
        self._unsent = _unsent(sock)

    def reads(self) -> None:
        """Start to read the body; the head has arrived."""
        self._begin("the answer", self._limits.slow_after_s, self._limits.lowest_rate)

    def allow(self, count: int) -> None:
        """Bound the framing around the next ``count`` bytes of a body."""
        self._room = count * _WRAPPING + _WRAPPING_BYTES

    @property
    def left_s(self) -> float:
        """The time that remains until progress is judged."""
        return self._time_s - self._waited_s

    def wait(self, sock: socket, act: Callable[..., int | None], *words: object) -> int:
        """Perform an operation on a socket that may block; return the number of bytes moved. Raises Slow, OSError."""
        while True:
            sock.settimeout(self.left_s)
            began_s = monotonic()
            try:
                count = act(*words) or 0
            except TimeoutError as error:
                if error.errno is not None:  # the kernel's timeout: the peer acknowledges nothing
                    raise
                count = -1
            self.spend(monotonic() - began_s, max(count, 0))
            if count >= 0:
                return count

    def receive(self, sock: socket, buffer: Any) -> int:
        """Read available bytes. Raises Slow, OSError, and Wordy for too much framing."""
        count = self.wait(sock, sock.recv_into, buffer)
        self._room -= count
        if self._room < 0:
            raise Wordy(f"too many bytes around {self._what}")
        if count and self._awaited is not None:
            self._begin("the head of an answer", self._limits.slow_after_s, self._limits.lowest_rate)
        return count

    def spend(self, seconds: float, count: int = 0) -> None:
        """Account for time waited and bytes moved. Raises Slow when it is time to judge and they were too few."""
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
    """The part of a socket that http.client and nested TLS use, with a pace. Raises OSError."""

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
    """Return a connection to a host; its addresses that have not been tried yet share the remaining time."""
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
    """Return a connection secured by TLS, after the handshake."""
    pace.part(what)
    made = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        pace.wait(made, made.do_handshake)
    except BaseException:
        made.close()
        raise
    return made


def file_of(source: Readable, below: io.IOBase) -> io.BufferedReader:
    """Return a file that reads from a socket; ``below`` keeps that open as long as the file is."""
    return io.BufferedReader(_File(source, below))


def left_after(error: BaseException, left: int) -> int:
    """Return the number of retries left after an error: slowness may be an accident of one connection."""
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
    """Return the number of bytes that the peer has not acknowledged (tcp(7), SIOCOUTQ)."""
    import sys
    from fcntl import ioctl

    return int.from_bytes(ioctl(sock.fileno(), _SIOCOUTQ, bytes(4)), sys.byteorder)
