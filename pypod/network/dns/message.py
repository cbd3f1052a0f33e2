"""DNS messages: parse queries, pack answers. RFC 1035, and RFC 6891 for EDNS. Pure; no input raises.

Written by hand rather than with a library: only questions are parsed and only A, AAAA and PTR packed; all else is
forwarded unchanged.
"""

from __future__ import annotations

from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

A, PTR, AAAA, OPT, ANY = 1, 12, 28, 41, 255
TRANSFERS = (251, 252)  # IXFR, AXFR
IN = 1
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED, BAD_VERSION = 0, 1, 2, 3, 4, 5, 16

HEADER_BYTES = 12
UDP_BYTES, TCP_BYTES = 512, 65535
# Fits into one packet on any common link, so that our answers are never fragmented (dnsflagday.net/2020).
EDNS_BYTES = 1232
_LABEL_BYTES, _NAME_BYTES = 63, 255
_RECORD_BYTES = 10  # type, class, time to live, length
_OPT_BYTES = 1 + _RECORD_BYTES
_RESPONSE, _AUTHORITATIVE, _TRUNCATED, _RECURSION_DESIRED = 0x80, 0x04, 0x02, 0x01
_RECURSION_AVAILABLE, _CHECKING_DISABLED = 0x80, 0x10
_QUESTION_NAME = (0xC000 | HEADER_BYTES).to_bytes(2, "big")  # a compression pointer to the question's name
# Answers must not be cached: they may change at any moment.
_CLASS_AND_TIME_TO_LIVE = IN.to_bytes(2, "big") + bytes(4)


class Query(Value):
    """A query. ``name`` is in lower case, without the trailing dot; a dot within a label is escaped by a backslash.

    ``question`` is the question section's bytes, repeated in the answer; ``limit`` is the answer's maximum size in
    bytes; ``error`` is the response code for a malformed message.
    """

    identifier: bytes
    flags: bytes
    name: str = ""
    kind: int = 0
    cls: int = IN
    question: bytes = b""
    edns: bool = False
    limit: int = UDP_BYTES
    error: int = NO_ERROR


def parse(data: bytes, *, tcp: bool = False) -> Query | None:
    """Return the query in a message; None when it is not a query, and must not be answered.

    >>> query = parse(bytes.fromhex("123401000001000000000000" "0357656200" "00010001"))
    >>> query.name, query.kind == A
    ('web', True)
    """
    if len(data) < HEADER_BYTES or data[2] & _RESPONSE:
        return None
    limit = TCP_BYTES if tcp else UDP_BYTES
    query = Query(identifier=data[:2], flags=data[2:4], limit=limit)
    if data[2] >> 3 & 15:
        return query.replace(error=NOT_IMPLEMENTED)
    questions, *others = (int.from_bytes(data[at : at + 2], "big") for at in (4, 6, 8, 10))
    found = _name(data) if questions == 1 else None
    if found is None:
        return query.replace(error=FORMAT_ERROR)
    name, end = found
    size, version = _edns(data, end + 4, sum(others))
    if end + 4 > len(data) or size < 0:
        return query.replace(error=FORMAT_ERROR)
    if size and not tcp:
        limit = max(UDP_BYTES, min(size, EDNS_BYTES))
    return query.replace(
        name=name,
        kind=int.from_bytes(data[end : end + 2], "big"),
        cls=int.from_bytes(data[end + 2 : end + 4], "big"),
        question=data[HEADER_BYTES : end + 4],
        edns=size > 0,
        limit=limit,
        error=BAD_VERSION if version else NO_ERROR,
    )


def _name(data: bytes) -> tuple[str, int] | None:
    """Return the question's name and its end offset. As the first name in a message it has nothing to point to."""
    labels = []
    at = HEADER_BYTES
    while at < len(data) and data[at]:
        label = data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
        if len(label) > _LABEL_BYTES or at - HEADER_BYTES >= _NAME_BYTES:
            return None
        labels.append(label.replace(b"\\", b"\\\\").replace(b".", b"\\."))
    if at >= len(data):
        return None
    return b".".join(labels).lower().decode("latin-1"), at + 1


