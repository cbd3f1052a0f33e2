"""Files that a container leaves behind, which must be deleted."""

from __future__ import annotations

import resource
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.root


def test_deep_trees_that_a_container_made_are_deleted(box) -> None:
    """Deeper than the limit on open descriptors, and than PATH_MAX."""
    trash = Path(box.engine.layout.trash)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        box.run("/probe", "dig", "5000", working_directory="/tmp")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    deadline = time.monotonic() + 20
    while any(trash.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = list(trash.iterdir())
    subprocess.run(["rm", "-rf", *left], check=True)  # also too deep for pytest to delete
    assert left == []
