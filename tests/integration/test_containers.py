"""The life of one container: what the kernel shows at each step, and what the library says of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypod import (
    AlreadyExists,
    AmbiguousName,
    CommandNotExecutable,
    CommandNotFound,
    DeadlineExceeded,
    InUse,
    InvalidSpec,
    LaunchFailed,
    Mount,
    NoSuchContainer,
    NoSuchPod,
    WrongState,
)

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
# pid 1 of a namespace that hears TERM: a shell with a trap that does not wait for its child
TRAPPING = "trap 'echo heard; exit {code}' {signal}; echo ready; while :; do sleep 0.01; done"


def is_there(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def output(container, stream: str | None = None) -> bytes:
    return b"".join(piece.data for piece in container.logs() if stream in (None, piece.stream))


def wait_for_output(container, text: bytes, timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while text not in output(container):
        assert time.monotonic() < deadline, f"{text!r} did not come: {output(container)!r}"
        time.sleep(0.005)


def group(engine, container) -> Path:
    return Path(engine.cgroups.tracking_directory(container.record().cgroup))


def created_nothing(engine) -> bool:
    containers = [entry.name for entry in Path(engine.layout.root, "containers").iterdir()]
    return not (containers or engine.containers.list(all=True) or engine.pods.list())


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
        assert not is_there(running.supervisor_pid)
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
            ["echo", "hi"], rootfs=busybox, name="asked", labels={"b": "2", "a": "1"}, environment={"X": "y"}, umask=0o27
        )
        spec = container.spec()
        assert (spec.name, spec.command, spec.rootfs, spec.umask) == ("asked", ("echo", "hi"), busybox, 0o27)
        assert spec.labels == (("a", "1"), ("b", "2"))
        assert spec.environment == (("X", "y"),)
        assert container.record().command == "echo hi"


class TestExitCodes:
    @pytest.mark.parametrize("code", [0, 1, 2, 125, 126, 127, 128, 255])
    def test_of_an_exit(self, engine, busybox, code: int) -> None:
        container = engine.containers.run(["sh", "-c", f"exit {code}"], rootfs=busybox)
        assert container.wait() == code
        assert (container.state().exit_code, container.state().signal) == (code, 0)

    @pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL, signal.SIGSEGV, signal.SIGUSR1])
    def test_of_a_signal(self, engine, busybox, number: int) -> None:
        # in the host's pid namespace the kernel keeps no signal from it
        container = engine.containers.run(["sh", "-c", f"kill -{int(number)} $$"], rootfs=busybox, pid="host")
        assert container.wait() == 128 + number
        assert container.state().signal == number

    def test_of_a_command_that_is_not_there(self, engine, busybox) -> None:
        with pytest.raises(CommandNotFound, match="executable file `nothing` not found in ") as caught:
            engine.containers.run(["nothing"], rootfs=busybox)
        assert caught.value.exit_code == 127
        assert created_nothing(engine)

    def test_of_a_command_that_may_not_be_run(self, engine, busybox) -> None:
        container = engine.containers.create(["/etc/passwd"], rootfs=busybox)
        with pytest.raises(CommandNotExecutable, match="permission denied") as caught:
            container.start()
        assert caught.value.exit_code == 126
        assert container.state().status == "created"
        assert not group(engine, container).exists()

    def test_one_millisecond_processes(self, engine, busybox, full: bool) -> None:
        """The process is gone before anybody can look; its code is the right one each time."""
        for run in range(500 if full else 60):
            container = engine.containers.run(["sh", "-c", f"exit {run % 256}"], rootfs=busybox)
            assert container.wait(10) == run % 256
            container.remove()


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
        script = "trap '' TERM; echo ready; while :; do sleep 0.01; done"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox, stop_timeout=1)
        wait_for_output(container, b"ready")
        before = time.monotonic()
        container.stop()
        assert 0.9 <= time.monotonic() - before < 3

    def test_pid_1_that_cannot_hear_is_not_waited_for(self, engine, busybox) -> None:
        """The kernel drops a signal that pid 1 neither handles nor blocks: ten seconds would be for nothing."""
        container = engine.containers.run(SLEEP, rootfs=busybox)
        before = time.monotonic()
        container.stop(timeout=10)
        assert time.monotonic() - before < 1
        assert container.wait() == 137

    def test_init_hears_and_passes_on(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, init=True)
        deadline = time.monotonic() + 5
        while len(engine.cgroups.processes(container.record().cgroup)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        container.stop(timeout=10)
        assert container.wait() == 128 + signal.SIGTERM

    def test_a_stopped_process_is_stopped(self, engine, busybox) -> None:
        """SIGSTOP keeps it from acting on anything but SIGKILL."""
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
        """Those who left the session and the parent, too; in the host's pid namespace no pid 1 takes them along."""
        script = "for i in 1 2 3; do setsid sh -c 'sleep 1000 & sleep 1000' & done; sleep 0.05; echo ready; sleep 1000"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox, pid=pid_mode)
        wait_for_output(container, b"ready")
        pids = engine.cgroups.processes(container.record().cgroup)
        assert len(pids) >= 7
        container.stop(timeout=0)
        assert [pid for pid in pids if is_there(pid)] == []
        assert not group(engine, container).exists()

    def test_those_a_process_of_the_host_namespace_leaves_behind_end_with_it(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "setsid sleep 1000 & exit 5"], rootfs=busybox, pid="host")
        assert container.wait() == 5
        assert engine.cgroups.processes(container.record().cgroup) == []

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


