"""The storage driver from the environment, as podman reads it, and fuse-overlayfs markers in a layer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypod.engine.storage.drivers import Driver, asked
from pypod.errors import InvalidSpec
from pypod.images.layers import stack

PROGRAM = "/usr/bin/fuse-overlayfs"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"STORAGE_DRIVER": "", "STORAGE_OPTS": ""}, None),
        ({"STORAGE_DRIVER": "overlay"}, Driver()),
        ({"STORAGE_DRIVER": "vfs"}, Driver(name="vfs")),
        ({"STORAGE_OPTS": f"overlay.mount_program={PROGRAM}"}, Driver(program=PROGRAM)),
        ({"STORAGE_OPTS": f"overlay.mountopt=nodev,overlay.mount_program={PROGRAM}"}, Driver(program=PROGRAM)),
        ({"STORAGE_DRIVER": "vfs", "STORAGE_OPTS": f"overlay.mount_program={PROGRAM}"}, Driver(name="vfs")),
        ({"STORAGE_OPTS": "overlay.mountopt=nodev"}, None),
    ],
)
def test_what_is_asked_for(environment: dict[str, str], expected: Driver | None) -> None:
    assert asked(environment) == expected


@pytest.mark.parametrize("name", ["btrfs", "Overlay", "vfs "])
def test_there_is_no_other(name: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        asked({"STORAGE_DRIVER": name})
    assert caught.value.argument == "STORAGE_DRIVER"


@pytest.mark.parametrize("in_user_namespace", [False, True])
def test_marks_count_where_users_containers_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_user_namespace: bool
) -> None:
    monkeypatch.setattr(stack, "in_user_namespace", lambda: in_user_namespace)
    for name in (".wh..wh..opq", ".wh.other", "file"):
        (tmp_path / name).touch()
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert stack.is_opaque(fd) is in_user_namespace
        seen = {".wh.other", "file"} if in_user_namespace else {".wh..wh..opq", ".wh.other", "file"}
        assert set(stack.names(fd)) == seen
    finally:
        os.close(fd)
