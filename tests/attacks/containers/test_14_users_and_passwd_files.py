"""Invalid users, and /etc/passwd or /etc/group that is a link, a FIFO or huge (CVE-2024-9676, CVE-2022-2989)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec, LaunchFailed
from tests.images.made import busybox_image
from tests.integration.containers.test_isolation_files import both, user_report
from tests.integration.images.test_images import bring
from tests.integration.inside import Report, execute, within

pytestmark = pytest.mark.root

NO_USERS = ["0:0 ", " 0", "0\n", "0:0:0", "4294967296", "4294967295", "-1", "+0", "0:-1", "0:+1", "0:4294967295"]


@pytest.mark.parametrize("user", NO_USERS)
def test_users_that_are_none(box, user: str) -> None:
    with pytest.raises(InvalidSpec, match="invalid user"):
        box.run("true", user=user)
    container = box.stay()
    with pytest.raises(InvalidSpec, match="invalid user"):
        container.exec(["true"], user=user)


@both
def test_users_that_are_unknown(box, how: str) -> None:
    for user, what in (("nosuch", "find user"), ("0:nosuch", "find group"), ("../etc", "find user")):
        with pytest.raises(LaunchFailed, match=f"unable to {what}") as caught:
            user_report(box, how, user)
        assert (caught.value.call, caught.value.operation[:9]) == (what, "find user")


def test_a_number_is_never_taken_for_a_name(box, own_rootfs: Path) -> None:
    """An image that names its root "1001" must not turn -u 1001 into root (similar to CVE-2024-40635)."""
    (own_rootfs / "etc/passwd").write_text("1001:x:0:0::/:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/sh\n")
    (own_rootfs / "etc/group").write_text("2000:x:0:\nextra:x:2000:\n")
    report = box.report(rootfs=str(own_rootfs), user="1001:2000")
    assert report.status["Uid"].split()[0] == "1001"
    assert report.status["Gid"].split()[0] == "2000"


def _link_to_canary(path: Path, canary: Path) -> None:
    path.symlink_to(canary / "passwd")


def _link_up(path: Path, canary: Path) -> None:
    path.symlink_to("../" * 20 + str(canary / "passwd").lstrip("/"))


def _link_through_proc(path: Path, canary: Path) -> None:
    path.symlink_to(f"/proc/1/root{canary}/passwd")


def _fifo(path: Path, canary: Path) -> None:
    os.mkfifo(path)


def _huge(path: Path, canary: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def _loop(path: Path, canary: Path) -> None:
    path.symlink_to(path.name)


def _directory(path: Path, canary: Path) -> None:
    path.mkdir()


def _garbage(path: Path, canary: Path) -> None:
    path.write_bytes(b":::\n\0\0:x:\xff:\n" + b"a" * 100_000 + b"\nhostuser:x:99999999999:0:\nhostuser:x:-1:-1::::::::")


HOSTILE = [_link_to_canary, _link_up, _link_through_proc, _fifo, _huge, _loop, _directory, _garbage]


@pytest.mark.parametrize("spoil", HOSTILE)
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_hostile_passwd_and_group_files(box, own_rootfs: Path, canary: Path, spoil, name: str) -> None:
    (own_rootfs / "etc" / name).unlink()
    spoil(own_rootfs / "etc" / name, canary)
    options = {"rootfs": str(own_rootfs), "pid": "host"}  # so that /proc/1/root would be the host's
    user = "hostuser" if name == "passwd" else "0:hostuser"
    before = (own_rootfs / "etc" / name).lstat()
    with within(10):
        with pytest.raises(LaunchFailed, match="unable to find"):
            box.run("true", user=user, **options)
        container = box.stay(user="1234", **options)
        assert Report(execute(container, "/probe")).status["Uid"].split()[0] == "1234"
        with pytest.raises(LaunchFailed, match="unable to find"):
            container.exec(["true"], user=user)
        as_it_is = box.stay(user="1234", overlay=False, **options)
        assert Report(execute(as_it_is, "/probe")).status["Uid"].split()[0] == "1234"
    after = (own_rootfs / "etc" / name).lstat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


def test_entries_are_added_to_the_root_s_own_files_only(box, own_rootfs: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    for volume in (f"{shared}/passwd:/etc/passwd", f"{shared}:/vol"):
        if volume.endswith("/vol"):
            (own_rootfs / "etc/passwd").unlink()
            (own_rootfs / "etc/passwd").symlink_to("/vol/passwd")
        said = box.shell("cat /etc/passwd", user="5000", rootfs=str(own_rootfs), volumes=[volume])
        assert said == "root:x:0:0::/:/bin/sh\n"
    assert (shared / "passwd").read_text() == "root:x:0:0::/:/bin/sh\n"
    (own_rootfs / "etc/passwd").unlink()
    box.shell("test ! -e /etc/passwd", user="5000", rootfs=str(own_rootfs))


@pytest.mark.parametrize("user", [*NO_USERS, "nosuch", "0:nosuch", "../etc", "a" * 5000])
def test_users_of_an_image_that_are_none(engine, busybox, user: str) -> None:
    image = bring(engine, busybox_image(busybox, config={"User": user}))
    with within(10), pytest.raises((InvalidSpec, LaunchFailed)):
        engine.containers.run(image, ["id", "-u"], name="u")
    assert not engine.containers.exists("u")


def test_the_group_of_a_user_is_one_of_its_groups(box, own_rootfs: Path) -> None:
    """CVE-2022-2989: leaving the group through a set-group-ID program does not grant what the group is denied."""
    (own_rootfs / "denied").write_text("for others\n")
    os.chown(own_rootfs / "denied", 0, 2000)
    (own_rootfs / "denied").chmod(0o604)
    shutil.copy(own_rootfs / "probe", own_rootfs / "leave")
    os.chown(own_rootfs / "leave", 0, 77)
    (own_rootfs / "leave").chmod(0o2755)
    command = ("/leave", "read", "/denied")
    for user in ("1001:2000", "1001", "alice", "alice:extra"):
        container = box.stay(rootfs=str(own_rootfs), user=user)
        for text in (
            box.run(*command, rootfs=str(own_rootfs), user=user),
            execute(container, *command),
            execute(container, *command, user=user),
        ):
            assert Report(text).outcomes["read /denied"] == "EACCES", user
    assert Report(box.run(*command, rootfs=str(own_rootfs), user="1001:78")).outcomes["read /denied"] == "something"
