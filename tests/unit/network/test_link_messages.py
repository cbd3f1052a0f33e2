"""The messages that create links, addresses and routes: as pyroute2 parses them, and byte for byte as it writes."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from pypod.errors import Unsupported
from pypod.kernel import netlink
from pypod.model.network import Route
from pypod.network import links, rtnetlink
from tests.unit.netlink_oracle import ACK, CREATE, EXCLUSIVE, REQUEST, read_route

MAC = "0a:58:0a:58:00:02"
NEW = REQUEST | ACK | CREATE | EXCLUSIVE
NEWLINK, NEWADDR, NEWROUTE = 16, 20, 24
UP = {"_flags": 1, "_change": 1, "_state": "up"}
DOWN = {"_state": "down"}  # flags unchanged: no bit in _change


def with_one(packed: rtnetlink.Packed, value: int) -> bytes:
    data, offsets = packed
    return netlink.patched(data, offsets, value)


class TestVeth:
    def test_one_end_on_the_bridge_the_other_in_the_namespace(self) -> None:
        assert read_route(with_one(rtnetlink.veth("veth0", 7, "eth0", MAC, 1400), 4242)) == [
            {
                "type": NEWLINK,
                "flags": NEW,
                **UP,
                "IFLA_IFNAME": "veth0",
                "IFLA_MASTER": 7,
                "IFLA_MTU": 1400,
                "IFLA_LINKINFO": {
                    "IFLA_INFO_KIND": "veth",
                    "IFLA_INFO_DATA": {
                        "VETH_INFO_PEER": {
                            "IFLA_NET_NS_PID": 4242,
                            "IFLA_IFNAME": "eth0",
                            "IFLA_ADDRESS": MAC,
                            "IFLA_MTU": 1400,
                        }
                    },
                },
            }
        ]

    def test_without_size_and_hardware_address_the_kernel_chooses(self) -> None:
        (found,) = read_route(with_one(rtnetlink.veth("veth0", 7, "eth0", ""), 1))
        assert "IFLA_MTU" not in found
        assert found["IFLA_LINKINFO"]["IFLA_INFO_DATA"]["VETH_INFO_PEER"] == {
            "IFLA_NET_NS_PID": 1,
            "IFLA_IFNAME": "eth0",
        }

    def test_the_namespace_may_be_told_by_a_descriptor(self) -> None:
        (found,) = read_route(with_one(rtnetlink.veth("veth0", 7, "eth0", "", namespace=rtnetlink.BY_DESCRIPTOR), 9))
        assert found["IFLA_LINKINFO"]["IFLA_INFO_DATA"]["VETH_INFO_PEER"]["IFLA_NET_NS_FD"] == 9

    @pytest.mark.parametrize("name", ["a", "ab", "abc", "abcd", "fifteen-letters"])
    def test_the_place_left_open_is_found_after_any_name(self, name: str) -> None:
        (found,) = read_route(with_one(rtnetlink.veth(name, 0x01020304, name, MAC), 0x7FFFFFFF))
        peer = found["IFLA_LINKINFO"]["IFLA_INFO_DATA"]["VETH_INFO_PEER"]
        assert (found["IFLA_IFNAME"], found["IFLA_MASTER"]) == (name, 0x01020304)
        assert (peer["IFLA_IFNAME"], peer["IFLA_NET_NS_PID"]) == (name, 0x7FFFFFFF)


def test_bytes_that_were_seen_to_work() -> None:
    """Recorded on a little-endian machine: pyroute2 could make the same mistake as we do."""
    made, offsets = rtnetlink.veth("veth0", 7, "eth0", MAC, 1400)
    assert offsets == (104,)
    assert (
        made.hex(" ", 4).split()
        == (
            "8c000000 10000506 00000000 00000000 "  # nlmsghdr
            "00000000 00000000 01000000 01000000 "  # ifinfomsg: up
            "0a000300 76657468 30000000 08000a00 07000000 08000400 78050000 "  # name, bridge, MTU
            "50001280 09000100 76657468 00000000 40000280 3c000180 "  # veth and its peer
            "00000000 00000000 00000000 00000000 08001300 00000000 "
            "09000300 65746830 00000000 0a000100 0a580a58 00020000 08000400 78050000"
        ).split()
    )


class TestPorts:
    def test_onto_a_bridge(self) -> None:
        expected = {"type": NEWLINK, "flags": REQUEST | ACK, **UP, "IFLA_IFNAME": "tap0", "IFLA_MASTER": 7}
        assert read_route(rtnetlink.enslave("tap0", 7)) == [expected]

    def test_off_it_leaves_the_link_as_it_is(self) -> None:
        expected = {"type": NEWLINK, "flags": REQUEST | ACK, **DOWN, "IFLA_IFNAME": "tap0", "IFLA_MASTER": 0}
        assert read_route(rtnetlink.off_its_bridge("tap0")) == [expected]

    def test_a_hairpin_is_of_the_port_and_not_of_the_bridge(self) -> None:
        (found,) = read_route(rtnetlink.hairpin("tap0"))
        assert found["IFLA_LINKINFO"] == {
            "IFLA_INFO_SLAVE_KIND": "bridge",
            "IFLA_INFO_SLAVE_DATA": {"IFLA_BRPORT_MODE": 1},
        }
        assert found["IFLA_IFNAME"] == "tap0"


class TestSublinks:
    @pytest.mark.parametrize(
        ("driver", "mode", "data"),
        [
            ("macvlan", "", {"IFLA_MACVLAN_MODE": "bridge"}),
            ("macvlan", "private", {"IFLA_MACVLAN_MODE": "private"}),
            ("macvlan", "vepa", {"IFLA_MACVLAN_MODE": "vepa"}),
            ("macvlan", "passthru", {"IFLA_MACVLAN_MODE": "passthru"}),
            ("ipvlan", "", {"IFLA_IPVLAN_MODE": 0}),
            ("ipvlan", "l2", {"IFLA_IPVLAN_MODE": 0}),
            ("ipvlan", "l3", {"IFLA_IPVLAN_MODE": 1}),
            ("ipvlan", "l3s", {"IFLA_IPVLAN_MODE": 2}),
        ],
    )
    def test_modes(self, driver: str, mode: str, data: dict[str, object]) -> None:
        (found,) = read_route(with_one(rtnetlink.sublink(driver, 3, "eth0", "", mode), 4242))
        assert found == {
            "type": NEWLINK,
            "flags": NEW,
            **DOWN,
            "IFLA_NET_NS_PID": 4242,
            "IFLA_IFNAME": "eth0",
            "IFLA_LINK": 3,
            "IFLA_LINKINFO": {"IFLA_INFO_KIND": driver, "IFLA_INFO_DATA": data},
        }

    def test_size_and_hardware_address(self) -> None:
        (found,) = read_route(rtnetlink.sublink("macvlan", 3, "eth0", MAC, mtu=1400)[0])
        assert (found["IFLA_ADDRESS"], found["IFLA_MTU"]) == (MAC, 1400)

    def test_an_ipvlan_has_its_parents_hardware_address(self) -> None:
        (found,) = read_route(rtnetlink.sublink("ipvlan", 3, "eth0", MAC)[0])
        assert "IFLA_ADDRESS" not in found


class TestConfigure:
    def read(self, *given: object) -> list[dict[str, object]]:
        return read_route(with_one(rtnetlink.configure(*given), 5))  # type: ignore[arg-type]

    def test_up_addresses_default_routes_and_others_in_this_order(self) -> None:
        routes = [Route(destination="10.1.0.0/16", gateway="10.88.0.9", metric=7)]
        addresses = ["10.88.0.2/16", "fd00::2/64"]
        route = {"type": NEWROUTE, "flags": NEW, "_table": 254, "_proto": 4, "_type": 1, "RTA_OIF": 5}
        assert self.read(addresses, ["10.88.0.1", "fd00::1"], routes, 100) == [
            {"type": NEWLINK, "flags": REQUEST | ACK, **UP, "_index": 5},
            {
                "type": NEWADDR,
                "flags": NEW,
                "_family": 2,
                "_prefixlen": 16,
                "_index": 5,
                "IFA_LOCAL": "10.88.0.2",
                "IFA_ADDRESS": "10.88.0.2",
                "IFA_BROADCAST": "10.88.255.255",
                "IFA_FLAGS": 0x82,  # IFA_F_PERMANENT, IFA_F_NODAD
            },
            {
                "type": NEWADDR,
                "flags": NEW,
                "_family": 10,
                "_prefixlen": 64,
                "_index": 5,
                "IFA_LOCAL": "fd00::2",
                "IFA_ADDRESS": "fd00::2",
                "IFA_FLAGS": 0x82,
            },
            {**route, "_family": 2, "RTA_GATEWAY": "10.88.0.1", "RTA_PRIORITY": 100},
            {**route, "_family": 10, "RTA_GATEWAY": "fd00::1", "RTA_PRIORITY": 100},
            {
                **route,
                "_family": 2,
                "_dst_len": 16,
                "RTA_DST": "10.1.0.0",
                "RTA_GATEWAY": "10.88.0.9",
                "RTA_PRIORITY": 7,
            },
        ]

    def test_without_anything_it_is_set_up(self) -> None:
        assert self.read([], [], [], 100) == [{"type": NEWLINK, "flags": REQUEST | ACK, **UP, "_index": 5}]

    @pytest.mark.parametrize(
        ("address", "broadcast"),
        [("10.0.0.5/24", "10.0.0.255"), ("10.0.0.5/30", "10.0.0.7"), ("10.0.0.5/32", "10.0.0.5")],
    )
    def test_broadcast(self, address: str, broadcast: str) -> None:
        assert self.read([address], [], [], 100)[1]["IFA_BROADCAST"] == broadcast


class Kernel:
    """A fake channel, and the function that opens it: records what is sent, and answers as the test says."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.errors: list[int] = []
        self.interfaces: list[bytes] = []

    def __call__(self) -> Kernel:
        return self

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, data: bytes, tolerated: tuple[int, ...] = ()) -> None:
        self.sent.append(data)
        number = self.errors.pop(0) if self.errors else 0
        if number and number not in tolerated:
            raise OSError(number, os.strerror(number))

    def ask(self, data: bytes) -> bytes:
        self.send(data)
        return self.interfaces[0]

    def dump(self, data: bytes) -> list[tuple[int, bytes]]:
        self.send(data)
        return [(NEWLINK, one) for one in self.interfaces]


