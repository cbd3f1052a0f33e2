"""ns watch: in place on a terminal, otherwise a line for each change."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import termios
import time

import pytest

from tests.cli.program import Program

pytestmark = pytest.mark.root

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def mipod(engine):
    pod = engine.pods.create("mipod")
    pod.start_infra()
    return pod


@contextlib.contextmanager
def started(pypod: Program, *words: str):
    """Start the program with a pipe for its output; kill it if it has not ended by itself."""
    with pypod.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.kill()


class Lines:
    """The program's output, line by line as it arrives."""

    def __init__(self, running: subprocess.Popen[bytes]) -> None:
        self._running = running
        os.set_blocking(running.stdout.fileno(), False)
        self._text = b""

    def until(self, pattern: str, timeout_s: float = 10) -> list[str]:
        """Return the lines up to and including the matching one."""
        deadline = time.monotonic() + timeout_s
        while True:
            lines = self._text.decode().split("\n")
            for at, one in enumerate(lines[:-1]):
                if re.fullmatch(pattern, one):
                    self._text = "\n".join(lines[at + 1 :]).encode()
                    return lines[: at + 1]
            assert time.monotonic() < deadline, f"no {pattern!r} in {lines}"
            self._text += self._running.stdout.read() or b""
            time.sleep(0.01)


def test_lines_tell_what_is_what_comes_and_what_goes(pypod, mipod, busybox, tmp_path) -> None:
    bind = tmp_path / "net"
    bind.touch()
    infra = mipod.infra.state().pid
    net = mipod.infra.namespaces()["net"]
    with started(pypod, "ns", "watch", "--interval", "0.2") as running:
        try:
            lines = Lines(running)
            there = lines.until(rf"= uts \d+ pod mipod infra {infra} nprocs 1 why process")
            assert f"= net {net} pod mipod infra {infra} nprocs 1 why process" in there
            assert [one.split()[1] for one in there] == ["ipc", "mnt", "net", "pid", "uts"]
            web = mipod.run(["sleep", "1000"], name="web", rootfs=busybox)
            own, pid = web.namespaces(), web.state().pid
            came = lines.until(rf"~ net {net} pod mipod infra,web {infra} nprocs 2 why process")
            assert f"+ mnt {own['mnt']} pod mipod web {pid} nprocs 1 why process" in came
            subprocess.run(["mount", "--bind", f"/proc/{infra}/ns/net", bind], check=True)
            lines.until(rf"~ net {net} pod mipod infra,web {infra} nprocs 2 why process,bind")
            mipod.remove(force=True, timeout=0)
            went = lines.until(rf"~ net {net} pod mipod - - nprocs 0 why bind")
            # it may have been scanned once more as it exited, and is then attributed to no running container
            assert [one for one in went if one.startswith(f"- mnt {own['mnt']} pod mipod ")]
            subprocess.run(["umount", bind], check=True)
            last = [one for one in lines.until(r"- net .*") if one.split()[1] == "net"]
            assert last == [f"- net {net} pod mipod - - nprocs 0 why bind"]
        finally:
            subprocess.run(["umount", bind], check=False, stderr=subprocess.DEVNULL)
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 130


def test_only_the_pods_that_were_named(pypod, mipod, engine, busybox) -> None:
    other = engine.pods.create("other")
    other.start_infra()
    engine.containers.run(["sleep", "1000"], name="lone", rootfs=busybox)
    pods = {one.split()[4] for one in pypod.ok("ns", "watch", "--count", "1").splitlines()}
    assert pods == {"mipod", "other"}
    pods = {one.split()[4] for one in pypod.ok("ns", "watch", "--count", "1", "other").splitlines()}
    assert pods == {"other"}
    done = pypod("ns", "watch", "nosuch")
    assert (done.returncode, done.stdout) == (125, "")
    assert "no pod with name or ID nosuch" in done.stderr


def test_looking_wakes_nobody(pypod, mipod) -> None:
    """Three scans take two intervals: what a scan reads does not count as a change."""
    start = time.monotonic()
    pypod.ok("ns", "watch", "--count", "3", "--interval", "0.5")
    assert time.monotonic() - start > 1


