"""Whatever was killed, damaged, reused or filled up: what is shown is true, and everything can still be removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pypod import (
    DeadlineExceeded,
    Engine,
    LaunchFailed,
    PermissionDenied,
    PodBroken,
    PypodError,
    StoreError,
    SystemFailure,
    WrongState,
)
from pypod.runtime import programs
from pypod.store.database import MIGRATIONS
from tests.facts import created_nothing, is_there, kill_and_wait, members, wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


class TestInfraKilled:
    def test_with_living_members_the_pod_is_broken(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        first, second = (pod.run(SLEEP, rootfs=busybox) for _ in range(2))
        net = first.namespaces()["net"]
        kill_and_wait(pod.state().infra.pid)
        assert pod.status == "Broken"
        assert pod.state().infra.exit_code_known is False
        assert first.exec(["true"]).exit_code == 0
        second.stop(timeout=0)
        for join in (
            lambda: pod.run(SLEEP, rootfs=busybox, name="third"),
            second.start,
            pod.start,
            pod.infra.start,
        ):
            with pytest.raises(PodBroken) as caught:
                join()
            assert caught.value.ref == "p"
            assert "restart" in caught.value.hint
        assert pod.status == "Broken"
        assert pod.namespaces()["net"] == {first.name: net}
        assert not engine.containers.exists("third")

        with open(f"/proc/{first.state().pid}/ns/net", "rb"):  # as long as it is there, no other has its number
            pod.restart(timeout=0)
            assert pod.status == "Running"
            inodes = set(pod.namespaces()["net"].values())
            assert len(inodes) == 1
            assert net not in inodes

    def test_a_member_is_not_stopped_when_it_could_not_be_started_again(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        first, second = (pod.run(SLEEP, rootfs=busybox) for _ in range(2))
        kill_and_wait(pod.state().infra.pid)
        with pytest.raises(PodBroken):
            first.restart(timeout=0)
        assert first.state().running
        with pytest.raises(PodBroken):
            pod.enter("net").__enter__()
        # the last one takes the old namespaces with it
        second.stop(timeout=0)
        first.restart(timeout=0)
        assert pod.status == "Degraded"
        assert pod.infra.state().running

    def test_without_living_members_it_is_started_anew(self, engine, busybox) -> None:
        pod = engine.pods.create()
        member = pod.run(SLEEP, rootfs=busybox)
        member.stop(timeout=0)
        kill_and_wait(pod.state().infra.pid)
        assert pod.status == "Exited"
        member.start()
        assert pod.status == "Running"
        assert len(set(pod.namespaces()["net"].values())) == 1

    def test_a_shared_pid_namespace_takes_the_members_along(self, engine, busybox) -> None:
        pod = engine.pods.create(share="net,pid")
        member = pod.run(SLEEP, rootfs=busybox)
        kill_and_wait(pod.state().infra.pid)
        assert member.wait(5) == 137
        assert pod.status == "Exited"
        member.start()
        assert pod.status == "Running"

    @pytest.mark.parametrize("end", ["stop", "remove"])
    def test_a_broken_pod_ends(self, engine, busybox, end: str) -> None:
        pod = engine.pods.create()
        member = pod.run(SLEEP, rootfs=busybox)
        pid = member.state().pid
        kill_and_wait(pod.state().infra.pid)
        if end == "stop":
            pod.stop(timeout=0)
            assert pod.status == "Exited"
        pod.remove(force=True, timeout=0)
        assert not is_there(pid)
        assert created_nothing(engine)


class TestMonitorKilled:
    def test_the_container_runs_on_and_can_be_stopped(self, engine, busybox) -> None:
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

    def test_and_the_container_after_it(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        state = container.state()
        kill_and_wait(state.supervisor_pid)
        kill_and_wait(state.pid)
        assert container.state().exit_code_known is False
        assert container.wait() is None
        container.remove()

    def test_what_it_left_in_the_group_ends_with_stop_and_start_and_remove(self, engine, busybox) -> None:
        """In the host's pid namespace nothing ends with the first process, and nobody is there to see to it."""
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

    def test_a_stopped_monitor_holds_nobody_up_for_long(self, engine, busybox) -> None:
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


