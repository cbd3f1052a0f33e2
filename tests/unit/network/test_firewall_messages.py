"""The firewall's transactions as pyroute2 parses them; tests/kernel checks that the kernel accepts them."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from pypod.kernel import netlink
from pypod.model.network import NetworkSpec, Subnet
from pypod.model.port import Port
from pypod.network import firewall, nftables
from tests.unit.netlink_oracle import ACK, CREATE, REQUEST, each, read_firewall

# NFNL_SUBSYS_NFTABLES << 8, and NFT_MSG_* of linux/netfilter/nf_tables.h
NEW, GET, DELETE, DESTROY = 0x0A0C, 0x0A0D, 0x0A0E, 0x0A1E
BRIDGE = b"pypod1".ljust(16, b"\0")
TCP, UDP = b"\x06\0\0\0", b"\x11\0\0\0"
WEB = Port(container_port=80, host_port=8080)


def number(port: int) -> bytes:
    return port.to_bytes(2, "big") + b"\0\0"


def elements(transaction: bytes, kind: int = NEW) -> list[tuple[str, dict[str, Any]]]:
    """Return set name and content of each element that a transaction adds or deletes."""
    begin, *messages, end = read_firewall(transaction)
    begin.pop("NFTA_GEN_ID", None)  # attribute 1 in a reply about generations; here it is NFNL_BATCH_GENID
    both = {"flags": REQUEST, "_res_id": 10}
    assert (begin, end) == ({"type": 0x10, **both}, {"type": 0x11, **both})
    found = []
    for message in messages:
        if message["type"] != kind:
            continue
        assert message["flags"] == REQUEST | ACK | (CREATE if kind == NEW else 0)
        assert message["_nfgen_family"] == 1  # NFPROTO_INET
        assert message["NFTA_SET_ELEM_LIST_TABLE"] == "pypod"
        name = message["NFTA_SET_ELEM_LIST_SET"]
        found += [(name, content(one)) for one in message["NFTA_SET_ELEM_LIST_ELEMENTS"]]
    return found


def content(element: dict[str, Any]) -> dict[str, Any]:
    parts = {name.removeprefix("NFTA_SET_ELEM_").lower(): value for name, value in element.items()}
    return {name: value["NFTA_DATA_VALUE"] if isinstance(value, dict) else value for name, value in parts.items()}


def network(*subnets: str, **fields: Any) -> NetworkSpec:
    given = {"id": "1" * 64, "name": "front", "created_ns": 1, "interface": "pypod1", **fields}
    return NetworkSpec(**given, subnets=tuple(Subnet(subnet=one) for one in subnets))


class TestNetworks:
    def test_a_bridge_and_its_subnets(self) -> None:
        assert elements(firewall.admit(network("10.89.0.0/24", "fd00::/64"))) == [
            ("bridges", {"key": BRIDGE}),
            ("same", {"key": BRIDGE * 2}),
            ("homes4", {"key": BRIDGE + bytes((10, 89, 0, 0)), "key_end": BRIDGE + bytes((10, 89, 0, 255))}),
            (
                "homes6",
                {
                    "key": BRIDGE + b"\xfd" + bytes(15),
                    "key_end": BRIDGE + b"\xfd" + bytes(7) + b"\xff" * 8,
                },
            ),
        ]

    @pytest.mark.parametrize(
        ("fields", "sets"),
        [
            ({}, set()),
            ({"internal": True}, {"internal"}),
            ({"options": (("isolate", "true"),)}, {"isolated"}),
            ({"options": (("isolate", "strict"),)}, {"isolated"}),
            ({"options": (("isolate", "false"),)}, set()),
        ],
    )
    def test_what_may_be_asked_of_it(self, fields: dict[str, Any], sets: set[str]) -> None:
        found = elements(firewall.admit(network(**fields)))
        assert {name for name, _ in found} == {"bridges", "same", *sets}
        assert all(element["key"].startswith(BRIDGE) for _, element in found)

    def test_there_is_nothing_to_know_of_what_is_no_bridge(self) -> None:
        assert elements(firewall.admit(network("10.89.0.0/24", driver="macvlan"))) == []
        assert list(firewall.everything([network(driver="macvlan")], [])) == []

    def test_ranges(self) -> None:
        assert firewall.ranges_of(network("10.89.4.0/22", "10.0.0.0/8", "fd00::/127")) == [
            (bytes((10, 89, 4, 0)), bytes((10, 89, 7, 255))),
            (bytes((10, 0, 0, 0)), bytes((10, 255, 255, 255))),
            (b"\xfd" + bytes(15), b"\xfd" + bytes(14) + b"\x01"),
        ]


class TestPorts:
    INSIDE = bytes((10, 88, 0, 2))
    INSIDE6 = b"\xfd" + bytes(14) + b"\x02"

    def test_on_all_addresses(self) -> None:
        found = elements(firewall.publish([WEB], "10.88.0.2/16", destroy=False))
        assert found == [("published4", {"key": TCP + number(8080), "data": self.INSIDE + number(80)})]

    def test_on_one(self) -> None:
        port = WEB.replace(host_ip="127.0.0.1", protocol="udp")
        found = elements(firewall.publish([port], "10.88.0.2", destroy=False))
        key = bytes((127, 0, 0, 1)) + UDP + number(8080)
        assert found == [("published_at4", {"key": key, "data": self.INSIDE + number(80)})]

    def test_a_range_has_an_element_for_each(self) -> None:
        found = elements(firewall.publish([WEB.replace(count=3)], "10.88.0.2", destroy=False))
        keys = [(element["key"], element["data"][4:]) for _, element in found]
        assert keys == [(TCP + number(8080 + at), number(80 + at)) for at in range(3)]

    def test_of_both_families(self) -> None:
        found = elements(firewall.publish([WEB], "10.88.0.2/16", "fd00::2/64", destroy=False))
        assert found == [
            ("published4", {"key": TCP + number(8080), "data": self.INSIDE + number(80)}),
            ("published6", {"key": TCP + number(8080), "data": self.INSIDE6 + number(80)}),
        ]

    @pytest.mark.parametrize(
        ("host_ip", "sets"),
        [
            ("1.2.3.4", ["published_at4"]),
            ("::1", ["published_at6"]),
            ("::", ["published6"]),
            ("", ["published4", "published6"]),
        ],
    )
    def test_an_address_of_the_host_is_of_one_family(self, host_ip: str, sets: list[str]) -> None:
        found = elements(firewall.publish([WEB.replace(host_ip=host_ip)], "10.88.0.2", "fd00::2", destroy=False))
        assert [name for name, _ in found] == sets

    def test_a_container_without_that_family_has_none(self) -> None:
        assert elements(firewall.publish([WEB.replace(host_ip="::1")], "10.88.0.2", destroy=False)) == []

    @pytest.mark.parametrize(
        ("comment", "shown"),
        [
            ("web", b"web"),
            ("é", b"\xc3\xa9"),
            ("x" * 127, b"x" * 127),
            ("x" * 500, b"x" * 127),  # the length is one byte, and nft reserves 128 for the whole comment
            ("\udcff", b"?"),
        ],
    )
    def test_a_comment(self, comment: str, shown: bytes) -> None:
        ((_, found),) = elements(firewall.publish([WEB], "10.88.0.2", comment=comment, destroy=False))
        assert found["userdata"] == [("NFTNL_UDATA_SET_ELEM_COMMENT", shown)]

    def test_what_was_left_under_them_goes_first(self) -> None:
        transaction = firewall.publish([WEB], "10.88.0.2", comment="web", destroy=True)
        assert [message["type"] for message in read_firewall(transaction)] == [0x10, DESTROY, NEW, 0x11]
        assert elements(transaction, DESTROY) == [("published4", {"key": TCP + number(8080)})]

    @pytest.mark.parametrize(("destroy", "kind"), [(True, DESTROY), (False, DELETE)])
    def test_they_are_withdrawn_by_their_keys(self, destroy: bool, kind: int) -> None:
        transaction = firewall.withdraw([WEB], "10.88.0.2", "fd00::2", destroy=destroy)
        key = {"key": TCP + number(8080)}
        assert elements(transaction, kind) == [("published4", key), ("published6", key)]


class TestTransactions:
    def test_a_generation_is_named_at_the_beginning(self) -> None:
        """NFNL_BATCH_GENID, for which pyroute2 has no class."""
        begin, end = each(nftables.batch([], b"\0\0\0\x07"))
        assert begin[4:6] + begin[16:] == b"\x10\0" + b"\0\0\0\x0a" + b"\x08\0\x01\0" + b"\0\0\0\x07"  # fmt: skip
        assert end[4:6] + end[16:] == b"\x11\0" + b"\0\0\0\x0a"  # fmt: skip

    def test_a_message_has_no_more_than_an_attribute_can_hold(self) -> None:
        ports = [WEB.replace(host_port=1000, container_port=1000, count=1000)]
        transaction = firewall.publish(ports, "10.88.0.2", "fd00::2", comment="x" * 127, destroy=False)
        found = elements(transaction)
        assert len(found) == 2000
        assert len({(name, element["key"]) for name, element in found}) == 2000

    def test_everything_comes_in_datagrams_that_can_be_sent(self) -> None:
        ways = [((WEB.replace(host_port=at, count=100),), "10.88.0.2", "", "x" * 60) for at in range(1000, 21000, 100)]
        transactions = list(firewall.everything([network("10.89.0.0/24")], ways))
        assert elements(transactions[0])[0] == ("bridges", {"key": BRIDGE})
        ports = [element["key"] for one in transactions[1:] for _, element in elements(one)]
        assert ports == [TCP + number(1000 + at) for at in range(20_000)]
        assert max(map(len, transactions)) < 212_992  # net.core.wmem_default

    @pytest.mark.parametrize(
        ("release", "expected"),
        [("6.3.0", True), ("6.10-rc1", True), ("7.0", True), ("6.2.16-generic", False), ("5.10.0-28-amd64", False)],
    )
    def test_which_kernels_delete_what_may_be_not_there(self, monkeypatch, release: str, expected: bool) -> None:
        class Names:
            pass

        Names.release = release  # type: ignore[attr-defined]
        monkeypatch.setattr("os.uname", Names)
        assert nftables.has_destroy() is expected
        kind = DESTROY if expected else DELETE
        assert len(elements(firewall.withdraw([WEB], "10.88.0.2"), kind)) == 1


class Table:
    """Sets and maps in place of the kernel's: packed elements by set name; takes transactions, answers requests."""

    def __init__(self, *transactions: bytes) -> None:
        self.sets: dict[str, list[bytes]] = {}
        self.transactions: list[bytes] = []
        self.generation = 7
        self.restarts = 0
        for one in transactions:
            for _, _, body in netlink.messages(one):
                content = netlink.attributes(body[4:])
                if {1, 2, 3} <= content.keys():  # NFTA_SET_ELEM_LIST_TABLE, _SET, _ELEMENTS
                    members = [netlink.attribute(1, element) for _, element in netlink.items(content[3])]
                    self.sets.setdefault(content[2].decode().rstrip("\0"), []).extend(members)

    def _answer(self, members: list[bytes]) -> bytes:
        return b"\x01\0\0\0" + netlink.nested(3, *members)

    def dump(self, data: bytes) -> list[tuple[int, bytes]]:
        ((kind, flags, body),) = netlink.messages(data)
        assert (kind, flags) == (GET, REQUEST | 0x300)  # NLM_F_DUMP
        name = netlink.attributes(body[4:])[2].decode().rstrip("\0")
        if name not in self.sets:
            raise FileNotFoundError
        return [(kind, self._answer([one])) for one in self.sets[name]]

    def ask(self, data: bytes) -> bytes:
        ((kind, _, body),) = netlink.messages(data)
        if kind == 0x0A10:  # NFT_MSG_GETGEN
            return bytes(4) + netlink.attribute(1, self.generation.to_bytes(4, "big"))
        content = netlink.attributes(body[4:])
        ((_, wanted),) = netlink.items(content[3])
        name = content[2].decode().rstrip("\0")
        key = netlink.attributes(wanted)[1]
        for one in self.sets.get(name, ()):
            if netlink.attributes(one[4:])[1] == key:
                return self._answer([one])
        raise FileNotFoundError

    def send(self, data: bytes) -> None:
        self.transactions.append(data)
        if self.restarts:
            self.restarts -= 1
            self.generation += 1
            raise OSError(errno.ERESTART, "somebody changed the rules meanwhile")


