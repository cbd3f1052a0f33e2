"""The program's finder gives the modules that Python's own would give, and leaves the unusual to it."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pypod

CODE = """
import sys
from pypod.cli import imports
{before}
imports.install()
import pypod.room.part as part
import pypod.room as room
print(part.VALUE, type(part.__loader__).__name__)
for module in (part, room):
    spec = module.__spec__
    print(module.__file__, module.__cached__, module.__package__, spec.origin, spec.has_location, spec.parent,
          spec.submodule_search_locations, getattr(module, "__path__", None), spec.loader.get_filename(module.__name__))
print(part.__loader__.get_source(part.__name__))
"""

_CACHING = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of the same name with the finder and a room with one module, all of them cached."""
    made, real = tmp_path / "pypod", Path(pypod.__file__).parent
    for name in ("cli", "room"):
        (made / name).mkdir(parents=True)
        (made / name / "__init__.py").touch()
    (made / "__init__.py").touch()
    shutil.copy(real / "cli/imports.py", made / "cli/imports.py")
    (made / "room/part.py").write_text("VALUE = 1\n")
    compileall.compile_dir(made, quiet=2)
    return made


def _run(package: Path, *flags: str, before: str = "") -> list[str]:
    argv = [sys.executable, *flags, "-c", f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"]
    argv[-1] += CODE.format(before=before)
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=_CACHING)
    return done.stdout.splitlines()


def test_a_module_is_the_same_as_by_python(package: Path) -> None:
    ours = _run(package)
    pythons = _run(package, before="imports.install = lambda: None")
    assert ours[0] == "1 _Loader"
    assert pythons[0] == "1 SourceFileLoader"
    assert ours[1:] == pythons[1:]
    assert str(package / "room/part.py") in ours[1]


@pytest.mark.parametrize("value", ["25", "2"], ids=["size", "time"])
def test_a_changed_source_is_read(package: Path, value: str) -> None:
    source = package / "room/part.py"
    source.write_text(f"VALUE = {value}\n")
    os.utime(source, (1, 1))
    assert _run(package)[0] == f"{value} SourceFileLoader"


def test_a_cached_file_of_another_interpreter_is_not_run(package: Path) -> None:
    cached = next((package / "room/__pycache__").glob("part.*"))
    cached.write_bytes(b"\0\0\r\n" + cached.read_bytes()[4:])
    assert _run(package)[0] == "1 SourceFileLoader"


def test_a_module_without_a_cached_file_is_compiled(package: Path) -> None:
    cached = next((package / "room/__pycache__").glob("part.*"))
    cached.unlink()
    assert _run(package)[0] == "1 SourceFileLoader"
    assert cached.exists()
    assert _run(package)[0] == "1 _Loader"


@pytest.mark.parametrize("flags", [("-O",), ("-X", "pycache_prefix=/nowhere")])
def test_other_places_of_cached_files_are_left_to_python(package: Path, flags: tuple[str, ...]) -> None:
    assert _run(package, "-B", *flags)[0] == "1 SourceFileLoader"


def test_the_program_finds_its_modules_so() -> None:
    """The finder finds all modules of a command but those that were imported before it."""
    code = """
import os, sys
end, os._exit = os._exit, None
def told(code):
    kinds = [type(module.__loader__).__name__ for name, module in sys.modules.items() if name.startswith("pypod.")]
    print(kinds.count("_Loader"), kinds.count("SourceFileLoader"), flush=True)
    end(code)
os._exit = told
from pypod.cli.main import main
main(["version"])
"""
    argv = [sys.executable, "-c", code]
    subprocess.run(argv, capture_output=True, check=False, env=_CACHING)  # caches what is not cached yet
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=_CACHING)
    found, others = map(int, done.stdout.splitlines()[-1].split())
    assert found > 10
    assert others < 10
