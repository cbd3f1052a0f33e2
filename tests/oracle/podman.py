"""Which podman is asked: pypod's words are those of podman 4 (Debian 12), and a later one has others in places."""

from __future__ import annotations

import functools
import shutil
import subprocess

import pytest


@functools.cache
def is_later() -> bool:
    if shutil.which("podman") is None:
        return False
    said = subprocess.run(["podman", "--version"], capture_output=True, text=True, check=False).stdout
    return not said.startswith("podman version 4.")


words_of_4 = pytest.mark.skipif(is_later(), reason="podman here is later than 4, whose words these are")
words_of_go_1_19 = pytest.mark.skipif(is_later(), reason="podman here is made with a later Go than podman 4")


def only_4(*values: object):
    """What is asked of podman 4 only: a parameter of a test."""
    return pytest.param(*values, marks=words_of_4)
