"""Network failures: killed callers, kernels without a feature, other programs that remove things."""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod import Container, Engine, Pod, errors
from pypod.engine.containers.collect import repair
from pypod.engine.containers.listing import listed_containers
from pypod.engine.networks import network_repair, reloading
from pypod.network import firewall
from tests.facts import created_nothing, is_there, kill_and_wait, wait_until
from tests.killing import Actions, Points, Table, says_what_is

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]

SLEEP = ("sleep", "1000")
BLUE, RED = ("10.99.0.0/24", "fd99::/64"), ("10.97.0.0/24",)
SETS = ("bridges", "same", "internal", "isolated", "homes4", "homes6")
MAPS = ("published4", "published6", "published_at4", "published_at6")


def ip(*words: str):
    text = subprocess.run(["ip", "-j", *words], capture_output=True, text=True, check=True).stdout
    return json.loads(text or "[]")


def nft(*words: str) -> str:
    return subprocess.run(["nft", *words], capture_output=True, text=True, check=True).stdout


def links(kind: str) -> set[str]:
    return {link["ifname"] for link in ip("link", "show", "type", kind)}


def addresses_inside(thing) -> set[str]:
    with thing.enter("net"):
        return {one["local"] for link in ip("addr") for one in link["addr_info"] if one["scope"] == "global"}


def elements() -> dict[str, list[object]]:
    """Return the elements of the firewall's sets and maps for networks and ports."""
    if '"pypod"' not in nft("-j", "list", "tables"):
        return {}
    listed = json.loads(nft("-j", "list", "table", "inet", "pypod"))["nftables"]
    objects = [next(iter(one.values())) for one in listed]
    return {one["name"]: one["elem"] for one in objects if one.get("name") in (*SETS, *MAPS) and one.get("elem")}


def given_away(engine: Engine) -> set[str]:
    return {holder for _, _, holder in engine.database.read("SELECT * FROM addresses") if holder}


def is_connected(thing) -> bool:
    """Return whether the recorded addresses of a running container are correct, and its veths are on their bridges."""
    said = thing.addresses
    engine, found = thing.engine, addresses_inside(thing)
    bridges = {engine.networks.get(name).spec().interface for name in said}
    ends = [link["ifname"] for bridge in bridges for link in ip("link", "show", "master", bridge)]
    with thing.enter("net"):
        own = {link["link_index"] for link in ip("link") if "link_index" in link}
    here = {link["ifindex"] for link in ip("link") if link["ifname"] in ends}
    return found == {one for addresses in said.values() for one in addresses} and len(own & here) == len(said)


def networks(engine: Engine, _: str = "") -> None:
    engine.networks.create("blue", interface="bl0", subnets=BLUE, dns=False)
    engine.networks.create("red", interface="rd0", subnets=RED, dns=False)


def pod(engine: Engine, _: str = "") -> None:
    networks(engine)
    engine.pods.create("p", network="blue")


def running_pod(engine: Engine, _: str = "") -> None:
    pod(engine)
    engine.pods.get("p").start()


def another_running(engine: Engine, _: str = "") -> None:
    pod(engine)
    engine.pods.create("first", network="blue").start()


def container(engine: Engine, busybox: str) -> None:
    networks(engine)
    engine.containers.create(SLEEP, rootfs=busybox, name="c", network=["blue", "red"])


def running_container(engine: Engine, busybox: str) -> None:
    container(engine, busybox)
    engine.containers.get("c").start()


def on_two(engine: Engine, _: str = "") -> None:
    networks(engine)
    engine.pods.create("p", network=["blue", "red"]).start()


def damaged(engine: Engine, _: str = "") -> None:
    on_two(engine)
    ip("link", "del", "bl0")
    nft("flush", "ruleset")


def named(engine: Engine, _: str = "") -> None:
    engine.networks.create("blue", interface="bl0", subnets=BLUE)
    engine.pods.create("p", network="blue")


