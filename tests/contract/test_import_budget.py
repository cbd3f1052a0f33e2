"""Importing is a feature with a budget: a shell command pays it each time. Counted in modules, which do not jitter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[2])
# Each costs a millisecond or more (docs/design.md has the figures).
FORBIDDEN = {
    *(
        "argparse",
        "asyncio",
        "attr",
        "concurrent",
        "contextlib",
        "ctypes",
        "dataclasses",
        "datetime",
        "enum",
        "inspect",
    ),
    *("json", "logging", "pathlib", "psutil", "pyroute2", "random", "re", "select", "shutil", "signal", "socket"),
    *("sqlite3", "ssl", "subprocess", "tarfile", "tempfile", "threading", "typing", "urllib", "uuid"),
}
# (what is imported, how many modules of pypod come along)
BUDGET = [
    ("pypod", 1),
    ("pypod.errors", 2),
    ("pypod.api.engine", 16),
    ("pypod.api.engine, pypod.engine.containers.listing", 25),
]
# Listing looks at the store and the kernel; it starts nothing.
NOT_FOR_LISTING = {
    "pypod.cli",
    "pypod.engine.containers.collect",
    "pypod.api.container",
    "pypod.api.containers",
    "pypod.api.pod",
    "pypod.api.pods",
    "pypod.engine.containers.specs",
    "pypod.engine.containers.starting",
    "pypod.kernel.cgroups",
    "pypod.kernel.syscalls",
    "pypod.runtime.compiler",
    "pypod.runtime.launcher",
    "pypod.runtime.seccomp.filter",
}


# What exists, inspect and logs ask of a container is asked of its handle.
_NOT_FOR_HANDLES = {
    name for name in NOT_FOR_LISTING if not name.endswith((".container", ".containers", ".pod", ".pods"))
}


def loaded(names: str) -> set[str]:
    """The modules that an import adds to those of a bare interpreter (-I -S: without site and its .pth files)."""
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r}); a = set(sys.modules); import {names}; print(*set(sys.modules) - a)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def _is_empty_package(name: str) -> bool:
    """An empty __init__.py takes 30 us: a room costs less than a module."""
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
    assert sorted(loaded("pypod.api.engine, pypod.engine.containers.listing") & NOT_FOR_LISTING) == []


def test_handles_load_nothing_that_starts_containers() -> None:
    names = loaded("pypod.api.engine, pypod.api.pods, pypod.api.containers")
    starting = {"planning", "published", "infra", "connecting", "exec", "stopping", "network_options", "user_network"}
    assert sorted(names & ({f"pypod.engine.{one}" for one in starting} | _NOT_FOR_HANDLES)) == []


def test_images_loads_no_more_than_ps() -> None:
    names = loaded("pypod.cli.images.images, pypod.api.engine, pypod.store.images")
    assert sorted(names & ((FORBIDDEN | NOT_FOR_LISTING) - {"pypod.cli"})) == []
    assert not [name for name in names if name.startswith("pypod.images")]


def test_starting_and_stopping_load_nothing_dear_either() -> None:
    """json and re are in the library's own way to read a specification; the rest is for nobody."""
    api = "pypod.api.engine, pypod.api.pods, pypod.api.containers"
    names = f"{api}, pypod.engine.containers.starting, pypod.engine.containers.collect"
    assert sorted(loaded(names) & FORBIDDEN) == []


@pytest.mark.parametrize(
    "name", ["pypod.kernel", "pypod.model", "pypod.runtime", "pypod.store", "pypod.engine", "pypod.cli"]
)
def test_packages_are_empty(name: str) -> None:
    """What stands in an __init__ is paid for by every module below it."""
    path = Path(ROOT, *name.split("."), "__init__.py")
    assert path.read_text() == ""


def test_the_test_sees_it() -> None:
    assert "json" in loaded("json") & FORBIDDEN
