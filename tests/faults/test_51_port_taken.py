"""A port is taken, or was held by something that crashed: a typed error names the holder, and removal frees it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from pypod import errors
from pypod.engine.containers.collect import repair
from pypod.engine.containers.listing import listed_containers
from pypod.engine.networks import reloading
from pypod.model.port import Port
from pypod.network import firewall
from tests.facts import kill_and_wait, wait_until
from tests.hosts import run
from tests.lab import KINDS, SLEEP, can_be_had, elements, started

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]


# already taken


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


# crashes


def test_the_infra_is_killed(lab, busybox: str) -> None:
    pod = started(lab, "pod", "8080:80")
    kill_and_wait(pod.infra.state().pid)
    wait_until(lambda: can_be_had(8080))  # its launcher, which held it too, may be just exiting
    assert any("released the addresses" in line for line in repair(lab.engine))
    assert elements() == []


def listed(lab) -> list[str]:
    """Return the states of a listing, which also releases what belongs to nothing that runs."""
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
    """Not before its container has ended, which still answers."""
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
    assert repair(lab.engine) == ["removed the forwarding of port 0.0.0.0:1->1/tcp to 10.99.0.200"]
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


def test_somebody_takes_it_between_two_looks(lab) -> None:
    """Another process binds and releases the port repeatedly: a start gets it, or reports that it is taken."""
    container = lab.container("8080:80")
    done = threading.Event()

    def bind() -> None:
        while not done.is_set():
            with socket.socket() as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with contextlib.suppress(OSError):
                    one.bind(("", 8080))
                    done.wait(0.4)  # longer than a start keeps trying
            done.wait(0.4)

    binder = threading.Thread(target=bind)  # it inherits the network namespace of the thread that starts it
    binder.start()
    started, refusals = 0, []
    try:
        deadline = time.monotonic() + 20
        while (started < 2 or len(refusals) < 2) and time.monotonic() < deadline:
            try:
                container.start()
            except errors.PortInUse as error:
                refusals.append((error.port, error.pid in (os.getpid(), 0), elements(), container.state().running))
            else:
                started += 1
                assert not can_be_had(8080)
                container.stop(0)
    finally:
        done.set()
        binder.join()
    assert refusals == [(8080, True, [], False)] * len(refusals)
    assert (started >= 2, len(refusals) >= 2) == (True, True)
    assert (elements(), can_be_had(8080)) == ([], True)
