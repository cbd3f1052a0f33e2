"""Restarts by the monitor, without any Python: policies, counts, networks, pods, and whoever stops it meanwhile."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from pypod import Container, Engine, InvalidSpec
from tests.facts import is_there, wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


def script(*lines: str) -> list[str]:
    return ["sh", "-c", "\n".join(lines)]


def kill(container: Container) -> int:
    """End its first process from outside, as a crash does; return its pid."""
    pid = container.state().pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    return pid


def restarted(container: Container, times: int = 1) -> None:
    wait_until(lambda: container.state().running and container.state().restarts == times)


def at_rest(container: Container, status: str = "exited") -> None:
    """Wait for twice the time between two starts, in which nothing happens."""
    wait_until(lambda: container.state().status == status and not container.state().restarting)
    before = container.state()
    time.sleep(0.25)
    assert container.state() == before


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [("no", 3, 0), ("", 3, 0), ("on-failure:2", 3, 2), ("on-failure:2", 0, 0), ("on-failure", 0, 0)],
)
def test_how_often(engine: Engine, busybox: str, policy: str, code: int, restarts: int) -> None:
    container = engine.containers.run(script(f"exit {code}"), rootfs=busybox, restart=policy)
    wait_until(lambda: container.state().status == "exited" and container.state().restarts == restarts)
    at_rest(container)
    assert (container.state().restarts, container.state().exit_code) == (restarts, code)
    container.start()
    wait_until(lambda: container.state().restarts == restarts)  # counted anew
    at_rest(container)


def test_always_restarts_after_success_until_it_is_stopped(engine: Engine, busybox: str) -> None:
    lines = ("echo x >> /runs", "[ $(wc -l < /runs) -lt 3 ] && exit 0", "exec sleep 1000")
    container = engine.containers.run(script(*lines), rootfs=busybox, restart="always")
    restarted(container, 2)
    started = [one.time_ns for one in engine.events() if one.action == "start"]
    assert all(later - earlier >= 99e6 for earlier, later in pairwise(started))
    assert len(started) == 3
    container.stop(timeout=0)
    at_rest(container)
    container.start()
    assert container.state().restarts == 0


def test_events_are_podmans_in_their_order(engine: Engine, busybox: str) -> None:
    container = engine.containers.run(script("exit 3"), rootfs=busybox, restart="on-failure:1")
    wait_until(lambda: container.state().restarts == 1)
    at_rest(container)
    found = [one.action for one in engine.events() if one.id == container.id]
    assert found == ["create", "init", "start", "died", "restart", "init", "start", "died"]


@pytest.mark.parametrize("how", ["stop", "kill", "restart", "remove"])
def test_whoever_ends_it_has_the_last_word(engine: Engine, busybox: str, how: str) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox, restart="always")
    monitor = container.state().supervisor_pid
    action = {
        "stop": lambda: container.stop(timeout=0),
        "kill": container.kill,
        "restart": lambda: container.restart(timeout=0),
        "remove": lambda: container.remove(force=True, timeout=0),
    }[how]
    action()
    if how == "restart":
        assert container.state().running
        assert container.state().restarts == 0
    wait_until(lambda: not is_there(monitor))
    if how in ("stop", "kill"):
        at_rest(container)
    if how == "remove":
        assert engine.containers.list(all=True) == []


def test_a_signal_that_is_not_meant_to_end_it(engine: Engine, busybox: str) -> None:
    """One that reloads a configuration says nothing about a later crash."""
    container = engine.containers.run(SLEEP, rootfs=busybox, restart="always", init=True)
    container.kill("WINCH")
    kill(container)
    restarted(container)


@pytest.mark.parametrize("how", ["stop", "start", "remove"])
def test_between_its_end_and_its_restart(engine: Engine, busybox: str, how: str) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox, restart="always")
    monitor = container.state().supervisor_pid
    kill(container)
    wait_until(lambda: container.state().restarting)
    getattr(container, how)()
    wait_until(lambda: not is_there(monitor))
    if how == "stop":
        at_rest(container)
    if how == "start":
        assert (container.state().running, container.state().restarts) == (True, 0)
    if how == "remove":
        assert engine.containers.list(all=True) == []


def test_it_is_the_same_container(engine: Engine, busybox: str) -> None:
    """The monitor, the files and the log stay; the process, its namespaces and its start are new."""
    lines = ("echo run", "touch /kept", "exec sleep 1000")
    container = engine.containers.run(script(*lines), rootfs=busybox, restart="always", hostname="h", tmpfs=["/t"])
    before = container.state()
    assert container.exec(["touch", "/t/gone"]).exit_code == 0
    kill(container)
    restarted(container)
    after = container.state()
    assert after.pid != before.pid
    assert after.started_ns > before.started_ns
    assert (after.supervisor_pid, after.supervisor_start_time) == (before.supervisor_pid, before.supervisor_start_time)
    wait_until(lambda: b"".join(piece.data for piece in container.logs()) == b"run\nrun\n")
    assert container.exec(["sh", "-c", "[ -e /kept ] && [ ! -e /t/gone ] && hostname"]).stdout == b"h\n"
    assert container.exec(["true"]).exit_code == 0


def test_a_log_is_followed_over_restarts(engine: Engine, busybox: str) -> None:
    container = engine.containers.run(script("echo line; exit 1"), rootfs=busybox, restart="on-failure:3")
    assert b"".join(piece.data for piece in container.logs(follow=True)) == b"line\n" * 4


def test_network_and_ports(engine: Engine, busybox: str) -> None:
    lines = ("echo hello > /index.html", "exec httpd -f -p 80 -h /")
    options = {"restart": "always", "network": "bridge", "ports": ["18099:80"]}
    container = engine.containers.run(script(*lines), rootfs=busybox, **options)
    addresses = container.addresses
    other = engine.containers.run(SLEEP, rootfs=busybox, network="bridge")

    def answers() -> bool:
        return other.exec(["wget", "-qO-", f"http://{addresses['podman'][0]}/"]).stdout == b"hello\n"

    wait_until(answers)
    kill(container)
    restarted(container)
    wait_until(answers)
    assert container.addresses == addresses
    assert container.ports[0].host_port == 18099


@pytest.mark.parametrize("options", [{"network": "host"}, {"pid": "host"}, {"init": True}, {"terminal": True}], ids=str)
def test_kinds_of_containers(engine: Engine, busybox: str, options) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox, restart="always", **options)
    for times in (1, 2):
        wait_until(lambda: container.exec(["true"]).exit_code == 0)
        kill(container)
        restarted(container, times)
    container.remove(force=True, timeout=0)


def test_a_member_of_a_pod(engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("p", restart="on-failure")
    member, quiet = pod.run(SLEEP, rootfs=busybox), pod.run(SLEEP, rootfs=busybox, restart="no")
    for one in (member, quiet):
        kill(one)
    restarted(member)
    assert member.namespaces()["ipc"] == pod.infra.namespaces()["ipc"]
    at_rest(quiet)
    pod.stop(timeout=0)
    at_rest(member)


def test_one_that_is_only_initialized(engine: Engine, busybox: str) -> None:
    container = engine.containers.create(SLEEP, rootfs=busybox, restart="always")
    container.init()
    container.start()
    kill(container)
    restarted(container)
    assert container.exec(["true"]).exit_code == 0


def test_an_owner_that_ends_takes_it_along(engine: Engine, busybox: str) -> None:
    """Ephemeral containers end with their owner, whatever their policy."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with Engine(engine.layout.root) as own:
            made = own.containers.run(SLEEP, rootfs=busybox, restart="always", ephemeral=True)
            os.write(writing, made.id.encode())
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    identifier = os.read(reading, 64).decode()
    os.close(reading)
    os.close(writing)
    path = Path(engine.layout.container(identifier), "status")
    wait_until(lambda: not path.exists() or len(path.read_text().split()) > 7)
    assert "AGAIN" not in (path.read_text() if path.exists() else "")


