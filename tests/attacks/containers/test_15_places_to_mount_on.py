"""Links, FIFOs and files of an image in place of /dev, /proc, /sys, their devices and the files in /etc.

CVE-2025-31133, CVE-2025-52565, CVE-2026-41579, CVE-2026-47766, CVE-2023-27561.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pypod.errors import LaunchFailed, PypodError
from pypod.model.mount import Mount
from tests.attacks.ways_out import WAYS_OUT, check_refusal, way_out

pytestmark = pytest.mark.root


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize(
    "name",
    ["dev", "dev/null", "dev/console", "dev/pts", "dev/ptmx", "dev/shm", "dev/fd", "proc", "sys", "etc", "etc/hosts",
     "etc/resolv.conf", "run", "run/.containerenv"],
)  # fmt: skip
def test_root_file_systems_whose_mount_points_lead_out(
    box, own_rootfs: Path, canary: Path, name: str, way: str
) -> None:
    """CVE-2025-31133, -52565, CVE-2026-41579, CVE-2023-27561: confined or a typed error; the canary is untouched."""
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
        # confined: the same path below the container's own root
        assert f" {canary}/empty" in text, text


def test_device_nodes_of_an_image_cannot_be_opened(box, own_rootfs: Path) -> None:
    os.mknod(own_rootfs / "etc/zero", 0o20666, os.makedev(1, 5))
    for overlay in (True, False):
        text = box.run("head", "-c1", "/etc/zero", rootfs=str(own_rootfs), overlay=overlay, check=False)
        assert "Permission denied" in text


def test_masks_are_made_with_the_real_dev_null(box, tmp_path: Path) -> None:
    """CVE-2025-31133: with a volume as /dev, its "null" must not be mounted over the masked files."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/null").symlink_to("/proc/sys/kernel/hostname")
    with pytest.raises(LaunchFailed, match="hide /proc/") as caught:
        box.run("true", volumes=[f"{tmp_path}/dev:/dev"])
    assert (caught.value.call, caught.value.errno) == ("openat2", errno.ELOOP)
