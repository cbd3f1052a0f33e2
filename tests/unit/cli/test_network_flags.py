"""--network and related flags: every form that podman documents, and podman's error messages."""

from __future__ import annotations

import pytest

from pypod.errors import InvalidSpec
from pypod.model.namespace import HOST, POD, PRIVATE, Mode
from pypod.model.network import Connection
from pypod.model.network_flags import Asked, check_alias, check_dns, parse_mac, parse_networks, with_flags

MODES = [
    ("none", PRIVATE, "none"),
    ("host", HOST, "host"),
    ("pod", POD, "pod"),
    ("container:web", Mode(mode="container", target="web"), "container"),
    ("ns:/run/netns/x", Mode(mode="ns", target="/run/netns/x"), "path"),
]


@pytest.mark.parametrize(("text", "mode", "name"), MODES)
def test_a_mode_that_is_no_bridge_has_no_connections(text: str, mode: Mode, name: str) -> None:
    assert parse_networks([text]) == Asked(mode=mode, name=name)


BRIDGES = [
    ([], ["podman"]),
    ([""], ["podman"]),
    (["bridge"], ["podman"]),
    (["private"], ["podman"]),
    (["default"], ["podman"]),
    (["front"], ["front"]),
    (["front:"], ["front"]),
    (["front,back"], ["front", "back"]),
    (["front", "back", "third"], ["front", "back", "third"]),
    (["bridge", "front"], ["podman", "front"]),
    (["front", "front"], ["front"]),
]


@pytest.mark.parametrize(("texts", "names"), BRIDGES)
def test_networks_are_named(texts: list[str], names: list[str]) -> None:
    asked = parse_networks(texts)
    assert asked.mode == PRIVATE
    assert [one.network for one in asked.connections] == names


def test_the_default_is_what_the_environment_says() -> None:
    assert parse_networks([], "none") == parse_networks(["none"])
    assert parse_networks(["front"], "none") == parse_networks(["front"])
    assert parse_networks(["bridge"], "none").connections


def test_options_of_a_connection() -> None:
    text = "front:ip=10.89.0.9,ip6=fd00::0009,mac=AA-bb-cc-dd-ee-0f,alias=db,alias=db_1,interface_name=net7"
    assert parse_networks([text, "back:alias=x"]).connections == (
        Connection(
            network="front",
            addresses=("10.89.0.9", "fd00::9"),
            mac="aa:bb:cc:dd:ee:0f",
            aliases=("db", "db_1"),
            interface="net7",
        ),
        Connection(network="back", aliases=("x",)),
    )
    assert parse_networks(["bridge:ip=fd00::1"]).connections == (Connection(network="podman", addresses=("fd00::1",)),)


def test_an_address_of_ipv4_may_be_written_as_one_of_ipv6() -> None:
    assert parse_networks(["a:ip=::ffff:10.89.0.9"]).connections[0].addresses == ("10.89.0.9",)


def test_of_a_network_named_twice_the_last_counts() -> None:
    assert parse_networks(["a:ip=10.0.0.9", "b", "a:alias=x"]).connections == (
        Connection(network="a", aliases=("x",)),
        Connection(network="b"),
    )


WRONG = [
    (["container:"], "namespace mode container requires a value"),
    (["container"], "namespace mode container requires a value"),
    (["ns:"], "namespace mode path requires a value"),
    (["none:ip=10.0.0.1"], "invalid option for network none: unknown bridge network option: ip"),
    (["host:x"], "invalid option for network host: unknown bridge network option: x"),
    ([":x"], "network name cannot be empty"),
    (["a", ":"], "network name cannot be empty: invalid argument"),
    (["a,,b"], "network name cannot be empty"),
    (["a", "host"], "can only set extra network names, selected mode host conflicts with bridge: invalid argument"),
    (["a", "bridge"], "can only set extra network names, selected mode bridge conflicts with bridge: invalid argument"),
    (
        ["host", "none"],
        "cannot set multiple networks without bridge network mode, selected mode host: invalid argument",
    ),
    (["ns:/x", "a"], "cannot set multiple networks without bridge network mode, selected mode path: invalid argument"),
    (["private", "a"], "cannot set multiple networks without bridge network mode, selected mode private"),
    (["a:foo=bar"], "invalid option for network a: unknown bridge network option: foo"),
    (["a:ip=foo"], 'invalid option for network a: invalid ip address "foo"'),
    (["a:ip=1.2.3"], 'invalid ip address "1.2.3"'),
    (["a:ip=01.2.3.4"], 'invalid ip address "01.2.3.4"'),
    (["a:ip=1.2.3.4\0"], "invalid ip address"),
    (["a:ip"], 'invalid ip address ""'),
    (["a:mac=zz"], "invalid option for network a: address zz: invalid MAC address"),
    (["a:alias="], "invalid option for network a: alias cannot be empty"),
    (["a:alias=x y"], "'x y' is not a valid alias"),
    (["a:interface_name="], "invalid interface name ''"),
    (["a:interface_name=a/b"], "invalid interface name 'a/b'"),
    (["a:interface_name=eth%d"], "invalid interface name 'eth%d'"),
    (["a:interface_name=sixteen-bytes-xx"], "has more than 15 bytes"),
    (["a:interface_name=lo"], "interface lo already exists"),
    (["a:ip=10.0.0.1,ip=10.0.0.2"], "a connection can have only one address per family: 10.0.0.1, 10.0.0.2"),
    (
        ["a:interface_name=eth0", "b:interface_name=eth0"],
        'network interface name "eth0" is already assigned to another network',
    ),
]


