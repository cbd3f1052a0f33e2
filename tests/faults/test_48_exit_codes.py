"""Exit codes in races (1 ms processes, signals, 126, 127, several waiters, removal): always the right code."""

from __future__ import annotations

import signal
import subprocess
import threading
import time

import pytest

from pypod import CommandNotExecutable, CommandNotFound, DeadlineExceeded, NoSuchContainer
from tests.cli.program import Program
from tests.facts import (
    GATE,
    HANGS_AFTER_S,
    created_nothing,
    group,
    has_open,
    in_threads,
    open_gate,
    wait_until,
)

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


@pytest.mark.parametrize("code", [0, 1, 2, 125, 126, 127, 128, 255])
def test_of_an_exit(engine, busybox, code: int) -> None:
    container = engine.containers.run(["sh", "-c", f"exit {code}"], rootfs=busybox)
    assert container.wait() == code
    assert (container.state().exit_code, container.state().signal) == (code, 0)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL, signal.SIGSEGV, signal.SIGUSR1])
def test_of_a_signal(engine, busybox, number: int) -> None:
    # in the host's PID namespace the kernel shields it from no signal
    container = engine.containers.run(["sh", "-c", f"kill -{int(number)} $$"], rootfs=busybox, pid="host")
    assert container.wait() == 128 + number
    assert container.state().signal == number


def test_of_a_command_that_is_not_there(engine, busybox) -> None:
    with pytest.raises(CommandNotFound, match="executable file `nothing` not found in ") as caught:
        engine.containers.run(["nothing"], rootfs=busybox)
    assert caught.value.exit_code == 127
    assert created_nothing(engine)


def test_of_a_command_that_may_not_be_run(engine, busybox) -> None:
    container = engine.containers.create(["/etc/passwd"], rootfs=busybox)
    with pytest.raises(CommandNotExecutable, match="permission denied") as caught:
        container.start()
    assert caught.value.exit_code == 126
    assert container.state().status == "created"
    assert not group(engine, container).exists()


def test_one_millisecond_processes(engine, busybox, full: bool) -> None:
    """The process is gone before it can be observed; its exit code is correct every time."""
    for run in range(1000 if full else 40):
        container = engine.containers.run(["sh", "-c", f"exit {run % 256}"], rootfs=busybox)
        assert container.wait(10) == run % 256
        container.remove()


def test_a_wait_that_takes_too_long(engine, busybox) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox)
    for timeout in (0, 0.05):
        before = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            container.wait(timeout)
        assert caught.value.timeout_s == timeout
        assert time.monotonic() - before < timeout + 0.5


def test_a_wait_before_the_start(engine, busybox) -> None:
    container = engine.containers.create(["sh", "-c", "exit 4"], rootfs=busybox)
    codes: list[int | None] = []
    thread = threading.Thread(target=lambda: codes.append(container.wait(10)))
    thread.start()
    time.sleep(0.05)
    container.start()
    thread.join()
    assert codes == [4]


def test_eight_waiters(engine, busybox) -> None:
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
def test_a_removal_meanwhile(engine, busybox, remover: str) -> None:
    for code in range(5):
        command = ["sh", "-c", f"{GATE}; exit {code}"]
        container = engine.containers.run(command, rootfs=busybox, remove=remover == "monitor")
        status = f"{container.directory}/status"
        codes: list[int | None] = []
        thread = threading.Thread(target=lambda c=container, to=codes: to.append(c.wait(10)))
        thread.start()
        wait_until(lambda status=status: has_open("self", status))
        open_gate(container)
        if remover == "another":
            container.wait()
            container.remove(force=True)
        thread.join()
        assert codes == [code]


def test_a_removed_container_is_gone(engine, busybox) -> None:
    container = engine.containers.run(["true"], rootfs=busybox)
    container.wait()
    container.remove()
    with pytest.raises(NoSuchContainer):
        container.wait()


# a shell's own exit code, death by a signal, and commands that cannot be run
COMMANDS = {
    0: ["true"],
    1: ["false"],
    7: ["sh", "-c", "exit 7"],
    126: ["/etc/passwd"],
    127: ["/no/such/program"],
    134: ["sh", "-c", "kill -ABRT $$"],
    255: ["sh", "-c", "exit 255"],
}


def test_what_run_rm_exits_with(engine, busybox, full: bool) -> None:
    """The client learns of the end while the monitor removes the container; eight clients at once."""
    pypod = Program(engine.layout.root)
    wanted = [*COMMANDS] * (143 if full else 2)

    def run(number: int) -> None:
        for code in wanted[number::8]:
            done = pypod("run", "--rm", "--rootfs", "--pid", "host", busybox, *COMMANDS[code])
            assert done.returncode == code, done

    in_threads(run, 8, 600 if full else HANGS_AFTER_S)
    assert created_nothing(engine)


def test_commands_of_a_millisecond(engine, busybox, full: bool) -> None:
    box = engine.containers.run(["sleep", "1000"], rootfs=busybox)
    for run in range(1000 if full else 40):
        assert box.exec(["sh", "-c", f"exit {run % 256}"]).exit_code == run % 256


def test_each_waiter_hears_of_each_end(engine, busybox, full: bool) -> None:
    """Wait by handle, by name and by the command line, before and after the end, and twice."""
    pypod = Program(engine.layout.root)
    for code in range(100 if full else 5):
        container = engine.containers.create(["sh", "-c", f"{GATE}; exit {code}"], rootfs=busybox, name="c")
        container.start()
        with pypod.start("wait", "c", stdout=subprocess.PIPE) as waiting:
            open_gate(container)
            assert [container.wait(10), engine.containers.get("c").wait(10)] == [code, code]
            assert waiting.communicate(timeout=20)[0] == b"%d\n" % code
        assert pypod.ok("wait", "c", "c") == f"{code}\n{code}\n"
        container.remove()
