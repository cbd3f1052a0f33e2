"""Root file systems, users, mounts and working directories that want out."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pypod.engine.engine import Engine
from pypod.errors import LaunchFailed, PypodError
from pypod.model.mount import Mount
from tests.integration.inside import Report, execute

pytestmark = pytest.mark.root

both = pytest.mark.parametrize("how", ["run", "exec"])


def user_report(box, how: str, user: str, **options) -> Report:
    if how == "run":
        return box.report(user=user, **options)
    container = box.stay(**options)
    return Report(execute(container, "/probe", user=user))


@both
@pytest.mark.parametrize(
    ("user", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, {0}, "/root"),
        ("0", 0, 0, {0}, "/root"),
        ("root", 0, 0, {0}, "/root"),
        ("alice", 1001, 1001, {1001, 2000}, "/home/alice"),
        ("1001", 1001, 1001, {1001, 2000}, "/home/alice"),
        ("alice:extra", 1001, 2000, {2000}, "/home/alice"),
        ("1001:0", 1001, 0, {0}, "/home/alice"),
        ("0:2000", 0, 2000, {2000}, "/root"),
        ("www-data:www-data", 33, 33, {33}, "/var/www"),
        ("4000", 4000, 0, {0}, "/"),
        ("4000:4001", 4000, 4001, {4001}, "/"),
        ("4294967294", 4294967294, 0, {0}, "/"),
    ],
)
def test_user_and_groups(box, *, how: str, user: str, uid: int, gid: int, groups: set[int], home: str) -> None:
    report = user_report(box, how, user)
    assert report.status["Uid"].split() == [str(uid)] * 4
    assert report.status["Gid"].split() == [str(gid)] * 4
    assert {int(number) for number in report.status["Groups"].split()} == groups
    assert report.environment["HOME"] == home


def test_groups_that_were_added(box) -> None:
    report = box.report("exec", user="1001", groups=["www-data", "77"])
    assert {int(number) for number in report.status["Groups"].split()} == {1001, 2000, 33, 77}
    with pytest.raises(LaunchFailed, match="unable to find group"):
        box.run("true", groups=["nosuch"])


READ_ACCOUNTS = "tail -n1 /etc/passwd; tail -n1 /etc/group; id -G; echo $HOME"
GIVEN = "5000:*:5000:0:container user:/tmp:/bin/sh\n5000:x:5000:5000\n0\n/tmp\n"


@pytest.mark.parametrize("overlay", [True, False])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_number_gets_an_entry(box, own_rootfs: Path, *, overlay: bool, read_only: bool) -> None:
    """podman's lines, the same at each start, whoever's file it is; nothing is left in a directory of the user's."""
    before = [(own_rootfs / "etc" / name).read_bytes() for name in ("passwd", "group")]
    container = box.engine.containers.create(
        ["sh", "-c", READ_ACCOUNTS],
        rootfs=str(own_rootfs),
        overlay=overlay,
        read_only=read_only,
        user="5000",
        working_directory="/tmp",
    )
    for start in (1, 2):
        container.start()
        container.wait(30)
        assert b"".join(piece.data for piece in container.logs()).decode() == GIVEN * start
    assert [(own_rootfs / "etc" / name).read_bytes() for name in ("passwd", "group")] == before


@pytest.mark.parametrize(
    ("user", "passwd", "group"),
    [
        ("5000:6000", "5000:*:5000:6000:container user:/:/bin/sh", "6000:x:6000:5000"),
        ("5000:extra", "5000:*:5000:2000:container user:/:/bin/sh", ""),
        ("alice:6000", "", "6000:x:6000:alice"),
        ("1001", "", ""),
        ("alice", "", ""),
        ("1001:33", "", ""),
    ],
)
def test_only_what_is_missing_is_added(box, own_rootfs: Path, user: str, passwd: str, group: str) -> None:
    (own_rootfs / "etc/passwd").write_text((own_rootfs / "etc/passwd").read_text().rstrip())  # no newline at its end
    last = [(own_rootfs / "etc" / name).read_text().splitlines()[-1] for name in ("passwd", "group")]
    said = box.shell("tail -n1 /etc/passwd | grep .; tail -n1 /etc/group", user=user, rootfs=str(own_rootfs))
    assert said.splitlines() == [passwd or last[0], group or last[1]]


