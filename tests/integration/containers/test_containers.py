"""The life of a container: what the kernel shows at each step, and what the library reports."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from pypod import (
    CommandNotFound,
    InUse,
    InvalidSpec,
    NoSuchContainer,
    WrongState,
)
from pypod.engine.core import observe
from pypod.engine.core.locks import Lock
from tests.facts import (
    IS_UML,
    created_nothing,
    group,
    is_there,
    output,
    wait_for_output,
    wait_until,
)

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
# PID 1 of a namespace that handles TERM: a shell with a trap that does not wait for its child
TRAPPING = "trap 'echo heard; exit {code}' {signal}; echo ready; while :; do sleep 0.01; done"


class TestStates:
    def test_each_step(self, engine, busybox) -> None:
        container = engine.containers.create(SLEEP, rootfs=busybox, name="one")
        created = container.state()
        assert (created.status, created.pid, created.exit_code, created.started_ns) == ("created", 0, None, 0)
        assert engine.containers.list() == []
        assert engine.containers.list(all=True) == [container]

        before_ns = time.time_ns()
        container.start()
        running = container.state()
        assert running.status == "running"
        assert before_ns <= running.started_ns <= time.time_ns()
        assert Path(f"/proc/{running.pid}/comm").read_text() == "sleep\n"
        assert str(running.pid) in Path(group(engine, container), "cgroup.procs").read_text().split()
        assert Path(f"/proc/{running.supervisor_pid}/comm").read_text() == "pypod-monitor\n"
        assert engine.containers.list() == [container]

        container.stop(timeout=0)
        ended = container.state()
        assert (ended.status, ended.pid, ended.exit_code, ended.signal) == ("exited", 0, 137, signal.SIGKILL)
        assert ended.started_ns == running.started_ns
        assert ended.finished_ns > ended.started_ns
        assert not is_there(running.pid)
        wait_until(lambda: not is_there(running.supervisor_pid))
        assert not group(engine, container).exists()

        container.restart()
        again = container.state()
        assert again.status == "running"
        assert again.started_ns > ended.finished_ns
        assert again.pid != running.pid
        container.kill()
        assert container.wait() == 137

        container.remove()
        with pytest.raises(NoSuchContainer, match='"one"'):
            container.state()
        assert engine.containers.list(all=True) == []
        assert not Path(container.directory).exists()

    def test_start_of_a_running_container_does_nothing(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        before = container.state()
        container.start()
        assert container.state() == before

    def test_the_engine_remembers_nothing(self, engine, busybox) -> None:
        from pypod import Engine

        container = engine.containers.run(SLEEP, rootfs=busybox, name="kept")
        with Engine(engine.layout.root) as other:
            assert other.containers.get("kept").state() == container.state()
            other.containers.get("kept").stop(timeout=0)
        assert container.state().status == "exited"

    def test_spec_and_record_are_what_was_asked(self, engine, busybox) -> None:
        container = engine.containers.create(
            ["echo", "hi"],
            rootfs=busybox,
            name="asked",
            labels={"b": "2", "a": "1"},
            environment={"X": "y"},
            umask=0o27,
        )
        spec = container.spec()
        assert (spec.name, spec.command, spec.rootfs, spec.umask) == ("asked", ("echo", "hi"), busybox, 0o27)
        assert spec.labels == (("a", "1"), ("b", "2"))
        assert spec.environment == (("X", "y"),)
        assert container.record().command == "echo hi"

    def test_one_that_is_removed_this_moment_is_not_called_created(self, engine, busybox, monkeypatch) -> None:
        """Without its files it looks like a container that was never started."""
        for look in (lambda one: one.state(), lambda _: engine.containers.list(all=True)):
            container = engine.containers.run(["true"], rootfs=busybox)
            container.wait()
            real = observe.container_state

            def remove_first(*arguments, container=container, real=real):
                monkeypatch.setattr(observe, "container_state", real)
                container.remove()
                return real(*arguments)

            monkeypatch.setattr(observe, "container_state", remove_first)
            try:
                assert look(container) == []
            except NoSuchContainer:
                continue

    def test_arguments_that_are_no_text(self, engine, busybox) -> None:
        container = engine.containers.run(["echo", "\udcff\udcfe"], rootfs=busybox, environment={"A": "\udcfd"})
        assert (container.wait(), output(container)) == (0, b"\xff\xfe\n")
        assert engine.containers.list(all=True) == [container]


class TestStop:
    def test_signal_is_heard(self, engine, busybox) -> None:
        script = TRAPPING.format(signal="TERM", code=3)
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        wait_for_output(container, b"ready")
        container.stop()
        assert (container.wait(), output(container)) == (3, b"ready\nheard\n")

    def test_stop_signal(self, engine, busybox) -> None:
        script = TRAPPING.format(signal="USR2", code=4)
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox, stop_signal="SIGUSR2")
        wait_for_output(container, b"ready")
        container.stop()
        assert container.wait() == 4

    def test_timeout_and_then_sigkill(self, engine, busybox) -> None:
        script = "trap 'echo heard' TERM; echo ready; while :; do sleep 0.01; done"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        wait_for_output(container, b"ready")
        before = time.monotonic()
        container.stop(timeout=0.3)
        assert 0.3 <= time.monotonic() - before < 2
        assert container.wait() == 137
        assert b"heard" in output(container)

    def test_own_stop_timeout_counts_when_none_is_given(self, engine, busybox) -> None:
        script = "trap : TERM; echo ready; while :; do sleep 0.01; done"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox, stop_timeout=1)
        wait_for_output(container, b"ready")
        before = time.monotonic()
        container.stop()
        assert 0.9 <= time.monotonic() - before < 3

    @pytest.mark.skipif(IS_UML, reason="the guest's kernel does not report where a process sleeps")
    def test_init_hears_and_passes_on(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, init=True)
        wait_until(lambda: len(engine.cgroups.processes(container.record().cgroup)) == 2)
        time.sleep(0.02)  # by now it is waiting for signals, and the kernel shows none as blocked
        container.stop(timeout=10)
        assert container.wait() == 128 + signal.SIGTERM

    def test_a_stopped_process_is_stopped(self, engine, busybox) -> None:
        """SIGSTOP keeps it from reacting to anything but SIGKILL."""
        container = engine.containers.run(["sh", "-c", TRAPPING.format(signal="TERM", code=0)], rootfs=busybox)
        wait_for_output(container, b"ready")
        os.kill(container.state().pid, signal.SIGSTOP)
        before = time.monotonic()
        container.stop(timeout=0.2)
        assert time.monotonic() - before < 2
        assert container.wait() == 137

    def test_a_frozen_group_is_stopped(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        engine.cgroups.freeze(container.record().cgroup, True)
        container.stop(timeout=0)
        assert container.wait() == 137

    @pytest.mark.parametrize("pid_mode", ["private", "host"])
    def test_nobody_of_its_group_is_left(self, engine, busybox, pid_mode: str) -> None:
        """Including those that left session and parent; in the host's PID namespace they do not end with PID 1."""
        script = "for i in 1 2 3; do setsid sh -c 'sleep 1000 & sleep 1000' & done; echo ready; sleep 1000"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox, pid=pid_mode)
        wait_for_output(container, b"ready")
        wait_until(lambda: len(engine.cgroups.processes(container.record().cgroup)) >= 7)
        pids = engine.cgroups.processes(container.record().cgroup)
        container.stop(timeout=0)
        assert [pid for pid in pids if is_there(pid)] == []
        assert not group(engine, container).exists()

    def test_those_a_process_of_the_host_namespace_leaves_behind_end_with_it(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "setsid sleep 1000 & exit 5"], rootfs=busybox, pid="host")
        assert container.wait() == 5
        wait_until(lambda: engine.cgroups.processes(container.record().cgroup) == [])

    def test_stop_and_remove_are_idempotent(self, engine, busybox) -> None:
        container = engine.containers.create(SLEEP, rootfs=busybox)
        container.stop()
        assert container.state().status == "created"
        container.start()
        container.stop(timeout=0)
        first = container.state()
        container.stop(timeout=0)
        assert container.state() == first
        container.remove()
        container.remove()
        container.remove(force=True)

    def test_remove_of_a_running_one_needs_force(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        with pytest.raises(WrongState, match="cannot be removed without force") as caught:
            container.remove()
        assert caught.value.state == "running"
        assert container.state().running
        container.remove(force=True, timeout=0)
        assert engine.containers.list(all=True) == []

    def test_kill_sends_a_signal_to_the_first_process(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", TRAPPING.format(signal="HUP", code=7)], rootfs=busybox)
        wait_for_output(container, b"ready")
        container.kill("HUP")
        assert container.wait(5) == 7
        with pytest.raises(WrongState, match="can only kill running containers"):
            container.kill()
        with pytest.raises(InvalidSpec):
            container.kill("NOSUCH")


def test_a_block_around_one_that_never_ran(engine, busybox) -> None:
    with engine.containers.create(SLEEP, rootfs=busybox) as container:
        with pytest.raises(WrongState, match="never ran"):
            container.attach()
        assert container.state().status == "created"
    assert engine.containers.list(all=True) == []


@pytest.mark.parametrize("options", [{"hostnam": "x"}, {"bogus": 1}, {"env": ["A"]}])
def test_an_option_there_is_none_of_is_no_option(engine, busybox, options) -> None:
    pod = engine.pods.create()
    for make in (engine.containers.create, engine.containers.run, pod.run, pod.create_container):
        with pytest.raises(TypeError, match=next(iter(options))):
            make(["true"], rootfs=busybox, **options)
    assert engine.containers.list(all=True) == []


@pytest.mark.parametrize("options", [{"cap_add": "CHOWN"}, {"labels": ["a"]}, {"volumes": "/a:/b"}])
def test_a_text_is_no_list(engine, busybox, options) -> None:
    (name,) = options
    with pytest.raises(InvalidSpec) as caught:
        engine.containers.run(["true"], rootfs=busybox, **options)
    assert caught.value.argument == name


def test_a_text_is_a_program_without_arguments(engine, busybox) -> None:
    assert engine.containers.run("true", rootfs=busybox).wait(10) == 0
    with pytest.raises(CommandNotFound, match="sleep 1"):
        engine.containers.run("sleep 1", rootfs=busybox)


def test_negative_numbers(engine, busybox) -> None:
    container = engine.containers.run(["sh", "-c", "echo a; echo b"], rootfs=busybox)
    container.wait(10)
    assert b"".join(piece.data for piece in container.logs(tail=-1)) == b"a\nb\n"
    with pytest.raises(InvalidSpec, match="must not be negative"):
        container.stop(timeout=-3)


def test_restart_keeps_what_was_written(engine, busybox) -> None:
    script = "rm -f /etc/group; echo again >> /root/note; cat /root/note; echo end; sleep 1000"
    container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
    for run in range(1, 4):
        wait_until(lambda run=run: output(container).count(b"end") == run)
        container.restart(timeout=0)
    wait_for_output(container, b"end\n" + b"again\n" * 4 + b"end\n")
    assert container.exec(["ls", "/etc/group"]).exit_code == 1
    assert not Path(busybox, "root/note").exists()
    assert Path(busybox, "etc/group").exists()


class TestRemoveAtTheEnd:
    def test_the_monitor_removes_it(self, engine, busybox) -> None:
        container = engine.containers.run(["sleep", "0.02"], rootfs=busybox, remove=True)
        wait_until(lambda: not Path(container.directory).exists(), 10)
        assert not engine.containers.exists(container.id)

    def test_one_whose_monitor_was_killed_is_collected(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, remove=True)
        state = container.state()
        os.kill(state.supervisor_pid, signal.SIGKILL)
        os.kill(state.pid, signal.SIGKILL)
        wait_until(lambda: not is_there(state.pid))
        assert engine.containers.list(all=True) == []
        assert not engine.containers.exists(container.id)

    def test_stop_and_remove_do_not_wait_for_each_other(self, engine, busybox) -> None:
        """The monitor turns into the removal, which needs the lock that the caller may hold."""
        for force in (True, False):
            container = engine.containers.run(SLEEP, rootfs=busybox, remove=True)
            before = time.monotonic()
            if force:
                container.remove(force=True, timeout=0)
            else:
                container.stop(timeout=0)
            assert time.monotonic() - before < 2
        held = engine.containers.run(SLEEP, rootfs=busybox, remove=True)
        before = time.monotonic()
        with Lock(held.directory):
            held.stop(timeout=0)
        assert time.monotonic() - before < 2
        wait_until(lambda: not engine.containers.exists(held.id))


class TestBlocks:
    def test_removed_at_the_end_and_after_an_exception(self, engine, busybox) -> None:
        with engine.containers.run(SLEEP, rootfs=busybox) as container:
            pid = container.state().pid
        assert not is_there(pid)
        assert created_nothing(engine)
        with (
            contextlib.suppress(ZeroDivisionError),
            engine.containers.run(SLEEP, rootfs=busybox, stop_timeout=0) as container,
        ):
            pid = container.state().pid
            1 / 0  # noqa: B018
        assert not is_there(pid)
        assert created_nothing(engine)

    def test_removing_it_inside_is_fine(self, engine, busybox) -> None:
        with engine.containers.run(SLEEP, rootfs=busybox) as container:
            container.remove(force=True, timeout=0)
        assert created_nothing(engine)

    def test_enter(self, engine, busybox) -> None:
        home = os.readlink("/proc/thread-self/ns/net")
        container = engine.containers.run(SLEEP, rootfs=busybox, hostname="inside")
        outside = os.uname().nodename
        with container.enter("net", "uts"):
            assert os.uname().nodename == "inside"
            with Path("/proc/thread-self/net/dev").open() as table:
                names = [line.partition(":")[0].strip() for line in table if ":" in line]
            assert names == ["lo"]
        assert os.readlink("/proc/thread-self/ns/net") == home
        assert os.uname().nodename == outside
        with pytest.raises(RuntimeError), container.enter("net"):
            raise RuntimeError
        assert os.readlink("/proc/thread-self/ns/net") == home
        with pytest.raises(InvalidSpec) as caught:
            container.enter("mnt")
        assert caught.value.argument == "kinds"
        entered = container.enter("net")
        container.stop(timeout=0)
        with pytest.raises(WrongState), entered:
            raise AssertionError
        with pytest.raises(WrongState):
            container.enter("net")
        assert os.readlink("/proc/thread-self/ns/net") == home

    def test_namespaces(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        inside = container.namespaces()
        for kind, inode in inside.items():
            own = os.stat(f"/proc/self/ns/{kind}").st_ino
            assert (inode == own) == (kind in ("user", "time")), kind
        container.stop(timeout=0)
        assert container.namespaces() == {}


def test_a_container_joins_another_one(engine, busybox) -> None:
    first = engine.containers.run(SLEEP, rootfs=busybox, name="first", hostname="shared")
    second = engine.containers.run(
        SLEEP, rootfs=busybox, network="container:first", pid="container:first", ipc="container:first", uts="host"
    )
    one, two = first.namespaces(), second.namespaces()
    assert [one[kind] == two[kind] for kind in ("net", "pid", "ipc", "uts", "mnt")] == [True, True, True, False, False]
    first.exec(["sh", "-c", "echo x > /dev/shm/note"])
    assert second.exec(["cat", "/dev/shm/note"]).stdout == b"x\n"
    first.stop(timeout=0)
    wait_until(lambda: not second.state().running)  # its PID namespace ended
    assert second.wait() == 137


def test_an_infra_is_no_container_to_remove(engine) -> None:
    pod = engine.pods.create("p")
    infra = engine.containers.get(pod.infra.name)
    with pytest.raises(InUse, match="infra container of pod") as caught:
        infra.remove(force=True)
    assert caught.value.ref == infra.name
    infra.start()
    assert pod.status == "Running"
    infra.stop()
    assert pod.status == "Exited"