def _edns(data: bytes, at: int, count: int) -> tuple[int, int]:
    """Return size and version of the OPT record among ``count`` records; zeros without one, -1 when malformed."""
    found = (0, 0)
    for _ in range(count):
        begins_with_root = data[at : at + 1] == b"\0"
        at = _skip_name(data, at)
        if at + _RECORD_BYTES > len(data):
            return -1, 0
        kind, size = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (0, 2))
        if kind == OPT:
            if found[0] or not begins_with_root:
                return -1, 0
            found = (max(size, UDP_BYTES), data[at + 5])
        at += _RECORD_BYTES + int.from_bytes(data[at + 8 : at + 10], "big")
        if at > len(data):
            return -1, 0
    return found


def _skip_name(data: bytes, at: int) -> int:
    """Return the end offset of a name without following pointers; the end of the data when it is malformed."""
    while at < len(data):
        if data[at] >= 0xC0:
            return at + 2
        if not data[at]:
            return at + 1
        at += 1 + data[at]
    return len(data)


def pack(
    query: Query, code: int = NO_ERROR, records: Iterable[tuple[int, bytes]] = (), *, authoritative: bool = True
) -> bytes:
    """Return an answer: ``records`` are (type, data) for the name of the query.

    What does not fit is left out and the answer marked as truncated, so that the client retries over TCP.
    """
    room = query.limit - HEADER_BYTES - len(query.question) - (_OPT_BYTES if query.edns else 0)
    packed, truncated = [], 0
    for kind, data in records:
        record = (
            _QUESTION_NAME + kind.to_bytes(2, "big") + _CLASS_AND_TIME_TO_LIVE + len(data).to_bytes(2, "big") + data
        )
        if len(record) > room:
            truncated = _TRUNCATED
            break
        room -= len(record)
        packed.append(record)
    flags = bytes(
        (
            _RESPONSE
            | query.flags[0] & 0x78
            | (_AUTHORITATIVE if authoritative else 0)
            | truncated
            | query.flags[0] & _RECURSION_DESIRED,
            _RECURSION_AVAILABLE | query.flags[1] & _CHECKING_DISABLED | code & 15,
        )
    )
    counts = (int(bool(query.question)), len(packed), 0, int(query.edns))
    header = query.identifier + flags + b"".join(count.to_bytes(2, "big") for count in counts)
    return header + query.question + b"".join(packed) + (_opt(code) if query.edns else b"")


def _opt(code: int) -> bytes:
    return b"\0" + OPT.to_bytes(2, "big") + EDNS_BYTES.to_bytes(2, "big") + bytes((code >> 4, 0, 0, 0, 0, 0))


def encode_name(name: str) -> bytes | None:
    """Return a name in wire format; None for one that cannot be encoded.

    >>> encode_name("web.dns.podman")
    b'\\x03web\\x03dns\\x06podman\\x00'
    """
    labels = [label.encode() for label in name.split(".")]
    encoded = b"".join(bytes((len(label) % 256,)) + label for label in labels) + b"\0"
    if not all(0 < len(label) <= _LABEL_BYTES for label in labels) or len(encoded) > _NAME_BYTES:
        return None
    return encoded


def reversed_address(name: str) -> bytes | None:
    """Return the packed address of a name for reverse lookups; None for any other name.

    >>> reversed_address("2.0.89.10.in-addr.arpa")
    b'\\nY\\x00\\x02'
    """
    labels = name.split(".")
    labels.reverse()
    if labels[:2] == ["arpa", "in-addr"] and len(labels) == 6:
        numbers = [
            int(label) if label.isdecimal() and label.isascii() and len(label) < 4 else 256 for label in labels[2:]
        ]
        return bytes(numbers) if max(numbers) < 256 else None
    if labels[:2] == ["arpa", "ip6"] and len(labels) == 34 and all(len(label) == 1 for label in labels[2:]):
        digits = "".join(labels[2:])
        return bytes.fromhex(digits) if set(digits) <= set("0123456789abcdef") else None
    return None
