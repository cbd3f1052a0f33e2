"""Published ports on the real kernel: who reaches what, who holds what, and that nothing is left of it."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pypod import errors
from pypod.engine import reloading
from pypod.engine.collect import repair
from pypod.engine.listing import listed_containers
from pypod.model.ids import new_id
from pypod.model.network import NetworkSpec, Subnet
from pypod.model.port import Port
from pypod.network import firewall
from pypod.store import networks
from tests.facts import HAS_GLIBC, kill_and_wait, output, wait_until
from tests.hosts import Here, Host, cable, run

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]

SLEEP = ["sleep", "300"]
PAUSE_KB = 32
PIDFD_GETFD = 438  # of every architecture
SO_DETACH_FILTER = 27  # asm-generic/socket.h


class Guest(Host):
    """Somebody in the network namespace of a container or pod."""

    def __init__(self, state) -> None:
        self.name = "guest"
        self._pid = state.pid
        self._servers = []

    @property
    def pid(self) -> int:
        return self._pid

    def close(self) -> None:
        while self._servers:
            self._servers.pop().close()


@pytest.fixture
def lab(engine, busybox: str) -> Iterator[SimpleNamespace]:
    """A network of both families; another host beside this one; what is published on it is served by guests."""
    add(engine, "blue", "bl0", "10.99.0.0/24", "fd99::/64")
    other, guests = Host("other"), []

    def serve(started, *served: tuple[str, str, int]) -> Guest:
        container = started.infra if hasattr(started, "infra") else started
        guest = Guest(container.state())
        guests.append(guest)
        for protocol, address, port in served or (("tcp", "0.0.0.0", 80), ("tcp", "::", 80)):  # noqa: S104
            if address == "::":
                guest.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/bindv6only")
            guest.serve(protocol, address, port)
        return guest

    def container(*ports, command=SLEEP, network="blue", **options):
        return engine.containers.create(command, rootfs=busybox, network=network, ports=ports, **options)

    try:
        cable(other, "out", "eth0", ("192.0.2.2/24", "2001:db8::2/64"), ("192.0.2.1", "2001:db8::1"))
        for address in ("192.0.2.1/24", "192.0.2.9/24", "2001:db8::1/64"):
            run("ip", "address", "add", address, "dev", "out", *(["nodad"] if ":" in address else []))
        yield SimpleNamespace(here=Here(), other=other, serve=serve, container=container, engine=engine)
    finally:
        for one in (other, *guests):
            one.close()
        for pod in engine.pods.list():
            pod.remove(force=True, timeout=0)
        for one in engine.containers.list(all=True):
            one.remove(force=True, timeout=0)
        subprocess.run(["nft", "flush", "ruleset"], check=True)


def add(engine, name: str, interface: str, *subnets: str) -> None:
    made = tuple(Subnet(subnet=one, gateway=one.replace("0/24", "1").replace("::/64", "::1")) for one in subnets)
    spec = NetworkSpec(id=new_id(), name=name, created_ns=0, interface=interface, subnets=made)
    with engine.database.transaction() as connection, connection:
        networks.add(connection, spec)


def elements() -> list[tuple[str, str, int, str, int]]:
    with firewall.open_channel() as channel:
        return sorted(firewall.listed(channel))


def can_be_had(port: int, protocol: str = "tcp", address: str = "") -> bool:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((address, port))
        except OSError:
            return False
        return True


def started(lab, kind: str, *ports, **options):
    """A container with ports of its own, or a pod."""
    if kind == "container":
        made = lab.container(*ports, **options)
    else:
        made = lab.engine.pods.create(network="blue", ports=ports, **options)
    made.start()
    return made


KINDS = pytest.mark.parametrize("kind", ["container", "pod"])


@KINDS
def test_who_reaches_it(lab, kind: str) -> None:
    guest = lab.serve(started(lab, kind, "8080:80"))
    assert lab.other.ask("tcp", "192.0.2.1", 8080) == "guest 192.0.2.2"  # the client's own address
    assert lab.other.ask("tcp", "192.0.2.9", 8080) == "guest 192.0.2.2"
    assert lab.other.ask("tcp", "2001:db8::1", 8080) == "guest 2001:db8::2"
    assert lab.here.ask("tcp", "192.0.2.1", 8080) == "guest 192.0.2.1"
    assert lab.here.ask("tcp", "127.0.0.1", 8080).startswith("guest 10.99.0.1")
    assert lab.here.ask("tcp", "2001:db8::1", 8080).startswith("guest")
    assert guest.ask("tcp", "192.0.2.1", 8080) == "guest 10.99.0.1"
    assert guest.ask("tcp", "2001:db8::1", 8080) == "guest fd99::1"
    assert lab.here.ask("tcp", "::1", 8080) == "ECONNREFUSED"


def hairpins() -> list[bool]:
    """Of each port of the bridge whether it gives back what came from it."""
    shown = json.loads(run("bridge", "-d", "-j", "link"))
    return sorted(one["hairpin"] for one in shown if one.get("master") == "bl0")


def test_it_reaches_itself_where_bridged_packets_go_through_the_firewall(lab) -> None:
    """Without the bridge's port in hairpin mode they would be lost there."""
    container = started(lab, "container", "8080:80")
    assert hairpins() == [True]
    run("ip", "link", "delete", "bl0")
    reloading.reload(lab.engine)
    assert hairpins() == [True]
    plain = lab.container()
    plain.start()
    assert hairpins() == [False, True]
    container.stop(0)


