"""Whatever was killed, damaged, reused or filled up: what is shown is true, and everything can still be removed."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from pypod import (
    Engine,
    LaunchFailed,
    PermissionDenied,
    PypodError,
    StoreError,
    SystemFailure,
)
from pypod.store.database import MIGRATIONS
from tests.facts import created_nothing, is_there, members, wait_until

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
