"""top against podman's: the same descriptors, and help that lists them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pypod import Engine
from tests.cli.program import Program

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]


def podman(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["podman", "--log-level=error", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize("words", [("top",), ("pod", "top")])
def test_the_descriptors_are_podmans(engine: Engine, words: tuple[str, ...]) -> None:
    theirs = podman(*words, "--list-descriptors")
    assert theirs.returncode == 0, theirs.stderr
    assert Program(engine.layout.root).ok(*words, "--list-descriptors") == theirs.stdout


@pytest.mark.parametrize("words", [("top",), ("top", "nobody"), ("pod", "top"), ("pod", "top", "nobody")])
def test_errors_are_podmans(engine: Engine, words: tuple[str, ...]) -> None:
    ours, theirs = Program(engine.layout.root)(*words), podman(*words)
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
