"""Containers that crash again and again, and monitors killed at any moment of it: no false answer, nothing left."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from pypod import Engine
from tests.facts import created_nothing, wait_until

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]


def entries(engine: Engine, identifier: str) -> tuple[list[str], int, int]:
    """Return the files of a container, and how many mounts and descriptors this process sees."""
    files = sorted(os.listdir(engine.layout.container(identifier)))
    return files, len(Path("/proc/self/mountinfo").read_text().splitlines()), len(os.listdir("/proc/self/fd"))


def monitor_of(engine: Engine, identifier: str) -> int:
    """Return the pid of a container's monitor, also between two runs."""
    return int(Path(engine.layout.container(identifier), "status").read_text().split()[2])


def test_many_crashes_in_a_row(engine: Engine, busybox: str, full: bool) -> None:
    """Counted right, as far apart as they should be, by the same monitor, which grows by nothing."""
    times = 1000 if full else 25
    engine.networks.create("blue", interface="bl0", subnets=["10.99.0.0/24"], dns=False)
    options = {"network": "blue", "ports": ["8080:80"], "restart": f"on-failure:{times}"}
    container = engine.containers.run(["sh", "-c", "exit 7"], rootfs=busybox, **options)
    monitor = monitor_of(engine, container.id)
    wait_until(lambda: container.state().restarts >= 3)
    before = entries(engine, container.id)
    descriptors = len(os.listdir(f"/proc/{monitor}/fd"))
    assert monitor_of(engine, container.id) == monitor
    wait_until(
        lambda: container.state().restarts == times and container.state().status == "exited", timeout_s=times * 0.2
    )
    state = container.state()
    assert (state.status, state.exit_code, state.restarts) == ("exited", 7, times)
    assert descriptors < 40
    assert entries(engine, container.id) == before
    told = [one for one in engine.events() if one.id == container.id]
    assert [one.action for one in told].count("died") == times + 1
    assert [one.action for one in told].count("restart") == times
    starts = [one.time_ns for one in told if one.action == "start"]
    assert all(later - earlier > 99e6 for earlier, later in pairwise(starts))
    container.remove()
    assert created_nothing(engine)


def test_a_monitor_killed_at_any_moment(engine: Engine, busybox: str, full: bool) -> None:
    """What is shown is true, and a start brings it back, with one process and one monitor."""
    for number in range(200 if full else 25):
        container = engine.containers.run(["sleep", "0.01"], rootfs=busybox, restart="always", network="none")
        monitor = monitor_of(engine, container.id)
        time.sleep(0.09 + 0.002 * (number % 25))  # around the first restart
        os.kill(monitor, signal.SIGKILL)
        wait_until(lambda one=container: not one.state().running and not one.state().restarting)
        container.start()
        state = container.state()
        assert state.restarts < 2
        wait_until(lambda one=container: one.state().restarts > 0)
        container.remove(force=True, timeout=0)
    assert created_nothing(engine)
