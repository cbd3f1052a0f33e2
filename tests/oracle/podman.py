"""The installed podman: pypod's wording is that of podman 4 (Debian 12), which later versions change in places."""

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


words_of_4 = pytest.mark.skipif(is_later(), reason="podman here is later than 4, whose wording this is")
words_of_go_1_19 = pytest.mark.skipif(is_later(), reason="podman here is built with a later Go than podman 4")


def only_4(*values: object):
    """Return a test parameter that is compared with podman 4 only."""
    return pytest.param(*values, marks=words_of_4)