def test_restart_keeps_what_was_written(engine, busybox) -> None:
    script = "cat /root/note 2>/dev/null; echo again >> /root/note; ln -s x /bin/new; rm /etc/group; sleep 1000"
    container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
    for _ in range(3):
        deadline = time.monotonic() + 5
        while Path(container.directory, "upper/etc").exists() is False:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        container.restart(timeout=0)
    wait_for_output(container, b"again\nagain\nagain\n")
    assert container.exec(["ls", "/etc/group"]).exit_code == 1
    assert not Path(busybox, "root/note").exists()
    assert Path(busybox, "etc/group").exists()


class TestLogs:
    def test_streams_and_order(self, engine, busybox) -> None:
        script = "echo out; echo err >&2; printf partial; sleep 0.05; printf ' end'"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        container.wait()
        assert output(container, "stdout") == b"out\npartial end"
        assert output(container, "stderr") == b"err\n"
        assert [piece.time for piece in container.logs()] == sorted(piece.time for piece in container.logs())

    def test_binary(self, engine, busybox) -> None:
        everything = bytes(range(256)) * 3 + b"\n\n\0\r\n"
        Path(busybox, "tmp/binary").write_bytes(everything)
        container = engine.containers.run(["cat", "/tmp/binary"], rootfs=busybox)
        container.wait()
        assert output(container) == everything

    def test_ten_megabytes_to_the_byte(self, engine, busybox) -> None:
        script = "head -c 5000000 /dev/urandom > /tmp/x; sha256sum < /tmp/x >&2; cat /tmp/x; yes 0123456 | head -c 5000000"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        assert container.wait(60) == 0
        data = output(container, "stdout")
        assert len(data) == 10_000_000
        assert hashlib.sha256(data[:5_000_000]).hexdigest().encode() == output(container, "stderr").split()[0]
        assert data[5_000_000:] == b"0123456\n" * 625_000

    def test_tail(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "seq 30000; printf end"], rootfs=busybox)
        container.wait()
        tails = {count: b"".join(piece.data for piece in container.logs(tail=count)) for count in (0, 1, 2, 3)}
        assert tails == {0: b"", 1: b"end", 2: b"30000\nend", 3: b"29999\n30000\nend"}
        assert b"".join(piece.data for piece in container.logs(tail=10**6)) == output(container)
        assert b"".join(piece.data for piece in container.logs(tail=20_001)).startswith(b"10001\n")

    def test_follow_ends_and_has_everything(self, engine, busybox) -> None:
        script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; sleep 0.1; echo last >&2"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        followed = b"".join(piece.data for piece in container.logs(follow=True))
        assert followed == output(container)
        assert followed.endswith(b"line 299\nlast\n")
        assert b"".join(piece.data for piece in container.logs(follow=True, tail=1)) == b"last\n"

    def test_follow_comes_as_it_is_written(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "echo one; sleep 1000"], rootfs=busybox)
        pieces = container.logs(follow=True)
        assert next(pieces).data == b"one\n"
        container.stop(timeout=0)
        assert list(pieces) == []

    def test_follow_over_restarts_loses_and_repeats_nothing(self, engine, busybox) -> None:
        script = "i=0; while :; do echo $HOSTNAME $i; i=$((i+1)); done"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        followed: list[bytes] = []

        def follow() -> None:
            while container.state().running or not followed:
                size = len(b"".join(followed))
                seen = 0
                for piece in container.logs(follow=True):
                    seen += len(piece.data)
                    if seen > size:
                        followed.append(piece.data[max(len(piece.data) - (seen - size), 0) :])

        thread = threading.Thread(target=follow)
        thread.start()
        for _ in range(3):
            time.sleep(0.03)
            container.restart(timeout=0)
        time.sleep(0.03)
        container.stop(timeout=0)
        thread.join(30)
        assert not thread.is_alive()
        whole = output(container)
        assert b"".join(followed) == whole[: len(b"".join(followed))]
        assert len(whole) > 1000

    def test_follow_ends_when_the_container_is_removed(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "echo one; sleep 1000"], rootfs=busybox)
        pieces = container.logs(follow=True)
        assert next(pieces).data == b"one\n"
        container.remove(force=True, timeout=0)
        assert list(pieces) == []

    def test_of_one_that_never_ran_and_one_that_is_gone(self, engine, busybox) -> None:
        container = engine.containers.create(SLEEP, rootfs=busybox)
        assert list(container.logs()) == list(container.logs(follow=True)) == list(container.logs(tail=5)) == []
        container.remove()
        with pytest.raises(NoSuchContainer):
            list(container.logs())

    def test_an_iterator_that_is_dropped_keeps_no_descriptor(self, engine, busybox) -> None:
        container = engine.containers.run(["seq", "1000"], rootfs=busybox)
        container.wait()
        before = len(os.listdir("/proc/self/fd"))
        for options in ({}, {"tail": 5}, {"follow": True}):
            next(container.logs(**options))
        assert len(os.listdir("/proc/self/fd")) == before


