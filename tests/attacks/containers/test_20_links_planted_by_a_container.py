"""Links that a container plants for the next start, export, commit, import or mount to follow (CVE-2025-9566)."""

from __future__ import annotations

import io
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from pypod.errors import PypodError
from tests.cli.program import Program
from tests.images.layers import Layer
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring, run
from tests.integration.inside import written

pytestmark = pytest.mark.root

WAYS = ["", "/proc/1/root", "../../../../../../../../../.."]
# every place in a container's layer that a start, or an operation between two starts, touches
PLACES = (
    "/etc/passwd /etc/group /etc/hosts /etc/hostname /etc/resolv.conf /etc/mtab /run/.containerenv /run /dev /dev/null "
    "/dev/console /dev/shm /proc /sys /tmp /var/tmp /root /w /v /v/in /v/deep/er /bin/vi"
).split()
PLANT = """
for place in $PLACES; do
    mkdir -p "${place%/*}" 2>/dev/null
    rm -rf "$place" 2>/dev/null || { mv "$place" "$place.old" 2>/dev/null; }
    ln -s "$TARGET" "$place" 2>/dev/null && echo "planted $place"
done
ln -s "$TARGET" /link; ln "/link" /hard 2>/dev/null
true
"""


@pytest.fixture(params=WAYS)
def planted(engine, busybox, canary: Path, request):
    """Return an exited container whose image has planted links to the canary wherever it could."""
    below = Layer().directory("v/").add("v/kept", b"of the image").bytes()
    image = bring(engine, busybox_image(busybox, below))
    environment = {"PLACES": " ".join(PLACES), "TARGET": f"{request.param}{canary}"}
    container = engine.containers.run(image, ["sh", "-c", PLANT], environment=environment, name="planter")
    assert container.wait(20) == 0
    assert {"planted /etc/passwd", "planted /tmp", "planted /w", "planted /v"} <= set(written(container).splitlines())
    return container


def test_the_next_start_follows_none(engine, planted) -> None:
    """Start with defaults and with every option that writes; the canary detects an escape."""
    image = planted.commit("localhost/spoilt")
    for options in (
        {},
        {"user": "5000"},
        {"working_directory": "/w"},
        {"working_directory": "/w/new"},
        {"tmpfs": ["/v"]},
        {"tmpfs": ["/v/in", "/tmp"]},
        {"read_only": True},
        {"hostname": "h", "add_hosts": ["a:1.2.3.4"]},
        {"pid": "host"},
        {"pid": "host", "tmpfs": ["/v"]},
        {"user": "5000", "pid": "host", "working_directory": "/w"},
    ):
        with suppress(PypodError):
            assert "untouched" not in run(
                engine, image, "sh", "-c", "cat /v/file /tmp/file /w/file file; true", **options
            )
    with suppress(PypodError):
        planted.start()
        planted.wait(20)


def test_volumes_and_mounts_below_follow_none(engine, planted, tmp_path: Path, canary: Path) -> None:
    """A volume's target, a place below it and an empty volume's initial content stay in the container's root."""
    image = planted.commit("localhost/spoilt", changes=["VOLUME /v", "VOLUME /link"])
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "f").write_text("given\n")
    for options in (
        {},
        {"volumes": [f"{tmp_path}/given:/v"]},
        {"volumes": [f"{tmp_path}/given:/v/in"]},
        {"volumes": [f"{tmp_path}/given:/v/new/er", f"{tmp_path}/given/f:/link/file"]},
        {"image_volume": "tmpfs"},
    ):
        for pid in ("private", "host"):
            with suppress(PypodError):
                text = run(
                    engine, image, "sh", "-c", "cat /v/file /link/file; echo x > /v/file; true", pid=pid, **options
                )
                assert "untouched" not in text
    assert not (canary / "new").exists()
    assert not (canary / "in").exists()


def test_a_volume_with_links_in_it_that_another_container_mounts_into(
    engine, busybox, tmp_path: Path, canary: Path
) -> None:
    shared, given = tmp_path / "shared", tmp_path / "given"
    for directory in (shared, given):
        directory.mkdir()
    script = f"ln -s {canary} /s/sub; ln -s ../../../../..{canary} /s/up; ln -s /proc/1/root{canary} /s/magic"
    first = engine.containers.run(["sh", "-c", script], rootfs=busybox, volumes=[f"{shared}:/s"])
    assert first.wait(20) == 0
    for name in ("sub", "up", "magic"):
        for below in ("", "/empty", "/new", "/file"):
            for more in ({"volumes": [f"{shared}:/s", f"{given}:/s/{name}{below}"]},
                         {"volumes": [f"{shared}:/s"], "tmpfs": [f"/s/{name}{below}"]}):  # fmt: skip
                with suppress(PypodError):
                    assert "untouched" not in run_rootfs(engine, busybox, f"cat /s/{name}{below}/file", **more)


def run_rootfs(engine, busybox: str, script: str, **options) -> str:
    container = engine.containers.run(["sh", "-c", f"{script}; true"], rootfs=busybox, pid="host", **options)
    try:
        container.wait(20)
        return written(container)
    finally:
        container.remove(force=True, timeout=0)


def test_export_has_the_links_themselves(engine, planted, canary: Path) -> None:
    data = b"".join(planted.export())
    assert b"untouched" not in data
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getmember("tmp").issym()
        first, second = sorted((archive.getmember("hard"), archive.getmember("link")), key=lambda one: one.islnk())
        assert (first.issym(), first.linkname.endswith(str(canary))) == (True, True)
        assert (second.islnk(), second.linkname) == (True, first.name)
    image = engine.images.import_tree([data], "flat:1")
    assert "untouched" not in run(engine, image, "sh", "-c", "cat /tmp/file /link/file; true", working_directory="/")


def test_what_looks_at_a_container_follows_none(engine, planted, tmp_path: Path, canary: Path) -> None:
    """diff, commit, save and image mount show the links themselves."""
    assert ("C", "/tmp") in set(planted.changes()) or ("A", "/tmp") in set(planted.changes())
    assert not [path for _, path in planted.changes() if path.startswith(("/tmp/", "/link/"))]
    planted.commit("localhost/spoilt")
    program = Program(engine.layout.root)
    program("save", "-q", "--format", "oci-archive", "-o", str(tmp_path / "saved.tar"), "spoilt")
    assert b"untouched" not in (tmp_path / "saved.tar").read_bytes()
    where = program.ok("image", "mount", "spoilt").strip()
    try:
        assert Path(where, "link").is_symlink()
        assert Path(where, "tmp").is_symlink()
    finally:
        program.ok("image", "umount", "spoilt")


def test_a_link_in_the_place_of_the_container_itself(engine, planted, canary: Path) -> None:
    """Removal deletes the links, not their targets."""
    planted.commit("localhost/spoilt").remove()
    planted.remove()
    assert not engine.containers.exists("planter")
