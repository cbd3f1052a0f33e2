"""The installed forms: the source distribution and the wheel built from it, each in its own environment."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

SOURCE = Path(__file__).parents[2]
PROGRAMS = {"discard", "init", "inside", "launch", "monitor", "pause", "unpack"}
DATA = {"pypod/py.typed", "pypod/network/table.nft", "pypod/runtime/seccomp/data/seccomp.json"}
PLUGIN_TEST = """
import pytest

@pytest.mark.pod(rootfs={rootfs!r})
def test_it(container):
    assert container.exec(["echo", "hello"]).stdout == b"hello\\n"
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of this checkout with built programs in it, like a developer's."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("bin", "pause", "pypod"):
        shutil.copytree(SOURCE / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in SOURCE.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    assert {path.name for path in (copy / "pypod" / "_libexec").iterdir()} >= PROGRAMS
    return copy


@pytest.fixture(scope="module")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both; the wheel is built from the source distribution."""
    out = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--outdir", out, checkout)
    return {"sdist": next(out.glob("*.tar.gz")), "wheel": next(out.glob("*.whl"))}


def _run(*words: str | Path, **options) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, env=environment | options.pop("env", {}), capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _install(where: Path, *packages: str | Path) -> Path:
    """Install packages into a virtual environment with nothing else; return the directory of its programs."""
    venv.create(where, symlinks=True)
    _run(sys.executable, "-m", "pip", "--python", where, "install", "-q", "--no-compile", *packages)
    return where / "bin"


@pytest.fixture(scope="module")
def installed(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that installs either and returns its programs: the wheel beside pytest, for the plugin."""

    @functools.cache
    def programs(form: str) -> Path:
        beside = ["pytest"] if form == "wheel" else []
        return _install(tmp_path_factory.mktemp(form) / "venv", built[form], *beside)

    return programs


def test_the_source_distribution_holds_the_sources_and_nothing_built(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as archive:
        names = {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()}
    sources = {str(path.relative_to(SOURCE)) for path in (SOURCE / "pause").rglob("*.[chp]*") if path.suffix != ".pyc"}
    assert sources | DATA | {"pause/Makefile", "bin/pypod", "LICENSE", "README.md"} <= names
    assert [name for name in names if "_libexec/" in name] == []


def test_the_wheel_is_for_every_python_and_c_library(built: dict[str, Path], tmp_path: Path) -> None:
    machine = os.uname().machine
    name, version, *tag = built["wheel"].stem.split("-")
    assert (name, tag) == ("pypod", ["py3", "none", f"manylinux_2_17_{machine}.musllinux_1_1_{machine}"])
    with zipfile.ZipFile(built["wheel"]) as archive:
        paths = archive.namelist()
        archive.extractall(tmp_path)  # noqa: S202  # our own
    assert f"pypod-{version}.dist-info/licenses/LICENSE" in paths
    assert all(any(path.endswith(data) for path in paths) for data in DATA)
    pages = {path.name for path in tmp_path.glob("*.data/data/share/man/man1/*")}
    assert {"pypod.1", "pypod-run.1", "pypod-pod-create.1", "pypod-container-ls.1"} <= pages
    programs = list(tmp_path.glob("*.data/purelib/pypod/_libexec/*"))
    assert {path.name for path in programs} == PROGRAMS
    for program in programs:
        segments = _run("readelf", "--program-headers", "--wide", program)
        assert "INTERP" not in segments
        assert "DYNAMIC" not in segments


def test_programs_that_need_a_dynamic_linker_are_for_systems_like_this_one(checkout: Path, tmp_path: Path) -> None:
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation")
    _run(*build, "--outdir", tmp_path, checkout, env={"LINK": "-s"})
    (wheel,) = tmp_path.iterdir()
    assert wheel.stem.endswith(f"-py3-none-linux_{os.uname().machine}")


@pytest.mark.root
@pytest.mark.parametrize("form", ["sdist", "wheel"])
def test_what_is_installed_runs_containers(
    installed: Callable[[str], Path], form: str, tmp_path: Path, busybox: str
) -> None:
    programs = installed(form)
    where = _run(programs / "python", "-c", "import pypod; print(pypod.__file__)", cwd=tmp_path)
    assert where.startswith(f"{programs.parent}/")
    run = [programs / "pypod", "--root", tmp_path / "storage", "run", "--rm", "--rootfs", busybox]
    assert _run(*run, "echo", "hello", cwd=tmp_path) == "hello\n"


@pytest.mark.root
def test_the_pytest_plugin_is_installed_with_it(installed: Callable[[str], Path], tmp_path: Path, busybox: str) -> None:
    (tmp_path / "test_it.py").write_text(PLUGIN_TEST.format(rootfs=busybox))
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers")
    told = _run(installed("wheel") / "python", *words, cwd=tmp_path)
    assert told.splitlines()[-1].startswith("1 passed")
