"""Queries are parsed and replies packed as in RFC 1035, whatever the input."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pypod.network.dns import message
from pypod.network.dns.message import pack, parse, reversed_address
from tests import dns


def test_a_question_is_read() -> None:
    query = parse(dns.question("Web.DNS.podman", dns.AAAA, identifier=0xBEEF))
    assert (query.identifier, query.name, query.kind, query.cls) == (b"\xbe\xef", "web.dns.podman", 28, 1)
    assert (query.edns, query.limit, query.error) == (False, 512, 0)


def test_the_root_has_the_empty_name() -> None:
    assert parse(dns.question("", dns.NS)).name == ""


@pytest.mark.parametrize(
    ("edns", "tcp", "limit"),
    [
        (0, False, 512),
        (100, False, 512),
        (1000, False, 1000),
        (4096, False, 1232),
        (4096, True, 65535),
        (0, True, 65535),
    ],
)
def test_how_large_an_answer_may_be(edns: int, tcp: bool, limit: int) -> None:
    assert parse(dns.question("web", edns=edns), tcp=tcp).limit == limit


def test_what_is_no_question_gets_no_answer() -> None:
    assert parse(b"") is None
    assert parse(dns.question("web")[:11]) is None
    assert parse(dns.question("web", flags=0x8100)) is None


LONG = ".".join(["a" * 63] * 4)  # 257 bytes in a message
POINTER = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c" + b"\0\1\0\1"
OPT = b"\0\0\x29" + b"\0" * 8
NONSENSE = {
    "the name is cut off": dns.question("web")[:-5],
    "the type is cut off": dns.question("web")[:-1],
    "no question": struct.pack(">6H", 1, 0, 0, 0, 0, 0),
    "two questions": struct.pack(">6H", 1, 0, 2, 0, 0, 0) + dns.question("web")[12:] * 2,
    "a pointer to itself": POINTER,
    "a label of 64 bytes": dns.question("a" * 64),
    "a name of 257 bytes": dns.question(LONG),
    "records that are not there": dns.question("web")[:10] + b"\xff\xff" + dns.question("web")[12:],
    "two OPT records": dns.question("web")[:10] + b"\0\2" + dns.question("web", edns=512)[12:] + OPT,
    "OPT with another name": dns.question("web")[:10] + b"\0\1" + dns.question("web")[12:] + b"\1x" + OPT,
    "OPT longer than the message": dns.question("web", edns=512)[:-1] + b"\x09",
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_told_so(data: bytes) -> None:
    query = parse(data)
    assert query.error == dns.FORMAT_ERROR
    reply = dns.read(pack(query, query.error))
    assert (reply.identifier, reply.code, reply.question) == (int.from_bytes(data[:2], "big"), 1, None)


def test_the_longest_name_is_read() -> None:
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert parse(dns.question(longest)).name == longest


def test_a_dot_in_a_label_separates_nothing() -> None:
    data = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + b"\x0eweb.dns.podman\0" + b"\0\1\0\1"
    assert parse(data).name == "web\\.dns\\.podman"


def test_other_operations_are_not_there() -> None:
    assert parse(dns.question("web", flags=0x2800)).error == dns.NOT_IMPLEMENTED  # an UPDATE
    assert dns.read(pack(parse(dns.question("web", flags=0x2800)), 4)).flags & 0x7800 == 0x2800


def test_another_version_of_edns() -> None:
    query = parse(dns.question("web", edns=1232, version=1))
    assert query.error == dns.BAD_VERSION
    assert dns.read(pack(query, query.error)).code == dns.BAD_VERSION


def test_an_answer_says_what_was_asked() -> None:
    query = parse(dns.question("WeB", identifier=7, edns=4096, flags=0x0110))
    reply = dns.read(pack(query, records=[(dns.A, b"\x0a\x59\0\2"), (dns.A, b"\x0a\x59\0\3")]))
    assert (reply.identifier, reply.code, reply.question) == (7, 0, ("WeB", 1, 1))
    assert reply.records == [("WeB", 1, 0, "10.89.0.2"), ("WeB", 1, 0, "10.89.0.3")]
    assert reply.flags == 0x8590  # response, authoritative, recursion desired and available, checking disabled
    assert reply.edns_size == 1232
    assert dns.read(pack(query, authoritative=False)).authoritative is False


@pytest.mark.parametrize(("edns", "records"), [(0, 30), (1232, 75), (600, 35)])
def test_what_does_not_fit_is_left_out_and_said_so(edns: int, records: int) -> None:
    query = parse(dns.question("web", edns=edns))
    many = [(dns.A, bytes([10, 89, number >> 8, number & 255])) for number in range(500)]
    data = pack(query, records=many)
    reply = dns.read(data)
    assert len(data) <= query.limit
    assert len(data) + 16 > query.limit
    assert (reply.truncated, len(reply.records)) == (True, records)
    assert dns.read(pack(query, records=many[:records])).truncated is False
    assert len(dns.read(pack(parse(dns.question("web"), tcp=True), records=many)).records) == 500


@given(st.binary(max_size=600), st.booleans(), st.integers(0, 80))
@example(dns.question("web", edns=65535), False, 80)
def test_whatever_comes_the_answer_is_one(data: bytes, tcp: bool, count: int) -> None:
    query = parse(data, tcp=tcp)
    if query is None:
        assert len(data) < 12 or data[2] & 0x80
        return
    reply = pack(query, query.error, [(dns.AAAA, bytes(16))] * (0 if query.error else count))
    assert len(reply) <= (65535 if tcp else 1232)
    assert dns.read(reply).identifier == int.from_bytes(data[:2], "big")


labels = st.lists(
    st.integers(0, 255).flatmap(lambda size: st.tuples(st.just(size), st.binary(max_size=70))), max_size=6
)


@given(labels, st.integers(0, 3), st.binary(max_size=30))
def test_names_of_any_form(parts: list[tuple[int, bytes]], records: int, rest: bytes) -> None:
    """Labels with wrong lengths, pointers to anywhere, invalid records."""
    name = b"".join(bytes([size]) + text for size, text in parts)
    data = struct.pack(">6H", 1, 0, 1, records, records, records) + name + b"\0" + rest
    query = parse(data)
    assert query is not None
    assert len(query.name) <= 4 * 255
    dns.read(pack(query, query.error, () if query.error else [(dns.A, b"1234")]))


REVERSED = [
    ("2.0.89.10.in-addr.arpa", "0a590002"),
    ("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.8.0.0.0.0.d.f.ip6.arpa", "fd000089000000000000000000000002"),
    ("256.0.89.10.in-addr.arpa", None),
    ("-1.0.89.10.in-addr.arpa", None),
    ("\u00b2.0.89.10.in-addr.arpa", None),  # superscript two: a digit for str.isdigit, not for str.isdecimal
    ("0.89.10.in-addr.arpa", None),
    ("1.2.0.89.10.in-addr.arpa", None),
    (".".join(["g"] * 32) + ".ip6.arpa", None),
    (".".join(["00"] * 32) + ".ip6.arpa", None),
    ("2.0.89.10", None),
    ("", None),
]


@pytest.mark.parametrize(("name", "expected"), REVERSED)
def test_reverse_names(name: str, expected: str | None) -> None:
    found = reversed_address(name)
    assert (found.hex() if found else None) == expected


@given(st.text(max_size=40))
def test_reverse_names_of_any_form(text: str) -> None:
    for name in (text, f"{text}.in-addr.arpa", f"{text}.ip6.arpa"):
        found = reversed_address(name)
        assert found is None or len(found) in (4, 16)


def test_names_that_no_message_can_have() -> None:
    assert message.encode_name("web.dns.podman") == dns.name("web.dns.podman")
    for name in ("a" * 64, LONG, "", "a..b"):
        assert message.encode_name(name) is None
