"""Two storages choose the same subnet between create and start: traffic would reach the wrong pod."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pypod import Engine, InUse, Pod, PortInUse
from pypod.engine.containers.collect import repair
from pypod.engine.core.effects import Effect
from pypod.engine.networks import bridge_alias, bridge_removal
from pypod.engine.networks import bridges as bridge_module
from pypod.engine.networks.bridge_sweep import Sweep
from pypod.engine.resources import groups
from pypod.network import links
from tests import tracing
from tests.facts import kill_and_wait, wait_until

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]

ANSWER_S = 30.0
GOES_S = 20.0  # a second of grace, and the kernel's 40 ms per bridge on a busy machine
MAPS = ("published4", "published6", "published_at4", "published_at6")

# A process with its own storage and port: it reports when it is ready, and waits for a line before it continues.
PROCESS = """
import sys
from pypod import Engine

root, rootfs, port = sys.argv[1:]
with Engine(root) as engine:
    pod = engine.pods.create(network="podman", ports=[f"{port}:80"])
    print("created", flush=True)
    sys.stdin.readline()
    pod.start()
    pod.run(["sh", "-c", f"while true; do echo {port} | nc -l -p 80; done"], rootfs=rootfs)
    print(*pod.addresses["podman"], flush=True)
    sys.stdin.readline()
    pod.remove(force=True, timeout=0)
"""
OWN_RUN = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh")

TESTS = """
import socket, time
import pytest

def answer(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as asked:
                if found := asked.recv(4096).decode().strip():
                    return found
        except OSError:
            time.sleep(0.05)

@pytest.mark.parametrize("number", range(2))
def test_it(pypod_engine, number):
    first = pypod_engine.pods.create(network="podman", ports=["80"])
    second = pypod_engine.pods.create(network="podman", ports=["80"])
    for pod in (first, second):
        pod.start()
        text = f"{pypod_engine.layout.root} {pod.name}"
        pod.run(["sh", "-c", f"while true; do echo {text} | nc -l -p 80; done"], rootfs=ROOTFS)
    for pod in (first, second):
        (port,) = pod.inspect()["InfraConfig"]["PortBindings"]["80/tcp"]
        assert answer(int(port["HostPort"])) == f"{pypod_engine.layout.root} {pod.name}"
"""


def run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def bridges() -> dict[str, str]:
    """Return the existing bridges with their IPv4 addresses."""
    found = json.loads(run("ip", "-j", "address", "show", "type", "bridge") or "[]")
    found = [one for one in found if one]
    return {
        one["ifname"]: " ".join(f"{it['local']}/{it['prefixlen']}" for it in one["addr_info"] if it["family"] == "inet")
        for one in found
    }


def elements() -> dict[str, list[object]]:
    """Return the firewall's elements for networks and ports."""
    listed = json.loads(run("nft", "-j", "list", "ruleset"))["nftables"]
    objects = [next(iter(one.values())) for one in listed]
    return {one["name"]: one["elem"] for one in objects if one.get("elem") and one["name"] != "version"}


def sweepers() -> list[str]:
    """Return the processes that remove idle bridges."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and b"pypod.engine.networks.bridge_sweep" in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


def nothing_is_left() -> bool:
    return not bridges() and not elements() and not sweepers()


def serve(pod: Pod, rootfs: str, text: str) -> None:
    pod.run(["sh", "-c", f"while true; do echo {text} | nc -l -p 80; done"], rootfs=rootfs)


def answer(port: int) -> str:
    """Return the answer at a port of this host."""
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as asked:
                if found := asked.recv(4096).decode().strip():
                    return found
        except OSError:
            time.sleep(0.05)
    return ""


def end(engine: Engine) -> None:
    for pod in engine.pods.list():
        pod.remove(force=True, timeout=0)


@pytest.fixture
def storages(tmp_path: Path) -> Iterator[Callable[[str], Engine]]:
    """Create engines with their own storages, which are emptied at the end if they still exist."""
    with ExitStack() as stack:
        made: dict[str, Engine] = {}

        def make(name: str) -> Engine:
            made[name] = stack.enter_context(Engine(str(tmp_path / name)))
            return made[name]

        yield make
        for name, engine in made.items():
            if (tmp_path / name).exists():
                end(engine)


@pytest.mark.parametrize("network", ["podman", "front"])
def test_each_port_is_answered_by_its_own_pod(storages, busybox: str, network: str) -> None:
    engines = [storages(name) for name in ("one", "two")]
    pods = []
    for port, engine in enumerate(engines, 9000):  # before either has a bridge that the other could see
        if network != "podman":
            engine.networks.create(network)
        pods.append(engine.pods.create(network=network, ports=[f"{port}:80"]))
    for port, pod in enumerate(pods, 9000):
        pod.start()
        serve(pod, busybox, f"pod {port}")
    assert [answer(9000), answer(9001)] == ["pod 9000", "pod 9001"]
    assert pods[0].addresses != pods[1].addresses
    assert len(set(bridges().values())) == 2
    for engine in engines:
        (spec,) = (one for one in engine.networks.specs() if one.name == network)
        assert bridges()[spec.interface] == " ".join(spec.gateway_addresses())


@pytest.mark.slow
@pytest.mark.parametrize("before", [(), OWN_RUN], ids=["by-turns", "apart"])
def test_as_many_storages_as_processes(tmp_path: Path, busybox: str, full: bool, before: tuple[str, ...]) -> None:
    """With separate /run directories they do not share a lock: the one that sees another's bridge yields."""
    ports = range(9000, 9064 if full else 9008)
    words = [*before, sys.executable, "-c", PROCESS]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*words, str(tmp_path / str(port)), busybox, str(port)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for port in ports
        ]
        assert [one.stdout.readline() for one in processes] == ["created\n"] * len(ports)
        for one in processes:
            one.stdin.write("\n")
            one.stdin.flush()
        addresses = [one.stdout.readline().strip() for one in processes]
        answers = [answer(port) for port in ports]
        for one in processes:
            one.stdin.write("\n")
            one.stdin.close()
            assert one.wait() == 0
    assert len(set(addresses) - {""}) == len(ports)
    assert answers == [str(port) for port in ports]
    wait_until(nothing_is_left, GOES_S * (3 if full else 1))


