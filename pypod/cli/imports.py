"""Find the program's own modules without the parts of Python's import system that serve every other kind of module.

A command imports 50 to 150 modules, 0.14 ms each before any of their code runs. Two thirds of that look through
directories and take paths apart (``importlib._bootstrap_external``); what is left here is the check that Python makes
of a cached file, by the source's time and size. Whatever is unusual is left to Python: a module without such a file,
one that was changed since, files elsewhere or optimised.
"""

from __future__ import annotations

import os
import sys
from marshal import loads

import pypod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec, SourceFileLoader
    from types import CodeType, ModuleType
else:  # the classes of every module, without the import of importlib.machinery
    ModuleSpec, SourceFileLoader = type(pypod.__spec__), type(pypod.__spec__.loader)

_PACKAGE = "__init__"
_PREFIX = f"{pypod.__name__}."
_HEADER_BYTES = 16  # magic number, flags (0: checked by time), time and size of the source (PEP 552)
_SUFFIX = f".{sys.implementation.cache_tag}.pyc"


class _Loader(SourceFileLoader):
    """Runs code that was read already; the rest (source, resources) is as in any module."""

    code: CodeType

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)  # noqa: S102 - as any import does


class Finder:
    """Finds modules of this package by their cached files. ``magic`` is what such a file of this interpreter has."""

    def __init__(self, magic: bytes) -> None:
        self._magic = magic

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        del target
        if not name.startswith(_PREFIX) or not path:
            return None
        directory, base = path[0], name.rpartition(".")[2]
        return self._found(name, directory, base) or self._found(name, f"{directory}/{base}", _PACKAGE)

    def _found(self, name: str, directory: str, base: str) -> ModuleSpec | None:
        source, cached = f"{directory}/{base}.py", f"{directory}/__pycache__/{base}{_SUFFIX}"
        try:
            status, data = os.stat(source), _read(cached)
        except OSError:
            return None
        current = (int(status.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little")
        current += (status.st_size & 0xFFFFFFFF).to_bytes(4, "little")
        if data[:_HEADER_BYTES] != self._magic + bytes(4) + current:
            return None
        loader = _Loader(name, source)
        loader.code = loads(memoryview(data)[_HEADER_BYTES:])  # noqa: S302 - as any import does
        spec = ModuleSpec(name, loader, origin=source, is_package=base == _PACKAGE)
        spec.has_location, spec.cached = True, cached
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(directory)
        return spec


def install() -> None:
    """Find this package's modules so from now on, if it is installed as files with their cached files beside them."""
    if sys.flags.optimize or sys.pycache_prefix or not isinstance(pypod.__spec__.loader, SourceFileLoader):
        return
    try:
        magic = _read(f"{pypod.__path__[0]}/__pycache__/{_PACKAGE}{_SUFFIX}")[:4]
    except OSError:  # nothing is cached
        return
    sys.meta_path.insert(0, Finder(magic))


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