def test_udp_ranges_and_single_addresses(lab) -> None:
    made = started(lab, "pod", "53:53/udp", "9001-9002:7001-7002", "192.0.2.9:99:99", "[2001:db8::1]:98:98")
    served = [("tcp", "0.0.0.0", port) for port in (7001, 7002, 99)] + [("tcp", "::", 98)]  # noqa: S104
    lab.serve(made, ("udp", "0.0.0.0", 53), *served)  # noqa: S104
    assert lab.other.ask("udp", "192.0.2.1", 53) == "guest 192.0.2.2"
    assert lab.here.ask("udp", "127.0.0.1", 53) == "guest 10.99.0.1"
    assert [lab.other.ask("tcp", "192.0.2.1", port) for port in (9001, 9002)] == ["guest 192.0.2.2"] * 2
    assert [lab.other.ask("tcp", "192.0.2.1", port) for port in (9000, 9003)] == ["ECONNREFUSED"] * 2
    assert lab.other.ask("tcp", "192.0.2.9", 99) == "guest 192.0.2.2"
    assert lab.other.ask("tcp", "192.0.2.1", 99) == "ECONNREFUSED"
    assert lab.other.ask("tcp", "2001:db8::1", 98) == "guest 2001:db8::2"


@KINDS
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_client_of_udp_that_goes_on_asking_is_led_on(lab, kind: str, address: str) -> None:
    """The kernel remembers where its first packet went: to nobody, to another container, past a flushed firewall."""
    family, anything, port = socket.AF_INET, "0.0.0.0", "5353:53/udp"  # noqa: S104
    if ":" in address:
        family, anything, port = socket.AF_INET6, "::", f"[{address}]:5353:53/udp"
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.bind(("", 0))
        client.settimeout(1)

        def asks() -> str:
            client.sendto(b"?", (address, 5353))
            return client.recv(512).decode()

        with pytest.raises(OSError):  # noqa: PT011  # nobody is there
            asks()
        for _ in range(2):
            made = started(lab, kind, port)
            guest = lab.serve(made, ("udp", anything, 53))
            assert asks().startswith("guest ")
            guest.close()
            made.remove(force=True, timeout=0)
            client.sendto(b"?", (address, 5353))
        made = started(lab, kind, port)
        lab.serve(made, ("udp", anything, 53))
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        with socket.socket(family, socket.SOCK_DGRAM) as another:
            another.bind(("", 0))
            another.sendto(b"?", (address, 5353))
            reloading.reload(lab.engine)
            another.settimeout(1)
            another.sendto(b"?", (address, 5353))
            assert another.recv(512).startswith(b"guest ")