class TestReusedNumbers:
    @pytest.mark.not_in_chroot
    def test_a_stranger_with_the_pid_is_never_signalled(self, tmp_path, busybox) -> None:
        if not Path("/proc/sys/kernel/ns_last_pid").exists():
            pytest.skip("this kernel has no ns_last_pid (CONFIG_CHECKPOINT_RESTORE)")
        # pid 1 has to take the dead off the process table
        inside = [programs.path("init"), "--", sys.executable, "-c", STRANGER, str(tmp_path / "storage"), busybox]
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *inside]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "untouched\n", "")

    def test_another_start_time_is_another_process(self, engine, busybox) -> None:
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


def edit_status(container, words: dict[int, str]) -> None:
    """Replace words of the first line of a status file."""
    path = Path(container.directory, "status")
    content = path.read_bytes()
    line = content[:191].decode().split()
    for position, word in words.items():
        line[position] = word
    path.write_bytes(" ".join(line).ljust(191).encode() + b"\n" + content[192:])


class TestReboot:
    def test_nothing_runs_and_what_is_known_stays_known(self, engine, busybox) -> None:
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
        """Whether it runs cannot be told any more; what runs is found by its group, and there are never two."""
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
        """It kills its container's group at the end, and a later run has one of the same path."""
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


class TestDatabase:
    @pytest.mark.parametrize(
        ("content", "hint"), [(b"garbage" * 1000, "move"), (b"SQLite format 3\0" + b"\xff" * 4080, "move")]
    )
    def test_garbage(self, tmp_path, content: bytes, hint: str) -> None:
        with Engine(str(tmp_path / "storage")) as engine:
            Path(engine.layout.database).write_bytes(content)
            for action in (engine.pods.list, engine.containers.list, lambda: engine.pods.create("p")):
                with pytest.raises(StoreError) as caught:
                    action()
                assert caught.value.path == engine.layout.database
                assert hint in caught.value.hint
            assert Path(engine.layout.database).read_bytes() == content

    def test_of_a_newer_version(self, engine, busybox) -> None:
        import sqlite3

        container = engine.containers.create(SLEEP, rootfs=busybox)
        engine.database.close()
        path = Path(engine.layout.database)
        self._execute(path, "PRAGMA user_version=99")
        before = path.read_bytes()
        with Engine(engine.layout.root) as other, pytest.raises(StoreError, match="newer pypod") as caught:
            other.pods.create("p")
        assert "newer" in caught.value.hint
        assert path.read_bytes() == before
        assert sorted(p.name for p in path.parent.glob("pypod.db*")) == ["pypod.db", "pypod.db.reserve"]
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT count(*) FROM containers").fetchone() == (1,)
        connection.close()
        self._execute(path, f"PRAGMA user_version={len(MIGRATIONS)}")
        assert engine.containers.list(all=True) == [container]

    def test_empty(self, engine, busybox) -> None:
        """As after a crash of the machine: nothing is known, and repair finds what lies there."""
        from pypod.engine.collect import repair

        container = engine.containers.run(["true"], rootfs=busybox)
        container.wait()
        engine.cgroups.remove(container.record().cgroup)
        engine.database.close()
        Path(engine.layout.database).write_bytes(b"")
        with Engine(engine.layout.root) as other:
            assert other.containers.list(all=True) == []
            assert any(container.id in line for line in repair(other))
            assert created_nothing(other)

    @pytest.mark.parametrize(
        "spec",
        ["", "{", "[]", "null", "{}", '{"name": 5}', '{"name":"x","rootfs":"/","command":["a"],"unheard":1}', "\\x00"],
    )
    def test_one_damaged_record_hides_nothing_else_and_can_be_removed(self, engine, busybox, spec: str) -> None:
        pod = engine.pods.create("p")
        member = pod.run(SLEEP, rootfs=busybox)
        alone = engine.containers.run(SLEEP, rootfs=busybox)
        good = engine.containers.run(SLEEP, rootfs=busybox)
        engine.database.close()
        for damaged in (member, alone):
            self._execute(engine.layout.database, "UPDATE containers SET spec = ? WHERE id = ?", spec, damaged.id)
        self._execute(engine.layout.database, "UPDATE pods SET spec = ?", spec)
        assert engine.containers.list() == [member, alone, good]
        assert engine.pods.list() == [pod]
        assert (pod.status, member.state().status) == ("Running", "running")
        for read in (alone.spec, pod.spec, alone.restart):
            with pytest.raises(StoreError) as caught:
                read()
            assert "remove" in caught.value.hint
        assert not alone.state().running  # restart stopped it
        pid = member.state().pid
        alone.remove(force=True)
        pod.remove(force=True)
        assert not is_there(pid)
        assert engine.containers.list(all=True) == [good]
        good.restart(timeout=0)
        assert good.state().running

    def test_a_damaged_owner_is_none(self, engine, busybox) -> None:
        container = engine.containers.create(SLEEP, rootfs=busybox, ephemeral=True)
        engine.database.close()
        for owner in ("nonsense", "1 2", "1 x y", "1 2 3 4", "-1 2 z"):
            self._execute(engine.layout.database, "UPDATE containers SET owner = ?", owner)
            assert engine.containers.list(all=True) == [container]

    @staticmethod
    def _execute(path: str | Path, statement: str, *arguments: str) -> None:
        import sqlite3

        connection = sqlite3.connect(path)
        with connection:
            connection.execute(statement, arguments)
        connection.close()


