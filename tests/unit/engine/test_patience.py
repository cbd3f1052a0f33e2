"""The fate of a signal sent to a container's first process, judged by what the kernel shows of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pypod.engine.lifecycle import patience
from pypod.engine.lifecycle.patience import DELIVERED, DROPPED, IGNORED, KEPT
from pypod.kernel.proc import Proc

PID, TERM, KILL, STOP, RTMIN_3 = 77, 15, 9, 19, 37


def mask(number: int) -> str:
    return f"{1 << (number - 1):016x}"


def reception(
    root: Path, number: int = TERM, *, place: str | None = "do_wait", nspid: str = "77\t1", **fields: str
) -> str:
    directory = root / str(PID)
    directory.mkdir()
    shown = {"State": "S (sleeping)", "Pid": "77", "NSpid": nspid, "Uid": "0\t0\t0\t0", "Gid": "0\t0\t0\t0"}
    shown |= dict.fromkeys(("SigBlk", "SigIgn", "SigCgt"), "0" * 16) | fields
    (directory / "status").write_text("".join(f"{name}:\t{value}\n" for name, value in shown.items()))
    if place is not None:
        (directory / "wchan").write_text(place)
    proc = Proc(str(root))
    asked = patience.Request(proc, fd=-1, pid=PID, start_time=0, number=number, patience_s=9, starting_s=1)
    return asked.look()[0]


@pytest.mark.parametrize("place", ["do_sigtimedwait.isra.0", "__se_sys_rt_sigtimedwait"])
def test_one_that_waits_for_signals_gets_it(tmp_path: Path, place: str) -> None:
    assert reception(tmp_path, place=place) == DELIVERED


@pytest.mark.parametrize("number", [TERM, RTMIN_3, 64])
@pytest.mark.parametrize(("field", "reach"), [("SigCgt", DELIVERED), ("SigBlk", KEPT)])
def test_one_that_handles_or_blocks_it_gets_it(tmp_path: Path, field: str, reach: str, number: int) -> None:
    assert reception(tmp_path, number, **{field: mask(number)}) == reach


def test_what_is_blocked_for_a_moment_is_not_kept(tmp_path: Path, monkeypatch) -> None:
    """Around a fork, a shell blocks all signals and is running."""
    status = tmp_path / str(PID) / "status"

    def unblock(_: float) -> None:
        status.write_text(status.read_text().replace(mask(TERM), "0" * 16))

    monkeypatch.setattr(patience.time, "sleep", unblock)
    assert reception(tmp_path, State="R (running)", SigBlk=mask(TERM)) == DROPPED


def test_what_is_blocked_by_one_that_is_busy_is_kept(tmp_path: Path) -> None:
    assert reception(tmp_path, State="R (running)", SigBlk=mask(TERM)) == KEPT


def test_ignoring_it_is_told_apart_from_the_default_action(tmp_path: Path) -> None:
    assert reception(tmp_path, SigIgn=mask(TERM)) == IGNORED


@pytest.mark.parametrize("nspid", ["77\t1", "77", "77\t5"])
def test_anybody_may_ignore_it(tmp_path: Path, nspid: str) -> None:
    assert reception(tmp_path, nspid=nspid, SigIgn=mask(TERM)) == IGNORED


def test_what_is_blocked_is_kept_even_if_it_is_ignored(tmp_path: Path) -> None:
    """sig_ignored() in kernel/signal.c: the disposition may have changed by the time it is unblocked."""
    assert reception(tmp_path, SigIgn=mask(TERM), SigBlk=mask(TERM)) == KEPT


@pytest.mark.parametrize("field", ["SigCgt", "SigBlk", "SigIgn"])
def test_another_signal_does_not_count(tmp_path: Path, field: str) -> None:
    assert reception(tmp_path, **{field: mask(TERM + 1)}) == DROPPED


@pytest.mark.parametrize("nspid", ["77", "77\t5"])
def test_the_default_action_is_taken_where_it_is_not_the_first_of_its_namespace(tmp_path: Path, nspid: str) -> None:
    assert reception(tmp_path, nspid=nspid) == DELIVERED


@pytest.mark.parametrize("number", [KILL, STOP])
def test_two_signals_always_arrive(tmp_path: Path, number: int) -> None:
    assert reception(tmp_path, number) == DELIVERED


@pytest.mark.parametrize("place", ["0", "", None])
def test_where_the_kernel_does_not_say_in_what_it_sleeps_it_may_arrive(tmp_path: Path, place: str | None) -> None:
    """A kernel without symbols, or a process that we may not inspect: an init must not be killed at once."""
    assert reception(tmp_path, place=place) == KEPT


def test_one_that_is_awake_sleeps_in_nothing(tmp_path: Path) -> None:
    assert reception(tmp_path, place="0", State="R (running)") == DROPPED


class Sleeper:
    """A child that SIGTERM ends, whatever the test pretends about the kernel's handling of that signal."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["sleep", "1000"])
        self.fd = os.pidfd_open(self.process.pid)
        self.late: list[int] = []

    def request(self, patience_s: float, *, age_s: float = 0.0) -> patience.Request:
        start_time = int((time.clock_gettime(time.CLOCK_BOOTTIME) - age_s) * os.sysconf("SC_CLK_TCK"))
        return patience.Request(
            Proc(),
            fd=self.fd,
            pid=self.process.pid,
            start_time=start_time,
            number=TERM,
            patience_s=patience_s,
            starting_s=patience.STARTING_S,
        )

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