class TestExec:
    @pytest.fixture
    def box(self, engine, busybox):
        return engine.containers.run(
            SLEEP, rootfs=busybox, environment={"OF": "container"}, working_directory="/tmp", hostname="box"
        )

    def test_streams_and_code(self, box) -> None:
        result = box.exec(["sh", "-c", "echo out; echo err >&2; exit 9"])
        assert (result.exit_code, result.stdout, result.stderr) == (9, b"out\n", b"err\n")

    def test_signal(self, box) -> None:
        assert box.exec(["sh", "-c", "kill -9 $$"]).exit_code == 137

    def test_not_found_and_not_executable(self, box) -> None:
        with pytest.raises(CommandNotFound):
            box.exec("nothing")
        with pytest.raises(CommandNotExecutable):
            box.exec(["/etc/passwd"])

    def test_a_megabyte_in_and_out(self, box) -> None:
        data = os.urandom(1 << 20)
        assert box.exec(["cat"], stdin=data).stdout == data

    def test_input_that_nobody_reads(self, box) -> None:
        result = box.exec(["sh", "-c", "exec 0<&-; echo done"], stdin=b"x" * (1 << 20))
        assert (result.exit_code, result.stdout) == (0, b"done\n")

    def test_without_input_it_is_at_its_end(self, box) -> None:
        assert box.exec(["cat"]) == box.exec(["cat"], stdin=b"")

    def test_environment_user_directory(self, box) -> None:
        script = 'echo $OF $MINE $HOME; id -u; id -g; id -G; pwd; hostname; tty; echo "$PATH"'
        result = box.exec(["sh", "-c", script], environment={"MINE": "exec"}, user="alice", working_directory="/etc")
        lines = result.stdout.decode().splitlines()
        assert lines[:5] == ["container exec /home/alice", "1001", "1001", "1001 2000", "/etc"]
        assert lines[5:7] == ["box", "not a tty"]
        assert box.exec(["pwd"]).stdout == b"/tmp\n"

    @pytest.mark.parametrize(
        ("options", "argument"),
        [
            ({"environment": {"A=B": "x"}}, "--env"),
            ({"environment": {"": "x"}}, "--env"),
            ({"environment": {"A": "\0"}}, "--env"),
            ({"user": "0:0:0"}, "--user"),
            ({"user": "-1"}, "--user"),
            ({"user": "4294967295"}, "--user"),
            ({"user": "a b"}, "--user"),
        ],
    )
    def test_wrong_arguments_are_named(self, box, options, argument) -> None:
        with pytest.raises(InvalidSpec) as caught:
            box.exec(["true"], **options)
        assert caught.value.argument == argument

    def test_wrong_user_and_directory_inside(self, box) -> None:
        with pytest.raises(LaunchFailed, match="unable to find user nobody-here"):
            box.exec(["true"], user="nobody-here")
        with pytest.raises(LaunchFailed, match='workdir "/nowhere" does not exist'):
            box.exec(["true"], working_directory="/nowhere")

    def test_is_in_the_group_and_the_namespaces(self, engine, box) -> None:
        with box.popen(["sleep", "1000"]) as process:
            assert process.pid in engine.cgroups.processes(box.record().cgroup)
            assert engine.proc.namespaces(process.pid) == engine.proc.namespaces(box.state().pid)
            box.stop(timeout=0)
            assert process.wait(5) == 137

    def test_timeout_kills(self, box) -> None:
        before = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            box.exec(["sh", "-c", "echo $$; trap '' TERM; sleep 1000"], timeout=0.2)
        assert caught.value.timeout_s == 0.2
        assert time.monotonic() - before < 2
        assert b"trap" not in box.exec(["ps"]).stdout
        with pytest.raises(DeadlineExceeded):
            box.exec(["sh", "-c", "exec >&- 2>&-; sleep 1000"], timeout=0.1)

    def test_needs_a_running_container(self, box) -> None:
        box.stop(timeout=0)
        with pytest.raises(WrongState, match="running containers"):
            box.exec(["true"])

    def test_stream(self, box) -> None:
        with box.popen(["sh", "-c", "while read line; do echo got $line; done; echo end >&2; exit 3"], stdin=True) as it:
            pieces = iter(it)
            for word in (b"one", b"two"):
                it.write(word + b"\n")
                assert next(pieces) == ("stdout", b"got " + word + b"\n")
            it.close_stdin()
            assert list(pieces) == [("stderr", b"end\n")]
            assert it.wait() == it.wait(0) == 3
            it.kill()  # nothing happens any more

    def test_stream_gives_up_waiting(self, box) -> None:
        with box.popen(["sleep", "1000"]) as process:
            with pytest.raises(DeadlineExceeded):
                process.wait(0.05)
            process.kill()
            assert process.wait() == 137

    def test_wait_from_two_threads(self, box) -> None:
        with box.popen(["sh", "-c", "sleep 0.1; exit 6"]) as process:
            codes: list[int] = []
            threads = [threading.Thread(target=lambda: codes.append(process.wait(5))) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert codes == [6] * 4

    def test_a_process_that_is_dropped_leaves_no_descriptor_and_no_zombie(self, box) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            box.popen(["true"])
        deadline = time.monotonic() + 5
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        while children.read_text().split():
            assert box.exec(["true"]).exit_code == 0  # a later start takes them off the process table
            assert time.monotonic() < deadline
        assert len(os.listdir("/proc/self/fd")) == before

    def test_the_death_of_the_launcher_is_told(self, box) -> None:
        process = box.popen(["sleep", "1000"])
        os.kill(process._launched.pid, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(LaunchFailed, match="the exit code is unknown"):
                process.wait(5)
        process.kill()

    def test_many_at_once(self, box) -> None:
        results: dict[int, bytes] = {}

        def one(number: int) -> None:
            results[number] = box.exec(["sh", "-c", f"cat; echo {number}"], stdin=b"in ").stdout

        threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {number: b"in %d\n" % number for number in range(20)}


class TestWait:
    def test_timeout(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        for timeout in (0, 0.05):
            before = time.monotonic()
            with pytest.raises(DeadlineExceeded) as caught:
                container.wait(timeout)
            assert caught.value.timeout_s == timeout
            assert time.monotonic() - before < timeout + 0.5

    def test_before_the_start(self, engine, busybox) -> None:
        container = engine.containers.create(["sh", "-c", "exit 4"], rootfs=busybox)
        codes: list[int | None] = []
        thread = threading.Thread(target=lambda: codes.append(container.wait(10)))
        thread.start()
        time.sleep(0.05)
        container.start()
        thread.join()
        assert codes == [4]

    def test_double(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "sleep 0.1; exit 4"], rootfs=busybox)
        codes: list[int | None] = []
        threads = [threading.Thread(target=lambda: codes.append(container.wait(10))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [4] * 8
        assert container.wait() == 4

    @pytest.mark.parametrize("remover", ["monitor", "another"])
    def test_of_one_that_is_removed_this_moment(self, engine, busybox, remover: str) -> None:
        for code in range(5):
            command = ["sh", "-c", f"sleep 0.05; exit {code}"]
            container = engine.containers.run(command, rootfs=busybox, remove=remover == "monitor")
            codes: list[int | None] = []
            thread = threading.Thread(target=lambda c=container, to=codes: to.append(c.wait(10)))
            thread.start()
            if remover == "another":
                time.sleep(0.02)
                container.wait()
                container.remove(force=True)
            thread.join()
            assert codes == [code]

    def test_a_removed_one_is_gone(self, engine, busybox) -> None:
        container = engine.containers.run(["true"], rootfs=busybox)
        container.wait()
        container.remove()
        with pytest.raises(NoSuchContainer):
            container.wait()


class TestRemoveAtTheEnd:
    def test_the_monitor_removes_it(self, engine, busybox) -> None:
        container = engine.containers.run(["sleep", "0.02"], rootfs=busybox, remove=True)
        deadline = time.monotonic() + 10
        while Path(container.directory).exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not engine.containers.exists(container.id)

    def test_one_whose_monitor_was_killed_is_collected(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, remove=True)
        state = container.state()
        os.kill(state.supervisor_pid, signal.SIGKILL)
        os.kill(state.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while is_there(state.pid):
            assert time.monotonic() < deadline
        assert engine.containers.list(all=True) == []
        assert not engine.containers.exists(container.id)

    def test_stop_and_remove_do_not_wait_for_each_other(self, engine, busybox) -> None:
        """The monitor becomes the removal, which wants the lock that the caller may hold."""
        for force in (True, False):
            container = engine.containers.run(SLEEP, rootfs=busybox, remove=True)
            before = time.monotonic()
            if force:
                container.remove(force=True, timeout=0)
            else:
                container.stop(timeout=0)
            assert time.monotonic() - before < 2


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


def _is_valid(name: str) -> bool:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return name[:1] != "" and name[0] in letters and all(c in letters + "_.-" for c in name)


class TestNames:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(name=st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(["-a", ".", "..", "a/b", "a\n", "ä", "a b"])))
    def test_everything_outside_the_rule_is_refused(self, engine, busybox, name: str) -> None:
        for create in (
            lambda: engine.containers.create(SLEEP, rootfs=busybox, name=name),
            lambda: engine.pods.create(name),
        ):
            if _is_valid(name):
                create().remove()
                continue
            with pytest.raises(InvalidSpec, match=r"names must match") as caught:
                create()
            assert caught.value.argument == "--name"
        assert created_nothing(engine)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(ref=st.text(max_size=70))
    def test_no_text_finds_what_is_not_there(self, engine, ref: str) -> None:
        with pytest.raises(NoSuchContainer) as caught:
            engine.containers.get(ref)
        assert caught.value.ref == ref
        with pytest.raises(NoSuchPod):
            engine.pods.get(ref)
        assert not engine.containers.exists(ref)

    def test_text_that_is_not_utf_8_finds_nothing(self, engine) -> None:
        assert not engine.containers.exists("\udcff")

    def test_long_names(self, engine, busybox) -> None:
        """A hostname has 64 bytes, a name may have more (podman 5.6.1 mended the same)."""
        name = "n" * 200
        pod = engine.pods.create(name)
        container = pod.run(["hostname"], rootfs=busybox, name=f"c{name}")
        assert container.wait() == 0
        assert output(container) == b"n" * 64 + b"\n"

    def test_a_name_is_taken_once_for_pods_and_containers(self, engine, busybox) -> None:
        container = engine.containers.create(SLEEP, rootfs=busybox, name="taken")
        pod = engine.pods.create("taken-too", infra_name="infra-of-it")
        for create in (engine.pods.create, lambda name: engine.containers.create(SLEEP, rootfs=busybox, name=name)):
            for name, holder in (("taken", container), ("taken-too", pod), ("infra-of-it", pod.infra)):
                with pytest.raises(AlreadyExists) as caught:
                    create(name)
                assert (caught.value.name, caught.value.holder_id) == (name, holder.id)
        assert engine.containers.list(all=True) == [container]
        assert engine.pods.list() == [pod]
        container.remove()
        engine.containers.create(SLEEP, rootfs=busybox, name="taken").remove()

    def test_ids_and_their_beginnings(self, engine, busybox) -> None:
        made = [engine.containers.create(SLEEP, rootfs=busybox) for _ in range(17)]  # two begin with the same digit
        for container in made:
            assert engine.containers.get(container.id) == container
            assert engine.containers.get(container.id[:20]) == container
            assert engine.containers.get(container.name) == container
        counted: dict[str, list[str]] = {}
        for container in made:
            counted.setdefault(container.id[0], []).append(container.id)
        digit = next(digit for digit, found in counted.items() if len(found) > 1)
        with pytest.raises(AmbiguousName) as caught:
            engine.containers.get(digit)
        assert set(caught.value.matches) == set(sorted(counted[digit])[:8])
        unknown = next(c for c in "0123456789abcdef" * 2 if not any(m.id.startswith(c * 3) for m in made)) * 3
        with pytest.raises(NoSuchContainer) as gone:
            engine.containers.get(unknown)
        assert gone.value.ref == unknown

    def test_a_name_that_looks_like_an_id_is_a_name(self, engine, busybox) -> None:
        first = engine.containers.create(SLEEP, rootfs=busybox)
        second = engine.containers.create(SLEEP, rootfs=busybox, name=first.id[:12])
        assert engine.containers.get(first.id[:12]) == second
        assert engine.containers.get(first.id[:13]) == first


WRONG = [
    ("no rootfs", {"rootfs": ""}, "--rootfs"),
    ("missing rootfs", {"rootfs": "/nowhere/at/all"}, "--rootfs"),
    ("rootfs is a file", {"rootfs": "/etc/passwd"}, "--rootfs"),
    ("no command", {"command": []}, "command"),
    ("NUL in the command", {"command": ["a\0b"]}, "command"),
    ("relative working directory", {"working_directory": "tmp"}, "--workdir"),
    ("variable without a name", {"environment": {"": "x"}}, "--env"),
    ("equals sign in a name", {"environment": {"A=B": "x"}}, "--env"),
    ("user with a space", {"user": "a b"}, "--user"),
    ("user of minus one", {"user": "-1"}, "--user"),
    ("too great a user", {"user": "4294967296"}, "--user"),
    ("hostname too long", {"hostname": "h" * 65}, "--hostname"),
    ("hostname with a space", {"hostname": "a b"}, "--hostname"),
    ("hostname in the host's namespace", {"hostname": "h", "uts": "host"}, "--hostname"),
    ("host entry without address", {"add_hosts": ["name"]}, "--add-host"),
    ("host entry with a wrong address", {"add_hosts": ["name:999.1.1.1"]}, "--add-host"),
    ("relative volume target", {"volumes": ["/tmp:relative"]}, "--volume"),
    ("relative volume source", {"volumes": ["name:/there"]}, "--volume"),
    ("volume without target", {"volumes": ["/tmp"]}, "--volume"),
    ("volume option", {"volumes": ["/tmp:/there:nonsense"]}, "--volume"),
    ("volume over the root", {"volumes": ["/tmp:/"]}, "--volume"),
    ("volume target with ..", {"volumes": ["/tmp:/a/../b"]}, "--volume"),
    ("tmpfs target", {"tmpfs": ["relative"]}, "--tmpfs"),
    ("one target twice", {"volumes": ["/tmp:/there", "/etc:/there/"]}, "--volume"),
    ("network", {"network": "bridge"}, "--network"),
    ("network of nobody", {"network": "container:"}, "--network"),
    ("namespace at no path", {"network": "ns:"}, "--network"),
    ("pod's namespace without a pod", {"network": "pod"}, "--network"),
    ("pid mode", {"pid": "none"}, "--pid"),
    ("ipc mode", {"ipc": "nonsense"}, "--ipc"),
    ("uts mode", {"uts": "container"}, "--uts"),
    ("cgroup mode", {"cgroupns": "nonsense"}, "--cgroupns"),
    ("capability", {"cap_add": ["NOSUCH"]}, "--cap-add"),
    ("security option", {"security_opt": ["nonsense"]}, "--security-opt"),
    ("seccomp file", {"security_opt": ["seccomp=/nowhere.json"]}, "--security-opt"),
    ("ulimit", {"ulimits": ["nofile"]}, "--ulimit"),
    ("ulimit of nothing", {"ulimits": ["nonsense=1"]}, "--ulimit"),
    ("soft above hard", {"ulimits": ["nofile=2:1"]}, "--ulimit"),
    ("sysctl of the host", {"sysctls": {"kernel.panic": "1"}}, "--sysctl"),
    ("sysctl of a host namespace", {"sysctls": {"net.ipv4.ip_forward": "1"}, "network": "host"}, "--sysctl"),
    ("sysctl path", {"sysctls": {"net/../kernel/panic": "1"}}, "--sysctl"),
    ("stop signal", {"stop_signal": "NOSUCH"}, "--stop-signal"),
    ("stop signal number", {"stop_signal": 65}, "--stop-signal"),
    ("stop timeout", {"stop_timeout": -1}, "--stop-timeout"),
    ("shm size", {"shm_size": -1}, "--shm-size"),
    ("cgroup parent", {"cgroup_parent": "../x"}, "--cgroup-parent"),
    ("cgroup parent of systemd", {"cgroup_parent": "a.slice"}, "--cgroup-parent"),
]


@pytest.mark.parametrize(("options", "argument"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_argument_is_named_and_nothing_created(engine, busybox, options, argument: str) -> None:
    given = {"rootfs": busybox, **options}
    command = given.pop("command", SLEEP)
    with pytest.raises(InvalidSpec) as caught:
        engine.containers.create(command, **given)
    assert caught.value.argument == argument
    assert created_nothing(engine)


def test_what_is_wrong_only_at_the_start_leaves_nothing(engine, busybox, tmp_path) -> None:
    with pytest.raises(InvalidSpec, match="no such file or directory") as caught:
        engine.containers.run(SLEEP, rootfs=busybox, volumes=["/nowhere/at/all:/there"])
    assert caught.value.argument == "--volume"
    wrong_mount = Mount(type="tmpfs", target="/there", options=("size=nonsense",))
    with pytest.raises(LaunchFailed, match="/there"):
        engine.containers.run(SLEEP, rootfs=busybox, mounts=[wrong_mount])
    with pytest.raises(NoSuchContainer):
        engine.containers.run(SLEEP, rootfs=busybox, network="container:nobody")
    other = engine.containers.create(SLEEP, rootfs=busybox, name="other")
    with pytest.raises(WrongState, match="not running") as wrong:
        engine.containers.run(SLEEP, rootfs=busybox, network="container:other")
    assert wrong.value.ref == "other"
    other.remove()
    with pytest.raises(LaunchFailed, match="setns|open"):
        engine.containers.run(SLEEP, rootfs=busybox, network=f"ns:{tmp_path}")
    assert created_nothing(engine)
    with pytest.raises(NoSuchPod):
        engine.containers.run(SLEEP, rootfs=busybox, pod="nobody")


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
    deadline = time.monotonic() + 5
    while second.state().running:  # its pid namespace ended
        assert time.monotonic() < deadline
        time.sleep(0.01)
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