def test_a_root_that_is_gone(engine: Engine, busybox: str, tmp_path) -> None:
    """What cannot be started again has exited, with podman's code for that."""
    root = tmp_path / "root"
    root.symlink_to(busybox)
    container = engine.containers.run(SLEEP, rootfs=str(root), overlay=False, restart="always", read_only=True)
    monitor = container.state().supervisor_pid
    os.rename(engine.layout.merged, f"{engine.layout.merged}.away")
    try:
        kill(container)
        wait_until(lambda: not is_there(monitor))
    finally:
        os.rename(f"{engine.layout.merged}.away", engine.layout.merged)
    assert (container.state().status, container.state().restarting) == ("exited", False)
    container.start()
    assert container.state().running


class TestUpdate:
    def test_of_one_that_runs(self, engine: Engine, busybox: str) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        container.update(restart="always")
        kill(container)
        restarted(container)
        container.update(restart="no")
        kill(container)
        at_rest(container)
        assert container.spec().restart_policy == "no"

    def test_the_number_of_restarts(self, engine: Engine, busybox: str) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, restart="always")
        container.update(restart="on-failure:1")
        kill(container)
        restarted(container)
        kill(container)
        at_rest(container)
        container.start()  # with the policy that is stored now
        kill(container)
        restarted(container)

    def test_one_that_is_removed_at_its_end(self, engine: Engine, busybox: str) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, remove=True)
        with pytest.raises(InvalidSpec, match="--rm option conflicts with --restart"):
            container.update(restart="always")
        with pytest.raises(InvalidSpec, match="is not a valid restart policy"):
            container.update(restart="bogus")


def test_what_a_boot_starts(engine: Engine, busybox: str) -> None:
    def create(policy: str) -> Container:
        return engine.containers.create(SLEEP, rootfs=busybox, restart=policy)

    policies = ("always", "unless-stopped", "on-failure", "no")
    never, crashed, stopped = ([create(policy) for policy in policies] for _ in range(3))
    for one in (*crashed, *stopped):
        one.start()
    for one in stopped:
        one.stop(timeout=0)
    for one in crashed:  # as a machine's does: nobody is left to record it
        state = one.state()
        for pid in (state.supervisor_pid, state.pid):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(one.state().running for one in crashed))
    wanted = engine.containers.wanted()
    assert {one.id for one in wanted} == {crashed[0].id, crashed[1].id, stopped[0].id}
    assert not any(one.state().running for one in never)
    for one in wanted:
        one.start()
    assert engine.containers.wanted() == []
