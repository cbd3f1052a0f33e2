"""New networks: podman's defaults, and all possible errors, without asking the kernel."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from pypod.errors import InvalidSpec
from pypod.model.network import NetworkSpec, Route, Subnet
from pypod.network import creation
from pypod.network.creation import Surroundings, complete
from pypod.network.subnets import Taken, free_ipv4, free_ipv6, pool, require_free, subnet

RANDOM = bytes(range(1, 8))
ALONE = Surroundings(interfaces=frozenset(("lo", "eth0")), taken=())


def taken(*texts: str, routed: bool = False) -> tuple[Taken, ...]:
    return tuple(Taken(range=ip_network(text), by="interface eth0", routed=routed) for text in texts)


def asked(**fields: object) -> NetworkSpec:
    return NetworkSpec(**{"id": "1" * 64, "name": "front", "created_ns": 1, "dns": True, **fields})


def made(around: Surroundings = ALONE, **fields: object) -> NetworkSpec:
    return complete(asked(**fields), around, RANDOM)


class TestPools:
    def test_the_first_with_room(self) -> None:
        pools = pool("10.1.0.0/29", 30), pool("10.2.0.0/16", 24)
        assert free_ipv4((), pools) == "10.1.0.0/30"
        assert free_ipv4(taken("10.1.0.1/32"), pools) == "10.1.0.4/30"
        assert free_ipv4(taken("10.1.0.0/24"), pools) == "10.2.0.0/24"
        assert free_ipv4(taken("0.0.0.0/0", routed=True), pools) == "10.1.0.0/30"
        with pytest.raises(InvalidSpec):
            free_ipv4(taken("10.0.0.0/14"), pools)

    @pytest.mark.parametrize(("base", "size"), [("x", 24), ("10.0.0.0/24", 16), ("10.0.0.0/24", 31), ("fd00::/64", 80)])
    def test_wrong(self, base: str, size: int) -> None:
        with pytest.raises(ValueError, match=r"."):
            pool(base, size)

    def test_networks_use_them(self) -> None:
        around = ALONE.replace(pools=(pool("10.3.0.0/16", 26),), default_subnet="10.4.0.0/24")
        assert made(around).subnets[0].subnet == "10.3.0.0/26"
        assert creation.default(around, 1).subnets[0].subnet == "10.4.0.0/24"
        again = creation.default(around.replace(taken=taken("10.4.0.0/16")), 1)
        assert again.subnets[0].subnet == "10.3.0.0/26"


class TestSubnets:
    def test_defaults(self) -> None:
        assert subnet("10.99.1.5/24") == Subnet(subnet="10.99.1.0/24", gateway="10.99.1.1")
        assert subnet("fd00:0::/64") == Subnet(subnet="fd00::/64", gateway="fd00::1")
        assert subnet("10.99.0.0/24", "10.99.0.7").gateway == "10.99.0.7"

    @pytest.mark.parametrize(
        ("text", "first", "last"),
        [
            ("10.98.0.128/25", "10.98.0.129", "10.98.0.255"),  # as in podman
            ("10.98.0.10-10.98.0.20", "10.98.0.10", "10.98.0.20"),
            ("10.98.0.9/32", "10.98.0.9", "10.98.0.9"),
        ],
    )
    def test_a_range(self, text: str, first: str, last: str) -> None:
        found = subnet("10.98.0.0/24", ip_range=text)
        assert (found.first, found.last) == (first, last)

    def test_the_broadcast_address_is_in_no_range(self) -> None:
        for text in ("", "10.98.0.128/25", "10.98.0.0/24"):
            first, last = subnet("10.98.0.0/24", ip_range=text).range()
            assert 10 << 24 | 98 << 16 < first < last == 10 << 24 | 98 << 16 | 254

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("foo",), "invalid CIDR address: foo"),
            (("10.0.0.1",), "invalid CIDR address: 10.0.0.1"),
            (("10.0.0.0/255.255.255.0",), "invalid CIDR address"),
            (("10.0.0.0/33",), "invalid CIDR address"),
            (("fe80::1%eth0/64",), "invalid CIDR address"),
            (("::ffff:10.0.0.0/120",), "invalid CIDR address"),
            (("10.0.0.0/31",), "too small"),
            (("fd00::/127",), "too small"),
            (("0.0.0.0/0",), "cannot be used"),
            (("127.0.0.0/24",), "cannot be used"),
            (("224.0.0.0/24",), "cannot be used"),
            (("fe80::/64",), "cannot be used"),
            (("10.98.0.0/24", "foo"), "invalid string being converted to IP address: foo"),
            (("10.98.0.0/24", "10.97.0.1"), "gateway 10.97.0.1 not in subnet 10.98.0.0/24"),
            (("10.98.0.0/24", "fd00::1"), "gateway fd00::1 not in subnet 10.98.0.0/24"),
            (("10.98.0.0/24", "10.98.0.0"), "is the network's own address"),
            (("10.98.0.0/24", "10.98.0.255"), "is the broadcast address"),
            (("10.98.0.0/24", "", "10.97.0.0/25"), "lease range start ip 10.97.0.1 not in subnet 10.98.0.0/24"),
            (("10.98.0.0/24", "", "10.98.0.0/16"), "not in subnet 10.98.0.0/24"),
            (("10.98.0.0/24", "", "10.98.0.9-10.98.0.8"), "ends before it begins"),
            (("10.98.0.0/24", "", "foo"), "invalid CIDR address: foo"),
        ],
    )
    def test_what_is_wrong(self, arguments: tuple[str, ...], words: str) -> None:
        with pytest.raises(InvalidSpec, match=words):
            subnet(*arguments)

    def test_they_belong_together_in_their_order(self) -> None:
        found = creation.subnets(["10.1.0.0/24", "fd01::/64"], ["10.1.0.9"], ["10.1.0.0/25", "fd01::/80"])
        assert [(one.gateway, one.first) for one in found] == [("10.1.0.9", "10.1.0.1"), ("fd01::1", "fd01::1")]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (([], ["10.0.0.1"], []), "cannot set gateway or range without subnet"),
            (([], [], ["10.0.0.0/24"]), "cannot set gateway or range without subnet"),
            ((["10.0.0.0/24"], ["10.0.0.1", "10.0.0.2"], []), "cannot set more gateways than subnets"),
            ((["10.0.0.0/24"], [], ["10.0.0.0/25", "10.0.0.0/26"]), "cannot set more ranges than subnets"),
        ],
    )
    def test_there_may_not_be_more_of_them(self, arguments: tuple[list[str], ...], words: str) -> None:
        with pytest.raises(InvalidSpec, match=words):
            creation.subnets(*arguments)


class TestFree:
    def test_the_lowest_of_podmans_pools(self) -> None:
        assert free_ipv4(()) == "10.89.0.0/24"
        assert free_ipv4(taken("10.89.0.0/24", "10.89.2.0/24", "192.168.0.0/16", "fd00::/8")) == "10.89.1.0/24"
        assert free_ipv4(taken("10.89.0.128/25", "10.89.1.7/32")) == "10.89.2.0/24"
        assert free_ipv4(taken("10.89.0.0/16")) == "10.90.0.0/24"
        assert free_ipv4(taken("10.89.0.0/16", "10.0.0.0/9")) == "10.128.0.0/24"

    def test_a_route_is_avoided_unless_it_leads_to_all_of_them(self) -> None:
        assert free_ipv4(taken("10.89.0.0/16", routed=True)) == "10.90.0.0/24"
        assert free_ipv4((*taken("10.0.0.0/8", routed=True), *taken("10.89.0.0/24"))) == "10.89.1.0/24"

    def test_there_is_none(self) -> None:
        with pytest.raises(InvalidSpec, match="could not find free subnet from subnet pools"):
            free_ipv4(taken("10.0.0.0/8"))
        full = [f"10.{number}.0.0/16" for number in range(89, 255)] + [f"10.255.{number}.0/24" for number in range(256)]
        assert free_ipv4(taken(*full[:-1])) == "10.255.255.0/24"
        with pytest.raises(InvalidSpec, match="could not find"):
            free_ipv4(taken(*full))

    def test_ipv6(self) -> None:
        assert free_ipv6((), RANDOM) == "fd01:203:405:607::/64"
        with pytest.raises(InvalidSpec, match="interface eth0 has fd00::/8"):
            free_ipv6(taken("fd00::/8"), RANDOM)

    @pytest.mark.parametrize("text", ["10.99.0.0/24", "10.99.0.0/16", "10.99.0.128/25", "10.0.0.0/8"])
    def test_an_overlap_names_who_has_it(self, text: str) -> None:
        message = "subnet 10.99.0.0/24 is already used on the host or by another config: interface eth0 has"
        with pytest.raises(InvalidSpec, match=message):
            require_free([subnet("10.99.0.0/24")], taken(text))

    def test_a_wider_route_is_no_obstacle(self) -> None:
        require_free([subnet("10.99.0.0/24")], taken("10.0.0.0/8", "10.98.0.0/24", routed=True))
        with pytest.raises(InvalidSpec, match=r"interface eth0 has 10.99.0.128/25"):
            require_free([subnet("10.99.0.0/24")], taken("10.99.0.128/25", routed=True))

    def test_subnets_of_one_network_do_not_overlap(self) -> None:
        with pytest.raises(InvalidSpec, match="of one network overlap"):
            require_free([subnet("10.99.0.0/24"), subnet("fd00::/64"), subnet("10.99.0.0/25")], ())


class TestBridge:
    def test_defaults_are_podmans(self) -> None:
        found = made()
        assert found.subnets == (Subnet(subnet="10.89.0.0/24", gateway="10.89.0.1", chosen=True),)
        assert (found.interface, found.ipam, found.dns, found.ipv6) == ("pypod1", "host-local", True, False)

    def test_ipv6_adds_the_family_that_is_missing(self) -> None:
        families = [[":" in one.subnet for one in made(ipv6=True, subnets=given).subnets] for given in (
            (), (subnet("10.1.0.0/24"),), (subnet("fd01::/64"),), (subnet("10.1.0.0/24"), subnet("fd01::/64")),
        )]  # fmt: skip
        assert families == [[False, True], [False, True], [True, False], [False, True]]
        assert made(subnets=(subnet("fd01::/64"),)).ipv6 is True
        assert len(made(subnets=(subnet("fd01::/64"),)).subnets) == 1

    def test_an_interface_that_is_free(self) -> None:
        around = ALONE.replace(interfaces=frozenset(("lo", "pypod1", "pypod2", "pypod4")))
        assert made(around).interface == "pypod3"
        assert made(around, interface="br-front").interface == "br-front"
        with pytest.raises(InvalidSpec, match="bridge name pypod2 already in use"):
            made(around, interface="pypod2")

    def test_what_another_network_has_not_is_not_taken(self) -> None:
        """A macvlan without a parent has no interface."""
        assert made(ALONE.replace(interfaces=frozenset(("lo", "")))).interface == "pypod1"

    def test_internal_keeps_its_names(self) -> None:
        """As in podman's netavark: names are needed in a network that leads nowhere, too."""
        assert made(internal=True).dns is True

    def test_no_addresses_no_names(self) -> None:
        found = made(ipam="none")
        assert (found.subnets, found.dns) == ((), False)

    def test_options(self) -> None:
        found = made(options=(("vlan", "3"), ("mtu", "1400"), ("isolate", "1")))
        assert found.options == (("isolate", "true"), ("mtu", "1400"), ("vlan", "3"))

    def test_routes(self) -> None:
        route = creation.route("10.21.0.0/24,10.89.0.9,50")
        assert made(routes=(route,)).routes == (Route(destination="10.21.0.0/24", gateway="10.89.0.9", metric=50),)
        with pytest.raises(InvalidSpec, match=r"gateway 10.77.0.1 of route to 10.21.0.0/24 not in any subnet"):
            made(routes=(creation.route("10.21.0.0/24,10.77.0.1"),))


