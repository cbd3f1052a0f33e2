"""DNS answers by asker: a table of queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.network.dns.message import parse
from pypod.network.dns.names import Entry, Names, View, answer, is_within
from tests import dns

WEB = Entry(
    names=("Web", "aaaaaaaaaaaa", "shared"),
    addresses=(bytes([10, 89, 0, 2]), bytes.fromhex("fd000089000000000000000000000002")),
    runners=("infra", "web"),
)
DB = Entry(names=("db", "shared"), addresses=(bytes([10, 89, 0, 3]),), runners=("db",))
GONE = Entry(names=("gone", "shared"), addresses=(bytes([10, 89, 0, 4]),), runners=("infra", "gone"))
OTHER = Entry(names=("other", "db"), addresses=(bytes([10, 90, 0, 2]),), runners=("db",))
SUBNETS = ((bytes([10, 89, 0, 0]), 24), (bytes.fromhex("fd000089000000000000000000000000"), 64))
UP = {"infra", "web", "db"}


def view(*more: Names, up: set[str] = UP, servers: tuple[str, ...] = ("192.0.2.53",), internal: bool = False) -> View:
    names = (Names([WEB, DB, GONE]), *more)
    return View(networks=names, is_running=up.__contains__, subnets=SUBNETS, servers=servers, internal=internal)


def reply(text: str, kind: int = dns.A, seen: View | None = None, **how: int) -> dns.Answer | None:
    data = answer(parse(dns.question(text, kind, **how)), seen or view())
    return None if data is None else dns.read(data)


FORWARDED = None
QUESTIONS = [
    ("web", dns.A, ["10.89.0.2"]),
    ("WEB", dns.A, ["10.89.0.2"]),
    ("web.dns.podman", dns.A, ["10.89.0.2"]),
    ("web", dns.AAAA, ["fd00:89::2"]),
    ("web", dns.ANY, ["10.89.0.2", "fd00:89::2"]),
    ("web", dns.SOA, []),
    ("aaaaaaaaaaaa", dns.A, ["10.89.0.2"]),
    ("db", dns.AAAA, []),
    ("shared", dns.A, ["10.89.0.2", "10.89.0.3"]),
    ("dns.podman", dns.SOA, []),
    ("gone", dns.A, dns.NO_SUCH_NAME),
    ("nobody", dns.A, dns.NO_SUCH_NAME),
    ("nobody.dns.podman", dns.A, dns.NO_SUCH_NAME),
    ("a.web.dns.podman", dns.SOA, dns.NO_SUCH_NAME),
    ("other", dns.A, dns.NO_SUCH_NAME),
    ("example.com", dns.A, FORWARDED),
    ("com", dns.NS, FORWARDED),
    ("", dns.NS, FORWARDED),
    ("web.example", dns.A, FORWARDED),
    ("xdns.podman", dns.A, FORWARDED),
    ("2.0.89.10.in-addr.arpa", dns.PTR, ["web", "aaaaaaaaaaaa", "shared"]),
    (
        f"2.{'0.' * 23}9.8.0.0.0.0.d.f.ip6.arpa",
        dns.PTR,
        ["web", "aaaaaaaaaaaa", "shared"],
    ),
    ("2.0.89.10.in-addr.arpa", dns.A, []),
    ("4.0.89.10.in-addr.arpa", dns.PTR, dns.NO_SUCH_NAME),
    ("77.0.89.10.in-addr.arpa", dns.PTR, dns.NO_SUCH_NAME),
    ("8.8.8.8.in-addr.arpa", dns.PTR, FORWARDED),
    ("web", dns.AXFR, dns.REFUSED),
]


@pytest.mark.parametrize(("text", "kind", "expected"), QUESTIONS)
def test_questions(text: str, kind: int, expected: list[str] | int | None) -> None:
    found = reply(text, kind)
    if expected is FORWARDED:
        assert found is None
        return
    assert found.question == (text, kind, 1)
    if isinstance(expected, int):
        assert (found.code, found.data) == (expected, [])
    else:
        assert (found.code, found.data, found.authoritative) == (0, expected, True)
        assert all((owner, ttl) == (text, 0) for owner, _, ttl, _ in found.records)


def test_a_name_goes_with_any_of_those_who_must_run() -> None:
    assert reply("web", seen=view(up={"infra", "web"})).data == ["10.89.0.2"]
    assert reply("web", seen=view(up={"web"})).code == dns.NO_SUCH_NAME
    assert reply("web", seen=view(up={"infra"})).code == dns.NO_SUCH_NAME
    assert reply("shared", seen=view(up={"infra", "web"})).data == ["10.89.0.2"]


def test_who_is_on_two_networks_sees_both() -> None:
    both = view(Names([OTHER]))
    assert reply("other", seen=both).data == ["10.90.0.2"]
    assert reply("db", seen=both).data == ["10.89.0.3", "10.90.0.2"]


def test_another_address_comes_first_each_time() -> None:
    query = parse(dns.question("shared"))
    firsts = [dns.read(answer(query, view(), turn)).data[0] for turn in range(4)]
    assert firsts == ["10.89.0.2", "10.89.0.3"] * 2


def test_strangers_are_refused() -> None:
    assert dns.read(answer(parse(dns.question("web")), None)).code == dns.REFUSED
    assert dns.read(answer(parse(dns.question("example.com")), None)).code == dns.REFUSED


def test_other_classes_are_refused() -> None:
    assert reply("version.bind", 16, cls=3).code == dns.REFUSED


def test_without_other_servers() -> None:
    assert reply("example.com", seen=view(servers=())).code == dns.SERVER_FAILURE
    assert reply("example.com", seen=view(servers=(), internal=True)).code == dns.NO_SUCH_NAME
    assert reply("example.com", seen=view(internal=True)).code == dns.NO_SUCH_NAME
    assert reply("web", seen=view(servers=())).data == ["10.89.0.2"]


def test_names_longer_than_a_label_are_left_out_of_reverse_answers() -> None:
    long = Entry(names=("x" * 64, "short"), addresses=(bytes([10, 89, 0, 9]),), runners=())
    seen = View(networks=(Names([long]),), is_running=UP.__contains__)
    assert reply("9.0.89.10.in-addr.arpa", dns.PTR, seen).data == ["short"]


@given(st.binary(min_size=12, max_size=200), st.booleans())
def test_no_question_raises(data: bytes, tcp: bool) -> None:
    query = parse(data[:2] + b"\1\0\0\1\0\0\0\0\0\0" + data[12:], tcp=tcp)
    found = answer(query, view())
    assert found is None or dns.read(found).identifier == int.from_bytes(data[:2], "big")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("0a590002", True), ("0a590102", False), ("fd000089" + "0" * 23 + "2", True), ("fd000088" + "0" * 24, False)],
)
def test_subnets(address: str, expected: bool) -> None:
    assert is_within(bytes.fromhex(address), SUBNETS) is expected
    assert is_within(bytes.fromhex(address), ((bytes(len(address) // 2), 0),)) is True
