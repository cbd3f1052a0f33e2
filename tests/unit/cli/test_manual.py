"""The manual pages: one for each command, in roff that the tools of a reader accept."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pypod.cli.manual import pages, write
from pypod.cli.verbs import GROUPS, VERBS, load

COMMANDS = [
    "pypod",
    *(f"pypod-{name}" for name in (*VERBS, *GROUPS)),
    *(f"pypod-{group}-{name.replace(' ', '-')}" for group, (_, verbs) in GROUPS.items() for name in verbs if name),
]


def test_every_command_has_a_page() -> None:
    assert sorted(pages()) == sorted(f"{name}.1" for name in COMMANDS)


def test_a_page_has_each_flag_that_help_shows() -> None:
    found = pages()
    for name, row in VERBS.items():
        page = found[f"pypod-{name}.1"]
        if not page.startswith(".so "):
            named = set(re.findall(r"^\\fB\\-\\-(.*?)\\fR", page, re.MULTILINE))
            shown = {flag.name.replace("-", r"\-") for flag in load(row)[0].flags if not flag.hidden}
            assert named == shown, name


def test_references_lead_to_pages() -> None:
    found = pages()
    for text in found.values():
        for target in re.findall(r"^\.so man1/(.*)$", text, re.MULTILINE):
            assert not found[target].startswith(".so ")
        for target in re.findall(r"\\fB([a-z\\-]+)\\fR\(1\)", text):
            assert f"{target.replace(chr(92), '')}.1" in found


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_no_warnings(tmp_path: Path) -> None:
    paths = write(str(tmp_path / "man1"))
    done = subprocess.run(
        ["groff", "-mandoc", "-Tutf8", "-ww", "-z", *paths], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
@pytest.mark.parametrize("name", ["pypod", "pypod-run", "pypod-ns", "pypod-pod", "pypod-container-ls"])
def test_man_shows_one(tmp_path: Path, name: str) -> None:
    write(str(tmp_path / "man1"))
    environment = {**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["man", "-l", str(tmp_path / "man1" / f"{name}.1")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "NAME\n       pypod" in done.stdout
    assert "SYNOPSIS" in done.stdout
    if name == "pypod-run":
        assert "pypod run [options] IMAGE [COMMAND [ARG...]]" in done.stdout
        assert "--publish, -p=" in done.stdout