def test_what_happens_is_shown_before_the_interval_is_over(pypod, mipod) -> None:
    with started(pypod, "ns", "watch", "--interval", "1000") as running:
        lines = Lines(running)
        lines.until(r"= uts .*")
        mipod.stop_infra()
        lines.until(r"- uts .*")
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 130


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--interval 0", "the interval must be a number of seconds greater than 0"),
        ("--interval -1", "the interval must be a number of seconds greater than 0"),
        ("--interval nan", "the interval must be a number of seconds greater than 0"),
        ("--count -1", "the count must not be negative"),
    ],
)
def test_mistakes(pypod, words, message) -> None:
    done = pypod("ns", "watch", *words.split())
    assert done.returncode == 125
    assert message in done.stderr


def on_terminal(pypod, *words: str, columns: int = 120, rows: int = 30, **variables: str):
    environment = [f"{name}={value}" for name, value in {"TERM": "xterm", "NO_COLOR": "", **variables}.items()]
    here = Program(pypod.root)
    here.words = ["env", *environment, *pypod.words]
    return here.terminal("ns", "watch", *words, columns=columns, rows=rows)


def test_a_live_view_comes_goes_and_leaves_the_terminal_as_it_was(pypod, mipod, busybox) -> None:
    with on_terminal(pypod, "--interval", "0.1") as user:
        before = termios.tcgetattr(user.slave)
        user.expect(ENTER)
        user.expect("1 pod, 5 namespaces; every 0.1 s")
        user.expect("  mipod net")
        web = mipod.run(["sh", "-c", "sleep 1000; :", "a\x1b[2Jb\nc"], name="web", rootfs=busybox)
        user.expect("\x1b[32m+ mipod mnt")
        user.expect("web")
        user.expect("sh -c sleep 1000; : a\\x1b[2Jb\\x0ac\x1b[m")
        web.remove(force=True, timeout=0)
        user.expect("\x1b[31m- mipod mnt")
        user._process.send_signal(signal.SIGINT)
        user.expect(LEAVE)
        assert user.wait() == 130
        assert termios.tcgetattr(user.slave) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_leave_the_terminal_as_it_was(pypod, mipod, number) -> None:
    with on_terminal(pypod) as user:
        user.expect("mipod net")
        user._process.send_signal(number)
        user.expect(f"\x1b[?25h{LEAVE}")
        assert user.wait() == 128 + number


def test_marks_do_without_color(pypod, mipod, busybox) -> None:
    with on_terminal(pypod, "--interval", "0.1", NO_COLOR="1") as user:
        user.expect("mipod net")
        mipod.run(["sleep", "1000"], name="web", rootfs=busybox)
        user.expect("\n+ mipod mnt")
        user._process.send_signal(signal.SIGINT)
        user.expect(LEAVE)
        assert user.wait() == 130


def test_the_view_fits_the_window_and_follows_it(pypod, mipod) -> None:
    with on_terminal(pypod, "--interval", "1000", columns=50, rows=5) as user:
        user.expect("\x1b[H")
        user.expect("\x1b[J")
        user.resize(100, 30)
        user.winch()
        user.expect("COMMAND")
        user.expect("pypod-infra")
        user.resize(30, 4)
        user.winch()
        user.expect("\x1b[H")
        user.expect("... 4 more")
        user._process.send_signal(signal.SIGINT)
        user.expect(LEAVE)


def test_frames_are_as_wide_and_high_as_the_window(pypod, mipod) -> None:
    with on_terminal(pypod, "--count", "1", columns=33, rows=5) as user:
        user.expect("\x1b[H")
        assert user.wait() == 0
        with contextlib.suppress(AssertionError):
            user.expect("nothing of the kind", timeout_s=0.3)
        frame = user.seen.decode().partition("\x1b[J")[0].replace("\r", "")
        lines = [one.removesuffix("\x1b[K") for one in frame.split("\n")]
        assert len(lines) == 5
        assert all(len(one) <= 33 for one in lines)
        assert lines[-1] == "... 3 more"


def test_a_terminal_that_can_nothing_gets_lines(pypod, mipod) -> None:
    with on_terminal(pypod, "--count", "1", TERM="dumb") as user:
        user.expect("= net ")
        assert user.wait() == 0
        assert b"\x1b" not in user.seen


def test_a_reader_that_goes_ends_it(pypod, mipod) -> None:
    with started(pypod, "ns", "watch", "--interval", "0.1") as running:
        Lines(running).until(r"= uts .*")
        running.stdout.close()
        mipod.stop_infra()
        assert running.wait(10) == 141
        assert running.stderr.read() == b""