@KINDS
def test_it_is_held_and_nothing_listens(lab, kind: str) -> None:
    made = started(lab, kind, "8080:80", "53:53/udp", "192.0.2.9:99:99")
    assert (can_be_had(8080), can_be_had(53, "udp"), can_be_had(99, address="192.0.2.9")) == (False, False, False)
    assert can_be_had(99, address="192.0.2.1")
    assert run("ss", "-Hltn").strip() == ""
    made.stop(0)
    assert (can_be_had(8080), can_be_had(53, "udp"), can_be_had(99, address="192.0.2.9")) == (True, True, True)
    assert elements() == []


@KINDS
def test_again_after_a_stop(lab, kind: str) -> None:
    made = started(lab, kind, "8080:80", "81")
    chosen = made.ports
    for _ in range(3):
        made.restart(0)
        lab.serve(made)
        assert lab.other.ask("tcp", "192.0.2.1", 8080) == "guest 192.0.2.2"
    assert made.ports == chosen
    made.remove(force=True, timeout=0)
    assert (elements(), can_be_had(8080)) == ([], True)


def test_who_ends_alone_leaves_nothing(lab) -> None:
    """Nobody of pypod's is there: the monitor takes it away."""
    container = lab.container("8080:80", command=["true"])
    container.start()
    assert container.wait() == 0
    assert (elements(), can_be_had(8080)) == ([], True)


def test_no_socket_of_the_hosts_is_in_a_container(lab, busybox: str) -> None:
    container = lab.container("8080:80", command=["sh", "-c", "ls -l /proc/self/fd"])
    container.start()
    container.wait()
    assert b"/dev/null" in output(container)
    assert b"socket" not in output(container)
    pod = started(lab, "pod", "8081:80", share="net,pid")
    member = pod.run(["sh", "-c", "ls -l /proc/1/fd; kill -9 1; true"], rootfs=busybox)
    member.wait()
    assert b"socket" not in output(member)
    assert not can_be_had(8081)


def test_who_takes_the_socket_all_the_same_hears_nothing_by_it(lab) -> None:
    """With CAP_SYS_PTRACE one may take what another process has open (pidfd_getfd)."""
    pod = started(lab, "pod", "8080:80")
    pidfd = os.pidfd_open(pod.infra.state().pid)
    try:
        number = next(fd for fd in range(3, 20) if "socket:" in link_of(pod.infra.state().pid, fd))
        stolen = socket.socket(fileno=ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, number, 0))
    finally:
        os.close(pidfd)
    with stolen, socket.create_server(("192.0.2.1", 22)):
        with pytest.raises(PermissionError):
            stolen.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        stolen.settimeout(0.5)
        with pytest.raises(TimeoutError):
            stolen.connect(("::ffff:192.0.2.1", 22))


def link_of(pid: int, number: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}")
    except FileNotFoundError:
        return ""


def test_an_infra_with_ports_is_as_small(lab) -> None:
    if HAS_GLIBC:
        pytest.skip("the C programs are made with glibc, and larger")
    pod = started(lab, "pod", *(f"{port}:{port}" for port in range(8000, 8016)))
    rollup = Path(f"/proc/{pod.infra.state().pid}/smaps_rollup").read_text()
    pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert pss <= PAUSE_KB


def test_the_users_own_infra_gets_no_socket_and_the_port_is_held(lab, probe: str) -> None:
    pod = lab.engine.pods.create(network="blue", ports=["8080:80"], infra_command=[probe, "stay"])
    pod.start()
    pid = pod.infra.state().pid
    links = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    assert not any(link.startswith("socket:") for link in links)
    assert not can_be_had(8080)
    for _ in range(5):
        pod.restart(0)
    pod.stop()
    wait_until(lambda: can_be_had(8080))


