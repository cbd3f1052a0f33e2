"""Copies into and out of a container that exchanges directories, files and links meanwhile (CVE-2018-15664)."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec, SystemFailure
from tests.attacks.attackers import begin, conclude, number
from tests.integration.inside import within

pytestmark = pytest.mark.root

REFUSED = (InvalidSpec, SystemFailure)
SECONDS = 120


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name in ("a/file", "a/passwd", "a/empty/new"):
            made.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


@pytest.fixture
def stage(box, tmp_path: Path, canary: Path):
    """Return a running container in which /v/a is exchanged with links to the canary, by several ways."""
    volume = tmp_path / "volume"
    for name in ("a", "a/file", "a/empty", "deep/a/empty"):
        (volume / name).mkdir(parents=True)
    (volume / "b").symlink_to(canary)
    (volume / "c").symlink_to("../" * 20 + f"proc/1/root{canary}")
    (volume / "deep" / "b").symlink_to(canary)
    (volume / "plain").write_text("plain\n")
    os.mkfifo(volume / "pipe")
    script = "/probe swap 600 /v/a /v/b & /probe swap 600 /v/b /v/c & /probe swap 600 /v/deep/a /v/deep/b &"
    script += "/probe swap 600 /v/plain /v/pipe & echo watching; wait"
    container = box.engine.containers.run(
        ["sh", "-c", script], rootfs=box.rootfs, volumes=[f"{volume}:/v"], network="none", pid="host"
    )
    begin(container)
    return container


def test_nothing_outside_is_written(stage, tmp_path: Path, full: bool) -> None:
    source = tmp_path / "source"
    (source / "a" / "empty").mkdir(parents=True)
    for name in ("passwd", "file", "a/passwd", "a/file", "a/empty/new"):
        (source / name).write_text("evil\n")
    outcomes = {"copied": 0, "refused": 0}
    with within(SECONDS):
        for _ in range(number(full, 40, 2000)):
            for attempt in (
                lambda: stage.copy_to(b"evil\n", "/v/a/passwd"),
                lambda: stage.copy_to(source / "passwd", "/v/a"),
                lambda: stage.copy_to(f"{source}/.", "/v", overwrite=True),
                lambda: stage.copy_to(source / "a", "/v/deep", overwrite=True),
                lambda: stage.copy_to(archive(), "/v", tar=True, overwrite=True),
                lambda: stage.copy_to(b"evil\n", "/v/plain"),
            ):
                try:
                    attempt()
                    outcomes["copied"] += 1
                except REFUSED:
                    outcomes["refused"] += 1
    report = conclude(stage)
    assert sum(int(one) for one in report.all("swapped")) > 100
    assert outcomes["copied"], outcomes


def test_nothing_outside_is_read(stage, tmp_path: Path, full: bool) -> None:
    outcomes = {"copied": 0, "refused": 0}
    with within(SECONDS):
        for turn in range(number(full, 40, 2000)):
            for path in ("/v/a", "/v/a/passwd", "/v/deep/a/.", "/v", "/v/plain"):
                target = tmp_path / f"target-{turn}"
                try:
                    stage.copy_from(path, target, overwrite=True)
                    outcomes["copied"] += 1
                    stage.copy_from(path, tar=True)
                except REFUSED:
                    outcomes["refused"] += 1
                found = [one for one in (target, *target.rglob("*")) if one.is_file() and not one.is_symlink()]
                assert not any("canary" in one.read_text() for one in found)
    conclude(stage)
    assert outcomes["copied"], outcomes


def test_links_out_of_a_stopped_container_stay_inside(box, own_rootfs: Path, canary: Path, tmp_path: Path) -> None:
    (own_rootfs / "out").symlink_to(canary)
    (own_rootfs / "up").symlink_to("../" * 30 + str(canary).lstrip("/"))
    (own_rootfs / "magic").symlink_to(f"/proc/1/root{canary}")
    container = box.engine.containers.create(["true"], rootfs=str(own_rootfs), network="none")
    for name in ("out", "up", "magic"):
        for attempt in (
            lambda name=name: container.copy_to(b"evil\n", f"/{name}/passwd"),
            lambda name=name: container.copy_from(f"/{name}/passwd"),
            lambda name=name: container.copy_from(f"/{name}", tmp_path / "target"),
        ):
            with pytest.raises(REFUSED):
                attempt()
    container.copy_from("/", tmp_path / "whole")
    assert (tmp_path / "whole" / "out").readlink() == canary


def test_what_is_mounted_in_a_container_is_not_unmounted_by_a_copy(box, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("mounted\n")
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "precious").touch()
    mounts = [f"{tmp_path}/one:/d/one", f"{tmp_path}/volume:/d/volume"]
    container = box.stay(volumes=mounts, network="none")
    container.copy_to(b"written\n", "/d/one")
    assert (tmp_path / "one").read_text() == "written\n"
    (tmp_path / "d").write_text("a file in the place of the directory")
    (tmp_path / "volume2").touch()
    for source, target in ((tmp_path / "d", "/"), (b"", "/d/volume")):
        with pytest.raises(REFUSED):
            container.copy_to(source, target, overwrite=True)
    there = container.exec(["cat", "/proc/mounts"]).stdout.decode()
    assert " /d/one " in there
    assert " /d/volume " in there
    assert (tmp_path / "volume" / "precious").exists()


def test_a_file_of_the_host_is_not_given_to_the_container_by_a_device(box, tmp_path: Path) -> None:
    """Copy a whole root with device nodes to the host: none is created there."""
    container = box.stay(network="none", privileged=True)
    container.exec(["mkdir", "/made"])
    container.exec(["mknod", "/made/disk", "b", "254", "0"])
    container.copy_from("/made", tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []
