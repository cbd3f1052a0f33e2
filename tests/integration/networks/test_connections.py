"""Pods and containers on networks: what the kernel shows inside and on the host, and that nothing is left of it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pypod import errors
from pypod.engine.containers import connecting
from pypod.engine.containers.collect import repair
from pypod.engine.networks import reloading
from pypod.engine.networks.names import service
from pypod.model.ids import new_id
from pypod.model.network import Connection, NetworkSpec, Subnet
from pypod.store import networks, records
from tests import dns
from tests.facts import kill_and_wait, wait_until

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]

FOUR = Subnet(subnet="10.99.0.0/24", gateway="10.99.0.1")
SIX = Subnet(subnet="fd99::/64", gateway="fd99::1")


@pytest.fixture
def network(engine) -> NetworkSpec:
    return add(engine, "blue", "bl0", FOUR, SIX)


def add(engine, name: str, interface: str, *subnets: Subnet, **more: object) -> NetworkSpec:
    spec = NetworkSpec(id=new_id(), name=name, created_ns=0, interface=interface, subnets=subnets, **more)
    with engine.database.transaction() as connection, connection:
        networks.add(connection, spec)
    return spec


def pod_on(engine, network: NetworkSpec, *more: NetworkSpec, share: str = "ipc,net,uts", **asked: object):
    pod = engine.pods.create(network="none", share=share)
    connect(engine, pod.record().infra_id, Connection(network=network.id, **asked))
    for one in more:
        connect(engine, pod.record().infra_id, Connection(network=one.id))
    return pod


def connect(engine, identifier: str, asked: Connection) -> None:
    with engine.database.transaction() as connection, connection:
        networks.connect(connection, identifier, asked)


def infra_of(engine, pod):
    return records.find_container(engine.database, pod.record().infra_id)


def inside(pod, *words: str):
    """Return the output of ip(8) in the pod's network namespace."""
    with pod.enter("net"):
        return host(*words)


def host(*words: str):
    text = subprocess.run(["ip", "-j", *words], capture_output=True, text=True, check=True).stdout
    return json.loads(text or "[]")


def addresses(shown) -> dict[str, set[str]]:
    """Return the assigned addresses of each interface."""
    return {
        link["ifname"]: {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if one["scope"] == "global"}
        for link in shown
        if link.get("ifname")
    }


def given_away(engine) -> set[str]:
    return {holder for _, _, holder in engine.database.read("SELECT * FROM addresses") if holder}


def veths() -> list[str]:
    return [link["ifname"] for link in host("link", "show", "type", "veth")]


def known_bridges() -> str:
    words = ["nft", "list", "set", "inet", "pypod", "bridges"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def wait_for_no_veth() -> None:
    wait_until(lambda: not veths(), 3)


def test_a_pod_has_address_route_and_a_neighbour(engine, rootfs, network):
    with pod_on(engine, network) as first, pod_on(engine, network) as second:
        first.start()
        second.start()
        assert addresses(inside(first, "addr"))["eth0"] == {"10.99.0.2/24", "fd99::2/64"}
        assert addresses(inside(second, "addr"))["eth0"] == {"10.99.0.3/24", "fd99::3/64"}
        assert [one["gateway"] for one in inside(first, "route", "show", "default")] == ["10.99.0.1"]
        assert [one["gateway"] for one in inside(first, "-6", "route", "show", "default")] == ["fd99::1"]
        assert addresses(host("addr"))["bl0"] == {"10.99.0.1/24", "fd99::1/64"}
        assert inside(first, "link", "show", "eth0")[0]["address"] == "0a:58:0a:63:00:02"
        served = first.run(["nc", "-l", "-p", "80", "-e", "echo", "hello"], rootfs=rootfs)
        asked = second.run(["sh", "-c", "until nc 10.99.0.2 80; do :; done"], rootfs=rootfs)
        assert asked.wait() == 0
        assert served.wait() == 0
        assert b"".join(piece.data for piece in asked.logs()) == b"hello\n"
    wait_for_no_veth()


def test_what_a_stop_gives_back_is_not_given_away_at_once(engine, network):
    with pod_on(engine, network) as pod:
        found = []
        for _ in range(3):
            pod.start()
            found += addresses(inside(pod, "-4", "addr"))["eth0"]
            pod.stop()
            assert given_away(engine) == set()
    assert found == ["10.99.0.2/24", "10.99.0.3/24", "10.99.0.4/24"]


def test_static_addresses(engine, network):
    wanted = {"addresses": ("10.99.0.77", "fd99::77"), "mac": "02:00:00:00:00:77", "interface": "net7"}
    with pod_on(engine, network, **wanted) as pod, pod_on(engine, network, **wanted) as late:
        pod.start()
        assert addresses(inside(pod, "addr"))["net7"] == {"10.99.0.77/24", "fd99::77/64"}
        assert inside(pod, "link", "show", "net7")[0]["address"] == "02:00:00:00:00:77"
        with pytest.raises(errors.InUse, match=pod.record().infra_id[:12]) as failure:
            late.start()
        assert failure.value.ref == "10.99.0.77"
        assert late.status == "Created"
        pod.stop()
        late.start()
        assert addresses(inside(late, "addr"))["net7"] == {"10.99.0.77/24", "fd99::77/64"}


def test_a_full_network_says_so_and_takes_back_what_the_dead_have(engine):
    small = add(engine, "small", "sm0", Subnet(subnet="10.98.0.0/30", gateway="10.98.0.1"))
    with pod_on(engine, small) as pod, pod_on(engine, small) as other:
        pod.start()
        with pytest.raises(errors.InUse, match=r"no free address in 10\.98\.0\.0/30"):
            other.start()
        os.kill(pod.state().infra.pid, signal.SIGKILL)
        while pod.state().infra.running:
            pass
        other.start()
        assert addresses(inside(other, "addr"))["eth0"] == {"10.98.0.2/30"}


def test_many_at_once_have_different_addresses(engine, network):
    pods = [pod_on(engine, network) for _ in range(12)]
    try:
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda pod: pod.start(), pods))
        found = [address for pod in pods for address in addresses(inside(pod, "-4", "addr"))["eth0"]]
        assert len(set(found)) == 12
    finally:
        for pod in pods:
            pod.remove(force=True)
    wait_for_no_veth()
    assert given_away(engine) == set()


