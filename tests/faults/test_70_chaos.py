"""SIGKILL at random of clients and of everything that works for them: ps never lies, and removal leaves nothing.

Run ten minutes of it with: python -m tests.chaos
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

import pytest

from tests.chaos import kernel

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.not_in_chroot]
FULL_S, SHORT_S = 600, 30


def test_what_is_not_true_is_seen(engine, busybox: str) -> None:
    container = engine.containers.run(["sleep", "1000"], rootfs=busybox)
    row = {"Id": container.id, "State": "running", "Pid": container.state().pid}
    assert kernel.lies([row]) == []
    for lie in ({"State": "exited"}, {"Pid": os.getpid()}, {"Id": "a" * 64}):
        assert kernel.lies([row | lie]) != [], lie
    assert kernel.groups({container.id}) != []


def test_chaos(full: bool) -> None:
    seconds = FULL_S if full else SHORT_S
    seed = os.environ.get("PYPOD_TEST_SEED") or secrets.token_hex(4)
    words = [sys.executable, "-m", "tests.chaos", "--seconds", str(seconds), "--clients", "8", "--seed", seed]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds + 300)
    print(done.stdout)
    assert done.returncode == 0, f"PYPOD_TEST_SEED={seed}\n{done.stdout}\n{done.stderr}"
