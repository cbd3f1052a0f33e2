"""The target of a volume, swapped for a link to the host while a container starts (CVE-2021-30465)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod.errors import LaunchFailed
from tests.attacks.attackers import begin, number
from tests.integration.inside import Report, execute, written

pytestmark = pytest.mark.root


def test_swapped_mount_targets_never_lead_out(box, tmp_path: Path, canary: Path, full: bool) -> None:
    volume, source = tmp_path / "volume", tmp_path / "source"
    (volume / "a").mkdir(parents=True)
    (volume / "b").symlink_to(canary)
    (volume / "c").symlink_to("../" * 20 + f"proc/1/root{canary}")
    source.mkdir()
    (source / "mounted").touch()
    swapper = box.engine.containers.run(
        ["sh", "-c", "/probe swap 600 /v/a /v/b & /probe swap 600 /v/b /v/c & echo watching; wait"],
        rootfs=box.rootfs, volumes=[f"{volume}:/v"],
    )  # fmt: skip
    begin(swapper)
    outcomes = {"started": 0, "refused": 0}
    options = {"volumes": [f"{volume}:/v", f"{source}:/v/a", f"{source}:/v/a/new"], "pid": "host"}
    for _ in range(number(full, 60, 2000)):
        try:
            box.run("true", **options)
            outcomes["started"] += 1
        except LaunchFailed:
            outcomes["refused"] += 1
        if (source / "new").is_dir():
            (source / "new").rmdir()
    entered = box.stay(volumes=[f"{volume}:/v"], pid="host")
    for _ in range(number(full, 60, 2000)):
        try:
            text = execute(entered, "ls", "-a", ".", working_directory="/v/a/")
        except LaunchFailed:
            outcomes["refused"] += 1
            continue
        assert "passwd" not in text
    execute(swapper, "touch", "/tmp/stop")
    swapper.wait(30)
    assert int(Report(written(swapper)).all("swapped")[0]) > 100
    assert all(outcomes.values()), f"both outcomes must occur: {outcomes}"