@pytest.fixture
def kernel(monkeypatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(netlink, "Channel", made)
    return made


class TestMakeBridge:
    ALIAS = "pypod /a/storage"

    def test_one_datagram_makes_it_with_all_that_it_has(self, kernel) -> None:
        index = links.make_bridge("br0", ["10.88.0.1/16", "fd00::1/64"], 1400, self.ALIAS)
        assert index == links.index_for(self.ALIAS)
        (datagram,) = kernel.sent
        made, aliased, four, six = read_route(datagram, same=False)  # pyroute2 terminates an alias with a NUL
        assert made == {
            "type": NEWLINK,
            "flags": NEW,
            **DOWN,
            "_index": index,
            "IFLA_IFNAME": "br0",
            "IFLA_MTU": 1400,
            "IFLA_ADDRESS": "0a:58:0a:58:00:01",  # derived from the gateway's address
            "IFLA_LINKINFO": {"IFLA_INFO_KIND": "bridge"},
        }
        assert (aliased["_index"], aliased["IFLA_IFALIAS"]) == (index, self.ALIAS)
        assert [(one["_index"], one["IFA_LOCAL"], one["_prefixlen"]) for one in (four, six)] == [
            (index, "10.88.0.1", 16),
            (index, "fd00::1", 64),
        ]

    def test_without_addresses_and_alias_there_is_only_the_bridge(self, kernel) -> None:
        index = links.make_bridge("br0", [])
        (made,) = read_route(kernel.sent[0])
        assert made == {
            **{"type": NEWLINK, "flags": NEW, **DOWN, "_index": index, "IFLA_IFNAME": "br0"},
            "IFLA_LINKINFO": {"IFLA_INFO_KIND": "bridge"},
        }

    def test_with_a_vlan_everything_on_it_is_in_that_one(self, kernel) -> None:
        links.make_bridge("br0", [], vlan=7)
        (made,) = read_route(kernel.sent[0])
        assert made["IFLA_LINKINFO"]["IFLA_INFO_DATA"] == {"IFLA_BR_VLAN_FILTERING": 1, "IFLA_BR_VLAN_DEFAULT_PVID": 7}

    @pytest.mark.parametrize("number", [errno.EEXIST, errno.EBUSY])
    def test_one_that_is_there_is_left_alone(self, kernel, number: int) -> None:
        kernel.errors = [number]
        with pytest.raises(OSError, match=os.strerror(number)):
            links.make_bridge("br0", [], alias=self.ALIAS)
        assert len(kernel.sent) == 1

    def test_one_that_is_not_whole_is_removed_by_its_index(self, kernel) -> None:
        kernel.errors = [errno.ENOBUFS]
        with pytest.raises(OSError, match=os.strerror(errno.ENOBUFS)):
            links.make_bridge("br0", ["10.88.0.1/16"], alias=self.ALIAS)
        kind, flags, body = next(netlink.messages(kernel.sent[1]))
        assert (kind, flags, body[4:]) == (17, REQUEST | ACK, netlink.number(links.index_for(self.ALIAS)) + bytes(8))

    @pytest.mark.parametrize(("vlan", "what"), [(0, "does not support bridges"), (7, "bridges have no VLANs here")])
    def test_a_kernel_that_cannot(self, kernel, vlan: int, what: str) -> None:
        kernel.errors = [errno.EOPNOTSUPP, errno.ENODEV]  # ENODEV: nothing was created
        with pytest.raises(Unsupported, match=what):
            links.make_bridge("br0", [], vlan=vlan)


def interface(index: int, name: str, **attributes: object) -> bytes:
    """Return an interface as pyroute2 writes it, without the header."""
    message = ifinfmsg()
    message["index"], message["flags"] = index, attributes.pop("flags", 0)
    message["attrs"] = [("IFLA_IFNAME", name), *((f"IFLA_{key}", value) for key, value in attributes.items())]
    message.encode()
    return bytes(message.data[16:])


class TestWhatIsThere:
    def test_aliases(self, kernel) -> None:
        kernel.interfaces = [interface(1, "lo"), interface(2, "br0", IFALIAS="pypod /a"), interface(3, "eth0")]
        assert links.aliases() == {"br0": "pypod /a"}

    def test_alias_and_state(self, kernel) -> None:
        kernel.interfaces = [interface(2, "br0", IFALIAS="pypod /a", flags=1)]
        assert links.alias_and_state("br0") == ("pypod /a", True)
        kernel.interfaces = [interface(2, "br0", flags=0x1002)]
        assert links.alias_and_state("br0") == ("", False)
        (asked,) = read_route(kernel.sent[-1])
        assert (asked["type"], asked["flags"], asked["IFLA_IFNAME"]) == (18, REQUEST, "br0")

    @pytest.mark.parametrize("number", [errno.ENODEV, errno.EPERM])
    def test_one_that_is_not_there_has_none(self, kernel, number: int) -> None:
        kernel.errors = [number]
        if number == errno.ENODEV:
            assert links.alias_and_state("br0") == ("", False)
        else:
            with pytest.raises(PermissionError):
                links.alias_and_state("br0")

    def test_idle_bridges_have_a_wanted_alias_and_nothing_on_them(self, kernel) -> None:
        kernel.interfaces = [
            interface(2, "br0", IFALIAS="pypod /a"),
            interface(3, "br1", IFALIAS="pypod /a"),
            interface(4, "br2", IFALIAS="somebody's"),
            interface(5, "br3"),
            interface(6, "veth0", MASTER=3),
        ]
        assert links.idle_bridges(lambda alias: alias.startswith("pypod ")) == [(2, "br0")]

    def test_ports_are_on_it_and_up(self, kernel) -> None:
        kernel.interfaces = [
            interface(3, "br1", flags=1),
            interface(6, "up", MASTER=3, flags=0x1003),
            interface(7, "down", MASTER=3, flags=2),
            interface(8, "elsewhere", MASTER=2, flags=1),
        ]
        assert links.ports(3) == {"up"}

    @pytest.mark.parametrize("number", [0, errno.ENODEV, errno.EPERM])
    @pytest.mark.parametrize("gone", [links.remove_link, links.release])
    def test_to_take_away_what_is_not_there_is_no_error(self, kernel, gone, number: int) -> None:
        kernel.errors = [number]
        if number == errno.EPERM:
            with pytest.raises(PermissionError):
                gone("veth0")
        else:
            assert gone("veth0") is not bool(number)
        (asked,) = netlink.messages(kernel.sent[0])
        assert asked[0] == (17 if gone is links.remove_link else NEWLINK)
        assert netlink.attributes(asked[2][16:])[3] == b"veth0\0"

    def test_addresses_that_it_has_are_not_asked_for_in_vain(self, kernel) -> None:
        kernel.errors = [errno.EEXIST, 0]
        links.add_addresses("lo", ["10.0.0.1/24", "10.0.1.1/24"])
        assert [read_route(one)[0]["IFA_LOCAL"] for one in kernel.sent] == ["10.0.0.1", "10.0.1.1"]

    def test_all_are_asked_for_their_state_though_some_are_gone(self, kernel) -> None:
        kernel.errors = [errno.ENODEV, 0]
        kernel.interfaces = [interface(2, "b")]
        links.refresh_carrier(["a", "b"])
        assert [read_route(one)[0]["IFLA_IFNAME"] for one in kernel.sent] == ["a", "b"]


def test_a_hardware_address_is_made_of_the_address() -> None:
    assert rtnetlink.mac_of(bytes((10, 88, 0, 2))) == MAC
    assert rtnetlink.mac_of(bytes(12) + bytes((0, 1, 2, 255))) == "0a:58:00:01:02:ff"
    assert rtnetlink.mac_bytes(MAC) == bytes((10, 88, 10, 88, 0, 2))


def test_an_index_is_one_of_the_kernels_and_its_alias_s() -> None:
    indexes = {links.index_for(f"/storage/{number}") for number in range(1000)}
    assert len(indexes) > 990
    assert all(1 << 30 <= one < 1 << 31 for one in indexes)
    assert links.index_for("\udcff") == links.index_for("\udcff")


class TestNetlink:
    @given(st.lists(st.tuples(st.integers(0, 0x7FFF), st.binary(max_size=40)), max_size=8))
    def test_attributes_can_be_read_again(self, given_ones: list[tuple[int, bytes]]) -> None:
        packed = b"".join(netlink.attribute(kind, data) for kind, data in given_ones)
        assert len(packed) % 4 == 0
        assert list(netlink.items(packed)) == given_ones
        assert list(netlink.items(netlink.nested(1, packed))) == [(1, packed)]
        assert netlink.attributes(packed) == dict(given_ones)

    @given(st.binary(max_size=80))
    def test_what_is_no_message_ends_it(self, data: bytes) -> None:
        assert sum(4 + len(content) for _, content in netlink.items(data)) <= len(data)
        assert sum(16 + len(body) for _, _, body in netlink.messages(data)) <= len(data)

    @pytest.mark.parametrize("cut", range(1, 28))
    def test_what_is_cut_short_is_left_out(self, cut: int) -> None:
        whole = netlink.message(16, bytes(8), netlink.attribute(3, "a"), flags=0)
        assert len(whole) == 32
        expected = [(16, netlink.REQUEST, whole[16:])]
        assert list(netlink.messages(whole)) == expected
        assert list(netlink.messages(whole + whole[:-cut])) == expected

    def test_a_message(self) -> None:
        data = netlink.message(0x1234, b"abcde", netlink.attribute(3, 7), flags=netlink.DUMP)
        assert data.hex(" ", 4).split() == (
            "20000000 34120103 00000000 00000000 61626364 65000000 08000300 07000000".split()
        )

    def test_numbers_go_where_they_were_left_out(self) -> None:
        assert netlink.patched(bytes(12), (0, 8), 0x01020304) == b"\x04\x03\x02\x01\0\0\0\0\x04\x03\x02\x01"
        assert netlink.patched(b"abc", (), 5) == b"abc"

    @pytest.mark.parametrize("value", [-1, 1 << 32])
    def test_a_number_that_does_not_fit_is_an_error(self, value: int) -> None:
        with pytest.raises(OverflowError):
            netlink.patched(bytes(4), (0,), value)
