"""Many processes and threads at once, on the same names and on others: no deadlock; a lock dies with its holder."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from pypod import AlreadyExists
from tests.facts import created_nothing, in_threads, is_there, output

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
WATCHDOG_S = 120  # nothing takes this long, even emulated


# A client with two threads and with objects of its own, where everything must succeed, and contention for shared
# objects, where every error must be ours. A turn that hangs dumps each thread's stack and ends the client.
CLIENT = """
import faulthandler, os, random, sys, threading, time
from pypod import AlreadyExists, Engine, LaunchFailed, NotFound, PodBroken, WrongState
root, rootfs, client, deadline, watchdog_s = sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:])
LOST = (AlreadyExists, NotFound, WrongState, LaunchFailed)
engine = Engine(root)

def own(number, turn):
    name = f"own-{number}-{turn}"
    c = engine.containers.run(["sleep", "1000"], rootfs=rootfs, name=name)
    assert c.exec(["hostname"]).exit_code == 0
    assert any(one.name == name for one in engine.containers.list())
    c.stop(timeout=0)
    assert c.wait(10) == 137
    c.remove()
    assert not engine.containers.exists(name)

def member(number, turn):
    c = engine.containers.create(["sh", "-c", f"exit {number % 100}"], rootfs=rootfs, pod="shared-pod")
    c.start()
    assert c.wait(20) == number % 100
    c.remove()

def fight(number, turn):
    name = f"shared-{random.randrange(3)}"
    try:
        c = engine.containers.run(["sleep", "1000"], rootfs=rootfs, name=name)
    except LOST:
        pass
    for verb in random.sample(("exec", "stop", "start", "remove"), 3):
        try:
            c = engine.containers.get(name)
            {"exec": lambda: c.exec(["true"]), "stop": lambda: c.stop(timeout=0), "start": c.start,
             "remove": lambda: c.remove(force=True, timeout=0)}[verb]()
        except LOST:
            pass

last = {}

def work(number):
    turn = 0
    while turn == 0 or time.monotonic() < deadline:
        for act in random.sample((own, member, fight), 3):
            last[number] = time.monotonic()
            act(number, turn)
        turn += 1

numbers = [2 * client + one for one in range(2)]
threads = {number: threading.Thread(target=work, args=(number,), daemon=True) for number in numbers}
for thread in threads.values():
    thread.start()
while living := [number for number in numbers if threads[number].is_alive()]:
    if any(time.monotonic() - last.get(number, time.monotonic()) > watchdog_s for number in living):
        faulthandler.dump_traceback()
        os._exit(1)
    time.sleep(0.05)
