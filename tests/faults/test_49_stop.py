"""A first process that ignores its stop signal, does not handle it yet or ever, is frozen, stopped or traced.

podman#298, podman#20196, moby#35910.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pypod.engine.lifecycle import patience, stopping
from tests.facts import IS_UML, is_there, members, wait_for_output, wait_until

pytestmark = pytest.mark.root

SLEEP = ["sleep", "1000"]
IGNORING = ["sh", "-c", "trap '' TERM; echo ready; sleep 1; exit 5"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"]
HEARING = "trap 'exit {code}' {signal}; echo ready; while :; do sleep 0.01; done"
UNTIL_GO = "while [ ! -e /tmp/go ]; do sleep 0.01; done"
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207  # linux/ptrace.h
# a shell forks constantly, and blocks all signals while it does
FORKING = "i=0; while [ $i -lt 50 ]; do i=$((i+1)); true & wait $!; done; sleep 0.3"
INITS = (patience.DELIVERED, patience.KEPT)
TRACER = f"""
import ctypes, os, sys
libc, pid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
for request in ({PTRACE_SEIZE}, {PTRACE_INTERRUPT}):
    if libc.ptrace(request, pid, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
os.waitpid(pid, 0x40000000)  # __WALL: it has stopped
print("stopped", flush=True)
while not os.WIFSIGNALED(os.waitpid(pid, 0x40000000)[1]):
    pass
"""


@contextmanager
def taking(at_least_s: float, less_than_s: float) -> Iterator[None]:
    before = time.monotonic()
    yield
    assert at_least_s <= time.monotonic() - before < less_than_s


@pytest.fixture
def start(engine, busybox):
    """Run a container and wait until its program reports that it is ready."""

    def run(words: list[str], **options):
        container = engine.containers.run(words, rootfs=busybox, **options)
        if words != SLEEP:
            wait_for_output(container, b"ready")
        return container

    return run


@pytest.fixture
def nothing_starts(monkeypatch) -> None:
    """Make every process count as past its start-up time."""
    monkeypatch.setattr(patience, "STARTING_S", 0.0)


END = {
    "stop": lambda container: container.stop(timeout=10),
    "restart": lambda container: container.restart(timeout=10),
    "remove": lambda container: container.remove(force=True, timeout=10),
}


@pytest.mark.parametrize("end", END)
@pytest.mark.usefixtures("nothing_starts")
def test_one_that_ignores_the_signal_is_given_its_time(start, end: str) -> None:
    container = start(IGNORING)
    with taking(0.8, 5):
        END[end](container)
    if end == "stop":
        assert container.wait() == 5


@pytest.mark.usefixtures("nothing_starts")
def test_one_that_ignores_it_for_good_is_killed_in_the_end(start) -> None:
    container = start(STUBBORN)
    with taking(0.5, 3):
        container.stop(timeout=0.5)
    assert container.wait() == 137


@pytest.mark.usefixtures("nothing_starts")
def test_one_that_ignores_it_and_is_not_the_first_of_its_namespace(start) -> None:
    container = start(IGNORING, pid="host")
    with taking(0.8, 5):
        container.stop(timeout=10)
    assert container.wait() == 5


def test_one_that_installs_its_handler_late_gets_the_signal_then(start) -> None:
    """The kernel drops earlier signals: podman waits and then kills it; we send it once it can be handled."""
    container = start(["sh", "-c", f"echo ready; sleep 1; {HEARING.format(signal='TERM', code=6)}"])
    with taking(0.5, 5):
        container.stop(timeout=10)
    assert container.wait() == 6


def test_a_shell_that_installs_its_trap_late_gets_the_signal_then(start) -> None:
    for _ in range(3):
        container = start(["sh", "-c", f"echo ready; {FORKING}; {HEARING.format(signal='TERM', code=6)}"])
        container.stop(timeout=10)
        assert container.wait() == 6


def test_one_that_has_just_started_and_never_handles_it_gets_the_time_of_a_start(start) -> None:
    container = start(SLEEP)
    with taking(patience.STARTING_S - 0.5, patience.STARTING_S + 2):
        container.stop(timeout=30)
    assert container.wait() == 137
    container.start()
    with taking(0.3, 2):
        container.stop(timeout=0.3)


def test_one_that_has_just_started_is_not_waited_for_where_nobody_gave_it_time(start) -> None:
    """rm -f without -t, and the end of a with block: a container being removed needs no handler."""
    container = start(SLEEP)
    with taking(0, 1):
        container.remove(force=True)


@pytest.mark.usefixtures("nothing_starts")
def test_one_that_never_handles_it_is_not_waited_for(start) -> None:
    container = start(SLEEP)
    with taking(0, 1):
        container.stop(timeout=30)
    assert container.wait() == 137


def test_the_default_action_ends_who_is_not_the_first_of_the_namespace(engine, busybox) -> None:
    with engine.pods.create("p", share="pid") as pod:
        container = pod.run(SLEEP, rootfs=busybox)
        with taking(0, 1):
            container.stop(timeout=30)
        assert container.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize(("name", "number"), [("SIGUSR1", signal.SIGUSR1), ("RTMIN+3", signal.SIGRTMIN + 3)])
@pytest.mark.usefixtures("nothing_starts")
def test_another_stop_signal(start, name: str, number: int) -> None:
    container = start(["sh", "-c", HEARING.format(signal=number, code=4)], stop_signal=name)
    container.stop(timeout=10)
    assert container.wait() == 4
    deaf = start(SLEEP, stop_signal=name)
    with taking(0, 1):
        deaf.stop(timeout=30)
    assert deaf.wait() == 137


@pytest.mark.skipif(IS_UML, reason="the guest's kernel does not report where a process sleeps")
@pytest.mark.parametrize(("words", "code"), [(IGNORING, 5), (SLEEP, 143)])
@pytest.mark.usefixtures("nothing_starts")
def test_under_an_init_it_is_the_init_that_hears(engine, start, words: list[str], code: int) -> None:
    container = start(words, init=True)
    wait_until(lambda: len(members(engine, container)) >= 2)
    init = container.state().pid
    wait_until(lambda: patience.glance(engine.proc, init, signal.SIGTERM)[0] in INITS)
    container.stop(timeout=10)
    assert container.wait() == code


@pytest.mark.usefixtures("nothing_starts")
def test_the_members_of_a_pod_are_waited_for_side_by_side(engine, busybox) -> None:
    with engine.pods.create("p") as pod:
        ignoring = [pod.run(IGNORING, rootfs=busybox) for _ in range(4)]
        deaf = pod.run(SLEEP, rootfs=busybox)
        for one in ignoring:
            wait_for_output(one, b"ready")
        with taking(0.5, 5):
            pod.stop(timeout=10)
        assert [one.wait() for one in ignoring] == [5] * 4
        assert deaf.wait() == 137


@pytest.mark.usefixtures("nothing_starts")
def test_little_patience_with_one_is_not_made_longer_by_another(engine, busybox) -> None:
    """The more patient one comes first, and ends only after the test has seen the other one killed."""
    with engine.pods.create("p") as pod:
        patient = pod.run(
            ["sh", "-c", f"trap '' TERM; echo ready; {UNTIL_GO}; exit 5"], rootfs=busybox, stop_timeout=60
        )
        hasty = pod.run(STUBBORN, rootfs=busybox, stop_timeout=1)
        for one in (patient, hasty):
            wait_for_output(one, b"ready")
        pid = hasty.state().pid
        stopping = threading.Thread(target=pod.stop)
        stopping.start()
        wait_until(lambda: not is_there(pid))
        assert patient.state().running
        Path(f"/proc/{patient.state().pid}/root/tmp/go").touch()  # no exec in a container that is being stopped
        stopping.join(10)
        assert (patient.wait(), hasty.wait()) == (5, 137)


def test_one_that_is_stopped_or_frozen_from_outside_is_killed_in_time(engine, start) -> None:
    hearing = ["sh", "-c", HEARING.format(signal="TERM", code=0)]
    halted, frozen = start(hearing), start(hearing)
    os.kill(halted.state().pid, signal.SIGSTOP)
    engine.cgroups.freeze(frozen.record().cgroup, True)
    for one in (halted, frozen):
        with taking(0.3, 3):
            one.stop(timeout=0.3)
        assert one.wait() == 137


def test_one_that_a_debugger_holds_is_killed_in_time(start) -> None:
    container = start(["sh", "-c", HEARING.format(signal="TERM", code=0)])
    tracer = subprocess.Popen(
        [sys.executable, "-c", TRACER, str(container.state().pid)], stdout=subprocess.PIPE, text=True
    )
    assert tracer.stdout is not None
    try:
        assert tracer.stdout.readline() == "stopped\n"
        with taking(0.3, 3):
            container.stop(timeout=0.3)
        assert container.wait() == 137
        assert tracer.wait(5) == 0
    finally:
        tracer.kill()
        tracer.communicate()


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
@pytest.mark.parametrize("words", [IGNORING, ["sh", "-c", HEARING.format(signal="TERM", code=3)]])
@pytest.mark.usefixtures("nothing_starts")
def test_as_podman(start, busybox, words: list[str]) -> None:
    container = start(words)
    container.stop(timeout=10)
    made = podman("run", "-d", "--network", "none", "--rootfs", f"{busybox}:O", *words)
    try:
        wait_until(lambda: "ready" in podman("logs", made))
        podman("stop", "-t", "10", made)
        assert int(podman("wait", made)) == container.wait()
    finally:
        podman("rm", "-f", "-t", "0", made)


def podman(*words: str) -> str:
    done = subprocess.run(["podman", "--log-level=error", *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_start_in_the_middle_keeps_its_addresses(engine, busybox, monkeypatch) -> None:
    """A stop holds no lock: it must not take the addresses away from a run that began after the one it stopped."""
    container = engine.containers.run(["sleep", "1000"], rootfs=busybox, network="bridge")
    recorded = stopping._wait_until_recorded

    def and_start(one: stopping.Running) -> None:
        recorded(one)
        monkeypatch.undo()
        container.start()

    monkeypatch.setattr(stopping, "_wait_until_recorded", and_start)
    container.stop(timeout=0)
    assert container.state().status == "running"
    (address,) = container.addresses["podman"]
    assert address in container.exec(["ip", "addr"]).stdout.decode()
    container.stop(timeout=0)
    assert container.addresses == {}
