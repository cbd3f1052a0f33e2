"""After kills, damage, reused PIDs or a full disk, listings are correct, and everything can still be removed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.facts import is_there, members, wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


class TestStatusFile:
    def test_cut_off_at_every_byte(self, engine, busybox) -> None:
        other = engine.containers.run(SLEEP, rootfs=busybox)
        container = engine.containers.run(["sh", "-c", "exit 3"], rootfs=busybox)
        container.wait()
        path = Path(container.directory, "status")
        whole = path.read_bytes()
        expected = other.state()
        seen = set()
        for size in range(len(whole) + 1):
            path.write_bytes(whole[:size])
            state = container.state()
            seen.add((state.status, state.exit_code))
            assert engine.containers.list() == [other]
            assert other.state() == expected
        assert seen == {("exited", None), ("exited", 3)}
        container.remove()

    @pytest.mark.parametrize(
        "damage", ["garbage", "empty", "link", "directory", "fifo", "socket", "numbers", "missing"]
    )
    def test_damaged_while_it_runs(self, engine, busybox, damage: str) -> None:
        """Whether it runs is unknown; its processes are found by its cgroup, and it never runs twice."""
        container = engine.containers.run(SLEEP, rootfs=busybox)
        other = engine.containers.run(SLEEP, rootfs=busybox)
        state = container.state()
        path = Path(container.directory, "status")
        content = {"garbage": os.urandom(256), "empty": b"", "numbers": b"9" * 191 + b"\n" + b" 9" * 32}
        path.unlink()
        if damage in content:
            path.write_bytes(content[damage])
        elif damage == "link":
            path.symlink_to("/etc/passwd")
        elif damage == "directory":
            path.mkdir()
        elif damage == "fifo":
            os.mkfifo(path)
        elif damage == "socket":
            os.mknod(path, 0o140600)
        assert container.state().status == ("created" if damage == "missing" else "exited")
        assert container.state().exit_code is None
        assert engine.containers.list(all=True) == [container, other]
        if damage in content:
            container.start()
            assert not is_there(state.pid)
            assert members(engine, container) == {container.state().pid}
        container.remove(force=True, timeout=0)
        assert not is_there(state.pid)
        assert other.state().running

    def test_the_monitor_of_an_earlier_run_leaves_the_later_one_alone(self, engine, busybox) -> None:
        """At the end it kills its container's cgroup, and a later run has one with the same path."""
        container = engine.containers.run(SLEEP, rootfs=busybox)
        earlier = container.state()
        os.kill(earlier.supervisor_pid, signal.SIGSTOP)
        Path(container.directory, "status").write_bytes(b"")
        container.start()
        later = container.state()
        os.kill(earlier.supervisor_pid, signal.SIGCONT)
        wait_until(lambda: not is_there(earlier.supervisor_pid))
        assert container.state() == later
        assert later.running
        assert members(engine, container) == {later.pid}
