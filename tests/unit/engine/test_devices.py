"""The devices that options name, as this host has them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pypod.engine.lifecycle.device_access import of_host
from pypod.engine.specs import devices
from pypod.errors import InvalidSpec, Unsupported
from pypod.model.device import Device

NULL = Device(path="/dev/null", source="/dev/null", type="c", major=1, minor=3, mode=0o666)


def test_a_device() -> None:
    assert devices.devices(["/dev/null"]) == (NULL,)
    assert devices.devices(["/dev/null:/dev/x:r"])[0].rule == "c 1:3 r"


def test_the_last_one_for_a_path_counts() -> None:
    found = devices.devices(["/dev/null:/dev/x", "/dev/zero:/dev/x", "/dev/null"])
    assert [(one.path, one.minor) for one in found] == [("/dev/x", 5), ("/dev/null", 3)]


def test_a_link_is_followed_and_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    assert devices.devices([f"{tmp_path}/link"]) == (NULL.replace(path=f"{tmp_path}/link"),)


def test_a_directory() -> None:
    """/dev itself: there is no other directory with devices on every machine."""
    found = {one.path: one for one in devices.devices(["/dev:/dev/all:rw"])}
    assert found["/dev/all/null"] == NULL.replace(path="/dev/all/null", access="rw")
    assert not any(os.path.islink(one.source) for one in found.values())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nosuch", "stat {}: no such file or directory"),
        ("file", "{} is not a valid device: not a device node"),
        ("directory", "no devices found in {}: invalid argument"),
        ("loop", "stat {}: no such file or directory"),
    ],
)
def test_no_device(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory/link").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InvalidSpec) as caught:
        devices.devices([f"{tmp_path}/{path}"])
    assert caught.value.message == message.format(f"{tmp_path}/{path}")


def test_rules_are_not_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "in_user_namespace", lambda: True)
    with pytest.raises(Unsupported, match="not supported in rootless mode"):
        devices.rules(["c 1:3 r"])
    assert devices.rules([]) == ()


def test_those_of_the_host() -> None:
    found = {path: rest for path, *rest in of_host(consoles=True)}
    # podman lists the same, and creates the standard ones itself
    assert not {"/dev/null", "/dev/console", "/dev/ptmx"}.intersection(found)
    assert not any(str(path).startswith(("/dev/pts/", "/dev/shm/", "/dev/mqueue/")) for path in found)
    for path, (major, minor, mode, *_) in found.items():
        status = os.lstat(str(path))
        assert (os.major(status.st_rdev), os.minor(status.st_rdev), status.st_mode) == (major, minor, mode)
        assert stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    consoles = {path for path in found if str(path).removeprefix("/dev/tty").isdecimal()}
    assert {path for path, *_ in of_host(consoles=False)} == found.keys() - consoles
