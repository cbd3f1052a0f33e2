from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pypod.kernel import pidfd
from pypod.kernel.proc import Proc

SYS_EXIT = {"x86_64": 60, "aarch64": 93, "riscv64": 93}.get(platform.machine())


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture
def zombie() -> Iterator[pidfd.Process]:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    start_time = Proc().start_time(pid)
    assert start_time is not None
    yield pidfd.Process(pid, start_time)
    os.waitpid(pid, 0)


@pytest.fixture(autouse=True)
def no_descriptor_leaks() -> Iterator[None]:
    before = sorted(os.listdir("/proc/self/fd"))
    yield
    assert sorted(os.listdir("/proc/self/fd")) == before


def start_time_of(process: subprocess.Popen[bytes]) -> int:
    start_time = Proc().start_time(process.pid)
    assert start_time is not None
    return start_time


def test_a_live_process_is_opened_signalled_and_waited_for(child: subprocess.Popen[bytes]) -> None:
    fd = pidfd.open_process(child.pid, start_time_of(child))
    assert fd is not None
    try:
        assert not os.get_inheritable(fd)
        assert not pidfd.wait(fd, 0)
        assert pidfd.send_signal(fd, 15)
        assert pidfd.wait(fd, 5)
        assert child.wait(5) == -15
        assert pidfd.wait(fd, 0)
        assert not pidfd.send_signal(fd, 15)
    finally:
        os.close(fd)


def test_a_process_with_our_pid_but_another_start_is_not_ours(child: subprocess.Popen[bytes]) -> None:
    start_time = start_time_of(child)
    for other in (start_time - 1, start_time + 1, 0):
        assert not pidfd.is_alive(child.pid, other)
        assert pidfd.open_process(child.pid, other) is None
    assert pidfd.is_alive(child.pid, start_time)


def test_a_zombie_is_gone(zombie: pidfd.Process) -> None:
    assert not pidfd.is_alive(zombie.pid, zombie.start_time)
    assert pidfd.open_process(zombie.pid, zombie.start_time) is None
    assert pidfd.identify(zombie.pid) is None


def test_a_reaped_process_is_gone(child: subprocess.Popen[bytes]) -> None:
    start_time = start_time_of(child)
    child.kill()
    child.wait(5)
    assert not pidfd.is_alive(child.pid, start_time)
    assert pidfd.open_process(child.pid, start_time) is None
    assert pidfd.identify(child.pid) is None
    assert pidfd.open_pid(child.pid) is None


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1])
def test_what_is_no_pid_is_nobody(pid: int) -> None:
    assert pidfd.open_process(pid, 1) is None
    assert not pidfd.is_alive(pid, 1)


def test_a_stat_file_that_cannot_be_read_leaks_no_descriptor(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*arguments: object, **options: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pidfd, "is_alive", denied)
    with pytest.raises(PermissionError):
        pidfd.open_process(child.pid, start_time_of(child))


@pytest.mark.skipif(SYS_EXIT is None, reason="the number of exit(2) on this machine is not known here")
def test_a_process_whose_first_thread_left_is_alive() -> None:
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "print('threaded', flush=True)\n"
        f"ctypes.CDLL(None).syscall({SYS_EXIT}, 0)\n"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            deadline = time.monotonic() + 5
            while (stat := Proc().stat(child.pid)) and stat.state != "Z" and time.monotonic() < deadline:
                os.sched_yield()
            assert stat is not None
            assert (stat.state, stat.num_threads > 1) == ("Z", True)
            assert pidfd.is_alive(child.pid, stat.start_time)
            fd = pidfd.open_process(child.pid, stat.start_time)
            assert fd is not None
            try:
                assert not pidfd.wait(fd, 0)
            finally:
                os.close(fd)
        finally:
            child.kill()


def test_wait_returns_when_time_is_up(child: subprocess.Popen[bytes]) -> None:
    fd = pidfd.open_process(child.pid, start_time_of(child))
    assert fd is not None
    try:
        begin = time.monotonic()
        assert not pidfd.wait(fd, 0.02)
        assert 0.02 <= time.monotonic() - begin < 2
        # poll(2) would wait forever with a negative timeout; then the end of the child would be reported.
        timer = threading.Timer(2, child.kill)
        timer.start()
        assert not pidfd.wait(fd, -1)
        timer.cancel()
        timer.join()
    finally:
        os.close(fd)


def test_wait_takes_more_than_a_c_int_of_milliseconds(zombie: pidfd.Process) -> None:
    fd = pidfd.open_pid(zombie.pid)
    assert fd is not None
    try:
        assert pidfd.wait(fd, 1e12)
        assert pidfd.wait(fd)
    finally:
        os.close(fd)


def test_identity_is_a_value(child: subprocess.Popen[bytes]) -> None:
    first, second = pidfd.identify(child.pid), pidfd.identify(child.pid)
    assert first is not None
    assert first == second == pidfd.Process(child.pid, start_time_of(child))
    assert len({first, second, pidfd.Process(child.pid, 0)}) == 2
    assert first != (first.pid, first.start_time)
