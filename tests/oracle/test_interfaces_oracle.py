"""The interfaces of a network namespace, compared with the output of ip(8) in it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import Iterator

import pytest

from pypod.errors import WrongState
from pypod.network.interfaces import Interface, Traffic, interfaces
from tests.facts import wait_until

pytestmark = pytest.mark.root

SETUP = """
set -e
ip link set lo up
ip link add name br0 type bridge
ip link set dev br0 address 02:00:00:00:00:01 alias "of a test"
ip link set dev br0 up
ip link add name veth0 type veth peer name end0
ip link set dev veth0 master br0
ip link set dev veth0 up
ip link set dev end0 mtu 1400
ip link set dev end0 up
ip address add 192.0.2.1/24 broadcast 192.0.2.255 dev br0
ip address add 192.0.2.9/24 dev br0
ip address add 2001:db8::1/64 dev br0 nodad
ip address add 198.51.100.1 peer 198.51.100.2/31 dev end0
ip link add name down0 type dummy 2>/dev/null || :
ip link add link br0 name mac0 type macvlan mode bridge
echo made
exec cat
"""
# otherwise the kernel adds link-local addresses and sends multicast at unpredictable times
QUIET = "for name in all default; do echo 1 > /proc/sys/net/ipv6/conf/$name/addr_gen_mode; done 2>/dev/null; "


@pytest.fixture
def other() -> Iterator[int]:
    """A process in a network namespace with interfaces of many kinds."""
    words = ["unshare", "--net", "sh", "-c", QUIET + SETUP]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"made\n"
        yield process.pid
        process.stdin.close()


def found(pid: int) -> tuple[Interface, ...]:
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        return interfaces(namespace)
    finally:
        os.close(namespace)


def shown(pid: int) -> list[dict]:
    words = ["nsenter", "-t", str(pid), "-n", "ip", "-json", "-details", "-statistics", "address"]
    return json.loads(subprocess.run(words, capture_output=True, check=True).stdout)


def form(interface: Interface) -> dict:
    """Return an interface in the terms of ip(8)."""
    return {
        "ifname": interface.name,
        "ifindex": interface.index,
        "kind": interface.kind,
        "address": interface.mac,
        "mtu": interface.mtu,
        "up": interface.is_up,
        "operstate": interface.state,
        "ifalias": interface.alias,
        "addr_info": [(one.address, one.prefix_length, one.scope, one.broadcast) for one in interface.addresses],
    }


def form_of_ip(one: dict) -> dict:
    return {
        **{key: one[key] for key in ("ifname", "ifindex", "mtu", "operstate")},
        "kind": one.get("linkinfo", {}).get("info_kind", ""),
        "address": one.get("address", ""),
        "up": "UP" in one["flags"],
        "ifalias": one.get("ifalias", ""),
        "addr_info": [(it["local"], it["prefixlen"], it["scope"], it.get("broadcast", "")) for it in one["addr_info"]],
    }


def counters(traffic: Traffic) -> dict:
    return {name: getattr(traffic, name) for name in ("bytes", "packets", "errors", "dropped")}


def test_a_namespace_with_everything(other: int) -> None:
    before, ours, after = shown(other), found(other), shown(other)
    while [form_of_ip(one) for one in before] != [form_of_ip(one) for one in after]:  # states settle within a second
        before, ours, after = shown(other), found(other), shown(other)
    assert [form(one) for one in ours] == [form_of_ip(one) for one in after]
    assert {"lo", "br0", "veth0", "end0", "mac0"} <= {one.name for one in ours}
    names = {one.index: one.name for one in ours}
    for one, first, last in zip(ours, before, after, strict=True):
        assert names.get(one.master_index, "") == last.get("master", "")
        assert (names.get(one.peer_index, ""), one.peer_netnsid) == (last.get("link") or "", None)
        for traffic, way in ((one.received, "rx"), (one.sent, "tx")):
            for name, count in counters(traffic).items():
                assert first["stats64"][way][name] <= count <= last["stats64"][way][name]


def test_the_other_end_is_elsewhere(other: int) -> None:
    subprocess.run(f"ip link add pypod-iface type veth peer name x netns {other}".split(), check=True)
    try:
        (x,) = (one for one in found(other) if one.name == "x")
        (as_ip,) = (one for one in shown(other) if one["ifname"] == "x")
        assert (x.peer_index, x.peer_netnsid) == (as_ip["link_index"], as_ip["link_netnsid"])
        (here,) = (one for one in found(os.getpid()) if one.name == "pypod-iface")
        assert (here.index, here.peer_index) == (x.peer_index, x.index)
    finally:
        subprocess.run(["ip", "link", "delete", "pypod-iface"], check=True)


def test_what_passed_is_counted(other: int) -> None:
    """Ten pings over lo: 92 bytes of data, 8 of ICMP header and 20 of IP header each."""

    def lo() -> Interface:
        return next(one for one in found(other) if one.name == "lo")

    before = lo()
    ping = ["nsenter", "-t", str(other), "-n", "busybox", "ping", "-c", "10", "-i", "0.01", "-s", "92", "127.0.0.1"]
    done = subprocess.run(ping, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("busybox has no ping")
    after = lo()
    for way in ("received", "sent"):
        first, last = getattr(before, way), getattr(after, way)
        assert last.packets - first.packets == 20  # requests and replies
        assert last.bytes - first.bytes == 20 * (20 + 8 + 92)  # lo adds no link-layer header


def test_the_caller_stays_where_it_is_and_may_be_in_an_event_loop(other: int) -> None:
    home, threads = os.readlink("/proc/thread-self/ns/net"), threading.active_count()
    descriptors = os.listdir("/proc/self/fd")

    async def look() -> tuple[Interface, ...]:
        return found(other)

    assert {one.name for one in asyncio.run(look())} > {"lo", "br0"}
    assert os.readlink("/proc/thread-self/ns/net") == home
    assert (threading.active_count(), os.listdir("/proc/self/fd")) == (threads, descriptors)


def test_what_is_no_network_namespace() -> None:
    with pytest.raises(OSError, match="setns"), open("/proc/self/ns/uts", encoding="ascii") as file:
        interfaces(file.fileno())


@pytest.mark.usefixtures("own_network")
def test_those_of_a_pod_and_its_member(engine, busybox: str) -> None:
    """The same ones from both handles, with the pod's address, as ip(8) sees them there."""
    pod = engine.pods.create("web", network="podman")
    with pytest.raises(WrongState, match="not running"):
        pod.interfaces()
    member = pod.run(["sleep", "100"], rootfs=busybox)
    pid = member.state().pid

    def asked() -> tuple[list[dict], list[dict]]:
        return [form(one) for one in pod.interfaces()], [form_of_ip(one) for one in shown(pid)]

    wait_until(lambda: asked()[0] == asked()[1])  # IPv6 settles its link-local address within two seconds
    assert [form(one) for one in member.interfaces()] == [form(one) for one in pod.interfaces()]
    (eth0,) = (one for one in pod.interfaces() if one.name == "eth0")
    assert {one.address for one in eth0.addresses} >= set(pod.addresses["podman"])


def test_a_pod_without_an_infra_has_none(engine) -> None:
    pod = engine.pods.create(infra=False)
    with pytest.raises(WrongState, match="no infra"):
        pod.interfaces()
