"""A podman whose storage, locks, mounts and processes are one test's own."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# what podman leaves running behind our back, and mounts, ends with the namespaces
APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
TIMEOUT_S = 60
SNAPSHOT = (
    "import pickle, sys; sys.path.insert(0, sys.argv[1]); from tests.images.layers import snapshot;"
    "sys.stdout.buffer.write(pickle.dumps(snapshot(sys.argv[2])))"
)


def apart(script: str, *words: str) -> bytes:
    """Run a shell's script in which ``podman`` is such a one; return what it wrote.

    Skips the test where it is not installed.
    """
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    with tempfile.TemporaryDirectory(prefix="podman-") as directory:  # its runroot has 50 characters at most
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
    """What podman shows of an image that is laid out as a directory."""
    script = 'set -e; id=$(podman pull -q "oci:$1:latest"); at=$(podman image mount "$id"); shift; "$@" "$at"'
    root = str(Path(__file__).parents[2])
    return pickle.loads(apart(script, str(layout), sys.executable, "-c", SNAPSHOT, root))  # noqa: S301
