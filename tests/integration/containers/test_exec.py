"""Commands run in a running container: streams, exit codes, input, user, time limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pypod import (
    CommandNotExecutable,
    CommandNotFound,
    DeadlineExceeded,
    InvalidSpec,
    LaunchFailed,
    NoSuchContainer,
    Unsupported,
    WrongState,
)

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
# PID 1 of a namespace that handles TERM: a shell with a trap that does not wait for its child
TRAPPING = "trap 'echo heard; exit {code}' {signal}; echo ready; while :; do sleep 0.01; done"


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

    def test_in_one_that_was_removed_meanwhile(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, name="one")
        container.exec(["true"])
        engine.containers.get("one").remove(force=True, timeout=0)
        again = engine.containers.run(SLEEP, rootfs=busybox, name="one")
        with pytest.raises(NoSuchContainer, match='"one"'):
            container.exec(["true"])
        assert again.exec(["true"]).exit_code == 0

    def test_an_infra_without_files_is_not_taken_for_a_damaged_container(self, engine) -> None:
        pod = engine.pods.create("mipod")
        pod.start()
        infra = engine.containers.get(pod.infra.id[:12])
        for act in (lambda: infra.exec(["true"]), infra.spec, infra.changes, lambda: infra.commit("copy")):
            with pytest.raises(Unsupported, match="is the infra of pod"):
                act()

    def test_after_a_restart_it_is_in_the_new_process(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, pid="host")
        assert container.exec(["true"]).exit_code == 0
        container.restart(timeout=0)
        with container.popen(["sleep", "1000"]) as process:
            assert os.readlink(f"/proc/{process.pid}/ns/mnt") == os.readlink(f"/proc/{container.state().pid}/ns/mnt")

    def test_a_program_is_started_from_a_descriptor_out_of_the_way(self, engine, busybox) -> None:
        """posix_spawn puts plan and socket at 3 and 4, where they must not replace the program's own descriptor."""
        script = (
            "import sys; from pypod import Engine; from pypod.runtime import sealed_programs\n"
            "copies = sealed_programs.Programs(); path = copies.executable('launch')\n"
            "assert int(path.rpartition('/')[2]) > 4, path\n"
            "engine = Engine(sys.argv[1]); engine._programs = copies\n"
            "print(engine.containers.get('box').exec(['echo', 'here']).stdout)"
        )
        engine.containers.run(SLEEP, rootfs=busybox, name="box")
        argv = [sys.executable, "-c", script, engine.layout.root]
        assert subprocess.run(argv, capture_output=True, check=True).stdout == b"b'here\\n'\n"

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

    def test_the_containers_groups_are_not_those_of_another_user(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, user="33", groups=["44"])
        groups = [container.exec(["id", "-G"], user=user).stdout.split() for user in ("", "33", "34")]
        assert [b"44" in one for one in groups] == [True, False, False]

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
        with pytest.raises(LaunchFailed, match="chdir `/nowhere`: No such file"):
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
        with box.popen(
            ["sh", "-c", "while read line; do echo got $line; done; echo end >&2; exit 3"], stdin=True
        ) as it:
            pieces = iter(it)
            for word in (b"one", b"two"):
                it.write(word + b"\n")
                assert next(pieces) == ("stdout", b"got " + word + b"\n")
            it.close_stdin()
            assert list(pieces) == [("stderr", b"end\n")]
            assert it.wait() == it.wait(0) == 3
            it.kill()  # has no effect any more

    def test_input_without_one_or_after_its_end(self, box) -> None:
        with box.popen(["sleep", "1000"]) as process, pytest.raises(InvalidSpec, match="stdin=True") as caught:
            process.write(b"x")
        assert caught.value.argument == "stdin"
        with box.popen(["cat"], stdin=True) as process:
            process.close_stdin()
            with pytest.raises(InvalidSpec):
                process.write(b"x")

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

    def test_a_block_ends_its_command(self, box) -> None:
        with box.popen(["sleep", "1000"]) as process:
            pid = process.pid
        assert not Path(f"/proc/{pid}").exists()
        assert process.wait() == 137
        with pytest.raises(ZeroDivisionError), box.popen(["sleep", "1000"]) as process:
            _ = 1 / 0
        assert not Path(f"/proc/{process.pid}").exists()

    def test_an_interrupted_exec_leaves_nothing(self, box, engine) -> None:
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(KeyboardInterrupt):
                box.exec(["sleep", "1000"])
        finally:
            signal.signal(signal.SIGALRM, before)
        assert engine.cgroups.processes(box.record().cgroup) == [box.state().pid]

    @pytest.mark.parametrize("command", [[], ["printf", "a\0b"], "a\0b"])
    def test_command_lines_that_are_none(self, box, command) -> None:
        with pytest.raises(InvalidSpec) as caught:
            box.exec(command)
        assert caught.value.argument == "command"

    def test_a_process_that_is_dropped_leaves_no_descriptor_and_no_zombie(self, box) -> None:
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        others = set(children.read_text().split())  # (sd-pam), if a session's shell was replaced by this process
        box.exec(["true"])
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            box.popen(["true"])
        deadline = time.monotonic() + 5
        while set(children.read_text().split()) - others:
            assert box.exec(["true"]).exit_code == 0  # a later start reaps them
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
