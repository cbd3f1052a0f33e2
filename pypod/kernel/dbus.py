"""Calls over a D-Bus socket, as little as it takes to ask systemd for something (D-Bus Specification 0.43).

A connection authenticates with its socket's credentials (SASL EXTERNAL), says Hello and makes calls one after another.
Signals are read past.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any, Self

_CALL, _RETURN, _ERROR = 1, 2, 3
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8
_HEADER_BYTES = 16  # the fixed part, and the length of the array of fields
_ORDER = {ord("l"): "little", ord("B"): "big"}
_ALIGNMENT = {"y": 1, "g": 1, "v": 1, "b": 4, "u": 4, "s": 4, "o": 4, "a": 4, "(": 8}
_LONGEST_MESSAGE = 1 << 20
_LONGEST_LINE = 4096
_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


class BusError(OSError):
    """A call that was answered with an error, or not at all: then ``name``, the error's, is empty."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message or name)
        self.name = name


class Variant:
    """A value with its own signature."""

    __slots__ = ("signature", "value")

    def __init__(self, signature: str, value: object) -> None:
        self.signature = signature
        self.value = value


def pack(signature: str, *values: object) -> bytes:
    """Return values as the body of a message, in the order of bytes of x86.

    >>> pack("su", "ab", 7).hex(" ", 4)
    '02000000 61620000 07000000'
    """
    out = bytearray()
    at = 0
    for value in values:
        end = _end(signature, at)
        _put(out, signature[at:end], value)
        at = end
    return bytes(out)


def _end(signature: str, at: int) -> int:
    """Return where the complete type that begins at ``at`` ends."""
    while signature[at] == "a":
        at += 1
    if signature[at] != "(":
        return at + 1
    at += 1
    while signature[at] != ")":
        at = _end(signature, at)
    return at + 1


def _pad(out: bytearray, alignment: int) -> None:
    out += b"\0" * (-len(out) % alignment)


def _put(out: bytearray, kind: str, value: Any) -> None:
    first = kind[0]
    _pad(out, _ALIGNMENT[first])
    if first == "y":
        out.append(value)
    elif first in "bu":
        out += int(value).to_bytes(4, "little")
    elif first in "sog":
        data = value.encode()
        out += len(data).to_bytes(1 if first == "g" else 4, "little") + data + b"\0"
    elif first == "v":
        _put(out, "g", value.signature)
        _put(out, value.signature, value.value)
    elif first == "a":
        length_at = len(out)
        out += bytes(4)
        _pad(out, _ALIGNMENT[kind[1]])  # not counted, and there without elements, too
        begin = len(out)
        for element in value:
            _put(out, kind[1:], element)
        out[length_at : length_at + 4] = (len(out) - begin).to_bytes(4, "little")
    else:
        at = 1
        for element in value:
            end = _end(kind, at)
            _put(out, kind[at:end], element)
            at = end


def call_message(
    serial: int, destination: str, path: str, interface: str, member: str, signature: str, *values: object
) -> bytes:
    """Return a method call as bytes."""
    body = pack(signature, *values)
    fields = [
        (_PATH, Variant("o", path)),
        (_INTERFACE, Variant("s", interface)),
        (_MEMBER, Variant("s", member)),
        (_DESTINATION, Variant("s", destination)),
        *([(_SIGNATURE, Variant("g", signature))] if signature else []),
    ]
    head = bytearray(pack("yyyyuua(yv)", ord("l"), _CALL, 0, 1, len(body), serial, fields))
    _pad(head, 8)
    return bytes(head) + body


def lengths(start: bytes) -> tuple[int, int]:
    """Return how long the header and the body are, from a message's first 16 bytes. Raises ValueError."""
    order = _ORDER.get(start[0])
    if order is None or len(start) != _HEADER_BYTES:
        raise ValueError("this is no message of D-Bus")
    body, fields = (int.from_bytes(start[at : at + 4], order) for at in (4, 12))  # type: ignore[arg-type]
    header = _HEADER_BYTES + fields
    header += -header % 8
    if header + body > _LONGEST_MESSAGE:
        raise ValueError(f"a message of {header + body} bytes")
    return header, body


class Answer:
    """What a message is an answer to, its error's name (empty: none), and the text that its body begins with."""

    __slots__ = ("error", "serial", "text")

    def __init__(self, serial: int, error: str, text: str) -> None:
        self.serial = serial
        self.error = error
        self.text = text