def test_two_networks(engine, network):
    red = add(engine, "red", "rd0", Subnet(subnet="10.97.0.0/24", gateway="10.97.0.1"))
    with pod_on(engine, network, red) as pod:
        pod.start()
        found = addresses(inside(pod, "addr"))
        assert (found["eth0"], found["eth1"]) == ({"10.99.0.2/24", "fd99::2/64"}, {"10.97.0.2/24"})
        routes = inside(pod, "route", "show", "default")
        assert [(one["gateway"], one["metric"]) for one in routes] == [("10.99.0.1", 100), ("10.97.0.1", 101)]


def test_an_internal_network_has_no_way_out(engine):
    inner = add(engine, "inner", "in0", FOUR, internal=True)
    with pod_on(engine, inner) as pod:
        pod.start()
        assert inside(pod, "route", "show", "default") == []


def test_a_container_of_its_own(engine, rootfs, network):
    container = engine.containers.create(["sh", "-c", "ip -o addr show eth0"], rootfs=rootfs, network="none")
    try:
        connect(engine, container.id, Connection(network=network.id))
        container.start()
        assert container.wait() == 0
        assert b"10.99.0.2/24" in b"".join(piece.data for piece in container.logs())
        container.start()
        assert container.wait() == 0
        assert b"10.99.0.3/24" in b"".join(piece.data for piece in container.logs())
    finally:
        container.remove(force=True)
    assert given_away(engine) == set()


def test_a_failed_start_gives_the_addresses_back(engine, rootfs, network):
    container = engine.containers.create(["/no/such"], rootfs=rootfs, network="none")
    try:
        connect(engine, container.id, Connection(network=network.id))
        with pytest.raises(errors.CommandNotFound):
            container.start()
        assert given_away(engine) == set()
    finally:
        container.remove(force=True)
    wait_for_no_veth()


def test_a_name_that_cannot_be_is_the_failure_of_that_operation(engine, network):
    with pod_on(engine, network, interface="lo") as pod:
        with pytest.raises(errors.LaunchFailed, match="make veth") as failure:
            pod.start()
        assert (failure.value.call, failure.value.errno) == ("netlink", 17)
        assert given_away(engine) == set()


def test_a_bridge_that_was_deleted_comes_back(engine, network):
    with pod_on(engine, network) as pod:
        pod.start()
        subprocess.run(["ip", "link", "del", "bl0"], check=True)
        pod.restart()
        assert addresses(host("addr"))["bl0"] == {"10.99.0.1/24", "fd99::1/64"}
        assert host("link", "show", "master", "bl0")


@pytest.mark.not_in_chroot
def test_a_pod_with_a_user_namespace(engine, network):
    with pod_on(engine, network, share="user,net,uts,ipc") as pod:
        pod.start()
        assert addresses(inside(pod, "addr"))["eth0"] == {"10.99.0.2/24", "fd99::2/64"}


