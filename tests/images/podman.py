"""A podman whose storage, locks, mounts and processes belong to one test."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# processes that podman leaves behind, and its mounts, end with the namespaces
APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
TIMEOUT_S = 120
SNAPSHOT = (
    "import pickle, sys; sys.path.insert(0, sys.argv[1]); from tests.images.layers import snapshot;"
    "sys.stdout.buffer.write(pickle.dumps(snapshot(sys.argv[2])))"
)


def apart(script: str, *words: str) -> bytes:
    """Run a shell script in which ``podman`` is such a podman; return its output.

    Skips the test if podman is not installed.
    """
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    with tempfile.TemporaryDirectory(prefix="podman-") as directory:  # podman's runroot has at most 50 characters
        conf = Path(directory, "containers.conf")
        conf.write_text('[engine]\nlock_type = "file"\n')
        options = " ".join(f"--{name} {directory}/{name}" for name in ("root", "runroot", "tmpdir"))
        function = f'podman() {{ command podman --log-level=error --cgroup-manager=cgroupfs {options} "$@"; }}'
        done = subprocess.run(
            [*APART, "sh", "-c", f"{function}\n{script}", "sh", *words],
            env={**os.environ, "CONTAINERS_CONF": str(conf)},
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def mounted(layout: Path) -> dict[str, tuple]:
    """Return a snapshot of podman's mount of an image in a layout directory."""
    script = 'set -e; id=$(podman pull -q "oci:$1:latest"); at=$(podman image mount "$id"); shift; "$@" "$at"'
    root = str(Path(__file__).parents[2])
    return pickle.loads(apart(script, str(layout), sys.executable, "-c", SNAPSHOT, root))  # noqa: S301