ACTIONS: Actions = {
    "start the first pod": (pod, lambda engine, _: engine.pods.get("p").start()),
    "start another pod": (another_running, lambda engine, _: engine.pods.get("p").start()),
    "start a pod with names": (named, lambda engine, _: engine.pods.get("p").start()),
    "start a container": (container, lambda engine, _: engine.containers.get("c").start()),
    "stop a pod": (running_pod, lambda engine, _: engine.pods.get("p").stop(timeout=0)),
    "stop a container": (running_container, lambda engine, _: engine.containers.get("c").stop(timeout=0)),
    "remove a pod": (running_pod, lambda engine, _: engine.pods.get("p").remove(force=True, timeout=0)),
    "connect": (running_pod, lambda engine, _: engine.pods.get("p").connect("red")),
    "disconnect": (on_two, lambda engine, _: engine.pods.get("p").disconnect("blue")),
    "reload": (damaged, lambda engine, _: reloading.reload(engine)),
    "repair": (damaged, lambda engine, _: repair(engine)),
    "create a network": (networks, lambda engine, _: engine.networks.create("third", interface="th0")),
    "remove a network": (
        running_pod,
        lambda engine, _: engine.networks.get("blue").remove(force=True, timeout=0),
    ),
}


def look_and_clean(engine: Engine, where: str) -> None:
    """Check that listings are correct, that a repair works, and that removal leaves nothing."""
    containers = engine.containers.list(all=True)
    groups = {one.id: one.record().cgroup for one in [*containers, *(pod.infra for pod in engine.pods.list())]}
    # a plan handed to a supervisor is carried out without its caller, for some milliseconds
    wait_until(lambda: supervisors() <= {state.supervisor_pid for _, state in listed_containers(engine)})
    wait_until(lambda: says_what_is(engine, groups))
    for network in engine.networks.list():
        network.inspect()
    repair(engine)
    assert network_repair.amiss(engine) == [], where
    for thing in (*engine.pods.list(), *containers):
        first = thing.infra if isinstance(thing, Pod) else thing
        if not first.state().running:
            thing.start()
        try:
            connected = is_connected(thing)
        except errors.WrongState:  # the signal of the killed caller has only just reached it
            wait_until(lambda: not first.state().running)  # noqa: B023  # it has left its namespaces and is exiting
            thing.start()
            connected = is_connected(thing)
        assert connected, where
        thing.remove(force=True, timeout=0)
    assert created_nothing(engine), where
    assert given_away(engine) == set(), where
    for network in engine.networks.list():
        if network.name != "podman":
            network.remove()
    repair(engine)
    wait_until(lambda: not links("veth"), 20)  # the kernel removes them with a delay
    assert links("bridge") == set(), where
    assert elements() == {}, where
    end_name_servers()


def supervisors() -> set[int]:
    """Return the processes that start a container, or have started one and stay with it."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text() in ("pypod-launch\n", "pypod-monitor\n"):
                found |= {int(entry.name)} if is_there(int(entry.name)) else set()
        except OSError:
            continue
    return found


def end_name_servers() -> None:
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and b"pypod.engine.networks.names.server" in (entry / "cmdline").read_bytes():
                kill_and_wait(int(entry.name))
        except OSError:
            continue


@pytest.fixture
def table(tmp_path: Path, busybox: str) -> Iterator[Table]:
    tmp_path.chmod(0o755)
    yield Table(tmp_path, busybox, ACTIONS, look_and_clean)
    end_name_servers()


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIONS)
def test_sigkill_of_the_caller(table: Table, name: str, points: Points) -> None:
    (total,) = table.operate(name, None)
    assert total > 20
    for position in points(total, 8):
        table.operate(name, (0, position))


def is_untouched(engine: Engine) -> bool:
    """Assert that nothing is left of a failed start: no veth, no address, no process, nothing in the firewall."""
    wait_until(lambda: not links("veth"), 20)  # the kernel removes them with a delay
    assert given_away(engine) == set()
    assert all(pod.infra.state().status != "running" for pod in engine.pods.list())
    return set(elements()) <= set(SETS)


def straced(root: str, trace: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Start pod p under strace; return the result and the lines of the trace."""
    words = [sys.executable, "-m", "pypod", "--root", root, "pod", "start", "p"]
    strace = ["strace", "-qq", "-s", "4096", "-o", str(trace), *options, *words]
    done = subprocess.run(strace, capture_output=True, text=True, timeout=60, check=False)
    return done, [line for line in trace.read_text().splitlines() if "(" in line]


