"""Addresses of networks: none is assigned twice, and released ones are free again, in many repetitions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pypod import errors
from pypod.engine.containers.collect import repair
from tests.facts import kill_and_wait, wait_until
from tests.integration.networks.test_network_faults import addresses_inside, elements, given_away, ip, links, reaches

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]

# A client that starts pods of its own, and keeps half of them.
CLIENT = """
import sys
from pypod import Engine
root, number, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Engine(root) as engine:
    for turn in range(rounds):
        pod = engine.pods.create(f"own-{number}-{turn}", network="blue")
        pod.start()
        if turn % 2:
            pod.remove(force=True, timeout=0)
"""


def test_sixty_four_clients_at_once(engine, full: bool) -> None:
    """No two processes that start and remove pods concurrently get the same address."""
    count, rounds = 64, 6 if full else 2
    engine.networks.create("blue", interface="bl0", subnets=["10.99.0.0/22", "fd99::/64"], dns=False)
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENT, engine.layout.root, str(number), str(rounds)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    try:
        for client in clients:
            _, said = client.communicate(timeout=120)
            assert client.returncode == 0, said
    finally:
        for client in clients:
            client.kill()
            client.communicate()
    pods = engine.pods.list()
    assert len(pods) == count * (rounds - rounds // 2)
    found = [address for pod in pods for address in addresses_inside(pod)]
    assert len(found) == len(set(found)) == 2 * len(pods)
    assert len(links("veth")) >= len(pods)
    assert given_away(engine) == {pod.infra.id for pod in pods}
    for pod in pods:
        pod.remove(force=True, timeout=0)
    wait_until(lambda: not links("veth"), 20)
    assert given_away(engine) == set()


def test_a_full_network_says_so_and_goes_on_when_somebody_leaves(engine) -> None:
    engine.networks.create("small", interface="sm0", subnets=["10.98.0.0/29"], dns=False)
    pods = [engine.pods.create(network="small") for _ in range(6)]
    for pod in pods[:5]:
        pod.start()
    with pytest.raises(
        errors.InUse, match=r"no free address in 10\.98\.0\.0/29 of network small.*larger subnet"
    ) as told:
        pods[5].start()
    assert told.value.ref == "small"
    assert pods[5].status == "Created"
    gone = addresses_inside(pods[2])
    pods[2].stop(timeout=0)
    pods[5].start()
    assert addresses_inside(pods[5]) == gone


def test_addresses_that_are_asked_for(engine) -> None:
    """As in podman they need not be in the range for automatic assignment; the gateway's is reserved, bridge or not."""
    engine.networks.create("blue", interface="bl0", subnets=["10.99.0.0/24"], ip_ranges=["10.99.0.128/25"], dns=False)
    for wrong in ("10.99.0.0", "10.99.0.1", "10.99.0.255", "10.99.1.7"):
        with pytest.raises(errors.InvalidSpec, match=f"requested static ip {wrong} ") as told:
            engine.pods.create(network="blue", ip=wrong)
        assert told.value.argument == "--ip"
    below, given = engine.pods.create(network="blue:ip=10.99.0.7"), engine.pods.create(network="blue")
    below.start()
    given.start()
    assert addresses_inside(below) == {"10.99.0.7"}
    assert addresses_inside(given) == {"10.99.0.129"}


def test_an_overlapping_subnet_is_refused_with_who_has_it(engine) -> None:
    engine.networks.create("small", subnets=["10.98.0.0/24"])
    ip("link", "add", "other", "type", "bridge")
    ip("addr", "add", "10.97.0.1/24", "dev", "other")
    ip("link", "set", "other", "up")
    for subnet, holder in (("10.98.0.128/25", "network small"), ("10.0.0.0/8", "10"), ("10.97.0.0/16", "other")):
        with pytest.raises(errors.InvalidSpec, match=f"{subnet}.*{holder}") as told:
            engine.networks.create("big", subnets=[subnet])
        assert told.value.argument == "--subnet"
    assert not engine.networks.exists("big")


@pytest.mark.parametrize("mends", ["a start", "a repair", "a removal"])
def test_addresses_come_back_after_crashes(engine, busybox, mends: str) -> None:
    """An infra and a container were killed, with no process left to notice."""
    engine.networks.create("small", interface="sm0", subnets=["10.98.0.0/29"], dns=False)
    pods = [engine.pods.create(network="small") for _ in range(4)]
    for pod in pods:
        pod.start()
    alone = engine.containers.run(["sleep", "1000"], rootfs=busybox, network="small")
    monitor = int(Path(engine.layout.container(alone.id), "status").read_text().split()[2])
    for pid in (*(pod.infra.state().pid for pod in pods), monitor, alone.state().pid):
        kill_and_wait(pid)
    if mends == "a repair":
        repair(engine)
        assert given_away(engine) == set()
    if mends == "a removal":
        for thing in (*pods, alone):
            thing.remove(force=True, timeout=0)
        assert given_away(engine) == set()
    late = [engine.pods.create(network="small") for _ in range(5)]
    for pod in late:
        pod.start()
    assert {one for pod in late for one in addresses_inside(pod)} == {f"10.98.0.{last}" for last in range(2, 7)}


def test_up_and_down_many_times(engine, full: bool) -> None:
    """Afterwards the host has as many links, rules, elements, addresses, mounts, cgroups and processes as before."""
    engine.networks.create("blue", interface="bl0", subnets=["10.99.0.0/24", "fd99::/64"], dns=False)
    stays = engine.pods.create("stays", network="blue")
    stays.start()

    def there() -> tuple[object, ...]:
        rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
        return len(ip("link")), rules, elements(), given_away(engine), len(os.listdir("/proc/self/fd"))

    engine.pods.create("once", network="blue").remove(force=True)
    before = there()
    for _ in range(1000 if full else 50):
        pod = engine.pods.create("again", network="blue")
        pod.start()
        pod.remove(force=True, timeout=0)
    wait_until(lambda: len(ip("link")) == len(ip("link", "show", "type", "bridge")) + 2, 20)
    assert there() == before
    assert reaches(stays, "10.99.0.1")
    assert stays.addresses == {"blue": ("10.99.0.2", "fd99::2")}