WAYS_OUT = {
    "absolute": "/{}",
    "upwards": "../" * 20 + "{}",
    "magic": "/proc/1/root/{}",
    "root": "/",
    "loop": "loop",
}


def way_out(way: str, canary: Path) -> str:
    """The text of a symbolic link that leads to the canary, or elsewhere that is no good."""
    return WAYS_OUT[way].format(str(canary).lstrip("/"))


def check_refusal(error: PypodError, *calls: str) -> None:
    assert isinstance(error, LaunchFailed), repr(error)
    assert error.errno, error
    assert error.call in calls or not calls, error


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize(
    "name",
    ["dev", "dev/null", "dev/console", "dev/pts", "dev/ptmx", "dev/shm", "dev/fd", "proc", "sys", "etc", "etc/hosts",
     "etc/resolv.conf", "run", "run/.containerenv"],
)  # fmt: skip
def test_root_file_systems_whose_mount_points_lead_out(
    box, own_rootfs: Path, canary: Path, name: str, way: str
) -> None:
    """CVE-2025-31133, -52565, CVE-2026-41579, CVE-2023-27561: inside, or a typed error, and the canary is as before."""
    point = own_rootfs / name
    point.parent.mkdir(exist_ok=True)
    (own_rootfs / "loop").symlink_to("loop")
    if point.is_dir():
        for child in point.iterdir():
            child.unlink()
        point.rmdir()
    point.unlink(missing_ok=True)
    point.symlink_to(way_out(way, canary))
    options = {"rootfs": str(own_rootfs), "pid": "host", "working_directory": "/"}
    for overlay in (True, False):
        for more in ({}, {"terminal": True}):
            try:
                text = box.shell("cat /proc/mounts; stat -c '%t:%T' /dev/null", overlay=overlay, **options, **more)
            except PypodError as error:
                check_refusal(error, *"openat2 mkdirat openat move_mount symlinkat mknodat execve".split())
                continue
            assert text.split()[-1] == "1:3", text
            assert "can't open" not in text
            assert str(canary) not in text.replace(f"{own_rootfs.parent}/own-root", "").replace("lowerdir", "")


@pytest.mark.parametrize("kind", ["file", "fifo", "directory with files"])
@pytest.mark.parametrize("name", ["dev", "dev/null", "dev/console", "dev/pts", "proc", "sys", "etc/hosts"])
def test_root_file_systems_whose_mount_points_are_something_else(box, own_rootfs: Path, name: str, kind: str) -> None:
    point = own_rootfs / name
    if point.is_dir():
        point.rmdir()
    point.unlink(missing_ok=True)
    if kind == "file":
        point.write_text("I am a file\n")
    elif kind == "fifo":
        os.mkfifo(point)
    else:
        (point / "null").mkdir(parents=True)
    for more in ({}, {"terminal": True}):
        try:
            text = box.run("stat", "-c", "%t:%T", "/dev/null", rootfs=str(own_rootfs), **more)
        except PypodError as error:
            check_refusal(error)
            continue
        assert text.split() == ["1:3"]


def test_device_nodes_of_an_image_cannot_be_opened(box, own_rootfs: Path) -> None:
    os.mknod(own_rootfs / "etc/zero", 0o20666, os.makedev(1, 5))
    for overlay in (True, False):
        text = box.run("head", "-c1", "/etc/zero", rootfs=str(own_rootfs), overlay=overlay, check=False)
        assert "Permission denied" in text


