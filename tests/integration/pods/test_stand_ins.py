"""The main use case on real input: Apache as UID 1001 in one container, busybox's wget in another, one pod."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.images.stand_ins import archives

pytestmark = pytest.mark.root
HTTPD = "registry.access.redhat.com/rhscl/httpd-24-rhel7"


def _run(engine, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pypod", "--root", engine.layout.root, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_wget_is_answered_by_apache_of_uid_1001_in_the_same_pod(engine) -> None:
    for path in archives("busybox", "httpd").values():
        assert _run(engine, "pull", "-q", f"oci-archive:{path}").returncode == 0
    assert _run(engine, "create", "--name", "mipod").returncode == 0
    started = _run(engine, "run", "-dt", "--pod", "mipod", "--name", "apache", HTTPD)
    assert (started.returncode, started.stderr) == (0, "")
    script = "wget -qO- localhost:8080/noindex/; hostname"
    for _ in range(200):
        answer = _run(engine, "run", "--rm", "--pod", "mipod", "busybox", "sh", "-c", script)
        if "It works." in answer.stdout:
            break
        time.sleep(0.05)
    assert "It works." in answer.stdout, _run(engine, "logs", "apache").stdout
    assert answer.stdout.endswith("mipod\n")
    workers = _run(engine, "exec", "apache", "sh", "-c", "cat /proc/[0-9]*/status")
    uids = {line.split()[1] for line in workers.stdout.splitlines() if line.startswith("Uid:")}
    assert "1001" in uids, workers.stdout
    before = time.monotonic()
    assert _run(engine, "pod", "stop", "mipod").returncode == 0
    assert time.monotonic() - before < 8, "WINCH must end Apache gracefully, without SIGKILL after ten seconds"
    assert _run(engine, "pod", "rm", "-f", "mipod").returncode == 0
