"""Netlink: pack and send messages, and parse the answers. See netlink(7)."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Self

# linux/netlink.h
ROUTE, NETFILTER = 0, 12
REQUEST, ACK, ROOT, MATCH = 1, 4, 0x100, 0x200
DUMP = ROOT | MATCH
REPLACE, EXCLUSIVE, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
NESTED = 0x8000
_ERROR, _DONE = 2, 3
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_DUMPS = 20
HEADER_BYTES = 16
_RECEIVE_BYTES = 1 << 16
_SAFE_SEND_BYTES = 1 << 16  # net.core.wmem_default is some 200,000, and may be less
_SO_SNDBUFFORCE = 32  # asm-generic/socket.h
_ORDER = sys.byteorder


def number(value: int, size: int = 4) -> bytes:
    """Return a number in native byte order."""
    return value.to_bytes(size, _ORDER)


def attribute(kind: int, data: bytes | str | int) -> bytes:
    """Return one attribute: strings are NUL-terminated, numbers have 32 bits.

    >>> attribute(3, "eth0").hex(" ", 4)
    '09000300 65746830 00000000'
    """
    if isinstance(data, str):
        data = data.encode() + b"\0"
    elif isinstance(data, int):
        data = number(data)
    length = 4 + len(data)
    return number(length, 2) + number(kind, 2) + data + b"\0" * (-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that contains attributes."""
    return attribute(kind | NESTED, b"".join(attributes))


def message(kind: int, body: bytes, *attributes: bytes, flags: int = REQUEST | ACK) -> bytes:
    """Return one message: the fixed ``body`` of its kind, and attributes."""
    content = body + b"\0" * (-len(body) % 4) + b"".join(attributes)
    return number(HEADER_BYTES + len(content)) + number(kind, 2) + number(flags | REQUEST, 2) + b"\0" * 8 + content


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (kind, flags, body with attributes) of packed messages, up to a truncated one."""
    while len(data) >= HEADER_BYTES:
        length = int.from_bytes(data[:4], _ORDER)
        if not HEADER_BYTES <= length <= len(data):
            return
        kind, flags = int.from_bytes(data[4:6], _ORDER), int.from_bytes(data[6:8], _ORDER)
        yield kind, flags, data[HEADER_BYTES:length]
        data = data[(length + 3) & ~3 :]


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, content) of the attributes in ``data``, up to a truncated one."""
    while len(data) >= 4:
        length, kind = int.from_bytes(data[:2], _ORDER), int.from_bytes(data[2:4], _ORDER)
        if not 4 <= length <= len(data):
            return
        yield kind & ~NESTED, data[4:length]
        data = data[(length + 3) & ~3 :]


def attributes(data: bytes) -> dict[int, bytes]:
    """Return the attributes in ``data`` by kind; of repeated ones, the last."""
    return dict(items(data))


def patched(data: bytes, offsets: Iterable[int], value: int) -> bytes:
    """Return messages with a number filled in at each offset where it was left blank."""
    for offset in offsets:
        data = data[:offset] + number(value) + data[offset + 4 :]
    return data


class Channel:
    """A netlink socket of this thread's network namespace."""

    def __init__(self, family: int = ROUTE) -> None:
        import _socket

        self._socket = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, family)

    def send(self, data: bytes, tolerated: Collection[int] = ()) -> None:
        """Send packed messages and wait for the answers to those that request one.

        Raises OSError with the errno of the first that failed, except for those ``tolerated``.
        """
        expected = sum(bool(flags & ACK) for _, flags, _ in messages(data))
        if len(data) > _SAFE_SEND_BYTES:
            import _socket

            self._socket.setsockopt(_socket.SOL_SOCKET, _SO_SNDBUFFORCE, 2 * len(data))
        self._socket.send(data)
        while expected > 0:
            for kind, _, body in messages(self._socket.recv(_RECEIVE_BYTES)):
                if kind != _ERROR:
                    continue
                error = int.from_bytes(body[:4], _ORDER, signed=True)
                if error and -error not in tolerated:
                    self._forget_answers()
                    raise OSError(-error, os.strerror(-error))
                expected -= 1

    def _forget_answers(self) -> None:
        """Discard pending answers, so that the next request does not get them: all were queued when send returned."""
        import _socket
        from contextlib import suppress

        with suppress(BlockingIOError):
            while True:
                self._socket.recv(_RECEIVE_BYTES, _socket.MSG_DONTWAIT)

    def ask(self, data: bytes) -> bytes:
        """Send one request that is neither a dump nor acknowledged; return its answer. Raises OSError."""
        self._socket.send(data)
        kind, _, body = next(messages(self._socket.recv(_RECEIVE_BYTES)))
        if kind == _ERROR:
            error = -int.from_bytes(body[:4], _ORDER, signed=True)
            raise OSError(error, os.strerror(error))
        return body

    def dump(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Send one request with the flag DUMP; yield (kind, body) of what the kernel lists. Raises OSError.

        The kernel flags a dump during which the list changed, as an entry that was there all along may be missing. Then
        it is repeated, up to a limit.
        """
        for _ in range(_DUMPS):
            found, interrupted = self._dump(data)
            if not interrupted:
                break
        yield from found

    def _dump(self, data: bytes) -> tuple[list[tuple[int, bytes]], bool]:
        self._socket.send(data)
        found: list[tuple[int, bytes]] = []
        interrupted = False
        while True:
            for kind, flags, body in messages(self._socket.recv(_RECEIVE_BYTES)):
                interrupted = interrupted or bool(flags & _INTERRUPTED)
                if kind == _DONE:
                    return found, interrupted
                if kind == _ERROR:
                    error = -int.from_bytes(body[:4], _ORDER, signed=True)
                    raise OSError(error, os.strerror(error))
                found.append((kind, body))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