class TestStorage:
    @pytest.mark.parametrize("how", ["owner", "mode", "group", "link", "file"])
    def test_somebody_else_s_is_refused(self, tmp_path, how: str) -> None:
        root = tmp_path / "storage"
        if how == "link":
            (tmp_path / "elsewhere").mkdir(mode=0o711)
            root.symlink_to(tmp_path / "elsewhere")
        elif how == "file":
            root.write_bytes(b"")
        else:
            root.mkdir(mode=0o711)
            if how == "owner":
                os.chown(root, 1000, 1000)
            else:
                root.chmod(0o777 if how == "mode" else 0o771)
        told = {"owner": "belongs to uid 1000, not to uid 0", "mode": "by others .mode 0777", "group": "mode 0771"}
        with pytest.raises(PermissionDenied, match=told.get(how, "is not a directory")) as caught:
            Engine(str(root))
        assert caught.value.hint
        assert [path.name for path in tmp_path.iterdir() if path.name == "elsewhere" and any(path.iterdir())] == []
        assert root.is_file() or not any(root.iterdir())

    def test_below_a_file_or_nowhere(self, tmp_path) -> None:
        (tmp_path / "file").write_bytes(b"")
        for root in (tmp_path / "file" / "storage", Path("/proc/storage")):
            with pytest.raises(PypodError):
                Engine(str(root))

    def test_begun_and_never_finished_is_finished(self, tmp_path, busybox) -> None:
        """Whoever made it was killed in between."""
        for made in ((), ("containers",), ("containers", "pods", "trash")):
            root = tmp_path / f"storage-{len(made)}"
            root.mkdir()
            for name in made:
                (root / name).mkdir()
            with Engine(str(root)) as engine:
                container = engine.containers.run(["true"], rootfs=busybox)
                container.wait()
                container.remove()
                assert created_nothing(engine)


@pytest.fixture
def small(tmp_path):
    """A file system of four megabytes."""
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=711", "tmpfs", where], check=True)
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


def free_bytes(where: Path) -> int:
    facts = os.statvfs(where)
    return facts.f_bavail * facts.f_frsize


def fill(where: Path) -> None:
    """Leave not a byte."""
    with (where / "filler").open("ab", buffering=0) as filler:
        for size in (65536, 4096, 512, 1):
            try:
                while filler.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    assert free_bytes(where) == 0


