"""A storage without a free byte, or on a read-only file system: everything can be listed, ended and removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod import Engine, LaunchFailed, StoreError, SystemFailure
from tests.cli.program import Program
from tests.facts import created_nothing, is_there, wait_until
from tests.images.made import Made, busybox_entries, layer
from tests.images.tiny import Tiny

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


@pytest.fixture
def small(tmp_path):
    """Return the mount point of a file system of 4 MB."""
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=711", "tmpfs", where], check=True)
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


def free_bytes(where: Path) -> int:
    facts = os.statvfs(where)
    return facts.f_bavail * facts.f_frsize


def fill(where: Path) -> None:
    """Leave no free byte."""
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
        for _ in range(2):  # like separate commands, each with a connection of its own
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
        wait_until(lambda: free_bytes(small) > 0)  # files are deleted in the background

    def test_what_is_stopped_is_not_started_again(self, small, busybox) -> None:
        with Engine(str(small / "storage")) as engine:
            container = engine.containers.run(SLEEP, rootfs=busybox, restart="always")
            monitor = container.state().supervisor_pid
            fill(small)
            container.stop(timeout=0)
            wait_until(lambda: not is_there(monitor))
            assert (container.state().status, container.state().exit_code) == ("exited", 137)

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
            with pytest.raises(StoreError) as caught:  # noqa: PT012 - remaining space is used up first
                for _ in range(1000):
                    engine.containers.create(SLEEP, rootfs=busybox)
            assert "free some space" in caught.value.hint
            (small / "filler").unlink()
            for container in engine.containers.list(all=True):
                container.remove()
            assert created_nothing(engine)

    def test_a_load_that_finds_no_room_leaves_nothing(self, small, tmp_path: Path, points) -> None:
        """Wherever it fails: at a blob, at a layer, at the rows of either, or at those of the image."""
        files = {f"file{number}": bytes(4096) for number in range(20)}
        archive = Tiny({"low": bytes(40_000)}, files, name="localhost/it:1").save(tmp_path / "it.tar")
        failed = 0
        for free in points(250, 25):  # kB
            root = small / f"storage-{free}"
            with Engine(str(root)) as engine:
                assert engine.images.list() == []
                fill(small)
                filler = small / "filler"
                os.truncate(filler, filler.stat().st_size - free * 1000)
                try:
                    engine.images.load(str(archive))
                except (SystemFailure, StoreError):
                    failed += 1
                    stored = (root / "images").rglob("*")
                    left = [path for path in stored if path.is_file() or path.parent.name == "layers"]
                    assert (free, left) == (free, [])
                    assert created_nothing(engine)
            filler.unlink()
            shutil.rmtree(root, ignore_errors=True)  # beside the process that empties the trash
        assert failed

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
            assert not other.containers.get(member.id).state().running  # stopped before the removal was refused
            assert other.containers.get(member.id).wait() == 137
    finally:
        subprocess.run(["umount", where], check=True)
    assert engine.containers.list(all=True) == [member]


class Stored:
    """A full small disk with an image with two names, and containers and pods in every state."""

    def __init__(self, where: Path, busybox: str, archive: Path) -> None:
        self.where = where
        self.root = where / "storage"
        self.pypod = Program(str(self.root))
        blob = os.urandom(1 << 20)
        layers = (layer(busybox_entries(busybox)), layer({"srv": None, "srv/blob": blob}))
        Made(*layers).archive(archive, "localhost/made:latest")
        for words in (
            ("pull", "-q", f"oci-archive:{archive}"),
            ("tag", "localhost/made", "localhost/more"),
            ("run", "-d", "--name", "up", "localhost/made", *SLEEP),
            ("run", "--name", "down", "localhost/made", "true"),
            ("create", "--name", "never", "localhost/made", "true"),
            ("pod", "create", "p"),
            ("run", "-d", "--pod", "p", "--name", "member", "localhost/made", *SLEEP),
        ):
            self.pypod.ok(*words)


@pytest.fixture
def stored(tmp_path: Path, busybox: str) -> Iterator[Stored]:
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=711", "tmpfs", where], check=True)
    try:
        made = Stored(where, busybox, tmp_path / "made.tar")
        yield made
        made.pypod("pod", "rm", "-fa")
        made.pypod("rm", "-fa", "-t", "0")
    finally:
        subprocess.run(["umount", "--lazy", where], check=True)


def test_each_removal_works_although_somebody_fills_the_disk_after_each(stored: Stored) -> None:
    """The reserve for removals is restored at once: the disk is just as full at the next removal."""
    for words in (
        ("ps", "-a"),
        ("images",),
        ("stop", "-t", "0", "up"),
        ("rm", "down"),
        ("untag", "localhost/made", "localhost/more"),
        ("pod", "stop", "-t", "0", "p"),
        ("pod", "rm", "-f", "p"),
        ("rm", "never"),
        ("rm", "up"),
    ):
        fill(stored.where)
        stored.pypod.ok(*words)
    fill(stored.where)
    stored.pypod.ok("rmi", "localhost/made")
    assert stored.pypod.ok("ps", "-aq") == stored.pypod.ok("images", "-q") == ""
    wait_until(lambda: free_bytes(stored.where) > 3_000_000)
    assert not [path for path in (stored.root / "images").rglob("*") if path.is_file()]


@pytest.mark.parametrize("words", [("rmi", "-f", "localhost/made"), ("image", "prune", "-af")], ids=" ".join)
def test_an_image_makes_room_for_its_own_removal(stored: Stored, words: tuple[str, ...]) -> None:
    """There was no space for a reserve, as on a disk that was full from the start."""
    stored.pypod.ok("untag", "localhost/made", "localhost/more")
    stored.pypod.ok("pod", "rm", "-f", "p")
    stored.pypod.ok("rm", "-fa", "-t", "0")
    wait_until(lambda: not any((stored.root / "trash").iterdir()))
    (stored.root / "pypod.db.reserve").unlink()
    fill(stored.where)
    stored.pypod.ok(*words)
    assert stored.pypod.ok("images", "-q") == ""
    wait_until(lambda: free_bytes(stored.where) > 3_000_000)


def test_an_image_in_use_keeps_what_it_is_made_of(stored: Stored) -> None:
    blobs = {path for path in (stored.root / "images/blobs").rglob("*") if path.is_file()}
    (stored.root / "pypod.db.reserve").unlink()
    fill(stored.where)
    assert stored.pypod("rmi", "localhost/made").returncode
    assert stored.pypod.ok("exec", "up", "sh", "-c", "wc -c < /srv/blob") == f"{1 << 20}\n"
    assert {path for path in (stored.root / "images/blobs").rglob("*") if path.is_file()} == blobs


@pytest.fixture(params=["at rest", "log left behind"])
def read_only(stored: Stored, request: pytest.FixtureRequest) -> Iterator[Stored]:
    """Return the same on a read-only mount; running containers still write through the mount below."""
    if request.param == "log left behind":  # by a client that was killed
        code = (
            "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('CREATE TABLE t (a)'); "
            "c.execute('DROP TABLE t'); os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", code, stored.root / "pypod.db"], check=False)
        assert (stored.root / "pypod.db-wal").stat().st_size
    stored.pypod.ok("network", "create", "net")
    subprocess.run(["mount", "--bind", stored.where, stored.where], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", stored.where], check=True)
        yield stored
    finally:
        subprocess.run(["umount", "--lazy", stored.where], check=True)


def test_a_read_only_file_system(read_only: Stored) -> None:
    pypod = read_only.pypod
    for words in (
        ("ps", "-a", "--size"),
        ("images",),
        ("inspect", "up"),
        ("inspect", "localhost/made"),
        ("logs", "down"),
        ("pod", "ps"),
        ("pod", "inspect", "p"),
        ("lsns",),
        ("info",),
        ("network", "ls"),
        ("network", "inspect", "net"),
        ("history", "localhost/made"),
        ("events", "--stream=false"),
        ("diff", "up"),
        ("image", "tree", "localhost/made"),
        ("stats", "--no-stream"),
        ("exec", "up", "true"),
        ("run", "--explain", "localhost/made", "true"),
        ("wait", "down"),
        ("container", "exists", "up"),
    ):
        pypod.ok(*words)
    for words in (
        ("create", "localhost/made", "true"),
        ("run", "localhost/made", "true"),
        ("start", "never"),
        ("rename", "down", "new"),
        ("tag", "localhost/made", "localhost/new"),
        ("untag", "localhost/made", "localhost/more"),
        ("rmi", "-f", "localhost/made"),
        ("rm", "down"),
        ("rm", "-f", "-t", "0", "member"),
        ("pod", "create", "new"),
        ("pod", "rm", "-f", "p"),
        ("network", "create", "new"),
        ("network", "rm", "net"),
        ("image", "prune", "-af"),
        ("image", "mount", "localhost/made"),
        ("commit", "up", "localhost/new"),
    ):
        done = pypod(*words)
        assert (done.returncode, "Traceback" in done.stderr) == (125, False), (words, done)
        assert "ead-only" in done.stderr, words
        assert str(read_only.root) in done.stderr, words
    for words in (("system", "check"), ("system", "check", "--repair")):
        done = pypod(*words)
        assert (done.returncode, done.stderr) == (1, "")
        assert "read-only" in done.stdout
        assert "Pods cannot run here" in done.stdout
    for words in (("pod", "stop", "-t", "0", "p"), ("stop", "-t", "0", "up")):
        pypod.ok(*words)
    assert pypod.ok("ps", "-q") == ""