@pytest.mark.parametrize(("texts", "words"), WRONG)
def test_what_is_wrong_is_told_in_podmans_words(texts: list[str], words: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_networks(texts)
    assert words in caught.value.message
    assert caught.value.argument == "--network"


class TestFlags:
    ONE = parse_networks(["a:ip=10.0.0.1,ip6=fd00::1,alias=x"])
    TWO = parse_networks(["a", "b"])

    def test_they_win_over_the_options_of_a_single_network(self) -> None:
        (one,) = with_flags(self.ONE, ip="10.0.0.2", mac_address="0a:00:00:00:00:01", aliases=["y", "x"]).connections
        assert one.addresses == ("10.0.0.2", "fd00::1")
        assert one.mac == "0a:00:00:00:00:01"
        assert one.aliases == ("x", "y")
        assert with_flags(self.ONE, ip6="fd00::2").connections[0].addresses == ("10.0.0.1", "fd00::2")
        assert with_flags(self.ONE) == self.ONE

    def test_aliases_are_for_every_network(self) -> None:
        assert [one.aliases for one in with_flags(self.TWO, aliases=["n"]).connections] == [("n",), ("n",)]

    @pytest.mark.parametrize("name", ["ip", "ip6", "mac_address"])
    def test_the_others_are_for_one(self, name: str) -> None:
        flag = f"--{name.replace('_', '-')}"
        with pytest.raises(InvalidSpec, match="can only be set for a single network: invalid argument") as caught:
            with_flags(self.TWO, **{name: "10.0.0.1"})
        assert caught.value.argument == flag

    @pytest.mark.parametrize("text", ["none", "host", "container:x", "ns:/x"])
    @pytest.mark.parametrize("given", [{"ip": "10.0.0.1"}, {"ip6": "::1"}, {"mac_address": "x"}, {"aliases": ["a"]}])
    def test_without_a_network_there_are_none(self, text: str, given: dict[str, str]) -> None:
        with pytest.raises(InvalidSpec, match="can only be set when the network mode is bridge: invalid argument"):
            with_flags(parse_networks([text]), **given)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"ip": "foo"}, '"foo" is not an ip address'),
            ({"mac_address": "zz"}, "address zz: invalid MAC address"),
            ({"ip": "10.0.0.1", "ip6": "10.0.0.2"}, "one address per family"),
        ],
    )
    def test_wrong_values(self, given: dict[str, str], words: str) -> None:
        with pytest.raises(InvalidSpec, match=words):
            with_flags(parse_networks(["a"]), **given)


@pytest.mark.parametrize("text", ["02:00:00:00:00:01", "02-00-00-00-00-01", "0200.0000.0001"])
def test_hardware_addresses(text: str) -> None:
    assert parse_mac(text) == "02:00:00:00:00:01"


@pytest.mark.parametrize(
    "text",
    ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "020000000001", "02:00-00:00:00:01", "01:00:5e:00:00:01", "x" * 17],
)
def test_hardware_addresses_that_no_device_has(text: str) -> None:
    with pytest.raises(InvalidSpec, match="invalid MAC address"):
        parse_mac(text)


class TestDns:
    BRIDGE = parse_networks(["a"])

    def test_good_ones(self) -> None:
        found = check_dns(self.BRIDGE, ["1.1.1.1", "fd00::1"], ["ndots:3"], ["a.example", "b."])
        assert found == (("1.1.1.1", "fd00::1"), ("ndots:3",), ("a.example", "b."))
        assert check_dns(self.BRIDGE, ["none"], [], []) == (("none",), (), ())
        assert check_dns(parse_networks(["host"]), ["1.1.1.1"], [], [])[0] == ("1.1.1.1",)

    @pytest.mark.parametrize("given", [(["1.1.1.1"], [], []), ([], ["x"], []), ([], [], ["x"])])
    @pytest.mark.parametrize("name", ["none", "container"])
    def test_there_is_no_file_to_write(self, name: str, given: tuple[list[str], ...]) -> None:
        asked = parse_networks([f"{name}:x" if name == "container" else name])
        with pytest.raises(InvalidSpec, match=f"conflicting options: dns and the network mode: {name}"):
            check_dns(asked, *given)
        assert check_dns(asked, [], [], []) == ((), (), ())

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ((["foo"], [], []), "foo is not an ip address"),
            ((["none", "1.1.1.1"], [], []), "none is not allowed to be specified with other DNS ip addresses"),
            ((["none"], [], ["x"]), "UseImageResolvConf and DNSSearch are mutually exclusive options"),
            ((["none"], ["x"], []), "UseImageResolvConf and DNSOption are mutually exclusive options"),
            (([], [], [".", "x"]), "cannot pass additional search domains when also specifying '.'"),
            (([], ["a b"], []), "'a b' is not a valid option"),
            (([], ["a\nnameserver 6.6.6.6"], []), "is not a valid option"),
            (([], [], ["a_b"]), "a_b is not a valid domain"),
            (([], [], ["-a"]), "-a is not a valid domain"),
            (([], [], ["a\nb"]), "is not a valid domain"),
            (([], [], [""]), "is not a valid domain"),
        ],
    )
    def test_wrong_ones(self, given: tuple[list[str], ...], words: str) -> None:
        with pytest.raises(InvalidSpec, match=words):
            check_dns(self.BRIDGE, *given)


@pytest.mark.parametrize("text", ["db", "my_db", "a.b-c", "x" * 255])
def test_aliases(text: str) -> None:
    assert check_alias(text) == text


@pytest.mark.parametrize("text", ["", "a b", "a;b", "-a", "a..b", "x" * 256, "a\n"])
def test_wrong_aliases(text: str) -> None:
    with pytest.raises(InvalidSpec):
        check_alias(text)
