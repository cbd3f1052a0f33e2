"""UDP flows that the kernel tracks: a start makes it forget exactly those that would mislead its clients."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from pypod.kernel.netlink import NETFILTER, Channel
from pypod.model.port import Port
from pypod.network import firewall, flows
from tests.hosts import run

TABLE = Path("/proc/thread-self/net/nf_conntrack")

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not TABLE.exists(), reason="the kernel has no /proc/net/nf_conntrack"),
]

PORT = Port(container_port=53, host_port=5300, protocol="udp")
OWN = {4: ("127.0.0.1", "192.0.2.1"), 6: ("::1", "2001:db8::1")}
ELSEWHERE = {4: "192.0.2.2", 6: "2001:db8::2"}
INSIDE = ("10.71.0.2/24", "fd00:71::2/64")  # of the container
FAMILIES = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def channel(own_network) -> Iterator[Channel]:
    """Return a channel to the firewall of a host with two addresses of each family and a host to send to."""
    run("ip", "link", "add", "out", "type", "bridge")
    run("ip", "link", "set", "out", "up")
    run("ip", "address", "add", "192.0.2.1/24", "dev", "out")
    run("ip", "address", "add", "2001:db8::1/64", "dev", "out", "nodad")
    with firewall.open_channel() as channel:
        firewall.ensure_table(channel)
        yield channel


def send(*ends: tuple[str, int]) -> None:
    for address, port in ends:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"?", (address, port))


def remembered() -> set[tuple[str, int]]:
    """Return the destinations of the tracked UDP flows."""
    found = set()
    for line in TABLE.read_text().splitlines():
        words = line.split()
        if words[2] == "udp":
            ends = dict(word.split("=") for word in reversed(words) if "=" in word)  # the original direction is first
            found.add((str(ip_address(ends["dst"])), int(ends["dport"])))
    return found


@FAMILIES
def test_a_start_has_those_forgotten_that_came_to_this_host_at_its_port(channel, family: int) -> None:
    first, second = OWN[family]
    others = {(first, 5301), (ELSEWHERE[family], 5300)}
    send((first, 5300), (second, 5300), *others)
    assert remembered() == {(first, 5300), (second, 5300), *others}
    flows.forget_all(channel, [PORT], *INSIDE)
    assert remembered() == others


@FAMILIES
def test_of_a_port_at_one_address_only_those(channel, family: int) -> None:
    first, second = OWN[family]
    send((first, 5300), (second, 5300))
    flows.forget_all(channel, [PORT.replace(host_ip=second), PORT.replace(protocol="tcp")], *INSIDE)
    assert remembered() == {(first, 5300)}


def test_a_range_is_longer_than_what_is_deleted_one_by_one(channel) -> None:
    send(("127.0.0.1", 5300), ("127.0.0.1", 5399), ("127.0.0.1", 5400))
    flows.forget_all(channel, [PORT.replace(count=100)], *INSIDE)
    assert remembered() == {("127.0.0.1", 5400)}


class Kernel(Channel):
    """A channel that counts dumps; an ``old`` one does not support filters for deletions."""

    def __init__(self, *, old: bool) -> None:
        super().__init__(NETFILTER)
        self.dumps, self._old = 0, old

    def send(self, data, tolerated=()):
        if self._old:
            self._old = False
            raise OSError(errno.EINVAL, "Invalid argument")
        super().send(data, tolerated)

    def dump(self, data):
        self.dumps += 1
        return super().dump(data)


@pytest.mark.parametrize("old", [False, True])
def test_all_that_is_remembered_is_looked_through_only_on_old_kernels(channel, old: bool) -> None:
    send(("127.0.0.1", 5300), ("127.0.0.1", 5301))
    with Kernel(old=old) as kernel:
        flows.forget_all(kernel, [PORT], INSIDE[0])
        assert kernel.dumps == int(old or not has_filter())
    assert remembered() == {("127.0.0.1", 5301)}


def has_filter() -> bool:
    """Return whether the kernel can delete by filter."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int(minor)) >= (6, 11)