@pytest.mark.parametrize(
    ("call", "pattern", "error", "said"),
    [
        ("socket", "NETLINK_NETFILTER", "EPROTONOSUPPORT", "the kernel has no netfilter"),
        (
            "sendto",
            r'\\x62\\x72\\x69\\x64\\x67\\x65|"bridge"',
            "EOPNOTSUPP",
            "this kernel does not support bridges.*modprobe bridge",
        ),
    ],
    ids=["netfilter", "bridges"],
)
def test_a_kernel_that_lacks_a_part(engine, tmp_path, call: str, pattern: str, error: str, said: str) -> None:
    """Run the same start twice, each with its own storage: once to find the call, once with that call failing."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    with Engine(str(tmp_path / "first")) as first:
        pod(first)
        done, calls = straced(first.layout.root, tmp_path / "trace", "-e", f"trace={call}")
        assert done.returncode == 0, done
        first.pods.get("p").remove(force=True, timeout=0)
    number = next(number for number, line in enumerate(calls, 1) if re.search(pattern, line))
    ip("link", "del", "bl0")
    nft("flush", "ruleset")
    pod(engine)
    inject = f"inject={call}:error={error}:when={number}"
    done, calls = straced(engine.layout.root, tmp_path / "trace", "-e", f"trace={call}", "-e", inject)
    assert re.search(pattern, calls[number - 1])
    assert done.returncode == 125
    assert re.search(said, done.stderr)
    assert is_untouched(engine)
    wait_until(lambda: not links("bridge"))
    engine.pods.get("p").start()
    assert is_connected(engine.pods.get("p"))


def test_the_firewall_cannot_be_loaded(engine, tmp_path, monkeypatch) -> None:
    pod(engine)
    monkeypatch.setattr(firewall, "_PROGRAMS", str(tmp_path))
    with pytest.raises(errors.Unsupported, match=r"the program nft, which is not installed.*apt-get install nftables"):
        engine.pods.get("p").start()
    fake = tmp_path / "nft"
    fake.write_text("#!/bin/sh\necho 'table.nft:1:1: Error: Operation not supported' >&2; exit 1\n")
    fake.chmod(0o755)
    with pytest.raises(errors.Unsupported, match=r"cannot be loaded: nft: .*Operation not supported"):
        engine.pods.get("p").start()
    assert is_untouched(engine)
    wait_until(lambda: not links("bridge"))
    assert engine.pods.get("p").status == "Created"
    monkeypatch.undo()
    engine.pods.get("p").start()
    assert is_connected(engine.pods.get("p"))


@pytest.mark.parametrize("error", ["EOPNOTSUPP", "EPERM", "ENOBUFS"])
@pytest.mark.parametrize("name", ["p", "c"])
def test_messages_that_the_kernel_does_not_take(engine, injector, busybox, name: str, error: str) -> None:
    """A kernel without veth, a system call filter, or no memory: fail each message of an attachment."""
    container(engine, busybox)
    engine.pods.create("p", network=["blue", "red"]).start()
    engine.pods.get("p").stop(timeout=0)
    thing = engine.pods.get("p") if name == "p" else engine.containers.get("c")
    seen = set()

    def up_and_down() -> None:
        thing.start()
        thing.stop(timeout=0)

    for count in range(1, 9):
        hit, failure = injector.run(f"sendto:error={error}:when={count}", up_and_down)
        if isinstance(failure, errors.LaunchFailed) and failure.call == "netlink":
            assert failure.errno == getattr(errno, error)
            seen.add(failure.operation)
            assert (error == "EOPNOTSUPP" and "make veth" in failure.operation) == ("modprobe veth" in str(failure))
        if failure is not None:
            assert is_untouched(engine)
        if not hit:
            break
    assert [words.partition(" ")[0] for words in sorted(seen)] == ["eth0:", "make", "make"][-len(seen) :]
    thing.start()
    assert is_connected(thing)


@pytest.mark.parametrize("driver", ["ipvlan", "macvlan"])
def test_kinds_of_interfaces_that_a_kernel_may_lack(engine, driver: str) -> None:
    ip("link", "add", "up0", "type", "veth", "peer", "up1")
    ip("link", "set", "up0", "up")
    probe = subprocess.run(
        ["ip", "link", "add", "probe0", "link", "up1", "type", driver], capture_output=True, text=True, check=False
    )
    engine.networks.create("lan", driver=driver, subnets=["10.96.0.0/24"], options={"parent": "up0"})
    pod = engine.pods.create("p", network="lan")
    if probe.returncode == 0:
        pod.start()
        assert addresses_inside(pod) == {"10.96.0.2"}
        return
    with pytest.raises(errors.LaunchFailed, match=f"make {driver} eth0 of up0.*modprobe") as failure:
        pod.start()
    assert failure.value.errno == errno.EOPNOTSUPP
    assert given_away(engine) == set()


def test_a_network_in_a_vlan(engine) -> None:
    probe = subprocess.run(
        ["ip", "link", "add", "probe0", "type", "bridge", "vlan_filtering", "1"], capture_output=True, check=False
    )
    engine.networks.create("tagged", interface="tg0", subnets=RED, options={"vlan": "7"})
    pod = engine.pods.create("p", network="tagged")
    if probe.returncode == 0:
        pod.start()
        [bridge] = ip("-d", "link", "show", "tg0")
        data = bridge["linkinfo"]["info_data"]
        assert (data["vlan_filtering"], data["vlan_default_pvid"]) == (1, 7)
        assert is_connected(pod)
        return
    with pytest.raises(errors.Unsupported, match=r"CONFIG_BRIDGE_VLAN_FILTERING.*without -o vlan"):
        pod.start()
    assert is_untouched(engine)
    wait_until(lambda: not links("bridge"))


def test_an_address_that_the_host_has(engine) -> None:
    """Some other program assigned it to the bridge or to another interface."""
    networks(engine)
    first = engine.pods.create("first", network="blue")
    first.start()
    for address, interface in (("10.99.0.3/24", "bl0"), ("fd99::3/64", "bl0"), ("10.99.0.9/32", "lo")):
        ip("addr", "add", address, "dev", interface)
    second = engine.pods.create("second", network="blue")
    second.start()
    assert addresses_inside(second) == {"10.99.0.4", "fd99::4"}
    third = engine.pods.create("third", network="blue:ip=10.99.0.9")
    with pytest.raises(errors.InUse, match=r"10\.99\.0\.9 is an address of this host") as failure:
        third.start()
    assert failure.value.ref == "10.99.0.9"
    assert third.infra.id not in given_away(engine)
    ip("addr", "del", "10.99.0.9/32", "dev", "lo")
    third.start()
    assert "10.99.0.9" in addresses_inside(third)


def test_a_bridge_that_is_somebody_elses(engine) -> None:
    networks(engine)
    ip("link", "add", "bl0", "type", "veth", "peer", "bl1")
    with pytest.raises(errors.InUse, match=r"bridge name bl0 already in use") as failure:
        engine.pods.create("p", network="blue").start()
    assert failure.value.ref == "blue"
    assert given_away(engine) == set()
    engine.pods.get("p").remove(force=True)
    engine.networks.get("blue").remove()
    assert "bl0" in links("veth")


TAKEN_AWAY = {
    "the bridge": ["ip link del bl0"],
    "the bridge down": ["ip link set bl0 down"],
    "the rules": ["nft flush ruleset"],
    "everything": ["ip link del bl0", "ip link del {veth}", "nft flush ruleset"],
    "the bridge's address": ["ip addr flush dev bl0"],
    "off the bridge": ["ip link set {veth} nomaster"],
    "the veth": ["ip link del {veth}"],
    "the veth down": ["ip link set {veth} down"],
    "the addresses inside": ["/usr/bin/nsenter -t {pid} -n ip addr flush dev eth0"],
    "what the rules know": ["nft flush set inet pypod bridges", "nft flush set inet pypod same"],
    "forwarding": ["sysctl -q net.ipv4.ip_forward=0"],
    "forwarding of IPv6": ["sysctl -q net.ipv6.conf.all.forwarding=0"],
}
FORWARDING = (Path("/proc/sys/net/ipv4/ip_forward"), Path("/proc/sys/net/ipv6/conf/all/forwarding"))
SEEN_BY_A_START = [*list(TAKEN_AWAY)[:4], "forwarding", "forwarding of IPv6"]


def with_neighbour(engine: Engine, what: str) -> tuple[Pod, Pod]:
    """Return a running pod that has lost something, and one on its network that is not running yet."""
    running_pod(engine)
    pod = engine.pods.get("p")
    [veth] = links("veth")
    for command in TAKEN_AWAY[what]:
        subprocess.run(command.format(veth=veth, pid=pod.infra.state().pid).split(), check=True)
    return pod, engine.pods.create("other", network="blue")


def reach_each_other(pod: Pod, other: Pod) -> None:
    assert is_connected(pod)
    assert reaches(pod, "10.99.0.1")
    other.start()
    assert reaches(pod, other.addresses["blue"][0])
    assert [file.read_text() for file in FORWARDING] == ["1\n", "1\n"]
    assert elements()["bridges"] == ["bl0"]


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_what_others_take_away_comes_back_with_a_reload(engine, what: str) -> None:
    pod, other = with_neighbour(engine, what)
    assert reloading.reload(engine) == [pod.infra.id]
    reach_each_other(pod, other)


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_what_others_take_away_comes_back_with_a_repair(engine, what: str) -> None:
    pod, other = with_neighbour(engine, what)
    assert network_repair.amiss(engine)
    assert repair(engine)
    assert network_repair.amiss(engine) == []
    assert repair(engine) == []
    reach_each_other(pod, other)


@pytest.mark.parametrize("what", SEEN_BY_A_START)
def test_a_start_makes_what_others_took_away(engine, what: str) -> None:
    _, other = with_neighbour(engine, what)
    assert "let the host forward" in str(other.explain()) or what == "the rules"
    other.start()
    assert [file.read_text() for file in FORWARDING] == ["1\n", "1\n"]
    assert is_connected(other)
    assert reaches(other, "10.99.0.1")
    assert elements()["bridges"] == ["bl0"]


def reaches(thing: Pod | Container, address: str) -> bool:
    """Return whether packets get there and back."""
    with thing.enter("net"):
        return subprocess.run(["busybox", "ping", "-c1", "-W1", "-q", address], stdout=-3, check=False).returncode == 0


def test_who_lives_on_after_the_infra_is_reached_by_nobody(engine, busybox) -> None:
    """The address is assigned again, because it is recorded for an infra that is gone."""
    engine.networks.create("small", interface="sm0", subnets=["10.98.0.0/30"], dns=False)
    pod = engine.pods.create("p", network="small")
    member = pod.run(SLEEP, rootfs=busybox)
    kill_and_wait(pod.infra.state().pid)
    assert pod.status == "Broken"
    assert addresses_inside(member) == {"10.98.0.2"}
    with pytest.raises(errors.PodBroken):
        pod.run(SLEEP, rootfs=busybox)
    other = engine.pods.create("other", network="small")
    other.start()
    assert addresses_inside(other) == {"10.98.0.2"}
    assert reaches(other, "10.98.0.1")
    assert not reaches(member, "10.98.0.1")
    pod.remove(force=True, timeout=0)
    other.remove(force=True, timeout=0)
    wait_until(lambda: not links("veth"), 20)  # the kernel removes them with a delay
    assert given_away(engine) == set()


def test_who_joined_a_container_that_ended_is_reached_by_nobody(engine, busybox) -> None:
    engine.networks.create("small", interface="sm0", subnets=["10.98.0.0/30"], dns=False)
    first = engine.containers.run(SLEEP, rootfs=busybox, network="small", name="first")
    joined = engine.containers.run(SLEEP, rootfs=busybox, network="container:first")
    first.stop(timeout=0)
    assert addresses_inside(joined) == {"10.98.0.2"}
    first.start()
    assert addresses_inside(first) == {"10.98.0.2"}
    assert reaches(first, "10.98.0.1")
    assert not reaches(joined, "10.98.0.1")


def test_a_connection_that_cannot_be_made_changes_nothing(engine, monkeypatch) -> None:
    """The file with its data cannot be written after everything else is done."""
    running_pod(engine)
    pod = engine.pods.get("p")
    before = addresses_inside(pod)
    hosts = Path(engine.layout.pod(pod.id), "hosts")
    kept = hosts.read_text()
    hosts.unlink()
    hosts.mkdir()
    with pytest.raises(errors.PypodError, match="connect"):
        pod.connect("red")
    hosts.rmdir()
    hosts.write_text(kept)
    assert addresses_inside(pod) == before
    assert set(pod.addresses) == {"blue"}
    assert len(links("veth")) == 1
    pod.connect("red")
    assert is_connected(pod)


def test_no_socket_of_ours_is_in_a_pod(engine, busybox) -> None:
    """CVE-2020-15257: sharing a network namespace gives access to abstract sockets, and shows the paths of others."""
    named(engine)
    pod = engine.pods.get("p")
    member = pod.run(SLEEP, rootfs=busybox, terminal=True)
    pod.connect(engine.networks.create("red", interface="rd0", subnets=RED, dns=False))
    for thing in (pod, member):
        with thing.enter("net"):
            assert Path("/proc/thread-self/net/unix").read_text().splitlines()[1:] == []
            for table in ("tcp", "tcp6", "udp", "udp6", "raw"):
                assert len(Path("/proc/thread-self/net", table).read_text().splitlines()) == 1