def test_more_ports_than_files_may_be_open(lab) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        container = started(
            lab, "container", "20000-20999:1000-1999", ulimits=["host"], command=["sh", "-c", "ulimit -n"]
        )
        assert (container.wait(), output(container)) == (0, b"256\n")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# random ports


def test_random_ports_are_chosen_at_creation(lab) -> None:
    one = lab.container("80", "127.0.0.1::81", 82, "9000-9002/udp")
    assert [(port.container_port, port.host_ip, port.protocol, port.count) for port in one.ports if port.host_port] == [
        (port.container_port, port.host_ip, port.protocol, port.count) for port in one.ports
    ]
    found = {(port.container_port, port.host_ip, port.protocol, port.count) for port in one.ports}
    assert found >= {(81, "127.0.0.1", "tcp", 1), (9000, "", "udp", 3)}
    taken = {port.host_port for port in one.ports}
    more = [lab.container("80").ports[0].host_port for _ in range(20)]
    assert len(set(more)) == 20
    assert taken.isdisjoint(more)


def test_all_that_is_exposed(lab) -> None:
    one = lab.container("75:70", exposed_ports=["70-71", "72/udp"], publish_all=True)
    found = {(port.container_port, port.protocol): port.host_port for port in one.ports}
    assert found.keys() == {(70, "tcp"), (71, "tcp"), (72, "udp")}
    assert found[70, "tcp"] == 75
    assert all(found.values())
    ports = one.inspect()["NetworkSettings"]["Ports"]
    assert ports["71/tcp"] == [{"HostIp": "", "HostPort": str(found[71, "tcp"])}]


# somebody has it already


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@KINDS
def test_another_process_has_it(lab, kind: str, protocol: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 8080))
        if protocol == "tcp":
            holder.listen()
        with pytest.raises(errors.PortInUse) as failure:
            started(lab, kind, "8081:81", f"8080:80/{protocol}")
    error = failure.value
    assert (error.port, error.protocol, error.pid, error.container) == (8080, protocol, os.getpid(), "")
    assert f"process {os.getpid()} ({error.command})" in str(error)
    assert (elements(), can_be_had(8081)) == ([], True)
    assert lab.engine.database.read("SELECT 1 FROM addresses WHERE container_id != ''") == []
    assert lab.engine.containers.list() == []


@KINDS
def test_another_container_has_it(lab, kind: str) -> None:
    holder = started(lab, kind, "8080:80")
    with pytest.raises(errors.PortInUse, match="held by container") as failure:
        started(lab, "container", "127.0.0.1:8080:80")
    container = holder.infra if kind == "pod" else holder
    assert failure.value.container == container.name
    lab.serve(holder)
    assert lab.other.ask("tcp", "192.0.2.1", 8080) == "guest 192.0.2.2"


CLIENT = """
import sys
from pypod import Engine, errors
with Engine(sys.argv[1]) as engine:
    pod = engine.pods.create(network="blue", ports=["8080:80"])
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        pod.start()
        print("won")
    except errors.PortInUse as error:
        print("lost", bool(error.container))
"""


def test_of_sixteen_clients_one_wins(lab) -> None:
    words = [sys.executable, "-c", CLIENT, lab.engine.layout.root]
    clients = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(16)]
    for one in clients:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in clients:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    answers = sorted(one.communicate(timeout=60)[0].strip() for one in clients)
    assert answers == ["lost True"] * 15 + ["won"]
    assert len(elements()) == 2  # one for each family


def test_what_cannot_be_asked_for(lab) -> None:
    with pytest.raises(errors.InvalidSpec, match="conflicting port mappings for host port 80"):
        lab.container("80:80", "127.0.0.1:80:81")
    with pytest.raises(errors.InvalidSpec, match="must be a list"):
        lab.engine.containers.create(SLEEP, rootfs="/", network="blue", ports="80:80")
    pod = started(lab, "pod")
    with pytest.raises(errors.InvalidSpec, match="must be defined when the pod is created"):
        pod.create_container(SLEEP, rootfs="/", ports=["80:80"])
    for options in ({"network": "none"}, {"network": "host"}):
        with pytest.raises(errors.InvalidSpec, match="PortMappings can only be used with Bridge"):
            lab.engine.pods.create(ports=["80:80"], **options)
    assert lab.container("80:80", network="host").ports == ()
    with pytest.raises(errors.LaunchFailed, match="the host does not have this address"):
        started(lab, "container", "198.51.100.1:80:80")


