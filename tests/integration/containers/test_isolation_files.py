"""Root file systems, users, mounts and working directories that try to escape."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypod.api.engine import Engine
from pypod.errors import LaunchFailed
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
    """podman's lines, the same at each start, whoever owns the files; nothing is left in a directory of the user's."""
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
    (own_rootfs / "etc/passwd").write_text((own_rootfs / "etc/passwd").read_text().rstrip())  # no newline at the end
    last = [(own_rootfs / "etc" / name).read_text().splitlines()[-1] for name in ("passwd", "group")]
    said = box.shell("tail -n1 /etc/passwd | grep .; tail -n1 /etc/group", user=user, rootfs=str(own_rootfs))
    assert said.splitlines() == [passwd or last[0], group or last[1]]


def test_working_directory_is_made_where_that_was_asked(box, monkeypatch) -> None:
    asked = Engine.container_spec
    monkeypatch.setattr(
        Engine, "container_spec", lambda self, record: asked(self, record).replace(create_working_directory=True)
    )
    deep = "/d" * 2000  # each level used to take 4 kB of stack
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
    with pytest.raises(LaunchFailed, match="chdir `/nosuch`: No such file"):
        container.exec(["pwd"], working_directory="/nosuch")
