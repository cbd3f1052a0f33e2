"""Imports have a budget, because every shell command pays for them. Counted in modules, which do not jitter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pypod import Engine

ROOT = str(Path(__file__).parents[2])
# Each costs a millisecond or more (docs/design.md has the figures).
FORBIDDEN = set(
    """
    argparse asyncio attr attrs concurrent contextlib ctypes dataclasses datetime enum inspect jeepney json logging
    pathlib psutil pyroute2 random re select shutil signal socket sqlite3 ssl subprocess tarfile tempfile threading
    typing urllib uuid
    """.split()
)
# Third-party libraries are imported where they are used (docs/design.md), not by commands that people run in a loop.
LIBRARIES = ("attr", "attrs", "jeepney", "psutil", "pyroute2")
REFUSING = f"""
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name in {LIBRARIES}:
            raise RuntimeError(f"{{name}} was imported")

sys.meta_path.insert(0, Refusing())
sys.path.insert(0, {ROOT!r})
"""
# (imported names, limit of pypod's modules loaded: three of them look up types, 0.1 ms each)
BUDGET = [
    ("pypod", 1),
    ("pypod.errors", 2),
    ("pypod.api.engine", 17),
    ("pypod.api.engine, pypod.engine.containers.listing", 28),
    ("pypod.api.engine, pypod.api.containers, pypod.api.pods, pypod.api.summaries", 36),
]
# Listing reads the store and the kernel; it starts nothing.
NOT_FOR_LISTING = {
    "pypod.cli",
    "pypod.engine.containers.collect",
    "pypod.api.container",
    "pypod.api.pod",
    "pypod.engine.specs.specs",
    "pypod.engine.lifecycle.start",
    "pypod.kernel.cgroups",
    "pypod.kernel.syscalls",
    "pypod.runtime.compiler",
    "pypod.runtime.launcher",
    "pypod.runtime.seccomp.filter",
}


# Container exists, inspect and logs go through handles.
_NOT_FOR_HANDLES = {name for name in NOT_FOR_LISTING if not name.startswith("pypod.api.")}


def loaded(names: str) -> set[str]:
    """Return the modules that an import adds to a bare interpreter (-I -S: without site and its .pth files)."""
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r}); a = set(sys.modules); import {names}; print(*set(sys.modules) - a)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def _is_empty_package(name: str) -> bool:
    """Return whether it is an empty __init__.py, which takes only 30 us: a room costs less than a module."""
    path = Path(ROOT, *name.split("."), "__init__.py")
    return path.exists() and not path.stat().st_size


@pytest.mark.parametrize(("names", "most"), BUDGET, ids=[case[0] for case in BUDGET])
def test_modules_are_few_and_cheap(names: str, most: int) -> None:
    found = loaded(names)
    assert names.split(", ", maxsplit=1)[0] in found
    assert sorted(found & FORBIDDEN) == []
    ours = {name for name in found if name.startswith("pypod") and not _is_empty_package(name)}
    assert len(ours) <= most, sorted(found)


def test_listing_loads_nothing_that_starts_containers() -> None:
    names = "pypod.api.engine, pypod.api.containers, pypod.api.pods, pypod.api.summaries"
    assert sorted(loaded(names) & NOT_FOR_LISTING) == []


def test_handles_load_nothing_that_starts_containers() -> None:
    names = loaded("pypod.api.engine, pypod.api.pods, pypod.api.containers, pypod.api.pod, pypod.api.container")
    rooms = ("networks", "specs", "lifecycle", "storage")
    starting = {name for name in names if name.startswith(tuple(f"pypod.engine.{room}." for room in rooms))}
    assert sorted(starting | (names & _NOT_FOR_HANDLES)) == []


def test_images_loads_no_more_than_ps() -> None:
    names = loaded("pypod.cli.images.images, pypod.api.engine, pypod.store.images")
    assert sorted(names & ((FORBIDDEN | NOT_FOR_LISTING) - {"pypod.cli"})) == []
    assert not [name for name in names if name.startswith("pypod.images")]


def test_starting_and_stopping_load_nothing_dear_either() -> None:
    """The library parses a specification without json and re; the other forbidden modules are needed nowhere here."""
    api = "pypod.api.engine, pypod.api.pods, pypod.api.containers"
    names = f"{api}, pypod.engine.lifecycle.start, pypod.engine.containers.collect"
    assert sorted(loaded(names) & FORBIDDEN) == []


@pytest.mark.parametrize(
    "name", ["pypod.kernel", "pypod.model", "pypod.runtime", "pypod.store", "pypod.engine", "pypod.cli"]
)
def test_packages_are_empty(name: str) -> None:
    """Every module below a package pays for the content of its __init__."""
    path = Path(ROOT, *name.split("."), "__init__.py")
    assert path.read_text() == ""


@pytest.mark.root
def test_commands_go_without_libraries(engine: Engine, busybox: str) -> None:
    """A pod and a container are created, used and removed."""
    for words in (
        ("pod", "create", "--network", "none", "--name", "p"),
        ("run", "-d", "--pod", "p", "--name", "c", "--rootfs", busybox, "sleep", "1000"),
        ("create", "--network", "none", "--rootfs", busybox, "true"),
        ("ps", "-a"),
        ("pod", "ps"),
        ("inspect", "c"),
        ("container", "exists", "c"),
        ("exec", "c", "true"),
        ("rm", "-f", "-t", "0", "c"),
    ):
        code = f"{REFUSING}from pypod.cli.main import main; main({['--root', engine.layout.root, *words]!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), words


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_refused_library_is_an_error(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"{REFUSING}import {name}"], capture_output=True, check=False)
    assert f"{name} was imported".encode() in done.stderr


def test_the_test_sees_it() -> None:
    assert "json" in loaded("json") & FORBIDDEN