def test_connect_and_disconnect_while_it_runs(engine, network):
    red = add(engine, "red", "rd0", Subnet(subnet="10.97.0.0/24", gateway="10.97.0.1"))
    with pod_on(engine, network) as pod:
        pod.start()
        infra = infra_of(engine, pod)
        connecting.connect(engine, infra, Connection(network="red"), red)
        assert addresses(inside(pod, "addr"))["eth1"] == {"10.97.0.2/24"}
        with pytest.raises(errors.AlreadyExists):
            connecting.connect(engine, infra, Connection(network="red"), red)
        connecting.disconnect(engine, infra, network)
        assert "eth0" not in addresses(inside(pod, "addr"))
        with pytest.raises(errors.WrongState, match="is not connected to network blue"):
            connecting.disconnect(engine, infra, network)
        pod.restart()
        assert addresses(inside(pod, "addr"))["eth0"] == {"10.97.0.3/24"}


def test_connecting_to_a_full_network_changes_nothing(engine, network):
    small = add(engine, "small", "sm0", Subnet(subnet="10.98.0.0/30", gateway="10.98.0.1"))
    with pod_on(engine, network) as pod, pod_on(engine, small) as holder:
        pod.start()
        holder.start()
        before = inside(pod, "link")
        with pytest.raises(errors.InUse):
            connecting.connect(engine, infra_of(engine, pod), Connection(network="small"), small)
        assert inside(pod, "link") == before
        assert len(networks.connections_of(engine.database, pod.record().infra_id)) == 1


def test_macvlan(engine):
    subprocess.run(["ip", "link", "add", "up0", "type", "veth", "peer", "up1"], check=True)
    subprocess.run(["ip", "link", "set", "up0", "up"], check=True)
    lan = add(engine, "lan", "up0", FOUR, driver="macvlan", options=(("mode", "bridge"), ("mtu", "1300")))
    with pod_on(engine, lan) as pod:
        pod.start()
        link = inside(pod, "-d", "link", "show", "eth0")[0]
        assert (link["linkinfo"]["info_kind"], link["mtu"]) == ("macvlan", 1300)
        assert addresses(inside(pod, "addr"))["eth0"] == {"10.99.0.2/24"}


def test_a_macvlan_without_a_parent_is_on_the_interface_of_the_default_route(engine):
    for command in ("link add up0 type veth peer up1", "link set up0 up", "address add 192.0.2.1/24 dev up0"):
        subprocess.run(["ip", *command.split()], check=True)
    lan = add(engine, "lan", "", FOUR, driver="macvlan")
    with pod_on(engine, lan) as pod:
        with pytest.raises(errors.InvalidSpec, match="lan has no parent interface, and the host no default route"):
            pod.start()
        assert given_away(engine) == set()
        subprocess.run("ip route add default via 192.0.2.2".split(), check=True)
        pod.start()
        assert inside(pod, "link", "show", "eth0")[0]["link_index"] == host("link", "show", "up0")[0]["ifindex"]


def test_subnets_of_one_family_share_a_default_route(engine):
    """Each yields an address, but the kernel accepts one default route per metric. Names are answered in any case."""
    subnets = [Subnet(subnet=f"10.99.{number}.0/24", gateway=f"10.99.{number}.1") for number in range(40)]
    with pod_on(engine, add(engine, "many", "my0", *subnets, dns=True)) as pod:
        pod.start()
        assert len(addresses(inside(pod, "addr"))["eth0"]) == 40
        assert [route["gateway"] for route in inside(pod, "route", "show", "default")] == ["10.99.0.1"]
        with pod.enter("net"):
            assert "10.99.39.2" in dns.ask_over_tcp("10.99.0.1", pod.name)[0].data
    kill_and_wait(service.info(engine).pid)


def test_a_network_that_gives_no_addresses(engine):
    with pod_on(engine, add(engine, "bare", "be0", ipam="none")) as pod:
        pod.start()
        assert inside(pod, "link", "show", "eth0")[0]["operstate"] == "UP"
        assert addresses(inside(pod, "addr"))["eth0"] == set()


def test_the_steps_that_are_told_are_those(engine, network):
    with pod_on(engine, network) as pod:
        told = str(pod.explain())
        assert "make bridge bl0 with 10.99.0.1/24, fd99::1/64" in told
        assert "eth0: set up with 10.99.0.2/24, fd99::2/64, default route by 10.99.0.1, fd99::1" in told
        assert given_away(engine) == set()
        assert host("link", "show", "type", "bridge") == []
        pod.start()
        assert addresses(inside(pod, "addr"))["eth0"] == {"10.99.0.2/24", "fd99::2/64"}


