"""The main job on real input: Apache as uid 1001 in one container, busybox's wget in another, one pod."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.images.archive import unpack

pytestmark = pytest.mark.root
BUILD = Path(__file__).parents[1] / "images" / "build-images.sh"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict]]:
    """The stand-ins busybox and httpd, unpacked; built once per machine (under a minute)."""
    for tool in ("buildah", "debootstrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: it builds the stand-in images")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pypod-test-images"
    subprocess.run([BUILD, cache, "busybox", "httpd"], check=True, stdout=sys.stderr)
    base = tmp_path_factory.mktemp("images")
    base.chmod(0o755)
    base.parent.chmod(0o755)
    found = {}
    for name in ("busybox", "httpd"):
        config = unpack(cache / f"{name}.oci.tar", base / name)
        found[name] = (base / name, config)
    return found


def _run(engine, *words: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pypod", "--root", engine.layout.root, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def _environment(config: dict) -> list[str]:
    return [word for entry in config["Env"] for word in ("-e", entry)]


def test_wget_is_answered_by_apache_of_uid_1001_in_the_same_pod(engine, images) -> None:
    httpd, config = images["httpd"]
    busybox, _ = images["busybox"]
    assert _run(engine, "create", "--name", "mipod").returncode == 0
    entrypoint = [*config["Entrypoint"], *config["Cmd"]]
    started = _run(
        engine, "run", "-dt", "--pod", "mipod", "--name", "apache", "-u", config["User"], "-w", config["WorkingDir"],
        "--stop-signal", config["StopSignal"], *_environment(config), "--rootfs", f"{httpd}:O", *entrypoint,
    )  # fmt: skip
    assert (started.returncode, started.stderr) == (0, "")
    for _ in range(200):
        answer = _run(
            engine, "run", "--rm", "--pod", "mipod", "--rootfs", f"{busybox}:O",
            "sh", "-c", "wget -qO- localhost:8080/noindex/; hostname",
        )  # fmt: skip
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
    assert time.monotonic() - before < 8, "WINCH ends Apache gracefully; no SIGKILL after ten seconds"
    assert _run(engine, "pod", "rm", "-f", "mipod").returncode == 0
