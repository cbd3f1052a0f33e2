"""Containers with the probe in them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.inside import Box, fingerprint

SOURCE = Path(__file__).parents[1] / "probe.c"


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """tests/probe.c, compiled."""
    program = str(tmp_path_factory.mktemp("probe") / "probe")
    compiler = shutil.which("musl-gcc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler is installed (Debian: musl-tools or gcc)")
    multiarch = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    headers = ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{multiarch}"]
    flags = ["-static", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", program, SOURCE, *headers], check=True)
    return program


@pytest.fixture(scope="session")
def rootfs(busybox: str, probe: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """busybox's root file system with the probe in it."""
    root = tmp_path_factory.mktemp("probe-root") / "root"
    shutil.copytree(busybox, root, symlinks=True)
    shutil.copy(probe, root / "probe")
    return str(root)


@pytest.fixture
def own_rootfs(rootfs: str, tmp_path: Path) -> Path:
    """A copy of ``rootfs`` for one test, to be spoilt."""
    root = tmp_path / "own-root"
    shutil.copytree(rootfs, root, symlinks=True)
    return root


@pytest.fixture
def box(engine, rootfs: str) -> Box:
    return Box(engine, rootfs)


@pytest.fixture
def canary(tmp_path: Path):
    """A directory of the host that no container was given; anything that changes in it is an escape."""
    directory = tmp_path / "canary"
    directory.mkdir()
    (directory / "file").write_text("untouched\n")
    (directory / "passwd").write_text("root:x:0:0:host:/canary:/bin/sh\nhostuser:x:777:777::/:/bin/sh\n")
    (directory / "empty").mkdir()
    before = fingerprint(directory)
    yield directory
    assert fingerprint(directory) == before, "the canary was touched"