def parse_answer(message: bytes) -> Answer | None:
    """Read a whole message; None when it is no answer to a call. Raises ValueError for what breaks the rules."""
    header, length = lengths(message[:_HEADER_BYTES])
    order = _ORDER[message[0]]
    if message[1] not in (_RETURN, _ERROR):
        return None
    if len(message) != header + length:
        raise ValueError("a message that is cut short")
    fields = _fields(message[:header], order)
    serial = int(fields.get(_REPLY_SERIAL, 0))
    if not serial:
        raise ValueError("an answer to nothing")
    text = ""
    if str(fields.get(_SIGNATURE, "")).startswith(("s", "o")):
        text = _Reader(message, order, header).string(4)
    error = str(fields.get(_ERROR_NAME, "")) or "unnamed" if message[1] == _ERROR else ""
    return Answer(serial, error, text)


def _fields(header: bytes, order: str) -> dict[int, str | int]:
    found: dict[int, str | int] = {}
    reader = _Reader(header, order, _HEADER_BYTES)
    end = _HEADER_BYTES + int.from_bytes(header[12:16], order)  # type: ignore[arg-type]
    while reader.at < end:
        reader.align(8)
        code = reader.number(1)
        kind = reader.string(1)
        if kind in ("s", "o"):
            found[code] = reader.string(4)
        elif kind == "g":
            found[code] = reader.string(1)
        elif kind == "u":
            found[code] = reader.number(4)
        else:
            raise ValueError(f"a field of type {kind!r}")
    return found


class _Reader:
    def __init__(self, data: bytes, order: str, at: int) -> None:
        self._data = data
        self._order = order
        self.at = at

    def align(self, alignment: int) -> None:
        self.at += -self.at % alignment

    def take(self, count: int) -> bytes:
        taken = self._data[self.at : self.at + count]
        if len(taken) != count:
            raise ValueError("a message that is cut short")
        self.at += count
        return taken

    def number(self, size: int) -> int:
        self.align(size)
        return int.from_bytes(self.take(size), self._order)  # type: ignore[arg-type]

    def string(self, size: int) -> str:
        text = self.take(self.number(size)).decode(errors="replace")
        self.take(1)
        return text


class Bus:
    """A connection to the bus at a socket of the file system, for user ``uid``, whose the other end must be.

    Raises OSError, BusError when it does not take us.
    """

    def __init__(self, path: str, uid: int, *, timeout_s: float = 10.0) -> None:
        import _socket

        self._serial = 0
        self._buffer = b""
        self._socket: _socket.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(timeout_s)
            self._socket.connect(path)
            self._authenticate(path, uid)
            self.call(*_BUS, "Hello")
        except BaseException:
            self.close()
            raise

    def _authenticate(self, path: str, uid: int) -> None:
        import _socket

        credentials = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)  # pid, uid, gid
        other = int.from_bytes(credentials[4:8], "little")
        if other not in (0, uid):
            raise BusError("", f"{path} belongs to user {other}")
        # a NUL first, because BSD passes credentials with a byte
        self._send(b"\0AUTH EXTERNAL " + str(uid).encode().hex().encode() + b"\r\n")
        answer = self._line()
        if not answer.startswith(b"OK "):
            raise BusError("", f"{path} does not let us in: {answer.decode(errors='replace')}")
        self._send(b"BEGIN\r\n")

    def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", *values: object
    ) -> str:
        """Call a method and return the text that its answer begins with. Raises BusError, OSError, TimeoutError."""
        self._serial += 1
        self._send(call_message(self._serial, destination, path, interface, member, signature, *values))
        while True:
            try:
                answer = self._answer()
            except ValueError as error:
                raise BusError("", f"{member}: the bus sent {error}") from error
            if answer is not None and answer.serial == self._serial:
                if answer.error:
                    raise BusError(answer.error, f"{member}: {answer.text or answer.error}")
                return answer.text

    def _answer(self) -> Answer | None:
        start = self._take(_HEADER_BYTES)
        header, body = lengths(start)
        return parse_answer(start + self._take(header + body - _HEADER_BYTES))

    def _send(self, data: bytes) -> None:
        import _socket

        while data:
            data = data[self._socket.send(data, _socket.MSG_NOSIGNAL) :]

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE:
                raise BusError("", "the bus sent a line without an end")
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _receive(self) -> None:
        data = self._socket.recv(4096)
        if not data:
            raise BusError("", "the bus closed the connection")
        self._buffer += data

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def user_bus(uid: int) -> str:
    """Return the socket of a user's bus, empty where there is none."""
    address = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "")
    for one in address.split(";"):
        kind, _, rest = one.partition(":")
        words = dict(word.partition("=")[::2] for word in rest.split(","))
        if kind == "unix" and words.get("path", "").startswith("/") and "%" not in words["path"]:
            path = words["path"]
            break
    else:
        path = f"{os.environ.get('XDG_RUNTIME_DIR') or f'/run/user/{uid}'}/bus"
    return path if os.path.exists(path) else ""
