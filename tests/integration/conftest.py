"""Fixtures for containers with the probe in them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.images.made import IDS, Made, busybox_entries, layer
from tests.injection import injector
from tests.integration.inside import Box, fingerprint
from tests.lab import lab
from tests.users import User

__all__ = ["injector", "lab"]  # fixtures

SOURCE = Path(__file__).parents[1] / "probe.c"


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of tests/probe.c, compiled."""
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
    """Return busybox's root file system with the probe in it."""
    root = tmp_path_factory.mktemp("probe-root") / "root"
    shutil.copytree(busybox, root, symlinks=True)
    shutil.copy(probe, root / "probe")
    return str(root)


@pytest.fixture
def own_rootfs(rootfs: str, tmp_path: Path) -> Path:
    """Return a copy of ``rootfs`` for one test, which may damage it."""
    root = tmp_path / "own-root"
    shutil.copytree(rootfs, root, symlinks=True)
    return root


@pytest.fixture
def box(engine, rootfs: str) -> Box:
    return Box(engine, rootfs)


@pytest.fixture
def canary(tmp_path: Path):
    """Return a host directory that no container was given; any change in it is an escape."""
    directory = tmp_path / "canary"
    directory.mkdir()
    (directory / "file").write_text("untouched\n")
    (directory / "passwd").write_text("root:x:0:0:host:/canary:/bin/sh\nhostuser:x:777:777::/:/bin/sh\n")
    (directory / "empty").mkdir()
    before = fingerprint(directory)
    yield directory
    assert fingerprint(directory) == before, "the canary was touched"


OWNERS = "stat -c '%u %g %a' / /bin/busybox /srv/data; id -u; id -g"


@pytest.fixture(scope="session")
def archive(busybox: str, user_tree: Path) -> Path:
    """Return an image whose root directory is not writable, with files of root and of user 1001, who it runs as."""
    passwd = b"root:x:0:0::/:/bin/sh\nweb:x:1001:1002::/:/bin/sh\n"
    below = layer({".": None, **busybox_entries(busybox), "etc/passwd": passwd}, mode=0o555, uid=0, gid=0)
    above = layer({"srv": None, "srv/data": b"data\n"}, mode=0o755, uid=1001, gid=1002)
    path = Made(below, above, config={"Cmd": ["sh", "-c", OWNERS], "User": "1001"}).archive(
        user_tree.parent / "ids.tar", f"{IDS}:latest"
    )
    path.chmod(0o644)
    return path


def _with_image(user: User, archive: Path):
    user.ok("pull", "-q", f"oci-archive:{archive}")
    yield user
    user.ok("rmi", "-f", IDS)


@pytest.fixture(scope="session")
def with_image(user: User, archive: Path):
    """Return the user with subordinate IDs, who has that image."""
    yield from _with_image(user, archive)


@pytest.fixture(scope="module")
def bare_with_image(bare_user: User, archive: Path):
    """Return the user without subordinate IDs, who has that image."""
    yield from _with_image(bare_user, archive)


@pytest.fixture(scope="session")
def plain(user_tree: Path, busybox: str) -> Path:
    """Return a root file system that belongs to the host's root and that everybody may read."""
    root = user_tree.parent / "plain"
    shutil.copytree(busybox, root, symlinks=True)
    return root
