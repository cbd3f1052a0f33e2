"""DNS queries and replies, packed and parsed independently of pypod's own code."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from typing import NamedTuple

A, NS, SOA, PTR, AAAA, OPT, AXFR, ANY = 1, 2, 6, 12, 28, 41, 252, 255
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED, BAD_VERSION = 0, 1, 2, 3, 4, 5, 16


class Answer(NamedTuple):
    """A reply: response code, header flags, (owner, type, ttl, data) of its records, and the size in its OPT record."""

    identifier: int
    code: int
    flags: int
    question: tuple[str, int, int] | None
    records: list[tuple[str, int, int, str]]
    edns_size: int

    @property
    def data(self) -> list[str]:
        return [record[3] for record in self.records]

    @property
    def truncated(self) -> bool:
        return bool(self.flags & 0x0200)

    @property
    def authoritative(self) -> bool:
        return bool(self.flags & 0x0400)


def name(text: str) -> bytes:
    labels = [label.encode("latin-1") for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(
    text: str,
    kind: int = A,
    *,
    identifier: int = 0x1234,
    cls: int = 1,
    edns: int = 0,
    flags: int = 0x0100,
    version: int = 0,
) -> bytes:
    header = struct.pack(">6H", identifier, flags, 1, 0, 0, int(bool(edns)))
    opt = b"\0" + struct.pack(">HHBBHH", OPT, edns, 0, version, 0, 0) if edns else b""
    return header + name(text) + struct.pack(">HH", kind, cls) + opt


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    labels = []
    end = 0
    while data[at]:
        if data[at] >= 0xC0:
            end = end or at + 2
            before, at = at, struct.unpack_from(">H", data, at)[0] & 0x3FFF
            assert at < before, "a compression pointer must point backwards"
            continue
        labels.append(data[at + 1 : at + 1 + data[at]].decode("latin-1"))
        at += 1 + data[at]
    return ".".join(labels), end or at + 1


def read(data: bytes) -> Answer:
    """Parse a whole reply; fail on missing or trailing bytes."""
    identifier, flags, questions, answers, authority, additional = struct.unpack_from(">6H", data)
    assert flags & 0x8000
    assert questions in (0, 1)
    at, asked = 12, None
    if questions:
        text, at = _read_name(data, at)
        asked = (text, *struct.unpack_from(">HH", data, at))
        at += 4
    records = []
    size, code = 0, flags & 15
    for _ in range(answers + authority + additional):
        owner, at = _read_name(data, at)
        kind, cls, ttl, length = struct.unpack_from(">HHIH", data, at)
        at += 10
        content = data[at : at + length]
        assert len(content) == length
        if kind == OPT:
            size, code = cls, code | ttl >> 24 << 4
        elif kind in (A, AAAA):
            records.append((owner, kind, ttl, str(ip_address(content))))
        elif kind == PTR:
            records.append((owner, kind, ttl, _read_name(data, at)[0]))
        else:
            records.append((owner, kind, ttl, content.hex()))
        at += length
    assert at == len(data)
    return Answer(identifier, code, flags, asked, records, size)


def ask(server: str, text: str, kind: int = A, *, source: str = "", timeout_s: float = 3.0, edns: int = 0) -> Answer:
    """Send one query to a server over UDP."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_s)
        if source:
            client.bind((source, 0))
        client.connect((server, 53))
        client.send(question(text, kind, edns=edns))
        return read(client.recv(65535))


def ask_over_tcp(server: str, *texts: str, kind: int = A, timeout_s: float = 3.0) -> list[Answer]:
    """Send several queries at once to a server over one TCP connection."""
    with socket.create_connection((server, 53), timeout_s) as client:
        messages = [question(text, kind) for text in texts]
        client.sendall(b"".join(struct.pack(">H", len(message)) + message for message in messages))
        with client.makefile("rb") as file:
            found = []
            for _ in texts:
                length = struct.unpack(">H", file.read(2))[0]
                found.append(read(file.read(length)))
    return found
