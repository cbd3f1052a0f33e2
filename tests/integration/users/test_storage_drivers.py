"""A container's root through overlay, fuse-overlayfs and as a copy: the same for its user, and nothing is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.facts import eventually, unmount
from tests.images.made import IDS as IMAGE
from tests.images.made import Made, busybox_entries, layer
from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.users]

DEVICE = Path("/dev/fuse")
PROGRAM = shutil.which("fuse-overlayfs") or ""
BY_PROGRAM = {"STORAGE_OPTS": f"overlay.mount_program={PROGRAM}"}
DRIVERS = {
    "overlay": {"STORAGE_DRIVER": "overlay"},
    "fuse-overlayfs": BY_PROGRAM,
    "vfs": {"STORAGE_DRIVER": "vfs"},
}
# The file system type of / in the first line of a container's /proc/mounts.
TYPES = {"overlay": "overlay", "fuse-overlayfs": "fuse.fuse-overlayfs"}


@pytest.fixture
def device() -> Iterator[Path]:
    """Create /dev/fuse as udev does: everybody may open it."""
    if not PROGRAM:
        pytest.skip("fuse-overlayfs is not installed")
    if not DEVICE.exists():
        pytest.skip("this host has no /dev/fuse")
    before = DEVICE.stat().st_mode
    DEVICE.chmod(0o666)
    yield DEVICE
    DEVICE.chmod(before & 0o777)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    if request.param == "fuse-overlayfs":
        request.getfixturevalue("device")
    return request.param


def servers(user: User) -> list[int]:
    return [pid for pid, name in user.processes().items() if name in ("fuse-overlayfs", "pypod-root")]


def root_type(user: User, driver: str, *words: str) -> str:
    """Return the type of the root file system, as a process in a container sees it."""
    return user.ok("run", "--rm", *words, "sh", "-c", "awk '$2 == \"/\" { print $3 }' /proc/mounts", **DRIVERS[driver])


@pytest.fixture
def host_directory(user: User, user_tree: Path, busybox: str) -> Iterator[Path]:
    """Return a root file system of the user's with files to change, remove and replace."""
    root = user_tree.parent / "changing"
    shutil.copytree(busybox, root, symlinks=True)
    for path, text in {"old/kept": "kept", "old/gone": "gone", "made/again": "again", "a/b/c": "c"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    subprocess.run(["chown", "-R", f"{user.uid}:{user.gid}", root], check=True)
    yield root
    shutil.rmtree(root)


CHANGES = (
    "rm /old/gone && echo more >> /old/kept && rm -r /made && mkdir /made && echo x > /made/new && chown 5:6 /made/new "
    "&& ln /made/new /made/same && mkdir -p /n/m && echo y > /n/m/f && ln -s /old /link && rm -r /a && echo file > /a"
)


class TestAllDrivers:
    def test_the_root_is_of_that_kind(self, user: User, plain: Path, driver: str) -> None:
        seen = root_type(user, driver, "--rootfs", f"{plain}:O").strip()
        assert seen == TYPES.get(driver, seen)
        assert driver != "vfs" or seen not in TYPES.values()

    def test_what_is_written_is_told_packed_and_kept(self, user: User, host_directory: Path, driver: str) -> None:
        said = DRIVERS[driver]
        before = sorted(path.relative_to(host_directory) for path in host_directory.rglob("*"))
        user.ok("run", "--name", "one", "--rootfs", f"{host_directory}:O", "sh", "-c", CHANGES, **said)
        try:
            changed = set(user.ok("diff", "one", **said).splitlines())
            there = {"D /old/gone", "C /old/kept", "A /made/new", "D /made/again", "A /n/m/f", "A /link", "C /a"}
            assert there <= changed
            assert not [line for line in changed if ".wh." in line or "kept" in line[3:-5]]
            user.ok("export", "-o", str(user.home / "one.tar"), "one", **said)
            with tarfile.open(user.home / "one.tar") as archive:
                names = {one.name: one for one in archive}
                assert archive.extractfile("old/kept").read() == b"keptmore\n"  # type: ignore[union-attr]
            assert {"made/new", "n/m/f", "link", "a"} <= names.keys()
            assert not [name for name in names if ".wh." in name or name in ("old/gone", "made/again", "a/b/c")]
            assert (names["made/new"].uid, names["made/new"].gid) == (5, 6)
            assert names["made/same"].islnk()
            # it continues with its own changes, and the directory itself is unchanged
            started = user.pypod("start", "-a", "one", **said)
            assert "can't remove '/old/gone'" in started.stderr
            assert sorted(path.relative_to(host_directory) for path in host_directory.rglob("*")) == before
            assert (host_directory / "old" / "kept").read_text() == "kept"
        finally:
            user.ok("rm", "one")
        assert eventually(lambda: servers(user) == [])
        assert list(user.storage.glob("containers/*")) == []

    def test_a_commit_is_the_same_image(self, with_image: User, driver: str) -> None:
        said = DRIVERS[driver]
        change = (
            "rm -r /srv/data; mkdir /srv/data; echo 1 > /srv/data/one; chown 1001:1002 /srv/data/one; rm /etc/passwd"
        )
        with_image.ok("run", "-u", "0", "--name", "one", IMAGE, "sh", "-c", f"{change}; mkdir -p /x/y/z", **said)
        try:
            with_image.ok("commit", "-q", "one", "localhost/changed", **said)
            with_image.ok("commit", "-q", "--squash", "one", "localhost/squashed", **said)
            for name in ("localhost/changed", "localhost/squashed"):
                words = "stat -c '%u %g %F' /srv/data/one; ls /etc/passwd; find /x /srv"
                seen = with_image.pypod("run", "--rm", "-u", "0", name, "sh", "-c", words)
                lines = ["1001 1002 regular file", "/x", "/x/y", "/x/y/z", "/srv", "/srv/data", "/srv/data/one"]
                assert sorted(seen.stdout.splitlines()) == sorted(lines), (name, seen)
            # another driver can read it, too
            other = next(one for one in DRIVERS if one not in (driver, "fuse-overlayfs"))
            seen = with_image.pypod("run", "--rm", "-u", "0", "localhost/changed", "ls", "/srv/data", **DRIVERS[other])
            assert seen.stdout == "one\n"
            assert int(with_image.ok("inspect", "-s", "--format", "{{.SizeRw}}", "one").strip()) >= 2
        finally:
            with_image.ok("rm", "one")
            with_image.pypod("rmi", "-f", "localhost/changed", "localhost/squashed")

    def test_with_other_ids(self, with_image: User, driver: str) -> None:
        words = "echo 1 > /tmp/f; stat -c '%u %g' /tmp/f /srv/data; id -u"
        seen = with_image.ok("run", "--rm", "--userns=auto", "-u", "0", IMAGE, "sh", "-c", words, **DRIVERS[driver])
        assert seen.splitlines() == ["0 0", "1001 1002", "0"]

    def test_with_one_id(self, bare_with_image: User, driver: str) -> None:
        words = "echo 1 > /srv/new; mkdir /srv/d; stat -c '%u %g' /srv/new /srv/data"
        seen = bare_with_image.ok("run", "--rm", "-u", "0", IMAGE, "sh", "-c", words, **DRIVERS[driver])
        assert seen.splitlines() == ["0 0", "0 0"]

    def test_an_image_where_people_can_look_at_it(self, with_image: User, driver: str) -> None:
        said = DRIVERS[driver]
        command = f"{with_image.python} -m pypod image"
        words = f"path=$({command} mount {IMAGE}) && stat -c '%u %g' $path/srv/data; {command} umount {IMAGE}"
        assert with_image.ok("unshare", "sh", "-c", words, **said).splitlines()[0] == "1001 1002"
        assert with_image.ok("image", "mount", **said) == ""
        assert list(with_image.storage.glob("images/mounts/*/*")) == []

    def test_an_image_as_the_infra(self, with_image: User, driver: str) -> None:
        said = DRIVERS[driver]
        with_image.ok("pod", "create", "--infra-image", IMAGE, "--infra-command", "sleep 100", "p", **said)
        try:
            seen = with_image.ok("run", "--rm", "--pod", "p", "-u", "0", IMAGE, "cat", "/proc/self/comm", **said)
            assert seen == "cat\n"
            assert with_image.ok("pod", "ps", "--format", "{{.Status}}", **said) == "Running\n"
        finally:
            with_image.ok("pod", "rm", "-f", "-t", "0", "p", **said)
        assert eventually(lambda: servers(with_image) == [])

    def test_what_tells_of_it(self, user: User, driver: str) -> None:
        said = DRIVERS[driver]
        told = json.loads(user.ok("info", "--format", "{{json .Store}}", **said))
        name = "vfs" if driver == "vfs" else "overlay"
        program = {"overlay.mount_program": {"Executable": PROGRAM}} if driver == "fuse-overlayfs" else {}
        assert (told["graphDriverName"], told["graphOptions"]) == (name, program)
        (line,) = [
            line for line in user.pypod("system", "check", **said).stdout.splitlines() if " storage-driver " in line
        ]
        assert line.startswith("ok ")


@pytest.fixture
def running(user: User, plain: Path, device: Path) -> Iterator[int]:
    user.ok("run", "-d", "--name", "served", "--rootfs", f"{plain}:O", "sleep", "100", **BY_PROGRAM)
    yield int(user.ok("inspect", "--format", "{{.State.Pid}}", "served"))
    user.pypod("rm", "-f", "-t", "0", "served")
    assert eventually(lambda: servers(user) == []), user.processes()
    assert list(user.storage.glob("containers/*")) == []


class TestWhoServes:
    """A root served by fuse-overlayfs: the program runs as long as the container, whatever else is killed."""

    def test_it_ends_with_the_container(self, user: User, running: int) -> None:
        assert len(servers(user)) == 2  # and the process that watches it
        os.kill(running, signal.SIGKILL)
        assert eventually(lambda: servers(user) == []), user.processes()
        assert user.ok("inspect", "--format", "{{.State.ExitCode}}", "served") == "137\n"

    @pytest.mark.usefixtures("running")
    def test_it_outlives_the_monitor(self, user: User) -> None:
        (monitor,) = [pid for pid, name in user.processes().items() if name == "pypod-monitor"]
        os.kill(monitor, signal.SIGKILL)
        assert eventually(lambda: monitor not in user.processes())
        assert user.ok("exec", "served", "cat", "/etc/passwd").startswith("root:")

    @pytest.mark.usefixtures("running")
    def test_a_container_whose_server_was_killed_can_be_removed(self, user: User) -> None:
        (server,) = [pid for pid, name in user.processes().items() if name == "fuse-overlayfs"]
        os.kill(server, signal.SIGKILL)
        assert eventually(lambda: servers(user) == [])
        assert user.pypod("exec", "served", "ls", "/").returncode != 0
        user.ok("stop", "-t", "0", "served")
        user.ok("start", "served", **BY_PROGRAM)
        assert user.ok("exec", "served", "cat", "/etc/passwd").startswith("root:")

    def test_nothing_of_it_is_seen_from_inside_or_outside(self, user: User, running: int) -> None:
        assert "fuse-overlayfs" not in user.ok("exec", "served", "ps", "-o", "comm")
        assert "fuse-overlayfs" not in Path("/proc/self/mounts").read_text()
        assert [fd for fd in Path(f"/proc/{running}/fd").iterdir() if os.readlink(fd) == "/dev/fuse"] == []

    def test_it_keeps_what_it_wrote_under_another_driver(self, user: User, host_directory: Path, device: Path) -> None:
        """The kernel ignores fuse-overlayfs's own marks: a replaced directory would show its old content."""
        words = (
            "if [ -e /var/once ]; then ls /made; else touch /var/once; rm -r /made; mkdir /made; touch /made/new; fi"
        )
        user.ok("run", "--name", "kept", "--rootfs", f"{host_directory}:O", "sh", "-c", words, **BY_PROGRAM)
        try:
            for variables in ({}, DRIVERS["overlay"], DRIVERS["vfs"]):
                seen = user.ok("start", "-a", "kept", **variables).split()
                assert seen == ["new"]
            device.chmod(0o600)  # also after the program has stopped working
            seen = user.ok("start", "-a", "kept").split()
            assert seen == ["new"]
            assert user.ok("diff", "kept").splitlines().count("D /made/again") == 1
        finally:
            user.ok("rm", "kept")

    def test_the_hosts_own_files(self, user: User, device: Path) -> None:
        """A directory that contains mounts cannot be a layer of a user's kernel overlay."""
        mark = f"/etc/pypod-{os.getpid()}"
        seen = user.ok("run", "--rm", "--rootfs", "/:O", "sh", "-c", f"cat /etc/hostname; touch {mark} && ls {mark}")
        assert seen.splitlines()[-1] == mark
        assert not Path(mark).exists()
        device.chmod(0o600)
        refused = user.pypod("run", "--rm", "--rootfs", "/:O", "true")
        assert refused.returncode == 126
        assert "/dev/fuse must exist and be accessible to you: an administrator can chmod it to 666" in refused.stderr
        (line,) = (one for one in user.pypod("system", "check").stdout.splitlines() if "mount-program" in one)
        assert "/dev/fuse must exist" in line
        assert "--rootfs /:O" in line


class TestWhatIsChosen:
    """The choice depends on the file system of the storage: here one without extended attributes."""

    @pytest.fixture
    def storage(self, user: User, user_tree: Path) -> Iterator[Path]:
        place = user_tree.parent / "no-attributes"
        place.mkdir()
        subprocess.run(["mount", "-t", "ramfs", "none", place], check=True)
        storage = place / "storage"
        storage.mkdir(mode=0o700)
        os.chown(storage, user.uid, user.gid)
        yield storage
        user.pypod("--root", str(storage), "system", "migrate")
        unmount(place)
        place.rmdir()

    def facts(self, storage: Path) -> dict[str, str]:
        boot, facts = json.loads((storage / "storage-driver.json").read_text())
        assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return facts

    def run(self, user: User, storage: Path, plain: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        words = ("run", "--rm", "--rootfs", f"{plain}:O", "sh", "-c", "awk '$2 == \"/\" { print $3 }' /proc/mounts")
        return user.pypod("--root", storage, *words, **variables)

    def test_the_program_and_then_copies(self, user: User, storage: Path, plain: Path, device: Path) -> None:
        assert self.run(user, storage, plain).stdout == "fuse.fuse-overlayfs\n"
        facts = self.facts(storage)
        assert "user.overlay.opaque" in facts["overlay"]
        assert facts[f"overlay by {PROGRAM}"] == ""
        device.chmod(0o600)
        assert self.run(user, storage, plain).stdout == "ramfs\n"
        told = user.pypod("--root", str(storage), "system", "check").stdout
        (line,) = [line for line in told.splitlines() if " storage-driver " in line]
        assert line.startswith("ok ")
        assert "/dev/fuse" in line
        assert "Pods can run here" in told

    def test_what_is_asked_for_and_does_not_work(self, user: User, storage: Path, plain: Path) -> None:
        refused = self.run(user, storage, plain, STORAGE_DRIVER="overlay")
        assert refused.returncode == 125
        assert "user.overlay.opaque" in refused.stderr
        assert user.pypod("--root", storage, "ps", "-aq").stdout == ""
        assert user.pypod("--root", storage, "system", "check", STORAGE_DRIVER="overlay").returncode == 1

    @pytest.mark.parametrize(
        ("variables", "said"),
        [
            ({"STORAGE_DRIVER": "btrfs"}, "unknown storage driver 'btrfs'"),
            ({"STORAGE_OPTS": "overlay.mount_program=/bin/false"}, "/bin/false"),
            ({"STORAGE_OPTS": "overlay.mount_program=/nowhere"}, "/nowhere"),
        ],
    )
    @pytest.mark.usefixtures("device")
    def test_what_there_is_not(self, user: User, plain: Path, variables: dict[str, str], said: str) -> None:
        refused = user.pypod("run", "--rm", "--rootfs", f"{plain}:O", "true", **variables)
        assert refused.returncode == 125
        assert said in refused.stderr
        assert user.ok("ps", "-aq") == ""

    def test_it_is_tried_once(self, user: User, plain: Path) -> None:
        user.ok("run", "--rm", "--rootfs", f"{plain}:O", "true")
        facts = user.storage / "storage-driver.json"
        before = facts.stat()
        user.ok("run", "--rm", "--rootfs", f"{plain}:O", "true")
        assert os.path.samestat(facts.stat(), before)
        # results of another boot are ignored
        content = json.loads(facts.read_text())
        facts.write_text(json.dumps(["another", {"overlay": "does not work"}]))
        assert user.ok("run", "--rm", "--rootfs", f"{plain}:O", "true") == ""
        assert json.loads(facts.read_text())[0] == content[0]

    def test_explain_tries_nothing(self, user: User, plain: Path) -> None:
        (user.storage / "storage-driver.json").unlink(missing_ok=True)
        assert "overlay" in user.ok("run", "--explain", "--rootfs", f"{plain}:O", "true")
        assert not (user.storage / "storage-driver.json").exists()
        copied = user.ok("run", "--explain", "--rootfs", f"{plain}:O", "true", STORAGE_DRIVER="vfs")
        assert "copy_file_range" in copied
        assert "mount overlay" not in copied


def test_a_storage_on_an_overlay(user: User, user_tree: Path, busybox: str, plain: Path, device: Path) -> None:
    """As in a container without a volume: whiteouts are impossible; copies work, even for layers with deletions."""
    del device
    place = user_tree.parent / "on-overlay"
    for name in ("lower", "upper", "work", "merged"):
        (place / name).mkdir(parents=True)
    options = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", place / "merged"], check=True)
    storage = place / "merged" / "storage"
    try:
        storage.mkdir(mode=0o700)
        os.chown(storage, user.uid, user.gid)
        of_user = ("--root", str(storage))
        words = ("run", "--rm", "--rootfs", f"{plain}:O", "sh", "-c", "rm -r /etc/passwd; ls /etc/passwd; id -u")
        assert user.pypod(*of_user, *words).stdout == "0\n"
        tried = json.loads((storage / "storage-driver.json").read_text())[1]
        assert "overlay" in tried
        assert "whiteout" in tried[f"overlay by {PROGRAM}"]
        below = layer({**busybox_entries(busybox), "gone": b"x", "d": None, "d/old": b"x", "e": None, "e/old": b"x"})
        marks = {".wh.gone": b"", "d/.wh.old": b"", "d/new": b"y", "e/.wh..wh..opq": b"", "e/new": b"y"}
        above = layer({**marks, ".wh.nothing": b"", "f": b"1"}, uid=5, gid=6)
        path = Made(below, above, layer({"d/.wh.new": b"", ".wh.f": b""})).archive(
            user_tree.parent / "gone.tar", "localhost/gone:latest"
        )
        path.chmod(0o644)
        user.ok(*of_user, "pull", "-q", f"oci-archive:{path}")
        look = "ls -d /gone /nothing /f /d/* /e/* 2>/dev/null; stat -c '%u %g' /e/new"
        run = (*of_user, "run", "--name", "writer", "localhost/gone", "sh", "-c", f"{look}; rm /e/new")
        assert user.ok(*run).splitlines() == ["/e/new", "5 6"]
        assert user.ok(*of_user, "diff", "writer").splitlines() == ["C /e", "D /e/new"]
        user.ok(*of_user, "commit", "-q", "writer", "localhost/less")
        assert user.ok(*of_user, "run", "--rm", "localhost/less", "sh", "-c", "find /d /e").split() == ["/d", "/e"]
        saved = user.home / "less.tar"
        user.ok(*of_user, "save", "-q", "--format", "oci-archive", "-o", str(saved), "localhost/less")
        user.ok("load", "-q", "-i", str(saved))  # where whiteouts can be created
        try:
            assert user.ok("run", "--rm", "localhost/less", "sh", "-c", "find /d /e").split() == ["/d", "/e"]
        finally:
            user.ok("rmi", "-f", "localhost/less")
            saved.unlink()
    finally:
        user.pypod(*of_user, "rm", "-fa")
        user.pypod(*of_user, "rmi", "-fa")
        user.pypod("--root", str(storage), "system", "migrate")
        unmount(place / "merged")


def test_idmap_needs_root(user: User, plain: Path) -> None:
    refused = user.pypod("create", "--rootfs", f"{plain}:idmap", "true")
    assert refused.returncode == 125
    assert "mount_setattr" in refused.stderr
    assert user.ok("ps", "-aq") == ""


def test_pruned_images_leave_no_layer(with_image: User) -> None:
    layers = with_image.storage / "images" / "layers"
    before = {path.name.partition(".")[0] for path in layers.iterdir()}
    with_image.ok("run", "-u", "0", "--name", "one", IMAGE, "sh", "-c", "echo 1 > /tmp/f && chown 5 /tmp/f")
    with_image.ok("commit", "-q", "one", "localhost/one")
    with_image.ok("run", "--rm", "--userns=auto", "-u", "0", "localhost/one", "true")
    with_image.ok("rm", "one")
    with_image.ok("untag", "localhost/one")
    assert with_image.ok("image", "prune", "-f") != ""
    assert eventually(lambda: {path.name.partition(".")[0] for path in layers.iterdir()} == before)
    assert "left behind" not in with_image.pypod("system", "check").stdout
