"""--publish and --expose: every form that podman documents, and podman's error messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.errors import InvalidSpec
from pypod.model.port import (
    PROTOCOLS,
    Port,
    exposed_but_not_published,
    joined,
    parse_exposed,
    parse_port,
    parse_ports,
)

FORMS = [
    ("80", Port(container_port=80, host_port=0)),
    (":80", Port(container_port=80, host_port=0)),
    ("8080:80", Port(container_port=80, host_port=8080)),
    ("+8080:080", Port(container_port=80, host_port=8080)),
    ("8080:80/UDP", Port(container_port=80, host_port=8080, protocol="udp")),
    ("80/sctp", Port(container_port=80, host_port=0, protocol="sctp")),
    ("127.0.0.1::80", Port(container_port=80, host_port=0, host_ip="127.0.0.1")),
    ("0.0.0.0:80:80", Port(container_port=80, host_port=80)),
    ("[::1]:80:80", Port(container_port=80, host_port=80, host_ip="::1")),
    ("[0::0:1]::80", Port(container_port=80, host_port=0, host_ip="::1")),
    ("[::]:80:80", Port(container_port=80, host_port=80, host_ip="::")),
    ("[::ffff:1.2.3.4]:80:80", Port(container_port=80, host_port=80, host_ip="1.2.3.4")),
    ("8000-8002:80-82", Port(container_port=80, host_port=8000, count=3)),
    ("80-82", Port(container_port=80, host_port=0, count=3)),
]


@pytest.mark.parametrize(("text", "port"), FORMS)
def test_forms(text: str, port: Port) -> None:
    assert parse_port(text) == port


WRONG = [
    ("", "must provide a non-empty container port to publish"),
    ("0:80", "parsing host port: port numbers must be between 1 and 65535 (inclusive), got 0"),
    ("80:80/", "must provide a non-empty protocol to publish"),
    ("80/tcp/udp", "invalid port format - protocol can only be specified once"),
    ("80:80/xyz", 'unrecognized protocol "xyz" in port mapping'),
    (":80:80", "must provide a non-empty container host IP to publish"),
    ("1.2.3:80:80", 'cannot parse "1.2.3" as an IP address'),
    ("01.2.3.4:80:80", 'cannot parse "01.2.3.4" as an IP address'),
    ("::1:80:80", "invalid port format - format is [[hostIP:]hostPort:]containerPort"),
    ("[::1]:80", "invalid port format - must provide host and destination port if specifying an IP"),
    ("[::1]80:80", "invalid port format - IPv6 address must be followed by a colon (':')"),
    ("::1]:80:80", "invalid port format - IPv6 addresses must be enclosed by []"),
    ("[::1]:1:2:3", "invalid port format - when v6 address specified, must be [ipv6]:hostPort:ctrPort"),
    ("[::1]:[::2]:80", "invalid port format - at most one IPv6 address can be specified in a --publish"),
    ("a:80", 'parsing host port: invalid port number: strconv.Atoi: parsing "a": invalid syntax'),
    ("80:b", 'parsing container port: invalid port number: strconv.Atoi: parsing "b": invalid syntax'),
    ("80:0", "parsing container port: port numbers must be between 1 and 65535 (inclusive), got 0"),
    ("65536:1", "parsing host port: port numbers must be between 1 and 65535 (inclusive), got 65536"),
    ("-1:80", "parsing host port: port numbers cannot be negative"),
    ("80:80-", "parsing container port: must provide ending number for port range"),
    (
        "80:82-81",
        "parsing container port: the end port of a range must be higher than the start port - 81 is not higher than 82",
    ),
    ("80:1-2-3", "parsing container port: invalid port format - port ranges are formatted as startPort-stopPort"),
    ("80-82:80-81", "host and container port ranges have different lengths: 3 vs 2"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_told_in_podmans_words(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as failure:
        parse_port(text)
    assert (failure.value.argument, str(failure.value)) == ("--publish", message)


NUMBERS = st.integers(1, 65535)


@st.composite
def ports(draw: st.DrawFn) -> Port:
    count = draw(st.integers(1, 5))
    numbers = st.integers(1, 65536 - count)
    return Port(
        container_port=draw(numbers),
        host_port=draw(numbers),
        host_ip=draw(st.sampled_from(["", "127.0.0.1", "10.0.0.9", "::", "::1", "2001:db8::1"])),
        protocol=draw(st.sampled_from(list(PROTOCOLS))),
        count=count,
    )


def written(port: Port) -> str:
    """Return a port as a user would write it."""
    address = f"[{port.host_ip}]:" if ":" in port.host_ip else f"{port.host_ip}:" if port.host_ip else ""
    last = port.count - 1
    host = f"{port.host_port}-{port.host_port + last}" if last else f"{port.host_port}"
    inside = f"{port.container_port}-{port.container_port + last}" if last else f"{port.container_port}"
    return f"{address}{host}:{inside}/{port.protocol}"


@given(ports())
def test_what_is_written_is_read(port: Port) -> None:
    assert parse_port(written(port)) == port
    assert parse_ports([written(port), port]) == (port, port)


@given(st.text(alphabet="0123456789:[]/-.tcpudf ", max_size=24) | st.text(max_size=12))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        port = parse_port(text)
    except InvalidSpec:
        return
    assert port.container_port + port.count - 1 <= 65535
    if port.host_port:
        assert parse_port(written(port)) == port


def every(many) -> set[tuple[str, str, int, int]]:
    return {
        (one.host_ip, one.protocol, one.host_port + at, one.container_port + at)
        for one in many
        for at in range(one.count)
    }


def test_what_a_range_grows_over_is_in_conflict_too() -> None:
    """The range of 127.0.0.1 starts at one port and grows, and ends on one that all addresses have."""
    with pytest.raises(InvalidSpec, match="conflicting port mappings for host port 3 "):
        joined(parse_ports(["1:1", "127.0.0.1:2:1", "3:1", "127.0.0.1:2-3:1-2"]))


@given(st.lists(ports(), max_size=6))
def test_joining_loses_nothing_and_lets_no_two_share_a_port(many: list[Port]) -> None:
    try:
        found = joined(many)
    except InvalidSpec:
        assert any(one.meets(other) for one in many for other in many if one is not other)
        return
    assert every(found) == every(many)
    assert not any(one.meets(other) for one in found for other in found if one is not other)
    assert joined(found) == found


def test_neighbours_are_one_range() -> None:
    assert joined(parse_ports(["81:81", "80:80", "83:83", "90:82"])) == (
        Port(container_port=80, host_port=80, count=2),
        Port(container_port=83, host_port=83),
        Port(container_port=82, host_port=90),
    )
    assert joined(parse_ports(["80:80", "80:80"])) == (Port(container_port=80, host_port=80),)


@pytest.mark.parametrize("texts", [["80:80", "80:81"], ["80:80", "127.0.0.1:80:81"], ["[::]:80:80", "[::1]:80:80"]])
def test_two_for_one_port_are_in_conflict(texts: list[str]) -> None:
    with pytest.raises(InvalidSpec, match=r"conflicting port mappings for host port 80 \(protocol tcp\)"):
        joined(parse_ports(texts))


@pytest.mark.parametrize(
    "texts", [["80:80", "80:80/udp"], ["1.1.1.1:80:80", "1.1.1.2:80:80"], ["[::]:80:80", "1.1.1.1:80:80"]]
)
def test_two_that_are_apart(texts: list[str]) -> None:
    assert len(joined(parse_ports(texts))) == 2


def test_other_ways_to_say_it() -> None:
    assert parse_ports([80, "81"]) == parse_ports(["80", "81"])
    assert parse_ports({8080: 80, "53": "53/udp", "127.0.0.1:1": 2}) == parse_ports(
        ["8080:80", "53:53/udp", "127.0.0.1:1:2"]
    )


def test_how_podman_shows_it() -> None:
    shown = [str(parse_port(text)) for text in ("8080:80", "1-2:3-4/udp", "[::1]:80:80", "127.0.0.1:1:2")]
    assert shown == ["0.0.0.0:8080->80/tcp", "0.0.0.0:1-2->3-4/udp", "::1:80->80/tcp", "127.0.0.1:1->2/tcp"]


def test_exposed() -> None:
    exposed = [parse_exposed(text) for text in ("70-71", "72/udp", "72")]
    found = exposed_but_not_published(exposed, [parse_port("75:70"), parse_port("72")])
    assert [(one.container_port, one.protocol, one.host_port) for one in found] == [(71, "tcp", 0), (72, "udp", 0)]
    for bad in ("", "0", "a", "1-", "2-1", "80/x", "80/tcp/udp"):
        with pytest.raises(InvalidSpec) as failure:
            parse_exposed(bad)
        assert failure.value.argument == "--expose"
