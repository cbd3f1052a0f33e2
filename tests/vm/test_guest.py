"""A short selection of the suite in a guest with systemd and cgroups v2 alone: as root, and as an ordinary user.

The guest is the one that $PYPOD_VM names, a directory with a program ``run`` that is called as tests/vm/run and whose
guest has pytest, hypothesis and urllib3; else the one that tests/vm/build.sh has made. With $PYPOD_VM_BUILD_S it may
take that many seconds to make one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NEEDED = ("pypod", "tests", "setup.cfg", "pyproject.toml")
TIMEOUT_S = 300
PYTEST = "cd /share && exec python3 -m pytest -q -p no:cacheprovider -o addopts=--import-mode=importlib"
# user is one who has logged in, as by ssh, and whose group is not delegated; delegated one in a scope of their systemd
SELECTION = {
    "root": (
        (),
        (
            "tests/kernel/test_cgroups.py",
            "tests/integration/test_limits.py",
            "tests/integration/test_hogs.py",
        ),
    ),
    "user": (("-u",), ("tests/integration/test_user_scope.py",)),
    "delegated": (("-d",), ("tests/integration/test_user_scope.py",)),
}


@pytest.fixture(scope="session")
def program() -> str:
    """What runs a command in a guest."""
    given = os.environ.get("PYPOD_VM")
    if given:
        return f"{given}/run"
    for tool in ("debootstrap", "mke2fs"):
        if shutil.which(tool) is None:
            pytest.skip(f"guest: {tool} is not installed")
    if subprocess.run([HERE / "build.sh", "--if-there"], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        _build(float(os.environ.get("PYPOD_VM_BUILD_S") or 0))
    return str(HERE / "run")


def _build(seconds: float) -> None:
    if not seconds or os.geteuid() != 0:
        pytest.skip("guest: none is there: PYPOD_VM names one, or tests/vm/build.sh makes one as root, in some minutes")
    command = ["timeout", "--kill-after=5", str(seconds), HERE / "build.sh"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 124:
        pytest.skip(f"guest: it could not be made in {seconds:g} seconds")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the tests need, for the guest to share; nothing that changes here meanwhile."""
    target = tmp_path / "share"
    target.mkdir()
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, symlinks=True, ignore=leave_out)
        else:
            shutil.copy(source, target / name)
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    return target


@pytest.mark.parametrize("who", SELECTION)
def test_selection(who: str, program: str, copy: Path) -> None:
    options, files = SELECTION[who]
    script = f"export PYTHONPATH=/share PYTHONDONTWRITEBYTECODE=1; {PYTEST} {' '.join(files)}"
    command = [program, *options, "-t", str(TIMEOUT_S), str(copy), "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S + 60, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
