"""Our own reading of /proc compared with psutil: for all running processes, and for some started for the test."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator

import psutil
import pytest

from pypod.engine.inspect.lsns import arguments, user_name
from pypod.kernel.pidfd import PROC
from pypod.kernel.proc import parse_net_dev, read_text
from pypod.kernel.sockets import holder
from tests.hosts import own_network

TICKS = os.sysconf("SC_CLK_TCK")
STRANGER, GROUP = 54321, 54322


@pytest.fixture(params=["plain", "stranger", "zombie", "without arguments"])
def child(request: pytest.FixtureRequest) -> Iterator[int]:
    """A child's pid: of this user, of another user, a zombie, and one whose only argument is an empty string."""
    program, words = "/bin/sh", ["a b", "-c", "echo; read reply", "", "x\ny"]
    if request.param == "without arguments":
        program, words = "/bin/cat", [""]
    ids = {"user": STRANGER, "group": GROUP, "extra_groups": [7, 9]} if request.param == "stranger" else {}
    if ids and os.geteuid():
        pytest.skip("needs root")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, executable=program, **pipes, **ids) as process:  # type: ignore[call-overload]
        process.stdin.write(b"\n" if program == "/bin/cat" else b"")
        process.stdin.flush()
        process.stdout.readline()  # it has executed the program
        if request.param == "zombie":
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid
        process.kill()


def test_a_process(child: int) -> None:
    stat, status, other = PROC.stat(child), PROC.status(child), psutil.Process(child)
    assert stat is not None
    assert status is not None
    assert (stat.pid, stat.ppid, stat.num_threads) == (other.pid, other.ppid(), other.num_threads())
    assert stat.start_time / TICKS == pytest.approx(other.create_time() - psutil.boot_time(), abs=1.5 / TICKS)
    assert PROC.start_time(child) == stat.start_time
    assert status.uids[:3] == tuple(other.uids())
    assert status.gids[:3] == tuple(other.gids())
    assert user_name(status.uid) == other.username()
    assert PROC.is_running(child, stat.start_time) == (other.status() != psutil.STATUS_ZOMBIE)
    if other.status() != psutil.STATUS_ZOMBIE:
        assert stat.comm == other.name()[:15]
        assert arguments(child) == " ".join(other.cmdline()).rstrip(" ")


def test_all_processes() -> None:
    """Processes that exist before and after are also listed in between, with the same start time."""
    before = {process.pid: process for process in psutil.process_iter()}
    ours = {pid: PROC.stat(pid) for pid in PROC.pids()}
    there = [pid for pid, process in before.items() if process.is_running() and process.status() != "zombie"]
    assert os.getpid() in there
    for pid in there:
        stat = ours[pid]
        assert stat is not None
        assert stat.start_time / TICKS == pytest.approx(
            before[pid].create_time() - psutil.boot_time(), abs=1.5 / TICKS
        ), pid


def test_bytes_of_interfaces() -> None:
    name = next((one for one in psutil.net_io_counters(pernic=True) if one != "lo"), "")
    if not name:
        pytest.skip("no interface but lo")
    before = psutil.net_io_counters(pernic=True)
    received, sent = parse_net_dev(read_text("/proc/self/net/dev"))
    after = psutil.net_io_counters(pernic=True)

    def total(counters, field: str) -> int:
        return sum(getattr(one, field) for name, one in counters.items() if name != "lo")

    assert total(before, "bytes_recv") <= received <= total(after, "bytes_recv")
    assert total(before, "bytes_sent") <= sent <= total(after, "bytes_sent")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "::"])  # noqa: S104
def test_who_holds_a_port(kind: int, address: str) -> None:
    """Not compared with psutil, although it reports this, but with the real holder."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
    with socket.socket(family, kind) as held:
        held.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            held.listen()
        port = held.getsockname()[1]
        packed = socket.inet_pton(family, address)
        elsewhere = socket.inet_pton(family, "2001:db8::1" if ":" in address else "192.0.2.1")
        for where, found in ((b"", True), (packed, True), (elsewhere, not any(packed))):
            process = holder(protocol, where, port)
            assert (process.pid if process else None) == (os.getpid() if found else None)
    assert holder(protocol, b"", port) is None


@pytest.mark.root
def test_no_wrong_one_is_named_from_another_network_namespace() -> None:
    """psutil reads the process's namespace; a thread in another namespace has ports of its own."""
    found = []
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]

        def look() -> None:
            with own_network():
                found.append(holder("tcp", b"", port))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert holder("tcp", b"", port) is not None
    assert found == [None]


def test_no_other_protocol_is_looked_at() -> None:
    assert holder("sctp", b"", 80) is None
