"""Published ports on the real kernel: who reaches which port, what holds it, and that nothing is left of it."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import subprocess
from pathlib import Path

import pytest

from pypod import errors
from pypod.engine.networks import reloading
from tests.facts import HAS_GLIBC, output, wait_until
from tests.hosts import run
from tests.lab import KINDS, SLEEP, add, can_be_had, elements, started

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]

PAUSE_KB = 32
PIDFD_GETFD = 438  # the same on all architectures
SO_DETACH_FILTER = 27  # asm-generic/socket.h


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
    """Return the hairpin mode of each port of the bridge."""
    shown = json.loads(run("bridge", "-d", "-j", "link"))
    return sorted(one["hairpin"] for one in shown if one.get("master") == "bl0")


def test_it_reaches_itself_where_bridged_packets_go_through_the_firewall(lab) -> None:
    """Without hairpin mode on the bridge's port, its packets would be dropped there."""
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
    """The kernel remembers where its first packet went: nowhere, to another container, past a flushed firewall."""
    family, anything, port = socket.AF_INET, "0.0.0.0", "5353:53/udp"  # noqa: S104
    if ":" in address:
        family, anything, port = socket.AF_INET6, "::", f"[{address}]:5353:53/udp"
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.bind(("", 0))
        client.settimeout(1)

        def asks() -> str:
            client.sendto(b"?", (address, 5353))
            return client.recv(512).decode()

        with pytest.raises(OSError):  # noqa: PT011  # nothing listens there
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
    """No client is left: the monitor removes the rules."""
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
    """With CAP_SYS_PTRACE a process may take another's open descriptors (pidfd_getfd(2))."""
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
        pytest.skip("the C programs are built with glibc, and larger")
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