@pytest.mark.slow
def test_the_plugin_in_several_processes_of_pytest(tmp_path: Path, busybox: str, monkeypatch) -> None:
    monkeypatch.delenv("PYPOD_NETWORK")
    (tmp_path / "test_inner.py").write_text(TESTS.replace("ROOTFS", repr(busybox)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    with ExitStack() as stack:
        runs = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, "--basetemp", str(tmp_path / f"base{number}")],
                    cwd=tmp_path,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(2)
        ]
        texts = [one.communicate(timeout=120)[0] for one in runs]
    assert [one.returncode for one in runs] == [0] * 2, texts
    wait_until(nothing_is_left, GOES_S)


def test_a_temporary_storage_leaves_nothing(tmp_path: Path, busybox: str) -> None:
    for number in range(4):
        root = tmp_path / str(number)
        with Engine(str(root)) as engine:
            engine.networks.create("front")
            for network in ("podman", "front"):
                pod = engine.pods.create(network=network, ports=["80"])
                pod.start()
            assert bridges()
            end(engine)
        remove_tree(root)
    wait_until(nothing_is_left, GOES_S)
    assert list(tmp_path.iterdir()) == [], "a storage came back"


def test_a_bridge_stays_for_who_is_still_on_it(storages, busybox: str) -> None:
    engine = storages("one")
    first, second = (engine.pods.create(network="podman", ports=[f"{port}:80"]) for port in (9000, 9001))
    first.start()
    second.start()
    serve(second, busybox, "second")
    engine.networks.create("front")
    other = engine.pods.create(network="front")
    other.start()
    assert set(bridges()) == {"pypod0", "pypod1"}
    first.stop()
    other.stop()
    wait_until(lambda: set(bridges()) == {"pypod0"}, GOES_S)
    wait_until(lambda: not sweepers(), GOES_S)
    assert answer(9001) == "second"
    assert set(bridges()) == {"pypod0"}
    other.start()  # a removed bridge comes back
    assert set(bridges()) == {"pypod0", "pypod1"}


def test_a_start_takes_a_bridge_back_from_who_would_take_it_away(storages, busybox: str, full: bool) -> None:
    """Start and stop with a pause about as long as the grace period of an idle bridge."""
    engine = storages("one")
    pod = engine.pods.create(network="podman", ports=["9000:80"])
    for number in range(40 if full else 4):
        pod.start()
        serve(pod, busybox, str(number))
        assert answer(9000) == str(number)
        pod.stop(timeout=0)
        for container in pod.containers():
            container.remove()
        time.sleep(0.9 + 0.05 * (number % 10))


