"""The machine was rebooted: nothing is shown as running, known exit codes are kept, everything can start again."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from pypod import WrongState
from tests.cli.program import Program
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
    # the same PIDs and start times are in use again after another boot
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


@pytest.mark.not_in_chroot
def test_a_boot_of_another_id(tmp_path, engine, busybox) -> None:
    """The kernel reports another boot ID: processes with the recorded PIDs and start times are other ones."""
    pod = engine.pods.create("p")
    pod.run(SLEEP, rootfs=busybox, name="m")
    ended = engine.containers.run(["sh", "-c", "exit 3"], rootfs=busybox, name="ended")
    assert ended.wait() == 3
    before = [pod.infra.state(), engine.containers.get("m").state()]
    (tmp_path / "boot_id").write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    script = f'mount --bind {tmp_path}/boot_id /proc/sys/kernel/random/boot_id; exec "$@"'
    pypod = Program(engine.layout.root)
    pypod.words = ["unshare", "--mount", "sh", "-ec", script, "sh", *pypod.words]

    assert pypod.ok("ps", "-q") == ""
    assert pypod.ok("pod", "ps", "--format", "{{.Name}} {{.Status}}") == "p Exited\n"
    listed = pypod.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}").splitlines()
    states = {name: words[:2] for name, *words in map(str.split, listed)}
    assert (states["ended"], states["m"]) == (["Exited", "(3)"], ["Exited", "(unknown)"])
    done = pypod("kill", "m")
    assert (done.returncode, is_there(before[1].pid)) == (125, True)
    for state in before:  # after a real reboot those of the earlier boot are gone
        for pid in filter(None, (state.supervisor_pid, state.pid)):
            with contextlib.suppress(ProcessLookupError):
                kill_and_wait(pid)
    pypod.ok("pod", "start", "p")
    assert "m" in pypod.ok("ps", "--format", "{{.Names}}").split()
    assert pypod.ok("exec", "m", "echo", "entered") == "entered\n"
    assert pypod("start", "--attach", "ended").returncode == 3
    pypod.ok("pod", "rm", "-f", "-t", "0", "p")
