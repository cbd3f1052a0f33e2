"""What whole commands import, in modules of pypod: 0.2 ms each of the time that people wait for an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root
ROOT = Path(__file__).parents[3]
CODE = """
import os, sys
end = os._exit
def told(code):
    print(sum(name.startswith("pypod.") for name in sys.modules), file=sys.stderr)
    end(code)
os._exit = told
from pypod.cli.main import main
main()
"""
# in this order, on one storage
BUDGET = [
    ("create --name c --rootfs BUSYBOX true", 140),
    ("container exists c", 54),
    ("inspect c", 108),
    ("ps -a", 52),
    ("rm c", 95),
    ("pod create --name p", 120),
    ("pod exists p", 58),
    ("pod inspect p", 108),
    ("pod ps", 52),
    ("pod rm p", 104),
    ("volume create v", 70),
    ("volume ls", 44),
    ("volume inspect v", 70),
    ("volume rm v", 74),
    ("secret create s /etc/hostname", 71),
    ("secret ls", 48),
    ("secret rm s", 60),
    ("images", 62),
]


def test_commands_import_few_modules(tmp_path: Path, busybox: str) -> None:
    environment = {**os.environ, "PYPOD_ROOT": str(tmp_path / "storage"), "PYTHONPATH": str(ROOT)}
    counts = {}
    for line, _ in BUDGET:
        words = line.replace("BUSYBOX", busybox).split()
        argv = [sys.executable, "-c", CODE, *words]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
        counts[line] = int(done.stderr.split()[-1])
    beyond = {line: (counts[line], most) for line, most in BUDGET if counts[line] > most}
    assert not beyond, f"more modules than the budget: {beyond}"
    assert min(counts.values()) > 20  # it counts
