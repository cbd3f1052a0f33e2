"""Flags of run as an ordinary user: what needs no privileges works as for root, the rest is refused."""

from __future__ import annotations

import os

import pytest

from tests.images.made import IDS as IMAGE
from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.users]


def run(user: User, *words: str) -> str:
    return user.ok("run", "--rm", "--network", "none", *words)


def test_a_device_is_bound(with_image: User) -> None:
    """A user namespace has no nodes of its own; the user's rights count."""
    shown = run(with_image, "--device", "/dev/null:/dev/x", IMAGE, "sh", "-c", "echo > /dev/x && stat -c %t:%T /dev/x")
    assert shown == "1:3\n"


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="the host has no /dev/fuse")
def test_a_device_of_others_stays_closed(with_image: User) -> None:
    before = os.stat("/dev/fuse").st_mode
    os.chmod("/dev/fuse", 0o600)
    try:
        script = "(: </dev/fuse) 2>/dev/null || echo refused; chmod 666 /dev/fuse 2>/dev/null || echo unchanged"
        assert run(with_image, "--device", "/dev/fuse", IMAGE, "sh", "-c", script) == "refused\nunchanged\n"
        assert os.stat("/dev/fuse").st_mode & 0o777 == 0o600
    finally:
        os.chmod("/dev/fuse", before)


def test_rules_of_devices_are_refused(with_image: User) -> None:
    done = with_image.pypod("run", "--device-cgroup-rule", "c 1:3 r", IMAGE, "true")
    assert done.returncode == 125
    assert "device cgroup rules are not supported in rootless mode or in a user namespace" in done.stderr


def test_files_users_and_time(with_image: User) -> None:
    flags = ("--hostuser", with_image.name, "--tz", "local", "--chrootdirs", "/c", "--personality", "LINUX32")
    script = f"grep -c ^{with_image.name}: /etc/passwd; ls /c/etc; uname -m; test -f /etc/localtime && echo zone"
    shown = run(with_image, *flags, "--user", "7:8", IMAGE, "sh", "-c", script)
    assert shown.split() == ["1", "hosts", "i686", "zone"]
    assert run(with_image, "--systemd", "always", IMAGE, "sh", "-c", "touch /run/lock/x && echo ok") == "ok\n"


def test_pids_and_time(with_image: User) -> None:
    path = with_image.home / "pid"
    assert with_image.pypod("run", "--rm", "--pidfile", path, "--timeout", "1", IMAGE, "sleep", "9").returncode == 255
    assert int(path.read_text()) > 0
    assert path.stat().st_uid == with_image.uid
    assert with_image.pypod("run", "--pidfile", "/etc/pid", IMAGE, "true").returncode == 126
    with_image.ok("rm", "-fa", "-t", "0")


def test_a_pod_with_devices(with_image: User) -> None:
    with_image.ok("pod", "create", "--network", "none", "--device", "/dev/null:/dev/x", "--uts", "host", "box")
    shown = with_image.ok("run", "--rm", "--pod", "box", IMAGE, "sh", "-c", "stat -c %t:%T /dev/x; hostname")
    assert shown == f"1:3\n{os.uname().nodename}\n"
    with_image.ok("pod", "rm", "-f", "box")