class TestFullDisk:
    def test_a_container_that_filled_it_is_removed_and_the_space_is_free(self, small, busybox) -> None:
        with Engine(str(small / "storage")) as engine:
            container = engine.containers.run(["sh", "-c", "cat /dev/zero > /full; sleep 1000"], rootfs=busybox)
            wait_until(lambda: free_bytes(small) == 0)
        with Engine(str(small / "storage")) as engine:
            assert engine.containers.list() == [container]
            container = engine.containers.get(container.id)
            assert container.exec(["echo", "works"]).stdout == b"works\n"
            container.stop(timeout=0)
            assert (container.state().status, container.wait()) == ("exited", 137)
            container.remove()
            assert engine.containers.list(all=True) == []
        wait_until(lambda: free_bytes(small) > 3_000_000)

    def test_everything_is_listed_stopped_and_removed(self, small, busybox) -> None:
        with Engine(str(small / "storage")) as engine:
            pod = engine.pods.create("p")
            member = pod.run(SLEEP, rootfs=busybox)
            ended = engine.containers.run(["sh", "-c", "exit 3"], rootfs=busybox)
            ended.wait()
            never = engine.containers.create(SLEEP, rootfs=busybox)
        fill(small)
        for _ in range(2):  # as commands, each with a connection of its own
            with Engine(str(small / "storage")) as engine:
                assert engine.containers.list(all=True) == [member, ended, never]
                assert engine.pods.get("p").status == "Running"
        with Engine(str(small / "storage")) as engine:
            fill(small)
            with pytest.raises((SystemFailure, LaunchFailed), match="No space left on device"):
                engine.containers.get(never.id).start()
            engine.pods.get("p").stop(timeout=0)
            assert engine.containers.get(member.id).wait() == 137
            for container in engine.containers.list(all=True):
                container.remove()
            engine.pods.get("p").remove()
            assert engine.pods.list() == engine.containers.list(all=True) == []
        assert free_bytes(small) > 0

    def test_without_any_reserve_the_files_of_what_is_removed_make_room(self, small, busybox) -> None:
        with Engine(str(small / "storage")) as engine:
            container = engine.containers.run(["dd", "if=/dev/zero", "of=/big", "bs=64k", "count=8"], rootfs=busybox)
            assert container.wait() == 0
        (small / "storage/pypod.db.reserve").unlink()
        fill(small)
        with Engine(str(small / "storage")) as engine:
            engine.containers.get(container.id).remove()
            assert created_nothing(engine)
        assert free_bytes(small) > 0

    def test_a_create_that_finds_no_room_is_told_so_and_leaves_nothing(self, small, busybox) -> None:
        with Engine(str(small / "storage")) as engine:
            engine.pods.create("p").remove()
            fill(small)
            with pytest.raises(StoreError) as caught:  # noqa: PT012 - whatever room is left is used first
                for _ in range(1000):
                    engine.containers.create(SLEEP, rootfs=busybox)
            assert "free some space" in caught.value.hint
            (small / "filler").unlink()
            for container in engine.containers.list(all=True):
                container.remove()
            assert created_nothing(engine)

    def test_a_disk_that_is_full_from_the_start(self, small) -> None:
        fill(small)
        with Engine(str(small / "storage")) as engine, pytest.raises(StoreError, match="free some space"):
            engine.pods.create("p")


def test_read_only_storage_is_read(tmp_path, engine, busybox) -> None:
    pod = engine.pods.create("p")
    member = pod.run(SLEEP, rootfs=busybox)
    engine.database.close()
    where = tmp_path / "read-only"
    where.mkdir()
    subprocess.run(["mount", "--bind", "-o", "ro", engine.layout.root, where], check=True)
    try:
        with Engine(str(where)) as other:
            assert other.pods.list() == [pod]
            assert other.containers.list() == [member]
            assert other.containers.get(member.id).exec(["true"]).exit_code == 0
            for action in (
                lambda: other.pods.create("q"),
                lambda: other.containers.create(SLEEP, rootfs=busybox),
                lambda: other.containers.get(member.id).remove(force=True, timeout=0),
            ):
                with pytest.raises(SystemFailure, match="read-only") as caught:
                    action()
                assert "--root" in caught.value.hint
            assert not other.containers.get(member.id).state().running  # it was stopped before the store refused
            assert other.containers.get(member.id).wait() == 137
    finally:
        subprocess.run(["umount", where], check=True)
    assert engine.containers.list(all=True) == [member]
