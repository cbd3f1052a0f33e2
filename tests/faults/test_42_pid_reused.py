"""A recorded PID has been reused: an unrelated process is never signalled, joined or shown as a container."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pypod.kernel import programs
from tests.facts import edit_status, kill_and_wait

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


STRANGER = """
import os, subprocess, sys, time
from pypod import Engine, WrongState

def take_number(pid):
    for _ in range(1000):
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(pid - 1))
        stranger = subprocess.Popen(["sleep", "1000"])
        if stranger.pid == pid:
            return stranger
        stranger.kill()
        stranger.wait()
    raise SystemExit("the number did not come again")

with Engine(sys.argv[1]) as engine:
    pod = engine.pods.create("p")
    member = pod.run(["sleep", "1000"], rootfs=sys.argv[2])
    alone = engine.containers.run(["sleep", "1000"], rootfs=sys.argv[2])
    states = [member.state(), alone.state(), pod.state().infra]
    for state in states:
        for pid in filter(None, (state.supervisor_pid, state.pid)):
            os.kill(pid, 9)
    for state in states:
        while os.path.exists(f"/proc/{state.pid}"):
            time.sleep(0.01)
    time.sleep(0.05)  # start times have a resolution of a hundredth of a second
    strangers = [take_number(pid) for s in states for pid in (s.supervisor_pid, s.pid) if pid]
    assert [c.state().status for c in (member, alone)] == ["exited", "exited"], "shown as running"
    assert alone.wait() is None
    assert (pod.status, engine.containers.list()) == ("Exited", [])
    for container in (member, alone):
        container.stop(timeout=0)
        try:
            container.kill()
            raise SystemExit("killed a stranger")
        except WrongState:
            pass
    pod.stop(timeout=0)
    member.start()
    assert pod.status == "Running"
    inside = os.stat("/proc/self/ns/net").st_ino
    assert inside not in pod.namespaces()["net"].values(), "joined a stranger's namespace"
    pod.remove(force=True, timeout=0)
    alone.remove(force=True, timeout=0)
    assert [s.poll() for s in strangers] == [None] * len(strangers), "signalled a stranger"
    for stranger in strangers:
        stranger.kill()
        stranger.wait()
print("untouched")
"""


@pytest.mark.not_in_chroot
def test_a_stranger_with_the_pid_is_never_signalled(tmp_path, busybox) -> None:
    if not Path("/proc/sys/kernel/ns_last_pid").exists():
        pytest.skip("this kernel has no ns_last_pid (CONFIG_CHECKPOINT_RESTORE)")
    # PID 1 must reap zombies
    inside = [programs.path("init"), "--", sys.executable, "-c", STRANGER, str(tmp_path / "storage"), busybox]
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *inside]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "untouched\n", "")


def test_another_start_time_is_another_process(engine, busybox) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox)
    state = container.state()
    kill_and_wait(state.supervisor_pid)
    kill_and_wait(state.pid)
    time.sleep(0.02)  # start times have a resolution of a hundredth of a second
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        try:
            edit_status(container, {0: str(stranger.pid), 2: str(stranger.pid)})
            assert container.state().exit_code_known is False
            container.stop(timeout=0)
            container.remove(force=True, timeout=0)
            assert stranger.poll() is None
        finally:
            stranger.kill()