def has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def test_a_protocol_that_the_kernel_does_not_have(lab) -> None:
    if has_sctp():
        pytest.skip("sctp: the kernel has it")
    with pytest.raises(errors.Unsupported, match="the kernel has no SCTP") as failure:
        lab.container("80:80/sctp")
    assert failure.value.feature == "sctp"
    assert lab.engine.containers.list(all=True) == []


@KINDS
def test_sctp(lab, kind: str) -> None:
    if not has_sctp():
        pytest.skip("sctp: the kernel has none")
    made = started(lab, kind, "8080:80/sctp")
    assert lab.other.ask("sctp", "192.0.2.1", 8080) == "ECONNREFUSED"
    guest = lab.serve(made, ("sctp", "0.0.0.0", 80), ("sctp", "::", 80))  # noqa: S104
    assert lab.other.ask("sctp", "192.0.2.1", 8080) == "guest 192.0.2.2"
    assert lab.other.ask("sctp", "2001:db8::1", 8080) == "guest 2001:db8::2"
    assert guest.ask("sctp", "192.0.2.1", 8080) == "guest 10.99.0.1"
    assert lab.here.ask("sctp", "127.0.0.1", 8080) == "guest 10.99.0.1"
    assert lab.here.ask("tcp", "127.0.0.1", 8080) == "ECONNREFUSED"
    made.stop(timeout=0)
    assert lab.other.ask("sctp", "192.0.2.1", 8080) == "ECONNREFUSED"


# crashes


def test_the_infra_is_killed(lab, busybox: str) -> None:
    pod = started(lab, "pod", "8080:80")
    kill_and_wait(pod.infra.state().pid)
    wait_until(lambda: can_be_had(8080))  # its launcher, which had it too, may be just leaving
    assert any("took back the addresses" in line for line in repair(lab.engine))
    assert elements() == []


def listed(lab) -> list[str]:
    """What a listing tells of everybody's states: it is what lets go of what nobody has any more."""
    return sorted(state.status for _, state in listed_containers(lab.engine))


def test_a_listing_withdraws_what_a_killed_infra_left(lab) -> None:
    pod = started(lab, "pod", "8080:80")
    kill_and_wait(pod.infra.state().pid)
    assert elements() != []
    assert listed(lab) == ["exited"]
    assert (elements(), pod.addresses) == ([], {})


def test_a_listing_leaves_those_alone_who_live_on(lab, busybox: str) -> None:
    pod = started(lab, "pod", "8080:80")
    member = pod.run(SLEEP, rootfs=busybox)
    lab.serve(member)
    kill_and_wait(pod.infra.state().pid)
    assert listed(lab) == ["exited", "running"]
    assert lab.other.ask("tcp", "192.0.2.1", 8080) == "guest 192.0.2.2"
    kill_and_wait(member.state().pid)
    assert listed(lab) == ["exited", "exited"]
    assert elements() == []


def test_a_listing_withdraws_what_a_killed_monitor_left(lab) -> None:
    """Not before its container has ended: that answers still."""
    container = started(lab, "container", "8080:80")
    lab.serve(container)
    kill_and_wait(container.state().supervisor_pid)
    assert listed(lab) == ["running"]
    assert lab.other.ask("tcp", "192.0.2.1", 8080) == "guest 192.0.2.2"
    kill_and_wait(container.state().pid)
    assert listed(lab) == ["exited"]
    assert elements() == []


def test_a_monitor_is_killed(lab) -> None:
    container = started(lab, "container", "8080:80")
    kill_and_wait(container.state().supervisor_pid)
    container.stop(0)
    assert (elements(), can_be_had(8080)) == ([], True)


