"""cp on the command line: archives on the standard streams, and what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from pypod import Engine
from tests.cli.program import Program

pytestmark = pytest.mark.root


@pytest.fixture
def pypod(engine: Engine, busybox: str) -> Program:
    for name in ("one", "two"):
        engine.containers.create(["true"], name=name, rootfs=busybox, network="none")
    return Program(engine.layout.root)


def test_archives_on_the_standard_streams(pypod: Program, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content\n")
    pypod.ok("cp", str(tmp_path / "file"), "one:/tmp")
    with (tmp_path / "out.tar").open("wb") as file:
        done = pypod.start("cp", "one:/tmp/.", "-", stdout=file)
        assert done.wait(60) == 0
    data = (tmp_path / "out.tar").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["file"]
    pypod.ok("container", "cp", "-", "two:/var", stdin=data)
    pypod.ok("cp", "two:/var/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "content\n"


def test_between_two_containers(pypod: Program, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("b")
    pypod.ok("cp", str(tmp_path / "a"), "one:/tmp")
    pypod.ok("cp", "one:/tmp/a", "two:/tmp/c")
    pypod.ok("cp", "two:/tmp/c/b", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "b"


def test_a_path_relative_to_the_current_directory(pypod: Program, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert pypod("cp", "file", "one:/tmp", cwd=tmp_path).returncode == 0
    assert pypod("cp", "one:/tmp/file", "other", cwd=tmp_path).returncode == 0
    assert (tmp_path / "other").read_text() == "x"
    refused = pypod("cp", "no/../none", "one:/tmp", cwd=tmp_path)
    words = 'Error: "no/../none" could not be found on the host: no such file or directory\n'
    assert (refused.returncode, refused.stderr) == (125, words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a", "b"), "name or ID cannot be empty"),
        (("one:", "b"), 'invalid arguments "one:", "b": you must specify paths'),
        (("none:/x", "b"), 'container "none" does not exist'),
        (("-", "one:/none"), "destination must be a directory when copying from stdin"),
        (("-", "one:/tmp"), "source must be a (compressed) tar archive when copying from stdin"),
    ],
)
def test_what_is_refused(pypod: Program, words: tuple[str, ...], message: str) -> None:
    done = pypod("cp", *words, stdin=b"no archive")
    assert (done.returncode, done.stderr) == (125, f"Error: {message}\n")