def channel(*transactions: bytes) -> Any:
    return Table(*transactions)


class TestWhatIsThere:
    FRONT, BACK = network("10.89.0.0/24", "fd00::/64"), network("10.90.0.0/24", interface="pypod2", internal=True)

    def test_networks(self) -> None:
        table = channel(firewall.admit(self.FRONT), firewall.admit(self.BACK))
        assert firewall.known_bridges(table) == {"pypod1", "pypod2"}
        assert firewall.known_ranges(table, "pypod1") == firewall.ranges_of(self.FRONT)
        assert firewall.known_ranges(table, "pypod3") == []
        assert firewall.knows(table, self.FRONT)
        assert firewall.knows(channel(firewall.admit(self.FRONT)), self.BACK) is False

    def test_nothing(self) -> None:
        table = channel()
        assert (firewall.known_bridges(table), firewall.listed(table), firewall.table_version(table)) == (set(), [], 0)

    def test_a_network_is_forgotten_whole_and_no_other(self) -> None:
        table = channel(firewall.admit(self.FRONT), firewall.admit(self.BACK))
        firewall.forget(table, "pypod2")
        (transaction,) = table.transactions
        found = elements(transaction, DELETE)
        assert {name for name, _ in found} == {"bridges", "same", "internal", "homes4"}
        assert all(element["key"].startswith(b"pypod2\0") for _, element in found)

    def test_of_what_nobody_knows_nothing_is_changed(self) -> None:
        table = channel(firewall.admit(self.FRONT))
        firewall.forget(table, "pypod2")
        assert table.transactions == []

    def test_ports(self) -> None:
        ports = [WEB, WEB.replace(host_port=53, protocol="udp", host_ip="127.0.0.1"), WEB.replace(host_ip="::1")]
        table = channel(firewall.publish(ports, "10.88.0.2/16", "fd00::2/64", destroy=False))
        assert sorted(firewall.listed(table)) == [
            ("tcp", "", 8080, "10.88.0.2", 80),
            ("tcp", "", 8080, "fd00::2", 80),
            ("tcp", "::1", 8080, "fd00::2", 80),
            ("udp", "127.0.0.1", 53, "10.88.0.2", 80),
        ]

    def test_only_ones_own_ports_are_withdrawn(self) -> None:
        other = WEB.replace(host_port=9090)
        table = channel(
            firewall.publish([WEB], "10.88.0.2", destroy=False), firewall.publish([other], "10.88.0.3", destroy=False)
        )
        firewall.withdraw_own(table, [WEB, other, WEB.replace(host_port=1)], "10.88.0.2")
        (transaction,) = table.transactions
        assert elements(transaction, DELETE) == [("published4", {"key": TCP + number(8080)})]

    def test_what_leads_to_a_range_is_withdrawn(self) -> None:
        here, six = WEB.replace(host_ip="127.0.0.1"), WEB.replace(host_ip="::1")
        table = channel(
            firewall.publish([WEB, here, six], "10.89.0.255", "fd00::2", destroy=False),
            firewall.publish([WEB.replace(host_port=1)], "10.89.1.0", destroy=False),
        )
        firewall.withdraw_ways(table, firewall.ranges_of(network("10.89.0.0/24")))
        firewall.withdraw_ways(table, firewall.ranges_of(network("fd00::/64")))
        assert [elements(one, DELETE) for one in table.transactions] == [
            [
                ("published4", {"key": TCP + number(8080)}),
                ("published_at4", {"key": bytes((127, 0, 0, 1)) + TCP + number(8080)}),
            ],
            [
                ("published6", {"key": TCP + number(8080)}),
                ("published_at6", {"key": bytes(15) + b"\x01" + TCP + number(8080)}),
            ],
        ]

    def test_a_change_that_somebody_else_came_before_is_made_again_of_what_is_there_then(self) -> None:
        table = channel(firewall.admit(self.FRONT))
        table.restarts = 2
        firewall.forget(table, "pypod1")
        generations = [netlink.attributes(next(each(one))[20:])[1] for one in table.transactions]
        assert generations == [bytes((0, 0, 0, count)) for count in (7, 8, 9)]

    def test_another_error_is_one(self) -> None:
        table = channel(firewall.admit(self.FRONT))
        table.send = lambda _: (_ for _ in ()).throw(PermissionError)
        with pytest.raises(PermissionError):
            firewall.forget(table, "pypod1")