print("done")
"""


def run_clients(command: Callable[[int], list[str]], count: int, timeout_s: float) -> list[tuple[int, str, str]]:
    """Run client processes side by side; return each one's outcome. Raises TimeoutExpired for the first that hangs."""
    clients = [
        subprocess.Popen(command(number), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(count)
    ]
    deadline = time.monotonic() + timeout_s
    try:
        outcomes = []
        for client in clients:
            out, err = client.communicate(timeout=max(deadline - time.monotonic(), 0.1))
            outcomes.append((client.returncode, out, err))
        return outcomes
    finally:
        for client in clients:
            client.kill()
            client.communicate()


def test_processes(engine, busybox, full: bool) -> None:
    pod = engine.pods.create("shared-pod")
    count, stress_s = (64, 600) if full else (16, 8)
    deadline = time.monotonic() + stress_s
    watchdog_s = 30 * max(count // 16, 1)  # scaled, because they share the processors

    def command(number: int) -> list[str]:
        words = [engine.layout.root, busybox, str(number), str(deadline), str(watchdog_s)]
        return [sys.executable, "-c", CLIENT, *words]

    outcomes = run_clients(command, count, stress_s + WATCHDOG_S)
    failed = [outcome for outcome in outcomes if outcome != (0, "done\n", "")]
    assert not failed, failed[0][2]
    assert pod.status == "Running"
    assert len(set(pod.namespaces()["net"].values())) == 1
    pod.remove(force=True, timeout=0)
    for container in engine.containers.list(all=True):
        assert container.name.startswith("shared-")
        container.remove(force=True, timeout=0)
    assert created_nothing(engine)


# Processes that find no storage, or no database in it, and create it, all at the same moment, several times.
FIRST = """
import os, sys, time
from pypod import AlreadyExists, Engine
for turn in range(int(sys.argv[2])):
    if turn % 3:
        Engine(f"{sys.argv[1]}-{turn}")
    moment = time.monotonic() + 0.01
    children = []
    for number in range(12):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                while time.monotonic() < moment:
                    pass
                Engine(f"{sys.argv[1]}-{turn}").pods.create(f"p{number}")
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 12
    assert len(Engine(f"{sys.argv[1]}-{turn}").pods.list()) == 12
"""


def test_processes_that_come_first(tmp_path, full: bool) -> None:
    turns = 60 if full else 10
    outcomes = run_clients(lambda _: [sys.executable, "-c", FIRST, str(tmp_path / "s"), str(turns)], 1, WATCHDOG_S)
    assert outcomes == [(0, "", "")]


def test_one_name_is_given_once(engine, busybox) -> None:
    from pypod import AlreadyExists

    won: list[int] = []

    def create(number: int) -> None:
        try:
            engine.containers.create(SLEEP, rootfs=busybox, name="one")
        except AlreadyExists:
            return
        won.append(number)

    in_threads(create, 20)
    assert len(won) == 1
    assert len(engine.containers.list(all=True)) == 1


def test_one_container_is_started_once(engine, busybox) -> None:
    container = engine.containers.create(SLEEP, rootfs=busybox)
    in_threads(lambda _: container.start(), 20)
    assert len(engine.cgroups.processes(container.record().cgroup)) == 1
    in_threads(lambda _: container.stop(timeout=0), 20)
    assert container.wait() == 137
    in_threads(lambda _: container.remove(), 20)
    assert created_nothing(engine)


def test_threads_on_one_engine(engine, busybox) -> None:
    pod = engine.pods.create()

    def live(number: int) -> None:
        alone = engine.containers.run(["sh", "-c", f"echo {number}; exit {number}"], rootfs=busybox)
        member = pod.run(SLEEP, rootfs=busybox)
        assert (alone.wait(20), output(alone)) == (number, b"%d\n" % number)
        assert member.exec(["sh", "-c", f"echo {number}; exit {number}"]).exit_code == number
        with member.enter("net"):
            inside = os.readlink("/proc/thread-self/ns/net")
        assert str(pod.state().infra.pid)
        assert inside == f"net:[{member.namespaces()['net']}]"
        alone.remove()
        member.remove(force=True, timeout=0)

    in_threads(live, 20)
    assert pod.containers() == []
    assert engine.containers.list(all=True) == []


def test_invented_names_are_free_whoever_invents_the_same(engine, busybox, monkeypatch) -> None:
    few = [f"name{number}" for number in range(4)]
    monkeypatch.setattr("pypod.model.ids.new_name", itertools.cycle(few).__next__)
    in_threads(lambda _: engine.containers.create(["true"], rootfs=busybox), 12)
    in_threads(lambda _: engine.pods.create(infra=False), 12)
    containers = {container.name for container in engine.containers.list(all=True)}
    pods = {pod.name for pod in engine.pods.list()}
    assert (len(containers), len(pods)) == (12, 12)
    assert not containers & pods
    assert set(few) <= containers | pods
    # an explicitly requested name is not replaced by another
    with pytest.raises(AlreadyExists):
        engine.pods.create(infra_name=few[0])


HOLDER = """
import os, sys
from pypod.engine.core.locks import Lock
with Lock(sys.argv[1]) as lock, lock:
    child = os.fork()  # which has no lock of its own, and lives on
    if child == 0:
        os.execvp("sleep", ["sleep", "1000"])
    print(child, flush=True)
    sys.stdin.read()
"""


def test_a_lock_dies_with_its_holder(engine, busybox) -> None:
    """Its child processes live on without having inherited the lock."""
    container = engine.containers.create(SLEEP, rootfs=busybox)
    words = [sys.executable, "-c", HOLDER, container.directory]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            starter = threading.Thread(target=container.start)
            starter.start()
            starter.join(0.2)
            assert container.state().status == "created"
            holder.kill()
            starter.join(5)
            assert container.state().status == "running"
            assert is_there(child)
        finally:
            os.kill(child, signal.SIGKILL)