def test_an_idle_bridge_stays_while_somebody_is_being_connected(storages, busybox: str, monkeypatch) -> None:
    """Between the claim and the first veth, the bridge looks unused."""
    engine = storages("one")
    sweep = Sweep(engine.layout.root, engine.layout.cache, bridge_alias.storage_of(engine))
    seen: list[int] = []

    def swept(*arguments: object, **options: object) -> list[Effect]:
        sweep.sweep()
        seen.append(len(bridges()))
        return preparations(*arguments, **options)

    preparations = bridge_module.preparations
    monkeypatch.setattr(bridge_module, "preparations", swept)
    for network in ("one", "two", "three"):
        engine.networks.create(network, dns=False)
    pod = engine.pods.create(network="one")
    pod.start()
    pod.connect("two")
    container = engine.containers.run(["sleep", "1000"], rootfs=busybox, network="three")
    assert seen == [1, 2, 3]
    container.remove(force=True, timeout=0)


def test_of_two_bridges_made_at_once_one_yields(storages, monkeypatch, tmp_path: Path) -> None:
    """Both storages have looked; the second creates its bridge before the first does. Each has its own /run."""
    engines = [storages(name) for name in ("one", "two")]
    pods = []
    for at, engine in enumerate(engines):
        engine.networks.create("front", interface=f"front{at}")
        pods.append(engine.pods.create(network="front"))
    make_bridge = links.make_bridge

    def make_late(*arguments: object) -> int:
        monkeypatch.setattr(links, "make_bridge", make_bridge)
        monkeypatch.setattr(bridge_removal, "_TURNS", str(tmp_path / "another-run"))
        pods[1].start()
        return make_bridge(*arguments)

    monkeypatch.setattr(links, "make_bridge", make_late)
    pods[0].start()
    assert bridges() == {"front0": "10.89.1.1/24", "front1": "10.89.0.1/24"}
    assert [pod.addresses["front"] for pod in pods] == [("10.89.1.2",), ("10.89.0.2",)]


def abandoned(tmp_path: Path, name: str, **options: object) -> None:
    """Leave behind what remains of a storage that was deleted while a pod with a published port ran in it."""
    engine = Engine(str(tmp_path / name))
    if options:
        engine.networks.create("front", **options)
    pod = engine.pods.create(network="front" if options else "podman", ports=["9000:80"])
    pod.start()
    delete(engine)
    wait_until(lambda: not json.loads(run("ip", "-j", "link", "show", "type", "veth") or "[]"), GOES_S)
    assert bridges()
    assert set(elements()) & set(MAPS)


def remove_tree(root: Path) -> None:
    """Delete a storage in which a name server may still write, or removed files may still be being deleted."""
    wait_until(lambda: shutil.rmtree(root, ignore_errors=True) or not root.exists())


def delete(engine: Engine) -> None:
    """Delete a storage with one pod in it and kill its processes, so that no pypod process is left to clean up."""
    (infra,) = (one.infra for one in engine.pods.list())
    pid, group, above = infra.state().pid, infra.record().cgroup, groups.pod_group(infra.record())
    engine.close()
    remove_tree(Path(engine.layout.root))
    if pid:
        kill_and_wait(pid)
    engine.cgroups.remove(group)
    engine.cgroups.remove(above)


def test_the_claim_of_a_storage_that_is_gone_is_taken_back(tmp_path: Path, storages, busybox: str) -> None:
    abandoned(tmp_path, "gone")
    assert bridges() == {"pypod0": "10.88.0.1/16"}
    engine = storages("one")
    pod = engine.pods.create(network="podman")
    pod.start()
    serve(pod, busybox, "nobody asked for this port")
    # it has the other pod's former address, which that pod's port must not lead to
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 9000), 5)
    end(engine)
    wait_until(nothing_is_left, GOES_S)


def test_a_subnet_of_a_storage_that_is_gone_can_be_asked_for(tmp_path: Path, storages) -> None:
    engine = storages("one")
    engine.networks.create("front", subnets=["10.91.0.0/24"])
    abandoned(tmp_path, "gone", subnets=["10.91.0.0/16"])
    pod = engine.pods.create(network="front")
    pod.start()
    assert pod.addresses == {"front": ("10.91.0.2",)}
    assert list(bridges().values()) == ["10.91.0.1/24"]


def test_the_claim_of_a_storage_that_is_gone_stays_while_its_pod_runs(tmp_path: Path, storages) -> None:
    gone, engine = Engine(str(tmp_path / "gone")), storages("one")
    pod = gone.pods.create(network="podman")
    pod.start()
    (tmp_path / "gone").rename(tmp_path / "elsewhere")
    mine = engine.pods.create(network="podman")
    mine.start()
    assert bridges() == {"pypod0": "10.88.0.1/16", "pypod1": "10.89.0.1/24"}
    (tmp_path / "elsewhere").rename(tmp_path / "gone")
    delete(gone)
    wait_until(lambda: len(json.loads(run("ip", "-j", "link", "show", "type", "veth"))) == 1, GOES_S)
    assert repair(engine) == ["removed bridge pypod0"]
    assert list(bridges()) == ["pypod1"]