@pytest.mark.parametrize("way", ["absolute", "upwards", "magic"])
@pytest.mark.parametrize("target", ["/v", "/v/deeper/still"])
@pytest.mark.parametrize("kind", ["bind", "file", "tmpfs"])
def test_mount_targets_that_lead_out(
    box, own_rootfs: Path, canary: Path, tmp_path: Path, *, kind: str, target: str, way: str
) -> None:
    (own_rootfs / "v").symlink_to(way_out(way, canary / "empty"))
    source = tmp_path / "source"
    source.write_text("x") if kind == "file" else source.mkdir()
    mount = Mount(type="tmpfs" if kind == "tmpfs" else "bind", source=str(source), target=target)
    for where in (None, own_rootfs / str(canary / "empty").lstrip("/")):
        if where is not None:
            where.mkdir(parents=True)
        try:
            text = box.run("cat", "/proc/self/mountinfo", rootfs=str(own_rootfs), pid="host", mounts=[mount])
        except PypodError as error:
            check_refusal(error, "openat2", "mkdirat", "openat", "move_mount")
            continue
        # inside: at the same path below the container's own root
        assert f" {canary}/empty" in text, text


def test_fake_procfs_swallows_no_write(box, own_rootfs: Path, tmp_path: Path) -> None:
    """CVE-2025-52881, CVE-2019-19921: what is no procfs is never written to as if it were one."""
    fake = tmp_path / "fake"
    (fake / "proc/sys/net/core").mkdir(parents=True)
    (fake / "proc/sys/net/core/somaxconn").write_text("1\n")
    with pytest.raises(LaunchFailed, match="set sysctl") as caught:
        box.run("true", sysctls={"net.core.somaxconn": "99"}, volumes=[f"{fake}/proc:/proc"])
    assert (caught.value.call, caught.value.errno) == ("fstatfs", 18)
    (own_rootfs / "proc").rmdir()
    (own_rootfs / "proc").symlink_to("/fake/proc")
    with pytest.raises(LaunchFailed):
        box.run("true", rootfs=str(own_rootfs), sysctls={"net.core.somaxconn": "99"}, volumes=[f"{fake}:/fake"])
    assert (fake / "proc/sys/net/core/somaxconn").read_text() == "1\n"


def test_masks_are_made_with_the_real_dev_null(box, tmp_path: Path) -> None:
    """CVE-2025-31133: with a volume as /dev, what lies there as null must not be put over the masked files."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/null").symlink_to("/proc/sys/kernel/hostname")
    with pytest.raises(LaunchFailed, match="hide /proc/") as caught:
        box.run("true", volumes=[f"{tmp_path}/dev:/dev"])
    assert (caught.value.call, caught.value.errno) == ("openat2", errno.ELOOP)


def test_working_directory_is_made_where_that_was_asked(box, monkeypatch) -> None:
    asked = Engine.container_spec
    monkeypatch.setattr(
        Engine, "container_spec", lambda self, record: asked(self, record).replace(create_working_directory=True)
    )
    deep = "/d" * 2000  # each level once took 4 kB of stack
    for directory in ("/new/deep/er", "/tmp/../made", "//x///y/", deep):
        normal = os.path.normpath(directory).replace("//", "/")
        text = box.shell("pwd | tail -c 4096; stat -c %a .", working_directory=directory)
        assert text.split() == [normal, "755"]
    with pytest.raises(LaunchFailed) as caught:
        box.run("pwd", working_directory="/etc/passwd/x")
    assert caught.value.errno == 20


def test_the_working_directory_of_run_and_exec(box) -> None:
    container = box.stay(working_directory="/tmp")
    assert execute(container, "pwd") == "/tmp\n"
    assert execute(container, "pwd", working_directory="/bin") == "/bin\n"
    with pytest.raises(LaunchFailed, match='workdir "/nosuch" does not exist'):
        container.exec(["pwd"], working_directory="/nosuch")
