"""Containers that are initialized (podman-init(1)): everything of a start is done except the exec."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from pypod import (
    CommandNotExecutable,
    CommandNotFound,
    Container,
    Engine,
    InvalidSpec,
    LaunchFailed,
    PodBroken,
    Unsupported,
    WrongState,
)
from pypod.engine.lifecycle.start import Caller, Start
from pypod.kernel.cgroups.detect import UNIFIED
from tests.cli.program import Program
from tests.facts import has_open, is_there, kill_and_wait, members, needs_controller, wait_for_output, wait_until

pytestmark = pytest.mark.root

HELLO = ("sh", "-c", "echo hello; exec sleep 1000")


def initialized(engine: Engine, root: object, command: object = HELLO, **options) -> Container:
    container = engine.containers.create(command, rootfs=root, **options)
    container.init()
    return container


def program(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


class TestInitialized:
    def test_has_what_a_start_makes_and_does_not_run(self, engine, busybox) -> None:
        container = initialized(engine, busybox, network="bridge", hostname="held", memory=64 << 20)
        state = container.state()
        assert (state.status, state.running, state.alive, state.started_ns) == ("initialized", False, True, 0)
        assert members(engine, container) == {state.pid}
        assert b"sleep" not in program(state.pid)
        own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "net", "pid", "ipc", "uts")}
        assert [kind for kind in own if os.readlink(f"/proc/{state.pid}/ns/{kind}") == own[kind]] == []
        assert Path(f"/proc/{state.pid}/root/etc/hostname").read_text() == "held\n"
        (address,) = container.addresses["podman"]
        shown = subprocess.run(
            ["nsenter", "-t", str(state.pid), "-n", "ip", "addr"], capture_output=True, text=True, check=True
        )
        assert f"inet {address}/" in shown.stdout
        assert engine.containers.list() == []
        assert list(container.logs()) == []
        found = container.inspect()["State"]
        assert (found["Status"], found["Running"], found["Pid"]) == ("initialized", False, state.pid)

    def test_its_start_is_the_exec_alone(self, engine, busybox) -> None:
        container = initialized(engine, busybox)
        before = container.state()
        (step,) = container.explain().steps
        assert (step.by, f"process {before.pid}" in step.words) == ("python", True)
        early = time.time_ns()
        container.start()
        state = container.state()
        assert (state.status, state.pid, state.start_time) == ("running", before.pid, before.start_time)
        assert early < state.started_ns < time.time_ns()
        wait_until(lambda: b"sleep" in program(state.pid))
        wait_for_output(container, b"hello")
        assert container.explain().steps == ()
        container.kill()
        assert container.wait() == 137
        container.start()  # an ordinary one again
        assert container.state().pid != before.pid

    def test_files_can_be_put_into_it(self, engine, busybox, tmp_path) -> None:
        container = initialized(engine, busybox, ["cat", "/new"])
        (tmp_path / "new").write_text("content")
        container.copy_to(tmp_path / "new", "/new")
        container.start()
        container.wait()
        assert b"".join(piece.data for piece in container.logs()) == b"content"

    def test_has_nothing_of_the_host_open_and_cannot_be_looked_into(self, engine, busybox) -> None:
        """Also as another user, and in a user namespace: the maps of a process that cannot be dumped are root's."""
        maps = ["0:100000:65536"]
        own = {"uidmap": maps, "gidmap": maps}
        for options in ({}, {"user": "1000"}, own, {"user": "1000", **own}):
            pid = initialized(engine, busybox, **options).state().pid
            kinds = {os.readlink(f"/proc/{pid}/fd/{fd}").partition(":")[0] for fd in os.listdir(f"/proc/{pid}/fd")}
            assert kinds == {"/dev/null", "pipe", "socket"}
            assert not has_open(pid, engine.layout.root)
            assert os.stat(f"/proc/{pid}/environ").st_uid == 0

    def test_on_a_terminal(self, engine, busybox) -> None:
        container = initialized(
            engine, busybox, ["sh", "-c", "tty; stty size; read x; echo got $x"], terminal=True, interactive=True
        )
        attachment = container.attach()
        attachment.resize(77, 33)
        container.start()
        wait_for_output(container, b"33 77")
        attachment.send_input(b"word\n")
        container.wait()
        attachment.close()
        assert b"got word" in b"".join(piece.data for piece in container.logs())

    def test_time_counts_from_the_start(self, engine, busybox) -> None:
        container = initialized(engine, busybox, stop_timeout=1, timeout=1)
        time.sleep(1.3)
        assert container.state().status == "initialized"
        container.start()
        begun = time.monotonic()
        assert container.wait(10) == 255
        assert time.monotonic() - begun > 0.5

    def test_who_waits_for_its_end_waits_on(self, engine, busybox) -> None:
        container = initialized(engine, busybox, ["sh", "-c", "exit 7"])
        waiting = Program(engine.layout.root).start("wait", container.id, stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        container.start()
        assert waiting.communicate(timeout=10)[0] == b"7\n"


class TestRefused:
    def test_what_is_initialized_or_running(self, engine, busybox) -> None:
        container = initialized(engine, busybox)
        words = f"container {container.id} has already been created in runtime: container state improper"
        for status in ("initialized", "running"):
            assert container.state().status == status
            with pytest.raises(WrongState) as caught:
                container.init()
            assert str(caught.value) == words
            container.start()

    def test_what_needs_a_program(self, engine, busybox) -> None:
        container = initialized(engine, busybox)
        for refused in (
            lambda: container.exec(["true"]),
            container.kill,
            container.pause,
            container.top,
        ):
            with pytest.raises(WrongState):
                refused()
        assert container.state().status == "initialized"

    def test_descriptors_and_variables_of_the_start(self, engine, busybox) -> None:
        container = initialized(engine, busybox)
        with pytest.raises(InvalidSpec, match="is initialized"):
            container.start(environment={"A": "b"})
        assert container.state().status == "initialized"

    def test_an_infra(self, engine) -> None:
        pod = engine.pods.create("p")
        with pytest.raises(Unsupported, match="infra"):
            pod.infra.init()
        pod.start()
        with pytest.raises(WrongState, match="already been created"):
            pod.infra.init()

    def test_what_joins_something_that_does_not_run(self, engine, busybox) -> None:
        target = initialized(engine, busybox, name="target")
        joining = engine.containers.create(HELLO, rootfs=busybox, network="container:target")
        with pytest.raises(
            WrongState, match=f"some dependencies of container {joining.id} are not started: {target.id}"
        ):
            joining.init()
        joining.start()
        assert target.state().status == "running"
        joining.stop(timeout=0)
        joining.init()
        assert joining.namespaces()["net"] == target.namespaces()["net"]

    def test_a_program_that_is_missing_or_cannot_be_run(self, engine, own_rootfs) -> None:
        (own_rootfs / "bin" / "plain").write_text("#!/bin/sh\n")
        for command, expected in (
            ("nosuch", CommandNotFound),
            ("/nosuch", CommandNotFound),
            ("plain", CommandNotExecutable),
        ):
            container = engine.containers.create([command], rootfs=own_rootfs, network="bridge")
            with pytest.raises(expected):
                container.init()
            assert (container.state().status, container.addresses) == ("created", {})
            assert members(engine, container) == set()


class TestEnds:
    def test_stop_does_not_wait_for_what_cannot_hear(self, engine, busybox) -> None:
        container = initialized(engine, busybox, network="bridge")
        pid, begun = container.state().pid, time.monotonic()
        container.stop()
        assert time.monotonic() - begun < 1
        assert not is_there(pid)
        state = container.state()
        assert (state.status, state.exit_code, state.started_ns) == ("exited", 137, 0)
        assert container.addresses == {}

    def test_cleanup_undoes_it(self, engine, busybox) -> None:
        container = initialized(engine, busybox, network="bridge")
        pid = container.state().pid
        container.cleanup()
        assert not is_there(pid)
        assert (container.state().status, container.addresses) == ("created", {})
        container.init()
        assert container.state().status == "initialized"

    def test_removal_needs_no_force(self, engine, busybox) -> None:
        container, pruned = initialized(engine, busybox), initialized(engine, busybox)
        pids = [container.state().pid, pruned.state().pid]
        container.remove()
        assert engine.containers.prune() == [pruned.id]
        assert not any(map(is_there, pids))

    def test_one_that_removes_itself(self, engine, busybox) -> None:
        container = initialized(engine, busybox, remove=True)
        container.stop()
        wait_until(lambda: not engine.containers.exists(container.id))

    def test_one_that_its_starter_removes(self, engine, busybox) -> None:
        container = engine.containers.create(["sh", "-c", "exit 3"], rootfs=busybox, remove=True)
        container.init()
        container.start(attended=True)
        assert container.wait() == 3
        monitor = container.state().supervisor_pid
        wait_until(lambda: not is_there(monitor))  # nothing follows that could remove it
        assert container.state().status == "exited"
        container.remove()

    def test_with_its_monitor(self, engine, busybox) -> None:
        """Nobody is left who could start it: its process must not wait for ever."""
        for user in ("0", "1000"):
            container = initialized(engine, busybox, user=user)
            state = container.state()
            kill_and_wait(state.supervisor_pid)
            wait_until(lambda pid=state.pid: not is_there(pid))
            state = container.state()
            assert (state.status, state.exit_code_known) == ("exited", False)
            container.start()
            assert container.state().status == "running"

    def test_with_a_monitor_that_dies_at_the_start(self, engine, busybox) -> None:
        container = initialized(engine, busybox, network="bridge")
        state = container.state()
        os.kill(state.supervisor_pid, signal.SIGSTOP)  # it does not answer
        killer = threading.Timer(0.3, os.kill, (state.supervisor_pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(LaunchFailed, match="monitor ended"):
            container.start()
        killer.join()
        wait_until(lambda: not is_there(state.pid))
        assert container.addresses == {}
        container.start()
        assert container.state().status == "running"

    def test_with_its_owner(self, engine, busybox) -> None:
        with engine.containers.create(HELLO, rootfs=busybox) as container:
            container.init()
            pid = container.state().pid
        assert not is_there(pid)

    def test_a_program_that_vanished_meanwhile(self, engine, own_rootfs) -> None:
        (own_rootfs / "bin" / "mine").symlink_to("busybox")
        container = initialized(engine, own_rootfs, ["/bin/mine"], network="bridge", overlay=False)
        pid = container.state().pid
        (own_rootfs / "bin" / "mine").unlink()
        with pytest.raises(CommandNotFound, match="/bin/mine"):
            container.start()
        assert not is_there(pid)
        assert (container.state().status, container.addresses) == ("created", {})


class TestInPods:
    def test_the_infra_is_started_first(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        member = pod.create_container(HELLO, rootfs=busybox)
        member.init()
        assert (pod.infra.state().status, member.state().status, pod.status) == ("running", "initialized", "Degraded")
        assert member.namespaces()["net"] == pod.infra.namespaces()["net"]
        (step,) = pod.explain().steps
        assert f"process {member.state().pid}" in step.words
        pod.start()
        assert pod.status == "Running"

    def test_stop_and_removal(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        member = pod.create_container(HELLO, rootfs=busybox)
        member.init()
        pod.stop(timeout=0)
        assert (member.state().exit_code, pod.status) == (137, "Exited")
        member.init()
        pid = member.state().pid
        pod.remove()
        assert not is_there(pid)

    def test_without_its_infra_it_cannot_be_started(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        member = pod.create_container(HELLO, rootfs=busybox)
        member.init()
        kill_and_wait(pod.infra.state().pid)
        assert pod.status == "Broken"
        with pytest.raises(PodBroken):
            member.start()
        pod.restart()
        assert pod.status == "Running"


def test_limits_and_networks_change_at_once(engine, busybox) -> None:
    needs_controller(engine, "memory")
    container = initialized(engine, busybox, network="bridge", memory=64 << 20)
    other = engine.networks.create("other")
    container.connect(other)
    assert len(container.addresses) == 2
    container.update(memory=32 << 20)
    name = "memory.max" if engine.cgroups.mode == UNIFIED else "memory.limit_in_bytes"
    limit = Path(engine.cgroups.directory(container.record().cgroup, "memory"), name)
    assert int(limit.read_text()) == 32 << 20
    container.disconnect(other)
    assert len(container.addresses) == 1
    container.remove()
    other.remove()


def test_an_ordinary_start_has_no_such_operation(engine, busybox) -> None:
    record = engine.containers.create(HELLO, rootfs=busybox).record()
    for caller, expected in ((Caller(), 0), (Caller(initialize=True), 1)):
        start = Start.resolve(engine, record, engine.container_spec(record), None, caller)
        (launch,) = [step for step in start.steps(()) if hasattr(step, "plan")]
        names = [op.name for op in launch.plan().ops]
        assert names.count("await_start") == expected
        assert names[-1] == "execute"


def test_events(engine, busybox) -> None:
    container = initialized(engine, busybox)
    container.start()
    container.stop(timeout=0)
    told = [event.action for event in engine.events(follow=False) if event.id == container.id]
    assert told == ["create", "init", "start", "died"]