@pytest.fixture
def sleeper():
    made = Sleeper()
    yield made
    made.close()


@pytest.fixture
def becomes(monkeypatch):
    """Make successive looks at a process return these results, and the last one from then on."""

    def set_up(*told: str) -> None:
        left = list(told)
        monkeypatch.setattr(patience, "glance", lambda *_: (left.pop(0) if len(left) > 1 else left[0], True))

    return set_up


def test_the_signal_is_sent_when_it_arrives_at_last(sleeper: Sleeper, becomes) -> None:
    becomes(DROPPED, DROPPED, DELIVERED)
    patience.wait([sleeper.request(10)], sleeper.late.append)
    assert sleeper.late == []
    assert sleeper.process.wait(5) == -signal.SIGTERM


def test_the_default_action_is_waited_for_as_long_as_a_start_takes(sleeper: Sleeper, becomes) -> None:
    becomes(DROPPED)
    reach, left_s = sleeper.request(10).look()
    assert reach == DROPPED
    assert patience.STARTING_S - 0.1 < left_s <= patience.STARTING_S + 0.1
    assert sleeper.request(10, age_s=1).look()[1] == pytest.approx(patience.STARTING_S - 1, abs=0.1)
    assert sleeper.request(0.5, age_s=1).look()[1] == pytest.approx(0.5, abs=0.1)
    old = sleeper.request(10, age_s=patience.STARTING_S + 1)
    assert old.look()[1] < 0
    patience.wait([old], sleeper.late.append)
    assert sleeper.late == [sleeper.fd]
    assert sleeper.process.poll() is None


def count_signals(monkeypatch) -> list[int]:
    sent: list[int] = []
    monkeypatch.setattr(patience.pidfd, "send_signal", lambda _, number: sent.append(number))
    return sent


@pytest.mark.parametrize(
    ("told", "count"),
    [
        ((KEPT, KEPT, DELIVERED, DELIVERED), 1),  # during start-up: blocked, handler installed, unblocked
        ((KEPT, DROPPED, DELIVERED, DELIVERED), 2),  # a shell that forked and then set a trap
        ((KEPT, IGNORED, DELIVERED, DELIVERED), 2),
        ((DROPPED, DROPPED, IGNORED, IGNORED), 0),
    ],
)
def test_it_is_sent_again_only_if_it_was_dropped(sleeper: Sleeper, becomes, monkeypatch, told, count: int) -> None:
    sent = count_signals(monkeypatch)
    becomes(*told)
    request = sleeper.request(10)
    for _ in told:
        assert request.advance() > 0
    assert sent == [TERM] * count


def test_one_that_may_have_taken_it_keeps_its_time(sleeper: Sleeper, becomes, monkeypatch) -> None:
    """It waited for the blocked signal, and unblocks it while it exits."""
    count_signals(monkeypatch)
    becomes(KEPT, DROPPED)
    request = sleeper.request(10, age_s=1000)
    assert request.advance() > 0
    assert request.look() == (DROPPED, pytest.approx(10, abs=0.1))


def test_ignoring_it_is_waited_for_however_old_the_process_is(sleeper: Sleeper, becomes) -> None:
    becomes(IGNORED)
    assert sleeper.request(10, age_s=1000).look() == (IGNORED, pytest.approx(10, abs=0.1))


def test_without_patience_nothing_is_sent(sleeper: Sleeper, becomes) -> None:
    becomes(DELIVERED)
    patience.wait([sleeper.request(0)], sleeper.late.append)
    assert sleeper.late == [sleeper.fd]
    assert sleeper.process.poll() is None


def test_each_has_its_own_time(becomes) -> None:
    """A request with little patience does not wait for the request before it."""
    becomes(IGNORED)
    several = [Sleeper(), Sleeper()]
    try:
        ended: list[int] = []

        def out_of_time(fd: int) -> None:
            ended.append(fd)
            for one in several:
                one.process.kill()

        patience.wait([several[0].request(60), several[1].request(0.05)], out_of_time)
        assert ended == [several[1].fd]
    finally:
        for one in several:
            one.close()
