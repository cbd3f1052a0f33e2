"""An image's links move procfs away from its masks (CVE-2019-19921, CVE-2023-27561, CVE-2025-52881)."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pypod.errors import LaunchFailed
from tests.attacks.protection import gaps
from tests.attacks.roots import Roots
from tests.images.made import Made, busybox_entries, layer
from tests.integration.inside import Box, execute

pytestmark = pytest.mark.root

# name of the link: its target; the last of a chain is a directory of the image
CHAINS = {
    "over what the tmpfs on /dev hides": {"proc": "/dev/l", "dev/l": "/real"},
    "over what sysfs hides": {"proc": "/sys/l", "sys/l": "/real"},
    "over what a volume hides": {"proc": "/s/link", "s/link": "/real"},
    "relative": {"proc": "dev/../dev/l", "dev/l": "../real"},
    "straight": {"proc": "real"},
    "sysfs": {"sys": "/dev/l", "dev/l": "/real"},
    "dev": {"dev": "/proc/l", "proc/l": "/real"},
}
OPTIONS = {
    "plain": {},
    "in a pod": {"pod": True},
    "no capabilities": {"cap_drop": ["all"]},
    "read-only": {"read_only": True},
    "a tmpfs": {"tmpfs": ["/s:notmpcopyup"]},
    "a volume": {"volumes": ["{empty}:/s"]},
    "not an overlay": {"overlay": False},
    "a terminal": {"terminal": True},
}


def plant(root: Path, links: dict[str, str]) -> None:
    (root / "real").mkdir()
    for name, target in links.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            place.rmdir()
        place.symlink_to(target)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("links", CHAINS.values(), ids=CHAINS.keys())
def test_links_in_the_place_of_proc_sys_and_dev(box, own_rootfs: Path, tmp_path: Path, links: dict, options) -> None:
    plant(own_rootfs, links)
    (tmp_path / "empty").mkdir()
    given = dict(options)
    if given.pop("pod", False):
        given["pod"] = box.engine.pods.create()
    if "volumes" in given:
        given["volumes"] = [text.format(empty=tmp_path / "empty") for text in given["volumes"]]
    with pytest.raises(LaunchFailed) as caught:
        box.stay(rootfs=str(own_rootfs), **given)
    assert (caught.value.call, caught.value.errno) == ("openat2", errno.ELOOP)
    assert "no symbolic link may replace" in caught.value.hint
    assert list((own_rootfs / "real").iterdir()) == []


def test_a_link_through_the_image_s_own_volume(engine, busybox: str, rootfs: str, tmp_path: Path) -> None:
    """The volume is empty at first and is kept: a later start would follow what an earlier one left in it."""
    entries = {**busybox_entries(busybox), "probe": Path(rootfs, "probe").read_bytes(), "real": None, "s": None}
    made = Made(layer({**entries, "proc": "/s/link"}), config={"Volumes": {"/s": {}}, "Cmd": ["/probe", "stay"]})
    engine.images.load(str(made.archive(tmp_path / "image.tar", "localhost/volume:1")))
    container = engine.containers.create(image="localhost/volume:1")
    for _ in range(2):
        with pytest.raises(LaunchFailed) as caught:
            container.start()
        assert caught.value.errno == errno.ELOOP
        (volume,) = Path(engine.layout.volumes).iterdir()
        assert list((volume / "_data").iterdir()) == []


@pytest.mark.skipif(shutil.which("runc") is None, reason="runc is not installed")
@pytest.mark.parametrize("links", [CHAINS[name] for name in CHAINS if name != "dev"], ids=str)
def test_runc_refuses_them_as_well(own_rootfs: Path, tmp_path: Path, links: dict[str, str]) -> None:
    plant(own_rootfs, links)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    subprocess.run(["runc", "spec", "--bundle", bundle], check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["root"]["path"] = str(own_rootfs)
    config["process"] |= {"args": ["/probe"], "terminal": False, "rlimits": []}
    (bundle / "config.json").write_text(json.dumps(config))
    words = ["runc", "--root", tmp_path / "state", "run", "--bundle", bundle, f"pypod-{os.getpid()}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "must be mounted on ordinary directory" in done.stderr


@pytest.mark.parametrize("target", ["/l", "/l/sys", "/deep/l/sys/kernel"])
@pytest.mark.parametrize("kind", ["volume", "tmpfs"])
def test_a_mount_by_a_link_onto_procfs(box, own_rootfs: Path, tmp_path: Path, target: str, kind: str) -> None:
    """A file system of the image would appear where the kernel's is expected."""
    (own_rootfs / "l").symlink_to("/proc")
    (own_rootfs / "deep").mkdir()
    (own_rootfs / "deep/l").symlink_to("../l")
    (tmp_path / "empty").mkdir()
    given = {"volumes": [f"{tmp_path}/empty:{target}"]} if kind == "volume" else {"tmpfs": [f"{target}:notmpcopyup"]}
    with pytest.raises(LaunchFailed) as caught:
        box.stay(rootfs=str(own_rootfs), **given)
    assert caught.value.errno == errno.ELOOP


def test_ordinary_links_of_images_are_followed(box, own_rootfs: Path, tmp_path: Path) -> None:
    """Most images have links such as /var/run and /etc/resolv.conf."""
    (own_rootfs / "var").mkdir(exist_ok=True)
    (own_rootfs / "var/run").symlink_to("/run")
    (own_rootfs / "var/tmp").symlink_to("../tmp")
    (own_rootfs / "etc/resolv.conf").unlink(missing_ok=True)
    (own_rootfs / "etc/resolv.conf").symlink_to("../usr/stub.conf")
    (own_rootfs / "usr").mkdir(exist_ok=True)
    (own_rootfs / "usr/stub.conf").touch()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/file").write_text("from the host\n")
    options = {"read_only": True, "volumes": [f"{tmp_path}/shared:/var/run"], "tmpfs": ["/var/lib"]}
    container = box.stay(rootfs=str(own_rootfs), **options)
    assert execute(container, "cat", "/run/file") == "from the host\n"
    assert gaps(container.state().pid) == []


def test_a_mask_that_covers_another_and_a_volume(box, tmp_path: Path) -> None:
    volumes = [f"{tmp_path}:/v/inner"]
    container = box.stay(volumes=volumes, security_opt=["mask=//proc/bus/../tty:/v:/proc/tty/drivers:/nosuch"])
    assert execute(container, "ls", "-A", "/v", "/proc/tty").split() == ["/proc/tty:", "/v:"]


def test_hostile_roots(engine, probe: str, tmp_path: Path, canary: Path, full: bool) -> None:
    """Links, files and other objects at random places: refused, or every mask and read-only path holds."""
    roots = Roots(tmp_path / "roots", probe, canary)
    box = Box(engine, "")
    outcomes = roots.run(box, seconds=3600 if full else 6)
    assert outcomes.started > outcomes.total / 20, outcomes
    assert outcomes.refused > outcomes.total / 20, outcomes
    assert outcomes.findings == []
