"""The machine was rebooted: nothing is shown as running, known exit codes stay known, everything starts again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod import WrongState
from tests.facts import edit_status, is_there, kill_and_wait, wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


def test_nothing_runs_and_what_is_known_stays_known(engine, busybox) -> None:
    pod = engine.pods.create()
    ended = engine.containers.run(["sh", "-c", "exit 3"], rootfs=busybox)
    ended.wait()
    running = pod.run(["sh", "-c", "cat /root/note; echo note > /root/note; sleep 1000"], rootfs=busybox)
    wait_until(lambda: Path(running.directory, "upper/root/note").exists())
    for state in (running.state(), pod.state().infra):
        for pid in filter(None, (state.supervisor_pid, state.pid)):
            kill_and_wait(pid)
    # the same numbers and times are in use again, in another boot
    stranger = engine.containers.run(SLEEP, rootfs=busybox).state()
    for container in (ended, running, pod.infra):
        edit_status(container, {0: str(stranger.pid), 1: str(stranger.start_time), 4: "1-2-3-4"})
    assert [container.state() for container in engine.containers.list()] == [stranger]
    assert (ended.state().status, ended.state().exit_code) == ("exited", 3)
    assert (running.state().status, running.state().exit_code_known) == ("exited", False)
    assert running.wait() is None
    assert pod.status == "Exited"
    with pytest.raises(WrongState):
        running.kill()
    running.stop(timeout=0)
    pod.start()
    assert pod.status == "Running"
    ended.start()
    assert ended.wait() == 3
    assert is_there(stranger.pid)