class TestSublinks:
    SUBNETS = (Subnet(subnet="10.94.0.0/24", gateway="10.94.0.1"),)

    @pytest.mark.parametrize(("driver", "mode"), [("macvlan", "vepa"), ("ipvlan", "l3s")])
    def test_the_parent_is_the_interface(self, driver: str, mode: str) -> None:
        options = (("parent", "eth0"), ("mode", mode), ("mtu", "1400"))
        found = made(driver=driver, subnets=self.SUBNETS, options=options)
        assert (found.interface, found.dns) == ("eth0", False)
        assert found.options == (("mode", mode), ("mtu", "1400"))

    def test_the_subnet_may_be_the_hosts(self) -> None:
        around = ALONE.replace(taken=taken("10.94.0.0/24"))
        assert made(around, driver="macvlan", subnets=self.SUBNETS).subnets == self.SUBNETS

    def test_without_addresses(self) -> None:
        assert made(driver="macvlan", ipam="none").subnets == ()
        with pytest.raises(InvalidSpec, match="macvlan driver needs at least one subnet specified"):
            made(driver="macvlan")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "host"}, 'cannot create network with name "host" because it conflicts with a valid network mode'),
        ({"name": "container"}, "conflicts with a valid network mode"),
        ({"driver": "foo"}, "unsupported driver foo: invalid argument"),
        ({"ipam": "foo"}, 'unsupported ipam driver "foo"'),
        ({"ipam": "dhcp"}, "dhcp ipam driver is not available"),
        ({"ipam": "none", "subnets": (subnet("10.1.0.0/24"),)}, "none ipam driver is set but subnets are given"),
        ({"dns": False, "dns_servers": ("1.1.1.1",)}, "cannot set NetworkDNSServers if DNS is not enabled"),
        ({"options": (("foo", "bar"),)}, "unsupported bridge network option foo"),
        ({"options": (("parent", "eth0"),)}, "unsupported bridge network option parent"),
        ({"options": (("mtu", "x"),)}, 'invalid mtu "x"'),
        ({"options": (("mtu", "-3"),)}, "mtu -3 is less than zero"),
        ({"options": (("mtu", "70000"),)}, "mtu 70000 is more than 65535"),
        ({"options": (("mtu", "67"),)}, "mtu 67 is less than 68"),
        ({"options": (("mtu", "1279"),), "ipv6": True}, "mtu 1279 is less than 1280, which IPv6 needs"),
        ({"options": (("mtu", "9" * 5000),)}, "invalid mtu .* out of range"),
        ({"options": (("vlan", "5000"),)}, "vlan ID 5000 must be between 0 and 4094"),
        ({"options": (("isolate", "perhaps"),)}, 'invalid isolate "perhaps"'),
        ({"driver": "macvlan", "options": (("parent", "nope"),)}, "parent interface nope does not exist"),
        ({"driver": "macvlan", "ipam": "none", "options": (("mode", "x"),)}, 'unknown macvlan mode "x"'),
        ({"driver": "ipvlan", "ipam": "none", "options": (("mode", "vepa"),)}, 'unknown ipvlan mode "vepa"'),
        ({"driver": "macvlan", "ipam": "none", "options": (("vlan", "1"),)}, "unsupported macvlan network option vlan"),
    ],
)
def test_what_is_wrong_is_told_in_podmans_words(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        made(**fields)


@pytest.mark.parametrize("name", ["a b", "", "-x", "ä", "a/b"])
def test_names_are_podmans(name: str) -> None:
    with pytest.raises(InvalidSpec, match=f"network name {name} invalid: names must match"):
        asked(name=name)


@pytest.mark.parametrize("interface", ["a b", "sixteen-bytes-xx", ".", "a/b", "a:b", "eth%d", "\udcff"])
def test_interfaces_are_the_kernels(interface: str) -> None:
    with pytest.raises(InvalidSpec):
        asked(interface=interface)


class TestDefault:
    def test_podmans(self) -> None:
        found = creation.default(ALONE, 7)
        assert (found.name, found.interface, found.dns, found.created_ns) == ("podman", "pypod0", False, 7)
        assert found.subnets == (Subnet(subnet="10.88.0.0/16", gateway="10.88.0.1", chosen=True),)

    def test_somebody_else_has_its_subnet(self) -> None:
        found = creation.default(ALONE.replace(taken=taken("10.88.7.0/24", "10.89.0.0/24")), 7)
        assert found.subnets == (Subnet(subnet="10.89.1.0/24", gateway="10.89.1.1", chosen=True),)

    def test_somebody_else_has_its_bridge(self) -> None:
        found = creation.default(ALONE.replace(interfaces=frozenset(("pypod0",))), 7)
        assert found.interface == "pypod1"


class TestMoved:
    """Its addresses or interface have been taken in the meantime: chosen values are replaced, requested ones kept."""

    CHOSEN = Subnet(subnet="10.89.0.0/24", gateway="10.89.0.1", chosen=True)
    ASKED = Subnet(subnet="10.7.0.0/24", gateway="10.7.0.1")
    OWN = asked(interface="pypod1", subnets=(CHOSEN, ASKED))

    def moved(self, rivals: Surroundings, spec: NetworkSpec = OWN, *, around: Surroundings = ALONE) -> NetworkSpec:
        return creation.moved(spec, rivals, around, RANDOM)

    def test_nobody_has(self) -> None:
        others = Surroundings(interfaces=frozenset(("eth0",)), taken=taken("10.6.0.0/24"))
        assert self.moved(others) == self.OWN

    def test_a_chosen_subnet_is_exchanged_for_a_free_one(self) -> None:
        rivals = Surroundings(interfaces=frozenset(), taken=taken("10.89.0.128/25"))
        around = ALONE.replace(taken=taken("10.89.0.128/25", "10.89.1.0/24", "10.7.0.0/24"))
        found = self.moved(rivals, around=around)
        other = Subnet(subnet="10.89.2.0/24", gateway="10.89.2.1", chosen=True)
        assert found == self.OWN.replace(subnets=(other, self.ASKED))

    def test_for_one_of_its_family(self) -> None:
        six = Subnet(subnet="fd00::/64", gateway="fd00::1", chosen=True)
        rivals = Surroundings(interfaces=frozenset(), taken=taken("fd00::/64"))
        (found,) = self.moved(rivals, self.OWN.replace(subnets=(six,))).subnets
        assert (found.subnet, found.chosen) == ("fd01:203:405:607::/64", True)

    def test_one_that_was_asked_for_is_not(self) -> None:
        rivals = Surroundings(interfaces=frozenset(), taken=taken("10.7.0.0/25"))
        with pytest.raises(InvalidSpec, match=r"subnet 10.7.0.0/24 is already used .* interface eth0 has 10.7.0.0/25"):
            self.moved(rivals)

    def test_a_route_is_in_the_way_of_what_was_chosen_only(self) -> None:
        """A user who asks for a subnet knows the other routes to it."""
        assert self.moved(Surroundings(interfaces=frozenset(), taken=taken("10.7.0.0/25", routed=True))) == self.OWN
        rivals = Surroundings(interfaces=frozenset(), taken=taken("10.89.0.0/25", routed=True))
        assert self.moved(rivals, around=ALONE.replace(taken=rivals.taken)).subnets[0].subnet == "10.89.1.0/24"

    def test_a_chosen_interface_is_exchanged(self) -> None:
        rivals = Surroundings(interfaces=frozenset(("pypod1",)), taken=())
        around = ALONE.replace(interfaces=frozenset(("pypod1", "pypod2")))
        assert self.moved(rivals, around=around) == self.OWN.replace(interface="pypod3")

    def test_one_that_was_asked_for_keeps_its_name(self) -> None:
        rivals = Surroundings(interfaces=frozenset(("br-front",)), taken=())
        with pytest.raises(InvalidSpec, match="bridge name br-front already in use"):
            self.moved(rivals, self.OWN.replace(interface="br-front"))

    @pytest.mark.parametrize(
        ("name", "chosen"), [("pypod1", True), ("pypod12", True), ("pypod", False), ("pypod1a", False), ("br1", False)]
    )
    def test_which_those_are(self, name: str, chosen: bool) -> None:
        assert creation.is_chosen_interface(name) is chosen


def test_free_names() -> None:
    assert creation.free_name({"podman", "podman1", "podman3"}) == "podman2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.0/8", "invalid route: 10.0.0.0/8"),
        ("foo,10.0.0.1", "invalid CIDR address: foo"),
        ("10.0.0.1/8,10.0.0.1", "invalid route destination 10.0.0.1/8"),
        ("10.0.0.0/8,foo", "foo"),
        ("10.0.0.0/8,fd00::1", "is not IPv4"),
        ("10.0.0.0/8,10.0.0.1,x", "invalid route metric x"),
        ("10.0.0.0/8,10.0.0.1,4294967296", "invalid route metric"),
        (f"10.0.0.0/8,10.0.0.1,{'9' * 5000}", "invalid route metric"),
        ("10.0.0.0/8,10.0.0.1,1,2", "invalid route"),
    ],
)
def test_routes_that_are_none(text: str, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        creation.route(text)


def test_dns_servers() -> None:
    assert creation.dns_servers(["1.1.1.1", "fd00::1", "1.1.1.1"]) == ("1.1.1.1", "fd00::1")
    with pytest.raises(InvalidSpec, match="unable to parse ip foo specified in NetworkDNSServers: invalid argument"):
        creation.dns_servers(["foo"])
