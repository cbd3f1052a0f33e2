"""The firewall's rules and elements on the real kernel: namespaces play the host, containers and other hosts."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from pypod.errors import Unsupported
from pypod.kernel.netlink import Channel
from pypod.model.network import NetworkSpec, Subnet
from pypod.model.port import Port
from pypod.network import firewall, forwarding, rtnetlink
from tests.hosts import Here, Host, cable, own_network, run, within

pytestmark = pytest.mark.root


def network(name: str, bridge: str, *subnets: str, **fields) -> NetworkSpec:
    made = tuple(Subnet(subnet=one, gateway=one.replace("0/24", "1").replace("::/64", "::1")) for one in subnets)
    return NetworkSpec(id=name * 8, name=name, created_ns=1, interface=bridge, subnets=made, **fields)


ONE = network("one", "br-one", "10.71.0.0/24", "fd00:71::/64")
TWO = network("two", "br-two", "10.72.0.0/24")
APART = network("apart", "br-apart", "10.73.0.0/24", options=(("isolate", "true"),))
AWAY = network("away", "br-away", "10.74.0.0/24", options=(("isolate", "true"),))
INNER = network("inner", "br-inner", "10.75.0.0/24", internal=True)
NETWORKS = (ONE, TWO, APART, AWAY, INNER)
# name: network, last part of the address
CONTAINERS = {"web": (ONE, 2), "get": (ONE, 3), "far": (TWO, 2), "a": (APART, 2), "b": (AWAY, 2), "in": (INNER, 2)}


def address(name: str, family: int = 4) -> str:
    network, number = CONTAINERS[name]
    subnet = next(one.subnet for one in network.subnets if (":" in one.subnet) == (family == 6))
    return subnet.replace("0/24", str(number)).replace("::/64", f"::{number}").partition("/")[0]


@pytest.fixture(scope="module")
def lab() -> Iterator[SimpleNamespace]:
    """Return this host with five networks and their containers, and another host with routes to them."""
    with own_network(), Channel() as lab_channel:
        hosts = {name: Host(name) for name in (*CONTAINERS, "other")}
        try:
            for one in NETWORKS:
                run("ip", "link", "add", one.interface, "type", "bridge")
                run("ip", "link", "set", one.interface, "up")
                for subnet in one.subnets:
                    nodad = ["nodad"] if ":" in subnet.subnet else []
                    at = f"{subnet.gateway}/{subnet.subnet.partition('/')[2]}"
                    run("ip", "address", "add", at, "dev", one.interface, *nodad)
                for path, value in forwarding.needed(one):
                    forwarding.write(path, value)
            for name, (one, _) in CONTAINERS.items():
                families = (4, 6) if len(one.subnets) > 1 else (4,)
                addresses = tuple(f"{address(name, family)}/{ {4: 24, 6: 64}[family] }" for family in families)
                gateways = () if one.internal else tuple(subnet.gateway for subnet in one.subnets)
                cable(hosts[name], f"to-{name}", "eth0", addresses, gateways)
                run("ip", "link", "set", f"to-{name}", "master", one.interface)
                lab_channel.send(rtnetlink.hairpin(f"to-{name}"))
                hosts[name].serve("tcp", address(name), 80)
            cable(hosts["other"], "out", "eth0", ("192.0.2.2/24", "2001:db8::2/64"), ("192.0.2.1", "2001:db8::1"))
            run("ip", "address", "add", "192.0.2.1/24", "dev", "out")
            run("ip", "address", "add", "192.0.2.9/24", "dev", "out")
            run("ip", "address", "add", "2001:db8::1/64", "dev", "out", "nodad")
            hosts["web"].serve("tcp", address("web", 6), 80)
            hosts["web"].serve("udp", address("web"), 53)
            for port in (7001, 7002):
                hosts["web"].serve("tcp", address("web"), port)
            hosts["other"].serve("tcp", "192.0.2.2", 80)
            hosts["other"].serve("tcp", "2001:db8::2", 80)
            with firewall.open_channel() as channel:
                yield SimpleNamespace(here=Here(), channel=channel, **hosts)
        finally:
            for host in hosts.values():
                host.close()


@pytest.fixture
def table(lab) -> SimpleNamespace:
    """Return the lab with a fresh table that has the networks but no ports."""
    run("nft", "flush", "ruleset")
    assert firewall.ensure_table(lab.channel)
    for one in NETWORKS:
        lab.channel.send(firewall.admit(one))
    return lab


def published(table, name: str, *ports: Port) -> None:
    ipv6 = address(name, 6) if len(CONTAINERS[name][0].subnets) > 1 else ""
    table.channel.send(firewall.publish(ports, address(name), ipv6))


WEB = Port(container_port=80, host_port=8080)


@pytest.mark.parametrize("asked", ["192.0.2.1", "192.0.2.9", "127.0.0.1", "127.9.9.9", "10.71.0.1"])
def test_from_the_host(table, asked: str) -> None:
    assert table.here.ask("tcp", asked, 8080) == "ECONNREFUSED"
    published(table, "web", WEB)
    assert table.here.ask("tcp", asked, 8080) == f"web {'192.0.2.1' if asked.startswith('192') else '10.71.0.1'}"


def test_from_another_host_the_clients_address_is_kept(table) -> None:
    published(table, "web", WEB)
    assert table.other.ask("tcp", "192.0.2.1", 8080) == "web 192.0.2.2"
    assert table.other.ask("tcp", "2001:db8::1", 8080) == "web 2001:db8::2"


@pytest.mark.parametrize("asked", ["2001:db8::1", "fd00:71::1"])
def test_from_the_host_by_ipv6(table, asked: str) -> None:
    published(table, "web", WEB)
    assert table.here.ask("tcp", asked, 8080) == f"web {asked}"


def test_at_ipv6s_loopback_nobody_answers_and_that_at_once(table) -> None:
    """So that a client of localhost falls back to 127.0.0.1."""
    published(table, "web", WEB)
    assert table.here.ask("tcp", "::1", 8080) == "ECONNREFUSED"


@pytest.mark.parametrize("asked", ["10.71.0.1", "192.0.2.1", "fd00:71::1", "2001:db8::1"])
@pytest.mark.parametrize("who", ["web", "get"])
def test_from_the_same_network_and_from_itself(table, who: str, asked: str) -> None:
    published(table, "web", WEB)
    assert getattr(table, who).ask("tcp", asked, 8080) == f"web {'fd00:71::1' if ':' in asked else '10.71.0.1'}"


def test_from_another_network(table) -> None:
    published(table, "web", WEB)
    assert table.far.ask("tcp", "192.0.2.1", 8080) == "web 10.71.0.1"
    assert table.far.ask("tcp", "10.72.0.1", 8080) == "web 10.71.0.1"


def test_udp_and_a_range(table) -> None:
    published(
        table,
        "web",
        Port(container_port=53, host_port=5300, protocol="udp"),
        Port(container_port=7001, host_port=9001, count=2),
    )
    assert table.other.ask("udp", "192.0.2.1", 5300) == "web 192.0.2.2"
    assert table.here.ask("udp", "127.0.0.1", 5300) == "web 10.71.0.1"
    assert [table.other.ask("tcp", "192.0.2.1", port) for port in (9001, 9002)] == ["web 192.0.2.2"] * 2
    assert [table.other.ask("tcp", "192.0.2.1", port) for port in (9000, 9003)] == ["ECONNREFUSED"] * 2
    assert table.other.ask("tcp", "192.0.2.1", 5300) == "ECONNREFUSED"


def test_one_address_only(table) -> None:
    published(table, "web", WEB.replace(host_ip="192.0.2.9"))
    published(table, "far", WEB.replace(host_ip="192.0.2.1"))
    assert table.other.ask("tcp", "192.0.2.9", 8080) == "web 192.0.2.2"
    assert table.other.ask("tcp", "192.0.2.1", 8080) == "far 192.0.2.2"
    assert table.here.ask("tcp", "127.0.0.1", 8080) == "ECONNREFUSED"


def test_one_address_goes_before_all(table) -> None:
    published(table, "web", WEB)
    published(table, "far", WEB.replace(host_ip="192.0.2.9"))
    assert table.other.ask("tcp", "192.0.2.9", 8080) == "far 192.0.2.2"
    assert table.other.ask("tcp", "192.0.2.1", 8080) == "web 192.0.2.2"


def test_all_of_one_family(table) -> None:
    published(table, "web", WEB.replace(host_ip="0.0.0.0"))  # noqa: S104
    assert table.other.ask("tcp", "192.0.2.1", 8080) == "web 192.0.2.2"
    assert table.other.ask("tcp", "2001:db8::1", 8080) == "ECONNREFUSED"


def test_what_is_published_on_loopback_is_for_the_host_alone(table) -> None:
    published(table, "web", WEB.replace(host_ip="127.0.0.1"))
    assert table.here.ask("tcp", "127.0.0.1", 8080) == "web 10.71.0.1"
    with believing_in_127_0_0_1(table.other, via="192.0.2.1"):
        assert table.other.ask("tcp", "127.0.0.1", 8080) == "ETIMEDOUT"
        published(table, "web", WEB)
        assert table.other.ask("tcp", "127.0.0.1", 8080) == "ETIMEDOUT"
        run("nft", "flush", "chain", "inet", "pypod", "arriving")
        run("nft", "add", "rule", "inet", "pypod", "arriving", "fib daddr type local jump publish")
        assert table.other.ask("tcp", "127.0.0.1", 8080) == "web 192.0.2.2", "the test would not notice"


@contextmanager
def believing_in_127_0_0_1(host: Host, via: str) -> Iterator[None]:
    """Make a host send packets for 127.0.0.1 to another host."""
    rule = ("priority", "1", "to", "127.0.0.1", "table", "77")
    host.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    host.run("ip", "route", "add", "127.0.0.1/32", "via", via, "dev", "eth0", "table", "77")
    host.run("ip", "rule", "add", "priority", "2", "table", "local")
    host.run("ip", "rule", "add", *rule)
    host.run("ip", "rule", "del", "priority", "0", "table", "local")
    try:
        yield
    finally:
        host.run("ip", "rule", "add", "priority", "0", "table", "local")
        host.run("ip", "rule", "del", "priority", "2", "table", "local")
        host.run("ip", "rule", "del", *rule)
        host.run("ip", "route", "flush", "table", "77")
        host.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=0")


def test_a_container_does_not_reach_the_hosts_127_0_0_1(table) -> None:
    """CVE-2020-8558: its bridge has route_localnet=1."""
    table.here.serve("tcp", "127.0.0.1", 6060)
    try:
        with believing_in_127_0_0_1(table.get, via="10.71.0.1"):
            assert table.get.ask("tcp", "127.0.0.1", 6060) == "ETIMEDOUT"
            run("nft", "flush", "chain", "inet", "pypod", "input")
            assert table.get.ask("tcp", "127.0.0.1", 6060) == "here 10.71.0.3", "the test would not notice"
    finally:
        table.here.close()


def socket_of(host: Host, *kind: int) -> socket.socket:
    """Create a socket in a host's network namespace."""
    with within(host):
        return socket.socket(*kind)


