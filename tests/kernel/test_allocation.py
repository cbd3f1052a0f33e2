"""Where directories are placed, as lsattr(1) shows it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pypod.kernel.allocation import spread

# the name that stat(1) has for ext2, ext3 and ext4
EXT = "ext2/ext3"


def file_system(path: Path) -> str:
    return subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True).stdout.strip()


def marks(path: Path) -> str:
    done = subprocess.run(["lsattr", "-d", path], check=True, capture_output=True, text=True)
    return done.stdout.split()[0].strip("-")


@pytest.mark.skipif(shutil.which("lsattr") is None, reason="lsattr is not installed")
def test_a_directory_becomes_the_top_of_hierarchies_and_those_in_it_do_not(tmp_path: Path) -> None:
    if file_system(tmp_path) != EXT:
        pytest.skip("no ext4 for temporary files")
    before = marks(tmp_path)
    spread(str(tmp_path))
    os.mkdir(tmp_path / "below")
    assert set(marks(tmp_path)) == {*before, "T"}
    assert "T" not in marks(tmp_path / "below")


def test_other_file_systems_do_as_they_like() -> None:
    spread("/proc/self")
    spread("/dev/shm")
