"""Volumes of ordinary users: whose the files are, and file systems in their session."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.images.made import IDS as IMAGE
from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.users]


def run(user: User, *words: str) -> str:
    return user.ok("run", "--rm", *words)


def test_content_and_owners(with_image: User) -> None:
    """The image's user is 1001; /srv/data belongs to them. Another one finds what the first has written."""
    try:
        assert run(
            with_image, "-v", "uv:/srv", IMAGE, "sh", "-c", "cat /srv/data; stat -c '%u %g' /srv; echo x > /srv/f"
        )
        assert run(with_image, "-v", "uv:/x", "--user", "0", IMAGE, "stat", "-c", "%u %g", "/x/f") == "1001 1002\n"
        assert run(with_image, "-v", "new:/new", IMAGE, "sh", "-c", "touch /new/f; stat -c %u /new") == "1001\n"
        inspected = with_image.ok("volume", "inspect", "uv", "--format", "{{.Mountpoint}}").strip()
        assert inspected == f"{with_image.storage}/volumes/uv/_data"
        assert with_image.ok("unshare", "stat", "-c", "%u", f"{inspected}/f") == "1001\n"
    finally:
        with_image.ok("volume", "rm", "--force", "uv", "new")
    assert with_image.ok("volume", "ls", "-q") == ""


def test_in_user_namespaces_of_their_own(with_image: User) -> None:
    try:
        for userns in ("auto", "keep-id", "nomap"):
            words = ("-v", f"v-{userns}:/srv", "-v", f"w-{userns}:/new", "--userns", userns)
            shown = run(
                with_image, *words, IMAGE, "sh", "-c", "stat -c '%u' /srv/data /new; touch /srv/f /new/f; echo ok"
            )
            assert shown == "1001\n1001\nok\n", userns
    finally:
        with_image.ok("volume", "rm", "--all")


def test_given_to_the_user(with_image: User) -> None:
    place = with_image.home / "given"
    with_image.run("mkdir", "-p", place / "in")
    try:
        words = ("-v", f"{place}:/d:U")
        assert run(with_image, *words, IMAGE, "sh", "-c", "stat -c %u /d /d/in; touch /d/in/f") == "1001\n1001\n"
    finally:
        with_image.ok("unshare", "rm", "-r", str(place))


def test_out_and_in(with_image: User) -> None:
    try:
        run(
            with_image,
            "-v",
            "out:/new",
            IMAGE,
            "sh",
            "-c",
            "umask 077; mkdir /new/d; echo text > /new/d/f; chmod 700 /new",
        )
        path = with_image.home / "volume.tar"
        with_image.ok("volume", "export", "out", "-o", str(path))
        with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
            assert [(one.name, one.uid) for one in tar] == [("d", 1001), ("d/f", 1001)]
        with_image.ok("volume", "create", "in")
        with_image.ok("volume", "import", "in", str(path))
        shown = run(with_image, "-v", "in:/x", "--user", "0", IMAGE, "sh", "-c", "stat -c %u /x/d/f; cat /x/d/f")
        assert shown == "1001\ntext\n"
        path.write_bytes(b"no archive" * 200)
        failed = with_image.pypod("volume", "import", "in", str(path))
        assert (failed.returncode, failed.stderr.startswith("Error: archive: ")) == (125, True)
    finally:
        with_image.ok("volume", "rm", "--force", "out", "in")


def test_a_tmpfs_in_the_session(with_image: User) -> None:
    with_image.ok("volume", "create", "mem", "--opt", "type=tmpfs", "--opt", "o=size=64k")
    try:
        with_image.ok("run", "-d", "--name", "holder", "-v", "mem:/m", IMAGE, "sh", "-c", "touch /m/f; sleep 100")
        script = "until ls /m/f; do sleep 0.1; done; grep -c '^tmpfs /m tmpfs .*size=64k' /proc/mounts"
        assert run(with_image, "-v", "mem:/m", IMAGE, "sh", "-c", script) == "/m/f\n1\n"
        assert "/mem/" not in Path("/proc/self/mountinfo").read_text()
        with_image.ok("rm", "-f", "-t", "0", "holder")
        assert run(with_image, "-v", "mem:/m", IMAGE, "ls", "/m") == ""
    finally:
        with_image.ok("volume", "rm", "--force", "mem")


def test_images_and_overlays(with_image: User) -> None:
    with_image.run("sh", "-c", "mkdir -p lower; echo old > lower/f")
    image = f"type=image,src={IMAGE},dst=/i,rw=true"
    words = ("--mount", image, "-v", f"{with_image.home}/lower:/o:O", "--user", "0")
    script = "cat /i/srv/data /o/f; echo new > /o/f; echo new > /i/srv/data; cat /i/srv/data /o/f"
    for _ in range(2):
        assert run(with_image, *words, IMAGE, "sh", "-c", script) == "data\nold\nnew\nnew\n"
    assert (with_image.home / "lower" / "f").read_text() == "old\n"


def test_one_id_is_enough(bare_with_image: User) -> None:
    try:
        shown = run(bare_with_image, "-v", "one:/d", "--user", "0", IMAGE, "sh", "-c", "touch /d/f; stat -c %u /d/f")
        assert shown == "0\n"
        assert Path(bare_with_image.storage, "volumes/one/_data/f").stat().st_uid == bare_with_image.uid
    finally:
        bare_with_image.ok("volume", "rm", "--force", "one")
