"""A file system of a container in place of procfs, which swallows what is written to it (CVE-2025-52881)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod.errors import LaunchFailed

pytestmark = pytest.mark.root


def test_fake_procfs_swallows_no_write(box, own_rootfs: Path, tmp_path: Path) -> None:
    """CVE-2025-52881, CVE-2019-19921: a file system that is not procfs is never written to as if it were."""
    fake = tmp_path / "fake"
    (fake / "proc/sys/net/core").mkdir(parents=True)
    (fake / "proc/sys/net/core/somaxconn").write_text("1\n")
    with pytest.raises(LaunchFailed, match="set sysctl") as caught:
        box.run("true", sysctls={"net.core.somaxconn": "99"}, volumes=[f"{fake}/proc:/proc"])
    assert (caught.value.call, caught.value.errno) == ("fstatfs", 18)
    (own_rootfs / "proc").rmdir()
    (own_rootfs / "proc").symlink_to("/fake/proc")
    with pytest.raises(LaunchFailed):
        box.run("true", rootfs=str(own_rootfs), sysctls={"net.core.somaxconn": "99"}, volumes=[f"{fake}:/fake"])
    assert (fake / "proc/sys/net/core/somaxconn").read_text() == "1\n"
