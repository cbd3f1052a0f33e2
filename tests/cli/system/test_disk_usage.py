"""system df, the prune commands and system reset."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from pypod import Engine
from tests.cli.program import Program
from tests.facts import wait_until
from tests.images.tiny import Tiny

pytestmark = pytest.mark.root

BASE = {"base": b"x" * 10_000}
TOP = {"top": b"x" * 2_000}


@pytest.fixture
def pypod(engine: Engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def images(pypod: Program, tmp_path: Path) -> tuple[Tiny, Tiny]:
    """Two images; the second has the layer of the first and another."""
    both = Tiny(BASE, name="localhost/base:1"), Tiny(BASE, TOP, name="localhost/child:1")
    for number, image in enumerate(both):
        pypod.ok("pull", "-q", f"oci-archive:{image.save(tmp_path / f'{number}.tar')}")
    return both


def summary(pypod: Program) -> dict[str, dict]:
    return {row["Type"]: row for row in json.loads(pypod.ok("system", "df", "--format", "json"))}


def cells(text: str) -> list[list[str]]:
    return [re.split(r" {2,}", line.rstrip()) for line in text.splitlines()]


class TestDf:
    def test_shared_layers_count_once(self, pypod, images) -> None:
        base, child = images
        sizes = {one["Id"]: one["Size"] for one in json.loads(pypod.ok("image", "inspect", base.id, child.id))}
        found = summary(pypod)["Images"]
        assert (found["Total"], found["Active"], found["RawSize"]) == (2, 0, sizes[child.id])
        assert found["RawReclaimable"] == found["RawSize"]
        pypod.ok("create", "base:1", "x")
        found = summary(pypod)["Images"]
        assert (found["Active"], found["RawReclaimable"]) == (1, sizes[child.id] - sizes[base.id])

    @pytest.mark.usefixtures("images")
    def test_manifest_lists_are_images_too(self, pypod) -> None:
        pypod.ok("manifest", "create", "localhost/several")
        assert summary(pypod)["Images"]["Total"] == 3
        assert [row[:2] for row in cells(pypod.ok("system", "df", "-v")) if row[0] == "localhost/several"] == [
            ["localhost/several", "latest"]
        ]

    def test_containers_and_volumes(self, engine, pypod, busybox) -> None:
        engine.volumes.create("used")
        Path(engine.volumes.create("idle").path, "f").write_bytes(b"x" * 700)
        os.symlink("/usr", Path(engine.volumes.get("idle").path, "link"))
        command = ["sh", "-c", "head -c 3000 /dev/zero > /a; ln /a /b; head -c 500 /dev/zero > /v/c; exec sleep 1000"]
        engine.containers.run(command, rootfs=busybox, name="up", volumes=["used:/v"])
        engine.containers.run(["sh", "-c", "echo four > /d"], rootfs=busybox, name="down").wait()
        wait_until(lambda: summary(pypod)["Local Volumes"]["RawSize"] >= 1200)
        found = summary(pypod)
        assert (found["Containers"]["Total"], found["Containers"]["Active"]) == (2, 1)
        assert (found["Containers"]["RawSize"], found["Containers"]["RawReclaimable"]) == (3005, 5)
        volumes = found["Local Volumes"]
        assert (volumes["Total"], volumes["Active"]) == (2, 1)
        assert (volumes["RawSize"], volumes["RawReclaimable"]) == (1204, 704), "the link itself, not what it names"

    def test_table_and_template(self, pypod, images) -> None:
        heading, *rows = cells(pypod.ok("system", "df"))
        assert heading == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
        assert [row[0] for row in rows] == ["Images", "Containers", "Local Volumes"]
        assert rows[1:] == [["Containers", "0", "0", "0B", "0B (0%)"], ["Local Volumes", "0", "0", "0B", "0B (0%)"]]
        assert pypod.ok("system", "df", "--format", "{{.Type}}\t{{.Total}}").startswith("Images\t2\n")
        done = pypod("system", "df", "-v", "--format", "json")
        assert (done.returncode, done.stderr) == (125, "Error: cannot combine --format and --verbose flags\n")
        assert images[0].id[:12] in pypod.ok("system", "df", "-v")

    def test_in_detail(self, engine, pypod, images) -> None:
        pypod.ok("tag", "child:1", "other:2")
        engine.volumes.create("data")
        pypod.ok("create", "--name", "c", "-v", "data:/v", "child:1", "x", "\ty")
        shown, containers, volumes = pypod.ok("system", "df", "-v").split("\n\n", 1)[1].split(" space usage:\n\n")
        rows = {(row[0], row[1]): row[2:] for row in cells(shown)[1:-2]}
        assert rows["localhost/child", "1"] == rows["localhost/other", "2"]
        unique = {key[0]: row[4] for key, row in rows.items()}
        assert unique["localhost/base"] == "0B"
        assert unique["localhost/child"] != "0B"
        assert sorted(row[-1] for row in rows.values()) == ["0", "1", "1"]
        row = cells(containers)[1]
        assert (row[1], row[2], row[3], row[6], row[7]) == (images[1].id[:12], r"x \u0009y", "1", "created", "c")
        assert cells(volumes) == [["VOLUME NAME", "LINKS", "SIZE"], ["data", "1", "0B"]]


class TestPrune:
    @pytest.fixture
    def made(self, engine, images, busybox) -> dict[str, str]:
        """One object of each kind in use, and one that is not."""
        assert len(images) == 2
        run, create = engine.containers.run, engine.containers.create
        found = {"up": run(["sleep", "1000"], rootfs=busybox, name="up").id}
        found["down"] = run(["sh", "-c", "head -c 1000 /dev/zero > /f"], rootfs=busybox, name="down").id
        engine.containers.get("down").wait()
        found["idle"] = create("localhost/base:1", ["x"], name="idle", labels={"keep": "1"}).id
        over = engine.pods.create("over")
        over.run(["true"], rootfs=busybox, name="member").wait()
        over.stop(timeout=0)
        engine.pods.create("going").run(["sleep", "1000"], rootfs=busybox, name="going-member")
        engine.pods.create("fresh")
        found["over"] = over.id
        engine.volumes.create("unused")
        engine.networks.create("lonely")
        return found

    def test_containers(self, pypod, made) -> None:
        assert pypod.ok("container", "prune", "-f", "--filter", "until=1h") == ""
        assert pypod.ok("container", "prune", "-f", "--filter", "label=none") == ""
        assert pypod.ok("container", "prune", "-f", "--filter", "label!=keep") == f"{made['down']}\n"
        assert pypod.ok("container", "prune", "-f") == f"{made['idle']}\n"
        names = set(pypod.ok("ps", "-a", "--format", "{{.Names}}").split())
        assert {"up", "member", "going-member"} <= names
        assert not names & {"down", "idle"}

    def test_pods(self, pypod, made) -> None:
        assert pypod.ok("pod", "prune", "-f") == f"{made['over']}\n"
        assert set(pypod.ok("pod", "ps", "--format", "{{.Name}}").split()) == {"going", "fresh"}

    def test_everything_unused(self, engine, pypod, images, made) -> None:
        said = pypod.ok("system", "prune", "-f", "--volumes", "--all")
        assert said.startswith(
            f"Deleted Containers\n{made['down']}\n{made['idle']}\nDeleted Pods\n{made['over']}\n"
            "Deleted Volumes\nunused\nDeleted Images\n"
        )
        assert {images[0].id, images[1].id} < set(said.split())
        assert "Deleted Networks\nlonely\nTotal reclaimed space: " in said
        assert engine.images.list() == []
        assert [one.name for one in engine.containers.list()] == ["up", "going-member"]
        assert pypod.ok("system", "prune", "-f", "--volumes", "--all") == "Total reclaimed space: 0B\n"

    @pytest.mark.usefixtures("made")
    def test_less_unless_asked(self, engine, pypod) -> None:
        said = pypod.ok("system", "prune", "-f", "--filter", "label!=keep")
        assert "Volumes" not in said
        assert "Images" not in said
        assert engine.volumes.exists("unused")
        assert engine.containers.exists("idle")
        assert len(engine.images.list()) == 2

    def test_the_size_told_is_that_of_what_was_written(self, engine, pypod, busybox) -> None:
        engine.containers.run(["sh", "-c", "head -c 1000 /dev/zero > /f"], rootfs=busybox).wait()
        Path(engine.volumes.create("v").path, "f").write_bytes(b"x" * 500)
        assert pypod.ok("system", "prune", "-f").endswith("Total reclaimed space: 1kB\n")
        assert pypod.ok("system", "prune", "-f", "--volumes").endswith("Total reclaimed space: 500B\n")

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("container", "prune"), "WARNING! This will remove all non running containers."),
            (("pod", "prune"), "WARNING! This will remove all stopped/exited pods.."),
            (("system", "prune"), "WARNING! This command removes:\n\t- all stopped containers\n"),
            (("system", "reset"), "WARNING! This will remove:\n        - all containers\n        - all pods\n"),
        ],
    )
    @pytest.mark.usefixtures("made")
    def test_asks_first(self, engine, pypod, words, told) -> None:
        before = len(engine.containers.summaries())
        done = pypod(*words, stdin=b"n\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(told)
        assert done.stdout.endswith("\nAre you sure you want to continue? [y/N] ")
        done = pypod(*words, stdin=b"")
        assert (done.returncode, done.stderr) == (1 if "reset" in words else 125, "Error: EOF\n")
        assert len(engine.containers.summaries()) == before

    @pytest.mark.parametrize("verb", ["container", "system"])
    def test_bad_filters(self, pypod, verb) -> None:
        for text, message in (
            ("foo=bar", "foo is an invalid filter"),
            ("foo", "filter input must be in the form of filter=value: foo is invalid"),
            ("until=x", 'failed to parse value as time or duration: "x"'),
        ):
            done = pypod(verb, "prune", "-f", "--filter", text)
            assert (done.returncode, done.stdout, done.stderr) == (125, "", f"Error: {message}\n")


class TestReset:
    def test_nothing_is_left(self, tmp_path: Path, busybox: str) -> None:
        root = tmp_path / "another"
        pypod = Program(str(root))
        pypod.ok("pull", "-q", f"oci-archive:{Tiny(BASE, name='localhost/base:1').save(tmp_path / 'base.tar')}")
        pypod.ok("run", "-d", "--name", "up", "--rootfs", f"{busybox}:O", "sleep", "1000")
        pypod.ok("create", "--name", "idle", "base:1", "x")
        pypod.ok("volume", "create", "data")
        pypod.ok("network", "create", "net")
        pypod.ok("pod", "create", "--name", "p")
        pypod.ok("run", "-d", "--pod", "p", "--rootfs", busybox, "sleep", "1000")
        pypod.ok("image", "mount", "base:1")
        pids = [one["State"]["Pid"] for one in json.loads(pypod.ok("inspect", "up"))]
        assert pypod.ok("system", "reset", "--force") == ""
        assert not root.exists()
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        assert str(root) not in Path("/proc/self/mountinfo").read_text()
        assert pypod.ok("ps", "-a", "-q") == ""

    def test_what_is_not_pypods_stays(self, tmp_path: Path) -> None:
        root = tmp_path / "another"
        pypod = Program(str(root))
        pypod.ok("volume", "create", "data")
        (root / "mine").write_text("kept")
        pypod.ok("system", "reset", "-f")
        assert [path.name for path in root.iterdir()] == ["mine"]


def test_what_podman_has_and_pypod_has_not(pypod) -> None:
    assert pypod.ok("system", "renumber") == ""
    for words in (
        ("service",),
        ("service", "--time", "5", "unix:///x"),
    ):
        done = pypod("system", *words)
        assert (done.returncode, done.stdout) == (125, "")
        assert done.stderr.startswith("Error: pypod has no ")
    assert pypod("system", "migrate", "--new-runtime", "x").returncode == 125
