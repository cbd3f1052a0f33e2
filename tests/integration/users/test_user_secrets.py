"""Secrets and configuration files of an unprivileged user."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterator

import pytest

from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.users]

ROOTFS = "/usr:O"
READ = "cat /run/secrets/s1; echo; stat -c '%u %g %a' /run/secrets/s1; echo $WORD"


@pytest.fixture
def secret(user: User) -> Iterator[str]:
    (user.home / "content").write_text("swordfish")
    yield user.ok("secret", "create", "--replace", "s1", user.home / "content").strip()
    user.ok("secret", "rm", "--all")


def test_files_and_variables(user: User, secret: str) -> None:
    path = user.storage / "secrets" / secret
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (user.uid, 0o600)
    uses = ["--secret=s1,uid=7,gid=8,mode=0440", "--secret=s1,type=env,target=WORD"]
    out = user.ok("run", "--rm", *uses, "--rootfs", ROOTFS, "/bin/sh", "-c", READ)
    assert out == "swordfish\n7 8 440\nswordfish\n"


@pytest.mark.usefixtures("secret")
def test_in_a_user_namespace_of_its_own(user: User) -> None:
    uses = ["--secret=s1,mode=0400", "--secret=s1,type=env,target=WORD"]
    out = user.ok("run", "--rm", "--userns=keep-id:uid=0,gid=0", *uses, "--rootfs", ROOTFS, "/bin/sh", "-c", READ)
    assert out == "swordfish\n0 0 400\nswordfish\n"


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("ids", [["--userns=auto"], ["--uidmap=0:1:1000", "--gidmap=0:1:1000"]])
def test_in_an_image_without_a_place_for_them(user: User, busybox: str, ids: list[str]) -> None:
    """Root of these containers is not root of the session, which owns what the root file system is completed with."""
    archive = user.home / "bare.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(f"{busybox}/bin", "bin")
    archive.chmod(0o644)
    user.ok("import", "--quiet", archive, "localhost/bare")
    try:
        words = ["--secret=s1", "--secret=s1,target=/a/b", "--volume=/usr:/run/more:ro", "localhost/bare"]
        script = "cat /run/secrets/s1 /a/b && stat -c ' %u %g %a' /run /etc && touch /run/made"
        assert user.ok("run", "--rm", *ids, *words, "/bin/sh", "-c", script) == "swordfishswordfish 0 0 755\n 0 0 755\n"
    finally:
        user.ok("rmi", "localhost/bare")


def test_the_users_own_configuration(user: User) -> None:
    own = user.home / ".config/containers/containers.conf"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text('[containers]\nenv = ["FROM=user"]\numask = "0077"\n')
    more = own.with_name("containers.conf.d")
    more.mkdir()
    (more / "a.conf").write_text('[containers]\nenv = ["ALSO=user", {append=true}]\n')
    try:
        out = user.ok("run", "--rm", "--rootfs", ROOTFS, "/bin/sh", "-c", "echo $FROM $ALSO; umask")
        assert out == "user user\n0077\n"
    finally:
        (more / "a.conf").unlink()
        more.rmdir()
        own.unlink()
