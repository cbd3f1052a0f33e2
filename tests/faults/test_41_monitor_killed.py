"""A monitor is killed: the exit code is unknown, never 0, and the container can still be stopped and removed."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pypod import DeadlineExceeded, WrongState
from tests.facts import is_there, kill_and_wait, members, wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


def test_the_container_runs_on_and_can_be_stopped(engine, busybox) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox)
    before = container.state()
    kill_and_wait(before.supervisor_pid)
    state = container.state()
    assert (state.status, state.pid, state.exit_code) == ("running", before.pid, None)
    assert engine.containers.list() == [container]
    assert container.exec(["true"]).exit_code == 0
    with pytest.raises(WrongState, match="no monitor"):
        container.attach()
    with pytest.raises(DeadlineExceeded):
        container.wait(0.05)
    container.stop(timeout=0)
    assert not is_there(before.pid)
    state = container.state()
    assert (state.status, state.exit_code, state.exit_code_known) == ("exited", None, False)
    assert container.wait() is None
    assert members(engine, container) == set()
    container.start()
    container.kill()
    assert container.wait() == 137


def test_and_the_container_after_it(engine, busybox) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox)
    state = container.state()
    kill_and_wait(state.supervisor_pid)
    kill_and_wait(state.pid)
    assert container.state().exit_code_known is False
    assert container.wait() is None
    container.remove()


def test_what_it_left_in_the_group_ends_with_stop_and_start_and_remove(engine, busybox) -> None:
    """In the host's PID namespace nothing ends with the first process, and no monitor is left to clean up."""
    for end in ("stop", "start", "remove"):
        container = engine.containers.run(
            ["sh", "-c", "setsid sleep 1000 & sleep 1000"], rootfs=busybox, pid="host", name=end
        )
        wait_until(lambda c=container: len(members(engine, c)) >= 2)
        state, left = container.state(), members(engine, container)
        kill_and_wait(state.supervisor_pid)
        kill_and_wait(state.pid)
        left -= {state.pid}
        assert all(map(is_there, left))
        getattr(container, end)()
        assert not any(map(is_there, left)), end


def test_a_stopped_monitor_holds_nobody_up_for_long(engine, busybox) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox)
    state = container.state()
    os.kill(state.supervisor_pid, signal.SIGSTOP)
    try:
        kill_and_wait(state.pid)
        before = time.monotonic()
        assert container.state().exit_code_known is False
        assert time.monotonic() - before < 4
    finally:
        os.kill(state.supervisor_pid, signal.SIGCONT)
    assert container.wait(5) == 137
