"""mount and unmount (podman-mount(1), podman-unmount(1)): the root of a container on the host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pypod import Engine
from pypod.api.container import Container
from tests.cli.program import Program

pytestmark = pytest.mark.root


@pytest.fixture
def pypod(engine: Engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def box(engine: Engine, busybox: str) -> Container:
    """A container with a volume, whose root is an overlay."""
    return engine.containers.create(["sleep", "1000"], name="box", rootfs=busybox, network="none", tmpfs=["/scratch"])


def mounts_below(directory: str) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [point for line in lines if (point := line.split()[4]).startswith(directory)]


def test_before_while_and_after_it_runs(pypod: Program, box: Container) -> None:
    """One file system throughout: two overlays with the same upper directory would not see each other's files."""
    path = Path(pypod.ok("mount", "box").strip())
    (path / "from-the-host").write_text("host")
    assert pypod.ok("mount", "box") == f"{path}\n"
    pypod.ok("start", "box")
    assert pypod.ok("exec", "box", "cat", "/from-the-host") == "host"
    pypod.ok("exec", "box", "sh", "-c", "echo box >/from-the-box; echo no >/scratch/hidden")
    assert (path / "from-the-box").read_text() == "box\n"
    assert list((path / "scratch").iterdir()) == []
    pypod.ok("stop", "-t", "0", "box")
    pypod.ok("cp", "box:/from-the-box", str(path / "copy"))
    assert (path / "copy").read_text() == "box\n"
    pypod.ok("start", "box")
    assert pypod.ok("exec", "box", "cat", "/copy") == "box\n"
    assert mounts_below(box.directory) == [str(path)]


def test_unmounted_while_it_runs(pypod: Program, box: Container) -> None:
    pypod.ok("start", "box")
    path = Path(pypod.ok("mount", "box").strip())
    (path / "one").touch()
    assert pypod.ok("umount", "box") == "box\n"
    assert not path.exists()
    pypod.ok("exec", "box", "touch", "/one", "/two")
    assert Path(pypod.ok("container", "mount", "box").strip()) == path
    assert {"one", "two"} <= set(os.listdir(path))
    assert pypod.ok("container", "unmount", "--force", box.id[:12]) == f"{box.id[:12]}\n"
    assert mounts_below(box.directory) == []


def test_the_list(pypod: Program, box: Container) -> None:
    assert (pypod.ok("mount"), pypod.ok("mount", "--format", "json")) == ("", "[]\n")
    path = pypod.ok("mount", "--all").strip()
    assert path == box.mount_point
    assert pypod.ok("mount").split() == [box.id[:12], path]
    assert pypod.ok("mount", "--no-trunc").split() == [box.id, path]
    assert json.loads(pypod.ok("mount", "--format", "json")) == [{"id": box.id, "Names": ["box"], "mountpoint": path}]
    assert pypod.ok("inspect", "-f", "{{.GraphDriver.Data.MergedDir}}", "box") == f"{path}\n"
    assert pypod.ok("umount", "--all") == f"{box.id}\n"
    assert (pypod.ok("mount"), pypod.ok("umount", "--all"), box.mount_point) == ("", "", "")


@pytest.mark.parametrize("running", [False, True])
def test_removal_takes_it_along_and_nothing_of_the_image(
    pypod: Program, box: Container, busybox: str, running: bool
) -> None:
    before = sorted(os.listdir(busybox))
    if running:
        pypod.ok("start", "box")
    pypod.ok("mount", "box")
    pypod.ok("rm", "-f", "-t", "0", "box")
    assert (mounts_below(box.directory), os.path.exists(box.directory)) == ([], False)
    assert sorted(os.listdir(busybox)) == before


def test_a_mount_without_a_record_is_repaired(pypod: Program, engine: Engine, box: Container, busybox: str) -> None:
    """As a removal leaves it that was killed between the record and the files."""
    pypod.ok("mount", "box")
    for kept in Path(box.directory).glob("*.json"):
        kept.unlink()
    with engine.database.transaction() as connection, connection:
        connection.execute("delete from containers where id = ?", (box.id,))
    assert f"left behind: {box.directory}" in pypod("system", "check").stdout
    assert f"removed {box.directory}" in pypod("system", "check", "--repair").stdout
    assert (mounts_below(box.directory), os.path.exists(box.directory)) == ([], False)
    assert os.path.exists(f"{busybox}/bin")


def test_a_directory_as_the_root_and_a_read_only_one(pypod: Program, engine: Engine, busybox: str) -> None:
    engine.containers.create(["true"], name="plain", rootfs=busybox, overlay=False, network="none")
    path = pypod.ok("mount", "plain").strip()
    assert os.path.samefile(path, busybox)
    assert pypod.ok("mount").split()[1] == path
    engine.containers.run(["sleep", "1000"], name="shut", rootfs=busybox, read_only=True, network="none")
    (Path(pypod.ok("mount", "shut").strip()) / "written").touch()
    assert pypod.ok("exec", "shut", "ls", "/written") == "/written\n"


def test_owners_of_a_user_namespace(pypod: Program, engine: Engine, busybox: str) -> None:
    """The host sees the ids on its side; a start with the mount as the root shows the container its own."""
    maps = ["0:100000:1000"]
    engine.containers.create(["sleep", "1000"], name="mapped", rootfs=busybox, uidmap=maps, gidmap=maps, network="none")
    path = Path(pypod.ok("mount", "mapped").strip())
    pypod.ok("start", "mapped")
    pypod.ok("exec", "mapped", "touch", "/made")
    assert (path / "made").stat().st_uid == 100000
    assert pypod.ok("exec", "mapped", "stat", "-c", "%u", "/made") == "0\n"


def test_what_is_refused(pypod: Program, box: Container) -> None:
    for words, message in (
        (("mount", "box", "nosuch"), 'no container with name or ID "nosuch" found: no such container'),
        (("umount", "nosuch"), 'no container with name or ID "nosuch" found: no such container'),
        (("mount", "--format", "x"), 'unknown --format argument: "x"'),
        (("mount", "-a", "box"), "no arguments are needed with --all"),
        (("umount", "-al"), "--all and --latest cannot be used together"),
        (("umount",), "you must provide at least one name or id"),
    ):
        done = pypod(*words)
        assert (done.returncode, done.stdout) == (125, ""), words
        assert f"Error: {message}" in done.stderr
    assert pypod.ok("mount") == ""
