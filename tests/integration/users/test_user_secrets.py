"""Secrets and configuration files of an unprivileged user."""

from __future__ import annotations

import stat
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
