"""container runlabel (podman-container-runlabel(1)), and the checkpoints that there are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod import Engine
from tests.cli.program import Program
from tests.images.made import busybox_image

pytestmark = pytest.mark.root

LABELS = {
    "run": "podman run --name NAME --network none -e X=IMAGE ${IMAGE} env ${OPT1}",
    "by-path": "/usr/bin/podman version --format $PWD",
    "list": "ls -d NAME /no/IMAGE",
    "nothing": "nosuchprogram x",
    "open": "echo 'NAME",
}


@pytest.fixture
def pypod(engine: Engine, busybox: str, tmp_path: Path) -> Program:
    program = Program(engine.layout.root)
    archive = busybox_image(busybox, config={"Labels": LABELS}).archive(tmp_path / "lab.tar", "localhost/some/lab:1")
    program.ok("load", "-q", "-i", str(archive))
    return program


def shown(pypod: Program, *words: str) -> str:
    return pypod.ok("container", "runlabel", "--display", *words)


def test_what_it_would_run(pypod: Program) -> None:
    image = "localhost/some/lab:1"
    assert shown(pypod, "--name", "foo", "list", image, "a", "b c") == "command: ls -d foo /no/IMAGE a b c\n"
    assert shown(pypod, "by-path", image) == f"command: pypod version --format {Path.cwd()}\n"
    run = f"pypod run --name lab --network none -e X={image} {image} env"
    assert shown(pypod, "run", image) == f"command: {run}\n"
    assert pypod.ok("ps", "-aq") == ""


def test_it_runs_on_the_host(pypod: Program, engine: Engine) -> None:
    assert "X=localhost/some/lab:1" in pypod.ok("container", "runlabel", "run", "some/lab:1").splitlines()
    taken = pypod("container", "runlabel", "run", "some/lab:1")
    assert (taken.returncode, "is already in use" in taken.stderr) == (125, True)
    first = engine.containers.get("lab").id
    assert pypod("container", "runlabel", "--replace", "run", "some/lab:1").returncode == 0
    assert engine.containers.get("lab").id != first


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("nosuch", "cannot find the value of label: nosuch in image: some/lab:1\n"),
        ("list", "`ls -d lab /no/IMAGE` failed: exit status 2\n"),
        ("nothing", '`nosuchprogram x` failed: exec: "nosuchprogram": executable file not found in $PATH\n'),
        ("open", "the label is no command: echo 'NAME: No closing quotation\n"),
    ],
)
def test_what_cannot_be_run(pypod: Program, label: str, message: str) -> None:
    done = pypod("container", "runlabel", label, "some/lab:1")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.endswith(f"Error: {message}")


@pytest.mark.parametrize("words", ["checkpoint -a", "checkpoint -R -e /tmp/x c", "restore -i /tmp/x", "restore -k c"])
def test_there_are_no_checkpoints(engine: Engine, words: str) -> None:
    done = Program(engine.layout.root)("container", *words.split())
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("Error: checkpoints of containers are not available")
