"""What a container sees of the trees of cgroups v1: its own groups, and never those of others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypod.kernel.cgroups.detect import detect

TREES = {os.path.basename(one.directory): one.controllers for one in detect().legacy}
pytestmark = [pytest.mark.root, pytest.mark.skipif(not TREES, reason="cgroups: the host has no v1 trees")]


def listing(container, path: str = "") -> list[str]:
    return container.exec(["ls", f"/sys/fs/cgroup/{path}"]).stdout.decode().split()


def test_every_controller_is_shown(engine, busybox: str) -> None:
    container = engine.containers.run(["sleep", "100"], rootfs=busybox, memory="64m")
    shared = {name for controllers in TREES.values() if len(controllers) > 1 for name in controllers}
    assert set(listing(container)) - {"unified"} == TREES.keys() | shared
    limit = container.exec(["cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]).stdout
    assert int(limit) == 64 << 20


def test_other_containers_are_not(engine, busybox: str) -> None:
    """Neither their ids nor the host's groups, whether the container has a group of its own in a tree or not."""
    other = engine.containers.run(["sleep", "100"], rootfs=busybox)
    for options in ({}, {"systemd": "always"}, {"cap_add": ("SYS_ADMIN",)}):
        container = engine.containers.run(["sleep", "100"], rootfs=busybox, **options)
        for tree in TREES:
            found = container.exec(["find", f"/sys/fs/cgroup/{tree}/", "-mindepth", "1", "-type", "d"]).stdout
            assert found == b"", tree
        assert other.id.encode() not in container.exec(["cat", "/proc/self/cgroup"]).stdout


@pytest.mark.parametrize("options", [{}, {"privileged": True}, {"systemd": "always"}])
def test_each_is_mounted_once(engine, busybox: str, options: dict[str, object]) -> None:
    container = engine.containers.run(["sleep", "100"], rootfs=busybox, **options)
    mounted = [line.split()[1] for line in container.exec(["cat", "/proc/mounts"]).stdout.decode().splitlines()]
    trees = [path for path in mounted if path.startswith("/sys/fs/cgroup")]
    assert len(trees) > len(TREES)
    assert sorted(trees) == sorted(set(trees))


def test_nothing_in_them_can_be_changed(engine, busybox: str) -> None:
    container = engine.containers.run(["sleep", "100"], rootfs=busybox, memory="64m")
    for tree in TREES:
        assert container.exec(["mkdir", f"/sys/fs/cgroup/{tree}/x"]).exit_code == 1
        assert container.exec(["sh", "-c", f"echo 1 > /sys/fs/cgroup/{tree}/tasks"]).exit_code != 0
    assert container.exec(["sh", "-c", "echo -1 > /sys/fs/cgroup/memory/memory.limit_in_bytes"]).exit_code != 0


@pytest.mark.skipif("systemd" not in TREES, reason="cgroups: the host has no tree of systemd")
def test_systemd_has_a_tree_of_its_own(engine, busybox: str) -> None:
    container = engine.containers.run(["sleep", "100"], rootfs=busybox, systemd="always")
    assert container.exec(["mkdir", "/sys/fs/cgroup/systemd/own"]).exit_code == 0
    assert Path(f"/sys/fs/cgroup/systemd/pypod/{container.id}/own").is_dir()
    assert container.exec(["sh", "-c", "echo /x > /sys/fs/cgroup/systemd/release_agent"]).exit_code != 0
    container.remove(force=True)
    assert not Path(f"/sys/fs/cgroup/systemd/pypod/{container.id}").exists()


def test_one_that_mounts_something_there_sees_that(engine, busybox: str) -> None:
    container = engine.containers.run(["sleep", "100"], rootfs=busybox, tmpfs=("/sys/fs/cgroup",))
    assert listing(container) == []
