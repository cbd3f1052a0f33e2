"""run and create on images: how flags and an image's configuration combine, as a shell user sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.images.made import busybox_image, layer

pytestmark = pytest.mark.root

NAME = "localhost/box:1"
Load = Callable[..., str]


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def load(pypod: Program, busybox: str, tmp_path: Path) -> Load:
    """Load an image of busybox with more layers and this configuration; return its ID."""

    def bring(*layers: bytes, **config) -> str:
        image = busybox_image(busybox, *layers, config=config)
        pypod.ok("load", "-q", "-i", str(image.archive(tmp_path / "box.tar", NAME)))
        return image.id

    return bring


class TestRmi:
    def test_the_image_goes_at_the_end(self, pypod: Program, load: Load) -> None:
        load()
        assert pypod.ok("run", "--rm", "--rmi", NAME, "echo", "x") == "x\n"
        assert pypod.ok("images", "-q") == ""

    def test_only_the_name_when_it_has_others(self, pypod: Program, load: Load) -> None:
        load()
        pypod.ok("tag", NAME, "other")
        assert pypod("run", "--rm", "--rmi", "other", "sh", "-c", "exit 3").returncode == 3
        assert pypod.ok("images", "--format", "{{.Repository}}:{{.Tag}}") == f"{NAME}\n"

    @pytest.mark.parametrize("flags", [(), ("--rm",)])
    def test_not_while_a_container_uses_it(self, pypod: Program, load: Load, flags: tuple[str, ...]) -> None:
        load()
        user = pypod.ok("create", NAME, "true").strip() if flags else ""
        done = pypod("run", "--rmi", *flags, NAME, "sh", "-c", "exit 4")
        assert done.returncode == 4
        assert f"Error: image used by {user}" in done.stderr
        assert "image is in use by a container" in done.stderr
        assert pypod.ok("images", "-q") != ""

    def test_create_has_none(self, pypod: Program) -> None:
        done = pypod("create", "--rmi", NAME)
        assert (done.returncode, done.stderr.splitlines()[0]) == (125, "Error: unknown flag: --rmi")


class TestVolumesFrom:
    def test_what_another_container_has(self, pypod: Program, load: Load, tmp_path: Path) -> None:
        """The host directories, and its image's volumes, even of a container that never ran."""
        load(layer({"data": None, "data/f": b"old\n"}), Volumes={"/data": {}})
        (tmp_path / "host").mkdir()
        binds = ("-v", f"{tmp_path}/host:/host", "-v", f"{tmp_path}/host:/read:ro", "--tmpfs", "/scratch")
        pypod.ok("create", "--name", "data", *binds, NAME, "true")
        mounts = (
            "for at in /host /read /data /scratch; do grep \" $at \" /proc/mounts | cut -d' ' -f4 | cut -c1-2; done"
        )
        one = ("run", "--rm", "--volumes-from", "data")
        assert pypod.ok(*one, NAME, "sh", "-c", f"{mounts}; cat /data/f; echo new > /data/g; touch /host/made") == (
            "rw\nro\nrw\nold\n"
        )
        assert (tmp_path / "host/made").exists()
        assert pypod.ok(*one[:-1], "data:ro", NAME, "sh", "-c", f"{mounts}; cat /data/g") == "ro\nro\nro\nnew\n"
        assert pypod.ok(*one, "-v", f"{tmp_path}:/data", NAME, "ls", "/data/host") == "made\n"
        pypod.ok("create", "--name", "heir", "--volumes-from", "data", NAME, "true")
        assert json.loads(pypod.ok("inspect", "heir"))[0]["HostConfig"]["VolumesFrom"] == ["data"]
        pypod.ok("rm", "data")
        assert pypod.ok("run", "--rm", "--volumes-from", "heir", NAME, "cat", "/data/g") == "new\n"

    def test_a_container_that_is_not_there(self, pypod: Program, load: Load) -> None:
        load()
        done = pypod("run", "--volumes-from", "nosuch", NAME, "true")
        assert done.returncode == 125
        assert 'Error: looking up container "nosuch" for volumes-from: no container with name or ID' in done.stderr


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), ["A=a", "TERM=xterm", "container=podman", "hello=world"]),
        (("--unsetenv", "hello", "--unsetenv", "TERM", "--unsetenv", "nix"), ["A=a", "container=podman"]),
        (("--unsetenv-all",), []),
        (("--unsetenv-all", "-e", "X=1"), ["X=1"]),
        (("--env-merge", "hello=${hello}-some"), ["A=a", "TERM=xterm", "container=podman", "hello=world-some"]),
        (("--unsetenv-all", "--disable-content-trust"), []),
    ],
)
def test_the_environment_of_an_image(pypod: Program, load: Load, flags: tuple[str, ...], expected: list[str]) -> None:
    load(Env=["hello=world", "A=a"])
    found = pypod.ok("run", "--rm", *flags, NAME, "/bin/env").splitlines()
    always = ("HOME=", "HOSTNAME=", "PATH=")
    assert sorted(line for line in found if not line.startswith(always)) == expected
    assert any(line.startswith("PATH=") for line in found) == ("--unsetenv-all" not in flags)


def test_a_root_of_one_s_own_has_podman_s_variables_only(pypod: Program, busybox: str) -> None:
    root = ("--rootfs", f"{busybox}:O")
    said = pypod.ok("run", "--rm", "--unsetenv", "TERM", "--env-merge", "PATH=${PATH}:/opt", *root, "env").splitlines()
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt" in said
    assert "TERM=xterm" not in said
