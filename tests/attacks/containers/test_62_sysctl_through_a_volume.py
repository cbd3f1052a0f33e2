"""A volume on /proc/sys contains a link in place of a setting that --sysctl writes (class of runc#4930)."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pypod.errors import LaunchFailed

pytestmark = pytest.mark.root

LINKS = ["/proc/kmsg", "/proc/sys/kernel/hostname", "../../../../kernel/hostname", "/proc/self/comm", "/dev/null"]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    directory = tmp_path / "sys"
    (directory / "net/core").mkdir(parents=True)
    return directory


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("target", ["/proc/sys", "/proc/sys/net", "/proc"])
def test_links_in_a_volume(box, settings: Path, link: str, target: str) -> None:
    (settings / "net/core/somaxconn").symlink_to(link)
    source = {"/proc/sys": settings, "/proc/sys/net": settings / "net", "/proc": settings.parent}[target]
    with pytest.raises(LaunchFailed, match="set sysctl") as caught:
        box.run("true", sysctls={"net.core.somaxconn": "99"}, volumes=[f"{source}:{target}"])
    assert (caught.value.call, caught.value.errno) == ("openat2", errno.ELOOP)


@pytest.mark.parametrize("target", ["/proc/sys", "/proc/sys/net", "/proc/sys/net/core"])
def test_files_in_a_volume(box, settings: Path, target: str) -> None:
    """Plain files would swallow the write (CVE-2025-52881)."""
    file = settings / "net/core/somaxconn"
    file.write_text("1\n")
    source = settings / Path(target).relative_to("/proc/sys")
    with pytest.raises(LaunchFailed, match="set sysctl") as caught:
        box.run("true", sysctls={"net.core.somaxconn": "99"}, volumes=[f"{source}:{target}"])
    assert (caught.value.call, caught.value.errno) == ("fstatfs", errno.EXDEV)
    assert file.read_text() == "1\n"


def test_a_setting_of_another_place_in_procfs(box) -> None:
    """For example, the host's own /proc/sys/kernel as a volume on the container's /proc/sys/net/core."""
    with pytest.raises(LaunchFailed, match="set sysctl"):
        box.run("true", sysctls={"net.core.hostname": "taken"}, volumes=["/proc/sys/kernel:/proc/sys/net/core"])
    assert Path("/proc/sys/kernel/hostname").read_text() != "taken\n"


def test_without_a_volume_it_is_set(box) -> None:
    assert box.run("cat", "/proc/sys/net/core/somaxconn", sysctls={"net.core.somaxconn": "99"}) == "99\n"
