"""What a shell command pays for before it begins: counted in modules, which is the same on every machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

EXPENSIVE = {"json", "re", "argparse", "dataclasses", "typing", "enum", "socket", "subprocess", "logging", "asyncio"}


def loaded_by(code: str) -> set[str]:
    program = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    # -S: what an environment's site adds is not ours
    path = __file__.rsplit("/tests/", 1)[0]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {path!r})\n{program}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import pypod", set()),
        ("import pypod.engine.engine, pypod.engine.listing", set()),
        ("import pypod.cli.main, pypod.cli.flags, pypod.cli.ps", set()),
        ("import pypod.engine.containers, pypod.engine.pods", set()),
    ],
)
def test_no_expensive_module_is_loaded(code: str, allowed: set[str]) -> None:
    assert (loaded_by(code) & EXPENSIVE) - allowed == set()


def test_importing_pypod_is_one_module() -> None:
    assert {name for name in loaded_by("import pypod") if name.startswith("pypod")} == {"pypod"}
