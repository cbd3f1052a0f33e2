"""--network pasta and slirp4netns, and the resulting command lines."""

from __future__ import annotations

import json

import pytest

from pypod.errors import InvalidSpec
from pypod.model.network_flags import parse_networks
from pypod.model.port import Port
from pypod.network.user_mode import NAMESPACE, parse


def value(words: tuple[str, ...], name: str) -> list[str]:
    return [words[at + 1] for at, word in enumerate(words) if word == name]


@pytest.mark.parametrize("text", ["pasta", "slirp4netns", "pasta:--mtu,1500", "slirp4netns:mtu=1500,cidr=10.9.0.0/24"])
def test_they_are_modes_of_a_private_namespace(text: str) -> None:
    asked = parse_networks([text])
    assert (asked.program, asked.mode.mode, asked.connections) == (text, "private", ())
    assert str(parse(asked.program)) == text


def test_neither_goes_with_a_bridge() -> None:
    with pytest.raises(InvalidSpec, match="selected mode pasta: invalid argument"):
        parse_networks(["pasta", "blue"])
    with pytest.raises(InvalidSpec, match="selected mode slirp4netns conflicts with bridge"):
        parse_networks(["blue", "slirp4netns"])


class TestPasta:
    def test_forwards_nothing_that_was_not_asked_for(self) -> None:
        words = parse("pasta").arguments()
        assert [value(words, name) for name in ("-t", "-u", "-T", "-U")] == [["none"]] * 4
        assert {"--config-net", "--no-map-gw", "--quiet"} <= set(words)
        assert value(words, "--netns") == [NAMESPACE]

    def test_publishes_ports(self) -> None:
        ports = (
            Port(container_port=80, host_port=8080),
            Port(container_port=81, host_port=8081, host_ip="127.0.0.1", count=2),
            Port(container_port=53, host_port=5353, protocol="udp", host_ip="::1"),
        )
        words = parse("pasta").arguments(ports)
        assert value(words, "-t") == ["8080:80", "127.0.0.1/8081-8082:81-82"]
        assert value(words, "-u") == ["::1/5353:53"]

    def test_has_no_sctp(self) -> None:
        with pytest.raises(InvalidSpec, match="sctp"):
            parse("pasta").arguments([Port(container_port=1, host_port=1, protocol="sctp")])

    def test_its_own_options_win(self) -> None:
        words = parse("pasta:--map-gw,-t,auto,--tcp-ns=5201,--dns-forward,10.0.0.1").arguments()
        assert "--no-map-gw" not in words
        assert "--map-gw" not in words  # podman's option, unknown to pasta
        assert value(words, "-t") == ["auto"]
        assert value(words, "-T") == []
        assert value(words, "--dns-forward") == ["10.0.0.1"]

    def test_addresses(self) -> None:
        assert (parse("pasta").address, parse("pasta").name_server) == ("", "169.254.1.1")
        given = parse("pasta:-a,10.7.0.2,-n,24,--dns-forward=10.7.0.3")
        assert (given.address, given.name_server) == ("10.7.0.2", "10.7.0.3")

    def test_an_address_for_the_host(self) -> None:
        assert parse("pasta").host == ""
        given = parse("pasta").with_host()
        assert value(given.arguments(), "--map-guest-addr") == [given.host] == ["169.254.1.2"]
        assert parse("pasta:--map-guest-addr,none").with_host().host == ""
        assert parse("pasta:-a,10.7.0.2").with_host().host == ""
        assert parse("pasta:--map-host-loopback=10.1.2.3").host == "10.1.2.3"


def add_hostfwd(protocol: str, address: str, port: int, inside: int) -> dict[str, object]:
    """Return the request as slirp4netns(1) documents it."""
    arguments = {"proto": protocol, "host_addr": address, "host_port": port}
    return {"execute": "add_hostfwd", "arguments": arguments | {"guest_addr": "10.7.0.100", "guest_port": inside}}


class TestSlirp4netns:
    def test_addresses_follow_the_cidr(self) -> None:
        mode = parse("slirp4netns:cidr=10.9.8.77/24,allow_host_loopback=true")
        assert (mode.address, mode.name_server, mode.host) == ("10.9.8.100", "10.9.8.3", "10.9.8.2")
        assert "--disable-host-loopback" not in mode.arguments()

    def test_defaults_are_podmans(self) -> None:
        words = parse("slirp4netns").arguments()
        assert {"--disable-host-loopback", "--mtu=65520", "--enable-ipv6", "--cidr=10.0.2.0/24"} <= set(words)
        assert words[-2:] == (NAMESPACE, "tap0")
        assert parse("slirp4netns").host == ""

    def test_publishes_ports_by_its_socket(self) -> None:
        mode = parse("slirp4netns:cidr=10.7.0.0/24")
        ports = (
            Port(container_port=80, host_port=8080),
            Port(container_port=53, host_port=5353, host_ip="127.0.0.1", protocol="udp", count=2),
        )
        assert [json.loads(one) for one in mode.requests(ports)] == [
            add_hostfwd("tcp", "0.0.0.0", 8080, 80),  # noqa: S104
            add_hostfwd("udp", "127.0.0.1", 5353, 53),
            add_hostfwd("udp", "127.0.0.1", 5354, 54),
        ]
        assert "--api-socket=api" in mode.arguments(ports)
        assert not any(word.startswith("--api-socket") for word in mode.arguments())

    @pytest.mark.parametrize("wrong", [{"protocol": "sctp"}, {"host_ip": "::1"}])
    def test_has_neither_sctp_nor_ipv6(self, wrong: dict[str, str]) -> None:
        with pytest.raises(InvalidSpec, match="slirp4netns cannot publish ports") as caught:
            parse("slirp4netns").arguments([Port(container_port=1, host_port=1, **wrong)])
        assert caught.value.argument == "--publish"
        assert caught.value.hint

    @pytest.mark.parametrize(
        "option",
        "x=1 mtu mtu=0 mtu=70000 mtu=a cidr=10.0.0.0 cidr=fd00::/64 cidr=1.2.3.4/30 cidr=x/24".split()
        + "enable_ipv6=yes port_handler=x allow_host_loopback=".split(),
    )
    def test_what_is_wrong_names_the_flag(self, option: str) -> None:
        with pytest.raises(InvalidSpec) as caught:
            parse(f"slirp4netns:{option}")
        assert caught.value.argument == "--network"
