"""Fixtures for attacks: containers with the probe in them, a canary outside of them, places for layers and images."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.attacks.pulled import Storage
from tests.images.place import place
from tests.integration.conftest import box, canary, own_rootfs, probe, rootfs

__all__ = ["box", "canary", "own_rootfs", "place", "probe", "rootfs"]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with ExitStack() as stack:
        yield Storage(stack, str(tmp_path / "storage"))
    subprocess.run(["rm", "-rf", tmp_path / "storage"], check=False)  # pytest itself cannot delete deep trees
