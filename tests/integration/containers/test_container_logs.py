"""The output of a container, byte for byte, read while it runs and afterwards."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time

import pytest

from pypod import Engine, NoSuchContainer
from tests.facts import output

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
# PID 1 of a namespace that handles TERM: a shell with a trap that does not wait for its child
TRAPPING = "trap 'echo heard; exit {code}' {signal}; echo ready; while :; do sleep 0.01; done"


class TestLogs:
    def test_streams_and_order(self, engine, busybox) -> None:
        script = "echo out; echo err >&2; printf partial; sleep 0.05; printf ' end'"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        container.wait()
        assert output(container, "stdout") == b"out\npartial end"
        assert output(container, "stderr") == b"err\n"
        assert [piece.time for piece in container.logs()] == sorted(piece.time for piece in container.logs())

    def test_tail(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "seq 30000; printf end"], rootfs=busybox)
        container.wait()
        tails = {count: b"".join(piece.data for piece in container.logs(tail=count)) for count in (0, 1, 2, 3)}
        assert tails == {0: b"", 1: b"end", 2: b"30000\nend", 3: b"29999\n30000\nend"}
        assert b"".join(piece.data for piece in container.logs(tail=10**6)) == output(container)
        assert b"".join(piece.data for piece in container.logs(tail=20_001)).startswith(b"10001\n")

    def test_follow_comes_as_it_is_written(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "echo one; sleep 1000"], rootfs=busybox)
        pieces = container.logs(follow=True)
        assert next(pieces).data == b"one\n"
        container.stop(timeout=0)
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


def test_followers_use_no_processor_time_between_lines(engine: Engine, busybox: str) -> None:
    container = engine.containers.run(["sleep", "1000"], rootfs=busybox)
    followers = [threading.Thread(target=lambda: list(container.logs(follow=True))) for _ in range(20)]
    for one in followers:
        one.start()
    time.sleep(0.3)
    before = time.process_time()
    time.sleep(1)
    used_s = time.process_time() - before
    container.stop(timeout=0)
    for one in followers:
        one.join(10)
    assert not any(one.is_alive() for one in followers)
    assert used_s < 0.02


def test_a_follower_without_a_watch(engine: Engine, busybox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may have too many of them."""

    def refuse(_directory: str) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("pypod.engine.containers.output.Watch", refuse)
    container = engine.containers.run(["sh", "-c", "echo a; sleep 0.2; echo b"], rootfs=busybox)
    assert b"".join(piece.data for piece in container.logs(follow=True)) == b"a\nb\n"


def test_a_follower_whose_container_loses_its_monitor(engine: Engine, busybox: str) -> None:
    container = engine.containers.run(["sleep", "1000"], rootfs=busybox)
    follower = threading.Thread(target=lambda: list(container.logs(follow=True)))
    follower.start()
    state = container.state()
    for pid in (state.supervisor_pid, state.pid):
        os.kill(pid, signal.SIGKILL)
    follower.join(10)
    assert not follower.is_alive()
