"""An image's VOLUME on /proc, /dev, / or .., with a NUL or 5 KB, or through a link to the host (CVE-2024-1753)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod.errors import InvalidImage, InvalidSpec, LaunchFailed
from tests.attacks.containers.test_22_masked_and_read_only_paths import EXPECTED
from tests.images.layers import Layer
from tests.images.made import Made, busybox_image, names_of, tree
from tests.integration.images.test_images import bring, store
from tests.integration.inside import written

pytestmark = pytest.mark.root

PLACES = [
    *"/proc /proc/sys /proc/self /proc/1 /proc/kcore /sys /sys/firmware /sys/fs/cgroup".split(),
    *"/dev /dev/null /dev/pts /dev/shm /dev/mqueue / // . .. /.. /../../.. /etc /etc/passwd /etc/hosts /run".split(),
    *"/out /out/empty /out/new /up/new /magic/new /p /p/sys /deep/out/x /loop /null bin/../../..".split(),
    "",
    "/a\0b",
    "/" + "x" * 5000,
    f"/{'x' * 200}" * 25,
    "/with space\n/proc",
    "\x1b[2J",
]
# checks each file that must not be writable if it is the kernel's own; a volume in its place is the container's
SCRIPT = """
for file in $0; do
    case "$(stat -f -c %T "$file" 2>/dev/null)" in proc|sysfs|cgroupfs|cgroup2fs) ;; *) continue ;; esac
    (: >>"$file") 2>/dev/null && echo "WRITABLE $file"
done
cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | head -c1 | grep -q . && echo READABLE
cat /out/file /up/file /magic/file 2>/dev/null
true
"""
LOCKED = " ".join(name.removeprefix("write ") for name in EXPECTED if name.startswith("write "))


@pytest.fixture
def planted(canary: Path) -> bytes:
    layer = Layer().symlink("out", str(canary)).symlink("up", f"../../../../../..{canary}").symlink("p", "/proc")
    layer.symlink("magic", f"/proc/1/root{canary}").symlink("loop", "loop").symlink("null", "/dev/null")
    return layer.directory("deep/").symlink("deep/out", "../out").bytes()


@pytest.mark.parametrize("mode", ["bind", "tmpfs"])
def test_refused_or_confined(engine, busybox, planted: bytes, canary: Path, mode: str) -> None:
    started = set()
    base = tree(busybox)
    for place in PLACES:
        try:
            image = bring(engine, Made(base, planted, config={"Volumes": {place: {}}}))
            container = engine.containers.run(
                image, ["sh", "-c", SCRIPT, LOCKED], image_volume=mode, pid="host", name="v"
            )
        except (InvalidImage, InvalidSpec, LaunchFailed):
            assert not engine.containers.exists("v")
        else:
            started.add(place)
            container.wait(20)
            text = written(container)
            assert "WRITABLE" not in text, place
            assert "READABLE" not in text, place
            assert "untouched" not in text, place
            container.remove(force=True)
        assert names_of(engine.layout.volumes) == [], place
    print(started)
    assert {"/etc", "/run"} <= started, "ordinary places must be accepted"


def test_the_script_finds_what_is_open(box) -> None:
    """Sanity check: the script is not blind."""
    text = box.shell(SCRIPT.replace("$0", LOCKED), privileged=True)
    assert "WRITABLE /proc/sys/kernel/core_pattern" in text


def test_many_volumes_are_refused_or_start(engine, busybox) -> None:
    """Each one takes a descriptor and a directory."""
    image = bring(engine, busybox_image(busybox, config={"Volumes": {f"/v{n}": {} for n in range(60)}}))
    container = engine.containers.run(image, ["sh", "-c", "grep -c ' /v[0-9]* ' /proc/mounts"])
    assert container.wait(20) == 0
    assert written(container) == "60\n"
    container.remove()
    assert names_of(engine.layout.volumes) == []
    assert store(engine)["incoming"] == []