def test_a_subnet_that_was_asked_for_is_an_error_that_says_whose_it_is(storages) -> None:
    engines = [storages(name) for name in ("one", "two")]
    pods = []
    for engine, subnet in zip(engines, ("10.91.0.0/16", "10.91.7.0/24"), strict=True):
        engine.networks.create("front", subnets=[subnet])
        pods.append(engine.pods.create(network="front"))
    pods[0].start()
    with pytest.raises(InUse, match=r"subnet 10.91.7.0/24 is already used") as raised:
        pods[1].start()
    assert raised.value.hint == f"network front of {engines[0].layout.root} has 10.91.0.0/16"
    pods[0].stop()
    wait_until(lambda: not json.loads(run("ip", "-j", "link", "show", "type", "veth") or "[]"), GOES_S)
    pods[1].start()  # at once: the other's bridge is no longer needed
    assert pods[1].addresses == {"front": ("10.91.7.2",)}
    assert bridges() == {"pypod1": "10.91.7.1/24"} or bridges() == {"pypod2": "10.91.7.1/24"}


def test_an_address_that_was_asked_for_keeps_its_subnet(storages) -> None:
    engines = [storages(name) for name in ("one", "two")]
    pods = [engine.pods.create(network="podman", ip=f"10.88.0.{9 + at}") for at, engine in enumerate(engines)]
    pods[0].start()
    with pytest.raises(InUse, match=r"subnet 10.88.0.0/16 is already used"):
        pods[1].start()


def test_names_are_answered_at_the_gateway_that_a_network_moved_to(storages, busybox: str) -> None:
    engines = [storages(name) for name in ("one", "two")]
    for engine in engines:
        engine.networks.create("front")
    pods = [engine.pods.create("web", network="front") for engine in engines]
    pods[1].start()
    pods[1].stop()
    wait_until(lambda: not bridges(), GOES_S)
    pods[0].start()
    pods[1].start()
    assert pods[0].addresses != pods[1].addresses
    for pod in pods:
        asked = pod.run(["nslookup", "web"], rootfs=busybox)
        assert asked.wait() == 0
        assert pod.addresses["front"][0].encode() in b"".join(piece.data for piece in asked.logs())


def test_a_port_is_one_storage_s_alone(storages, busybox: str) -> None:
    one, two = (storages(name) for name in ("one", "two"))
    first, second = (engine.pods.create(network="podman", ports=["9000:80"]) for engine in (one, two))
    first.start()
    serve(first, busybox, "first")
    with pytest.raises(PortInUse):
        second.start()
    assert answer(9000) == "first"
    for container in first.containers():
        container.remove(force=True, timeout=0)
    kill_and_wait(first.infra.state().pid)  # its port is not withdrawn
    second.start()
    serve(second, busybox, "second")
    assert answer(9000) == "second"
    assert first.infra.state().status == "exited"
    one.pods.list()
    one.containers.list(all=True)  # the remains of the first are removed, and nothing of the second
    repair(one)
    assert answer(9000) == "second"


@pytest.mark.slow
def test_sigkill_between_claim_and_use(tmp_path: Path, points, storages) -> None:
    """Kill a first start at any system call and delete its storage: the next one starts, and nothing is left."""
    count = 0

    def first_start(kill: tuple[int, int] | None) -> int:
        nonlocal count
        count += 1
        root = tmp_path / f"killed{count}"
        with Engine(str(root)) as engine:
            engine.pods.create("p", network="podman", ports=["9000:80"])
        (total,) = tracing.run(lambda: Engine(str(root)).pods.get("p").start(), kill, number=signal.SIGKILL)
        wait_until(lambda: not supervisors())
        delete(Engine(str(root)))
        return total

    total = first_start(None)
    engine = storages("one")
    for position in points(total, 5):
        first_start((0, position))
        wait_until(lambda: not json.loads(run("ip", "-j", "link", "show", "type", "veth") or "[]"), GOES_S)
        pod = engine.pods.create(network="podman", ports=["9000:80"])
        pod.start()
        assert pod.addresses["podman"], position  # the claimed subnet, or another one while the kernel unplugs
        pod.remove(force=True, timeout=0)
        wait_until(nothing_is_left, GOES_S)


def supervisors() -> list[str]:
    """Return the processes that start an infra: a handed-over plan is carried out without its caller."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0] if entry.name.isdigit() else "Z"
            if state != "Z" and (entry / "comm").read_text() == "pypod-launch\n":
                found.append(entry.name)
        except OSError:
            continue
    return found
