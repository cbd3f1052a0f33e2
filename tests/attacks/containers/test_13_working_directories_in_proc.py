"""A working directory /proc/self/fd/N, or a link to one, from which the host can be reached (CVE-2024-21626)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod.api.engine import Engine
from pypod.errors import LaunchFailed
from tests.attacks.ways_out import way_out
from tests.images.layers import Layer
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring
from tests.integration.inside import Report, execute

pytestmark = pytest.mark.root


WORKING_DIRECTORIES = [
    *(f"/proc/self/fd/{n}" for n in range(65)),
    *"/proc/self/fd/7/../../etc /proc/1/root /proc/1/root/etc /proc/1/cwd /proc/self/cwd /proc/self/root".split(),
    *"/proc/thread-self/fd/5 /dev/fd/6 /w /w/empty /up/empty /magic /nosuch".split(),
]


@pytest.mark.parametrize("pid", ["private", "host"])
def test_working_directories_that_lead_out(box, own_rootfs: Path, canary: Path, pid: str, monkeypatch) -> None:
    """CVE-2024-21626, CVE-2026-55686: refused for run and exec, also where it would be created; nothing is created."""
    (own_rootfs / "w").symlink_to(canary)
    (own_rootfs / "up").symlink_to(way_out("upwards", canary))
    (own_rootfs / "magic").symlink_to("/proc/self/fd/7")
    container = box.stay(rootfs=str(own_rootfs), pid=pid)
    for directory in WORKING_DIRECTORIES:
        with pytest.raises(LaunchFailed) as caught:
            box.run("pwd", rootfs=str(own_rootfs), working_directory=directory, pid=pid)
        assert caught.value.operation.startswith("go to "), caught.value
        with pytest.raises(LaunchFailed) as caught:
            container.exec(["sh", "-c", "pwd; cat ../../etc/hostname"], working_directory=directory)
        assert caught.value.operation.startswith("go to "), caught.value
    asked = Engine.container_spec
    monkeypatch.setattr(
        Engine, "container_spec", lambda self, record: asked(self, record).replace(create_working_directory=True)
    )
    for directory in (*WORKING_DIRECTORIES[-10:], "/w/new", "/up/new", "/magic/new", "/proc/1/root/tmp/new"):
        if directory == "/nosuch":
            continue
        with pytest.raises(LaunchFailed):
            box.run("pwd", rootfs=str(own_rootfs), working_directory=directory, pid=pid)


def test_of_an_image(engine, busybox, probe: str, canary: Path) -> None:
    """For an image the directory would be created and given to the image's user."""
    more = Layer().add("probe", Path(probe).read_bytes(), mode=0o755).symlink("magic", "/proc/self/fd/7").bytes()
    for directory in (*(f"/proc/self/fd/{n}" for n in range(3, 20)), "/proc/self/fd/7/new", "/magic", "/magic/new"):
        image = bring(engine, busybox_image(busybox, more, config={"WorkingDir": directory, "User": "7:8"}))
        with pytest.raises(LaunchFailed):
            engine.containers.run(image, ["pwd"], name="w")
        assert not engine.containers.exists("w")


def test_the_directory_that_is_left_is_inside(box) -> None:
    """Check where the attack would look once it ran."""
    container = box.stay(working_directory="/tmp")
    for text in (
        box.shell("readlink /proc/self/cwd; cat ../../../etc/hostname", working_directory="/tmp", hostname="inside"),
        execute(container, "sh", "-c", "readlink /proc/self/cwd; cat ../../../etc/hostname; true"),
    ):
        assert text.splitlines()[0] == "/tmp"
    assert Report(execute(container, "/probe")).one("cwd") == "/tmp"