OWNER = """
import os, signal, sys
from pypod import Engine
engine = Engine(sys.argv[1])
with engine.pods.create("gone", network="blue", ports=["8080:80"]) as pod:
    pod.start()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_caller_is_killed(lab) -> None:
    done = subprocess.run([sys.executable, "-c", OWNER, lab.engine.layout.root], check=False)
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: can_be_had(8080))
    assert lab.engine.pods.list() == []
    assert elements() == []


def test_what_a_crash_left_is_replaced_and_repaired(lab) -> None:
    one = started(lab, "container", "8080:80")
    with firewall.open_channel() as channel:
        channel.send(firewall.publish([Port(container_port=1, host_port=1)], "10.99.0.200"))
        channel.send(firewall.publish([Port(container_port=1, host_port=2)], "10.77.0.200"))  # of another engine
        channel.send(firewall.publish([Port(container_port=1, host_port=8081)], "10.99.0.201"))
    lab.serve(started(lab, "container", "8081:80"))
    assert lab.other.ask("tcp", "192.0.2.1", 8081) == "guest 192.0.2.2"
    before = elements()
    assert repair(lab.engine) == ["withdrew port 0.0.0.0:1->1/tcp at 10.99.0.200"]
    assert elements() == [row for row in before if row[2] != 1]
    assert one.state().running


def test_a_flushed_firewall_is_made_again(lab) -> None:
    made = started(lab, "container", "8080:80", "192.0.2.9:99:99"), started(lab, "pod", "8081:80")
    for one in made:
        lab.serve(one)
    before = elements()
    run("nft", "add table ip somebody; add chain ip somebody theirs")
    run("nft", "delete table inet pypod")
    assert lab.other.ask("tcp", "192.0.2.1", 8080) == "ECONNREFUSED"
    theirs = run("nft", "list", "table", "ip", "somebody")
    reloading.reload(lab.engine)
    assert elements() == before
    assert run("nft", "list", "table", "ip", "somebody") == theirs
    assert [lab.other.ask("tcp", "192.0.2.1", port) for port in (8080, 8081)] == ["guest 192.0.2.2"] * 2


# while it runs


@KINDS
def test_it_moves_with_the_connections(lab, kind: str) -> None:
    add(lab.engine, "red", "re0", "10.98.0.0/24")
    made = started(lab, kind, "8080:80")
    lab.serve(made)
    made.connect("red")
    assert {row[3] for row in elements()} == {"10.99.0.2", "fd99::2"}
    made.disconnect("blue")
    assert {row[3] for row in elements()} == {"10.98.0.2"}
    assert lab.here.ask("tcp", "192.0.2.1", 8080) == "guest 192.0.2.1"
    made.disconnect("red")
    assert elements() == []
    made.connect("blue")
    assert {row[0] for row in elements()} == {"tcp"}
    made.stop(0)
    assert elements() == []


def test_it_is_told(lab) -> None:
    container = lab.container("8080:80", exposed_ports=["90"])
    steps = [step.words for step in container.explain().steps]
    assert "hold port 8080/tcp on all addresses" in steps
    assert "publish 0.0.0.0:8080->80/tcp" in steps
    assert "when it has ended, withdraw 0.0.0.0:8080->80/tcp" in steps
    shown = container.inspect()
    published = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    assert shown["HostConfig"]["PortBindings"] == published
    assert shown["NetworkSettings"]["Ports"] == {**published, "90/tcp": None}
    assert shown["Config"]["ExposedPorts"] == {"90/tcp": {}}
    pod = started(lab, "pod", {8081: 80}.popitem()[1], "8081:81")
    assert pod.inspect()["InfraConfig"]["PortBindings"]["81/tcp"] == [{"HostIp": "", "HostPort": "8081"}]
    member = pod.create_container(SLEEP, rootfs="/")
    assert member.ports == pod.ports
    assert lab.engine.containers.create(SLEEP, rootfs="/", network=f"container:{pod.infra.id}").ports == pod.ports
