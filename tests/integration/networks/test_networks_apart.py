"""Reachability between isolated, internal and plain networks, the host and another host, tested with packets."""

from __future__ import annotations

import socket
import subprocess
from contextlib import closing

import pytest

from pypod import Pod
from tests import hosts

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]

OTHER_HOST = {4: "192.0.2.2", 6: "2001:db8::2"}
NETWORKS: dict[str, dict[str, object]] = {
    "one": {"options": {"isolate": "true"}},
    "two": {"options": {"isolate": "true"}},
    "plain": {},
    "inner": {"internal": True},
}
# From each network, in the order of the columns: one, two, plain, inner, the host, another host.
REACHED = {
    "one": (True, False, True, False, True, True),
    "two": (False, True, True, False, True, True),
    "plain": (True, True, True, False, True, True),
    "inner": (False, False, False, True, True, False),
}


@pytest.fixture
def pods(engine):
    """Return two pods on each network, and another host connected by a cable."""
    other = hosts.Host("other")
    gateways = ("192.0.2.1", "2001:db8::1")
    hosts.cable(other, "cable0", "eth0", ("192.0.2.2/24", "2001:db8::2/64"), gateways)
    for address in ("192.0.2.1/24", "2001:db8::1/64"):
        subprocess.run(["ip", "address", "add", address, "dev", "cable0", "nodad"], check=True)
    for address in OTHER_HOST.values():
        other.serve("tcp", address, 80)
    made: dict[str, list[Pod]] = {}
    for number, (name, options) in enumerate(NETWORKS.items()):
        subnets = [f"10.9{number}.0.0/24", f"fd9{number}::/64"]
        engine.networks.create(name, interface=f"{name}0", subnets=subnets, dns=False, **options)
        made[name] = [engine.pods.create(network=name) for _ in range(2)]
        for pod in made[name]:
            pod.start()
    yield made
    other.close()


def address_of(pod: Pod, family: int) -> str:
    [addresses] = pod.addresses.values()
    return next(one for one in addresses if (":" in one) == (family == 6))


def listen(address: str) -> socket.socket:
    return socket.create_server((address, 80), family=socket.AF_INET6 if ":" in address else socket.AF_INET)


def connects(pod: Pod, address: str, *, gateway: str = "") -> bool:
    """Return whether a connection from a pod succeeds; without a route it uses a ``gateway`` that it was not given."""
    with pod.enter("net"):
        if gateway:
            subprocess.run(["ip", "route", "replace", "default", "via", gateway], check=True)
        try:
            socket.create_connection((address, 80), 0.3).close()
        except OSError:
            return False
    return True


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("name", NETWORKS)
def test_who_reaches_whom(pods, name: str, family: int) -> None:
    """A pod without a route out adds one itself: the rules must contain it, not only its routes."""
    asking = pods[name][0]
    gateway = {4: "10.93.0.1", 6: "fd93::1"}[family] if name == "inner" else ""
    found = []
    for other in NETWORKS:
        address = address_of(pods[other][1], family)
        with pods[other][1].enter("net"):
            server = listen(address)
        with closing(server):
            found.append(connects(asking, address, gateway=gateway))
    own_gateway = {4: f"10.9{list(NETWORKS).index(name)}.0.1", 6: f"fd9{list(NETWORKS).index(name)}::1"}[family]
    with closing(listen(own_gateway)):
        found.append(connects(asking, own_gateway))
    found.append(connects(asking, OTHER_HOST[family], gateway=gateway))
    assert tuple(found) == REACHED[name]


def test_an_internal_network_gives_no_default_route(pods) -> None:
    for name, is_there in (("inner", False), ("plain", True)):
        with pods[name][0].enter("net"):
            shown = subprocess.run(
                ["ip", "route", "show", "default"], capture_output=True, text=True, check=True
            ).stdout
        assert bool(shown) == is_there


def test_the_host_reaches_all(pods) -> None:
    for name in NETWORKS:
        for family in (4, 6):
            address = address_of(pods[name][0], family)
            with pods[name][0].enter("net"):
                server = listen(address)
            with closing(server):
                socket.create_connection((address, 80), 1).close()