def frame(identity: int, source: str, target: str, protocol: int, payload: bytes) -> bytes:
    """Return a forged IPv4 frame to the bridge, with any source address."""
    ends = (socket.inet_aton(source), socket.inet_aton(target))
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), identity, 0, 64, protocol, 0, *ends)
    total = sum(struct.unpack("!10H", header))
    checksum = ~(total + (total >> 16)) & 0xFFFF
    bridge = json.loads(run("ip", "-j", "link", "show", "br-one"))[0]["address"].replace(":", "")
    ethernet = bytes.fromhex(f"{bridge}0200000000010800")
    return ethernet + header[:10] + struct.pack("!H", checksum) + header[12:] + payload


EVIL, GOOD = 1, 2
UDP = struct.pack("!HHHH", 1000, 53, 12, 0)  # no checksum: allowed over IPv4
TCP = struct.pack("!HHIIBBHHH", 1000, 53, 1, 0, 0x50, 0x03, 1024, 0, 0)  # SYN and FIN: conntrack has no state for it
PONG = struct.pack("!BBHHH", 0, 0, 0xFFFE, 0, 1)  # an answer to no question: conntrack has no state for it either
ATTACKS = {
    "udp to it": ("10.71.0.3", "127.0.0.1", socket.IPPROTO_UDP, UDP + b"here"),
    "tcp to it": ("10.71.0.3", "127.0.0.1", socket.IPPROTO_TCP, TCP),
    "icmp to it": ("10.71.0.3", "127.9.9.9", socket.IPPROTO_ICMP, PONG),
    "udp from it": ("127.0.0.1", "10.71.0.1", socket.IPPROTO_UDP, UDP + b"here"),
    "tcp from it": ("127.0.0.1", "10.71.0.1", socket.IPPROTO_TCP, TCP),
    "udp from it to another network": ("127.0.0.1", "10.72.0.2", socket.IPPROTO_UDP, UDP + b"here"),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_nor_says_it_is_127_0_0_1(table, attack: tuple[str, str, int, bytes]) -> None:
    """Whatever conntrack makes of it. The kernel itself would drop some of these, if accept_local were not set."""
    source, target, protocol, payload = attack
    victim, own = (table.far, "10.72.0.2") if target == "10.72.0.2" else (table.here, "10.71.0.1")
    run("sysctl", "-qw", "net.ipv4.conf.br-one.accept_local=1", "net.ipv4.conf.br-one.rp_filter=0")
    with (
        socket_of(table.get, socket.AF_PACKET, socket.SOCK_RAW) as sender,
        socket_of(victim, socket.AF_INET, socket.SOCK_RAW, protocol) as receiver,
    ):
        sender.bind(("eth0", 0))
        receiver.settimeout(5)

        def heard() -> list[int]:
            """Return the received packets, up to the allowed one."""
            sender.send(frame(EVIL, source, target, protocol, payload))
            sender.send(frame(GOOD, "10.71.0.3", own, protocol, payload))
            found = [0]
            while found[-1] != GOOD:
                found.append(int.from_bytes(receiver.recv(100)[4:6]))
            return found[1:]

        assert heard() == [GOOD]
        for chain in ("input", "forward"):
            run("nft", "flush", "chain", "inet", "pypod", chain)
        assert heard() == [EVIL, GOOD], "the test would not notice"


def test_out_of_a_network(table) -> None:
    assert table.web.ask("tcp", "192.0.2.2", 80) == "other 192.0.2.1"
    assert table.web.ask("tcp", "2001:db8::2", 80) == "other 2001:db8::1"
    assert table.web.ask("tcp", address("get"), 80) == "get 10.71.0.2"
    assert table.far.ask("tcp", address("web"), 80) == "web 10.71.0.1"


def test_isolated_networks_do_not_reach_each_other(table) -> None:
    assert table.a.ask("tcp", address("b"), 80) == "ETIMEDOUT"
    assert table.a.ask("tcp", address("web"), 80) == "web 10.71.0.1"
    assert table.web.ask("tcp", address("a"), 80) == "a 10.73.0.1"
    assert table.a.ask("tcp", "192.0.2.2", 80) == "other 192.0.2.1"


def test_an_internal_network_is_for_itself_and_the_host(table) -> None:
    published(table, "in", WEB)
    for gateway in ("10.75.0.1",):
        getattr(table, "in").run("ip", "route", "add", "default", "via", gateway)
    try:
        inner = getattr(table, "in")
        assert inner.ask("tcp", "192.0.2.2", 80) == "ETIMEDOUT"
        assert inner.ask("tcp", address("web"), 80) == "ETIMEDOUT"
    finally:
        getattr(table, "in").run("ip", "route", "del", "default")
    assert table.web.ask("tcp", address("in"), 80) == "ETIMEDOUT"
    assert table.other.ask("tcp", address("in"), 80) == "ETIMEDOUT"
    assert table.other.ask("tcp", "192.0.2.1", 8080) == "ETIMEDOUT"
    assert table.here.ask("tcp", "127.0.0.1", 8080) == "in 10.75.0.1"
    assert table.here.ask("tcp", "192.0.2.1", 8080) == "in 10.75.0.1"


def elements(name: str) -> object:
    [found] = [
        one
        for one in json.loads(run("nft", "-j", "list", "table", "inet", "pypod"))["nftables"]
        for kind in ("set", "map")
        if kind in one and one[kind]["name"] == name
    ]
    return next(iter(found.values())).get("elem", [])


def test_nft_shows_what_was_packed(table) -> None:
    ports = (WEB, Port(container_port=53, host_port=53, host_ip="192.0.2.1", protocol="udp"))
    six = Port(container_port=9, host_port=99, host_ip="2001:db8::1", protocol="sctp")
    table.channel.send(firewall.publish((*ports, six), "10.71.0.2/24", "fd00:71::2/64", comment="web"))
    shown = run("nft", "-n", "list", "table", "inet", "pypod")  # numeric: a small system has no names of protocols
    for line in (
        '6 . 8080 comment "web" : 10.71.0.2 . 80',
        '6 . 8080 comment "web" : fd00:71::2 . 80',
        '192.0.2.1 . 17 . 53 comment "web" : 10.71.0.2 . 53',
        '2001:db8::1 . 132 . 99 comment "web" : fd00:71::2 . 9',
        '"br-one" . 10.71.0.0/24',
        '"br-one" . fd00:71::/64',
        '"br-two" . "br-two"',
    ):
        assert line in shown
    assert elements("internal") == ["br-inner"]
    assert set(elements("isolated")) == {"br-apart", "br-away"}


def test_what_is_withdrawn_is_gone(table) -> None:
    published(table, "web", WEB, Port(container_port=1, host_port=1, count=300))
    table.channel.send(firewall.withdraw((WEB, Port(container_port=1, host_port=1, count=300)), "10.71.0.2", "::2"))
    assert not firewall.listed(table.channel)
    table.channel.send(firewall.withdraw((WEB,), "10.71.0.2"))  # it may already be gone
    for one in NETWORKS:
        firewall.forget(table.channel, one.interface)
        firewall.forget(table.channel, one.interface)
    assert not any(elements(name) for name in ("bridges", "same", "internal", "isolated", "homes4", "homes6"))


def test_publishing_replaces_what_was_left(table) -> None:
    published(table, "far", WEB)
    published(table, "web", WEB)
    assert table.other.ask("tcp", "192.0.2.1", 8080) == "web 192.0.2.2"


def test_a_kernel_without_destroy(table) -> None:
    table.channel.send(firewall.publish((WEB,), "10.71.0.2", destroy=False))
    with pytest.raises(OSError, match="exists"):
        table.channel.send(firewall.publish((WEB,), "10.71.0.3", destroy=False))
    table.channel.send(firewall.publish((WEB,), "10.71.0.2", destroy=False))
    table.channel.send(firewall.withdraw((WEB,), "10.71.0.2", destroy=False))
    with pytest.raises(FileNotFoundError):
        table.channel.send(firewall.withdraw((WEB,), "10.71.0.2", destroy=False))
    assert not firewall.listed(table.channel)


def test_only_ones_own_is_withdrawn(table) -> None:
    other = Port(container_port=80, host_port=81, host_ip="192.0.2.1")
    published(table, "web", WEB, other)
    published(table, "far", WEB)
    firewall.withdraw_own(table.channel, (WEB, other), address("web"), address("web", 6))
    assert firewall.listed(table.channel) == [("tcp", "", 8080, address("far"), 80)]
    firewall.withdraw_own(table.channel, (WEB, other), address("web"), address("web", 6))
    assert firewall.listed(table.channel) == [("tcp", "", 8080, address("far"), 80)]


def test_own_is_compared_and_taken_in_one_step(table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process publishes the port between our check and our change."""
    published(table, "web", WEB)
    has, calls = firewall.has, []

    def look(channel, key, way) -> bool:
        found = has(channel, key, way)
        if not calls:
            published(table, "far", WEB)
        calls.append(found)
        return found

    monkeypatch.setattr(firewall, "has", look)
    firewall.withdraw_own(table.channel, (WEB,), address("web"))
    assert calls == [True, False]
    assert firewall.listed(table.channel)[0] == ("tcp", "", 8080, address("far"), 80)


def test_the_table_is_loaded_once(table) -> None:
    published(table, "web", WEB)
    before = run("nft", "-a", "list", "table", "inet", "pypod")
    assert not firewall.ensure_table(table.channel)
    assert run("nft", "-a", "list", "table", "inet", "pypod") == before


def test_a_newer_pypod_replaces_the_rules_and_keeps_the_elements(table, monkeypatch: pytest.MonkeyPatch) -> None:
    published(table, "web", WEB)
    before = run("nft", "list", "table", "inet", "pypod")
    run("nft", "flush", "chain", "inet", "pypod", "publish")
    run("nft", "flush", "set", "inet", "pypod", "version")
    of_version_1 = "{ type filter hook prerouting priority raw; }"
    run("nft", "add", "chain", "inet", "pypod", "loopback", of_version_1)
    assert firewall.table_version(table.channel) == 0
    assert firewall.ensure_table(table.channel)
    assert run("nft", "list", "table", "inet", "pypod") == before
    run("nft", "add", "element", "inet", "pypod", "version", "{ 99 }")
    assert not firewall.ensure_table(table.channel), "an older pypod leaves a newer one's table alone"


def test_everything_after_a_flush(table) -> None:
    before = None
    ways = [((WEB, Port(container_port=1, host_port=1000, count=2000)), address("web"), address("web", 6), "web")]
    for _ in range(2):
        run("nft", "flush", "ruleset")
        run("nft", "add", "table", "ip", "somebody")
        assert firewall.ensure_table(table.channel)
        for transaction in firewall.everything(NETWORKS, ways):
            table.channel.send(transaction)
        assert len(firewall.listed(table.channel)) == 4002
        shown = sorted(run("nft", "list", "ruleset").split())
        assert before in (None, shown)
        before = shown
    assert table.other.ask("tcp", "192.0.2.1", 8080) == "web 192.0.2.2"


OTHERS = """
table ip nat {
    chain PREROUTING {
        type nat hook prerouting priority dstnat; policy accept;
        tcp dport 1 counter dnat to 10.0.0.1
    }
}
table inet filter {
    set s { type ipv4_addr; elements = { 192.0.2.7 } }
    chain input { type filter hook input priority 0; ip saddr @s counter drop; }
}
"""


def test_other_tables_are_left_alone(table, tmp_path) -> None:
    file = tmp_path / "others.nft"
    file.write_text(OTHERS)
    run("nft", "-f", str(file))

    def others() -> str:
        return run("nft", "-a", "list", "table", "ip", "nat") + run("nft", "-a", "list", "table", "inet", "filter")

    before = others()
    firewall.ensure_table(table.channel, again=True)
    published(table, "web", WEB)
    for transaction in firewall.everything(NETWORKS, [((WEB,), address("web"), "", "")]):
        table.channel.send(transaction)
    table.channel.send(firewall.withdraw((WEB,), address("web")))
    firewall.forget(table.channel, ONE.interface)
    run("nft", "delete", "table", "inet", "pypod")
    assert others() == before


def test_without_nft(lab, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    run("nft", "flush", "ruleset")
    monkeypatch.setattr(firewall, "_PROGRAMS", str(tmp_path))
    with pytest.raises(Unsupported, match=r"nft.*apt-get install nftables") as caught:
        firewall.ensure_table(lab.channel)
    assert caught.value.feature == "nftables"


def test_an_nft_that_crashes(lab, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """As 1.0.6 does if a later version has created a set."""
    run("nft", "flush", "ruleset")
    nft = tmp_path / "nft"
    nft.write_text("#!/bin/sh\nkill -SEGV $$\n")
    nft.chmod(0o755)
    monkeypatch.setattr(firewall, "_PROGRAMS", str(tmp_path))
    with pytest.raises(Unsupported, match=r"nft: killed by signal 11: a later nftables may"):
        firewall.ensure_table(lab.channel)


def test_rules_that_the_kernel_does_not_take(lab, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    file = tmp_path / "table.nft"
    file.write_text("table inet pypod { chain c { type nosuch hook forward priority 0; } }")
    run("nft", "flush", "ruleset")
    monkeypatch.setattr(firewall, "TABLE_FILE", str(file))
    with pytest.raises(Unsupported, match=r"cannot be loaded.*the kernel needs nftables with NAT"):
        firewall.ensure_table(lab.channel)
    assert run("nft", "list", "ruleset") == ""


def test_settings_of_the_host(lab) -> None:
    with own_network():
        run("ip", "link", "add", "br-one", "type", "bridge")
        run(
            "sysctl",
            "-qw",
            "net.ipv4.ip_forward=0",
            "net.ipv6.conf.all.forwarding=0",
            "net.ipv6.conf.br-one.accept_ra=1",
        )
        asked = forwarding.needed(ONE)
        assert ("/proc/sys/net/ipv4/ip_forward", "1") in asked
        assert ("/proc/sys/net/ipv6/conf/br-one/accept_ra", "2") in asked
        assert asked[-1] == ("/proc/sys/net/ipv6/conf/all/forwarding", "1")
        assert "set net.ipv4.ip_forward to 1: the host forwards" in [forwarding.words(*one) for one in asked][1]
        for path, value in asked:
            forwarding.write(path, value)
        shown = run(
            "sysctl", "-n", "net.ipv4.ip_forward", "net.ipv4.conf.br-one.route_localnet", "net.ipv6.conf.all.forwarding"
        )
        assert shown.split() == ["1", "1", "1"]
        assert forwarding.needed(ONE) == []