def test_a_ping_needs_no_capability(engine, network):
    with pod_on(engine, network) as pod:
        pod.start()
        with pod.enter("net"), open("/proc/sys/net/ipv4/ping_group_range") as file:
            assert file.read().split() == ["0", "0"]


def test_a_pod_is_reached_as_soon_as_it_is_started(engine, network):
    """A packet dropped by a port of the bridge would be retransmitted after a second."""
    with pod_on(engine, network) as first:
        first.start()
        for _ in range(20):
            with pod_on(engine, network) as second:
                second.start()
                before = time.monotonic()
                with first.enter("net"), pytest.raises(ConnectionRefusedError):
                    socket.create_connection((second.addresses["blue"][0], 9), timeout=3)
                assert time.monotonic() - before < 0.5


def test_names_inside_do_not_collide_with_those_asked_for(engine, network):
    red = add(engine, "red", "rd0", Subnet(subnet="10.97.0.0/24", gateway="10.97.0.1"))
    green = add(engine, "green", "gr0", Subnet(subnet="10.96.0.0/24", gateway="10.96.0.1"))
    with pod_on(engine, network, red, interface="eth0") as pod:
        pod.start()
        connecting.connect(engine, infra_of(engine, pod), Connection(network=green.id), green)
        assert addresses(inside(pod, "addr")) == {
            "lo": set(),
            "eth0": {"10.99.0.2/24", "fd99::2/64"},
            "eth1": {"10.97.0.2/24"},
            "eth2": {"10.96.0.2/24"},
        }


def test_the_default_route_stays_where_it_was_when_others_come_and_go(engine, network):
    red = add(engine, "red", "rd0", Subnet(subnet="10.97.0.0/24", gateway="10.97.0.1"))
    with pod_on(engine, network, red) as pod:
        pod.start()
        infra = infra_of(engine, pod)
        connecting.disconnect(engine, infra, network)
        connecting.connect(engine, infra, Connection(network=network.id), network)
        for end in veths():
            subprocess.run(["ip", "link", "del", end], check=True)
        reloading.reload(engine)
        routes = {one["gateway"]: one["metric"] for one in inside(pod, "route", "show", "default")}
        assert routes == {"10.99.0.1": 100, "10.97.0.1": 101}


def test_the_picture_shows_the_cable(engine, network):
    with pod_on(engine, network) as pod:
        pod.start()
        end = veths()[0]
        picture = pod.picture()
        assert f"10.99.0.2/24, fd99::2/64  <->  {end} on bl0 10.99.0.1/24, fd99::1/64 (network blue)" in str(picture)
        assert {"bl0", "eth0", f"veth {end}"} <= set(re.findall(r">([^<>]+)</text>", picture.svg()))
        subprocess.run(["ip", "link", "del", "bl0"], check=True)
        assert "bl0, gone" in str(pod.picture())


def test_a_reload_makes_again_what_somebody_took_away(engine, network):
    with pod_on(engine, network) as first, pod_on(engine, network) as second:
        first.start()
        second.start()
        subprocess.run(["ip", "link", "del", "bl0"], check=True)
        subprocess.run(["ip", "link", "del", veths()[0]], check=True)
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        assert set(reloading.reload(engine)) == {first.record().infra_id, second.record().infra_id}
        assert {link["ifname"] for link in host("link", "show", "master", "bl0")} == set(veths())
        for pod, address in ((first, "10.99.0.2/24"), (second, "10.99.0.3/24")):
            assert address in addresses(inside(pod, "addr"))["eth0"]
            assert [one["gateway"] for one in inside(pod, "route", "show", "default")] == ["10.99.0.1"]
        assert '"bl0"' in known_bridges()


def test_a_start_after_a_flush_loads_the_rules_again(engine, network):
    with pod_on(engine, network) as pod:
        pod.start()
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        pod.restart()
        assert '"bl0"' in known_bridges()


def test_a_repair_takes_back_what_the_dead_have_and_removes_bridges_of_no_network(engine, network):
    with pod_on(engine, network) as pod:
        pod.start()
        os.kill(pod.state().infra.pid, signal.SIGKILL)
        while pod.state().infra.running:
            pass
        assert f"released the addresses of container {pod.record().infra_id[:12]}" in repair(engine)
        assert given_away(engine) == set()
        pod.start()
        assert given_away(engine) == {pod.record().infra_id}
    add(engine, "another", "an0", SIX)
    subprocess.run(["ip", "link", "add", "not-ours", "type", "bridge"], check=True)
    networks.remove(engine.database, network.id)
    assert repair(engine) == ["removed bridge bl0"]
    assert [link["ifname"] for link in host("link", "show", "type", "bridge")] == ["not-ours"]
