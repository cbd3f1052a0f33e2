"""Dependencies point one way: errors < kernel < model < {runtime, store, images, ...} < engine < api < cli."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "pypod"
# A module imports from its own layer and from those to its left; the middle layers do not import each other.
MIDDLE = ("runtime", "store", "images", "network", "display")
LAYERS = (("errors",), ("kernel",), ("model",), MIDDLE, ("engine",), ("api",), ("cli",))
# Within a layer: the rooms of a package from bottom to top, "" for the modules directly in it.
ROOMS = {
    "engine": (
        *("core", "configuration", "session", "resources", "storage", "images", "networks"),
        *("specs", "lifecycle", "containers", "inspect"),
    ),
    "api": ("", "images", "networks", "secrets", "volumes", "options"),
    "cli": (
        *("go", "render", "flags", "system", "namespaces", "images", "networks", "secrets", "volumes"),
        *("pods", "containers", ""),
    ),
    "model": ("", "reports", "images", "options"),
    "images": ("", "tar", "layers", "trees", "archive", "config", "registry", "trust"),
    "network": ("", "dns"),
    "kernel": ("", "cgroups", "host"),
    "runtime": ("", "compiler", "seccomp"),
}
# The command line uses the public library, and from the kernel layer only names of signals and a write loop.
FOR_THE_COMMAND_LINE = {"", "api", "cli", "display", "errors", "model"}
KERNEL_FOR_THE_COMMAND_LINE = {"pypod.kernel.abi", "pypod.kernel.descriptors"}
# The engine creates handles, and looks up their class by its public name.
FROM_THE_TOP = {"api/default.py"}
# Modules beside the layers use all of them.
BESIDE = {"", "__main__", "notebook", "pytest_plugin"}
RANK = {layer: rank for rank, layers in enumerate(LAYERS) for layer in layers}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.stat().st_size)


def layer_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def package_and_room(path: Path) -> tuple[str, str]:
    """Return the layer of a module and its room in it."""
    parts = path.relative_to(ROOT).parts
    return layer_of(path), parts[1] if len(parts) > 2 else ""


def imported_names(source: str, *, for_types: bool = True) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) for every import of pypod's modules, anywhere, with those ``for_types`` or without."""
    for node in ast.walk(ast.parse(source)) if for_types else _running(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name == "pypod.__version__":  # a string, for all layers
                continue
            if name == "pypod" or name.startswith("pypod."):
                yield node.lineno, name


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree, except those only for type checkers."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield from _running(child)


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, layer) for every import of pypod's modules."""
    for line, name in imported_names(source):
        parts = name.split(".")
        known = len(parts) > 1 and (parts[1] in RANK or parts[1] in BESIDE)
        yield line, parts[1] if known else ""


def imports_of_rooms(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Yield (line, room) for every import from the same package that happens when the module runs."""
    rooms = ROOMS[package]
    for line, name in imported_names(source, for_types=False):
        _, layer, *rest = [*name.split("."), ""]
        if layer == package:
            yield line, rest[0] if rest[0] in rooms else ""


def allowed(importer: str, imported: str) -> bool:
    if importer in BESIDE or imported == importer:
        return True
    if importer == "cli":
        return imported in FOR_THE_COMMAND_LINE | {"kernel"}
    return imported in RANK and RANK[imported] < RANK[importer]


def test_every_module_has_a_place() -> None:
    assert {layer_of(path) for path in MODULES} <= RANK.keys() | BESIDE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_left(path: Path) -> None:
    importer = layer_of(path)
    wrong = [
        f"line {line}: {importer} imports from {imported or 'the top'}"
        for line, imported in imports(path.read_text())
        if not allowed(importer, imported)
    ]
    if str(path.relative_to(ROOT)) in FROM_THE_TOP:
        wrong = [one for one in wrong if not one.endswith("from the top")]
    assert wrong == []


@pytest.mark.parametrize(
    "path", [path for path in MODULES if layer_of(path) == "cli"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_command_line_takes_little_from_the_kernel(path: Path) -> None:
    names = {name for _, name in imported_names(path.read_text()) if name.startswith("pypod.kernel.")}
    used = {".".join(name.split(".")[:3]) for name in names}
    assert used <= KERNEL_FOR_THE_COMMAND_LINE


def test_every_room_has_a_place() -> None:
    rooms: dict[str, set[str]] = {}
    for path in MODULES:
        package, room = package_and_room(path)
        rooms.setdefault(package, set()).add(room)
    divided = {package: names for package, names in rooms.items() if len(names) > 1}
    assert divided.keys() == ROOMS.keys()
    assert divided == {package: set(order) for package, order in ROOMS.items()}


@pytest.mark.parametrize(
    "path", [path for path in MODULES if layer_of(path) in ROOMS], ids=lambda path: str(path.relative_to(ROOT))
)
def test_rooms_import_from_those_below(path: Path) -> None:
    package, importer = package_and_room(path)
    rank = ROOMS[package].index
    wrong = [
        f"line {line}: {package}/{importer} imports from {package}/{imported}"
        for line, imported in imports_of_rooms(path.read_text(), package)
        if rank(imported) > rank(importer)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from pypod.images.tar.writer import TarWriter", ["tar"]),
        ("from pypod.images.tar import headers", ["tar"]),
        ("from pypod.images import blobs, tar", ["", "tar"]),
        ("def f():\n    import pypod.images.registry.url", ["registry"]),
        ("from pypod.network.dns import message", []),
        ("if TYPE_CHECKING:\n    from pypod.images.registry import url", []),
    ],
)
def test_the_test_sees_rooms(source: str, expected: list[str]) -> None:
    assert [room for _, room in imports_of_rooms(source, "images")] == expected


@pytest.mark.parametrize(
    ("importer", "source", "expected"),
    [
        ("store", "from pypod.runtime.ops import Op", False),
        ("runtime", "import pypod.store.records", False),
        ("kernel", "def f():\n    from pypod.model import ids", False),
        ("model", "if TYPE_CHECKING:\n    from pypod.api.engine import Engine", False),
        ("engine", "from pypod.cli import main", False),
        ("engine", "from pypod import errors", True),
        ("engine", "from pypod import Pod", False),
        ("engine", "from pypod.store import records", True),
        ("cli", "from pypod.api.pods import Pod", True),
        ("cli", "from pypod import Pod", True),
        ("cli", "if TYPE_CHECKING:\n    from pypod.store.records import PodRecord", False),
        ("cli", "def f():\n    from pypod.engine.inspect import lsns", False),
        ("cli", "from pypod.images.registry.access import Access", False),
        ("errors", "from pypod.kernel import abi", False),
    ],
)
def test_the_test_sees_it(importer: str, source: str, expected: bool) -> None:
    assert all(allowed(importer, imported) for _, imported in imports(source)) == expected


def test_only_the_kernel_layer_talks_to_the_c_library() -> None:
    users = {layer_of(path) for path in MODULES if "ctypes" in path.read_text()}
    assert users == {"kernel"}


def test_the_library_neither_prints_nor_exits() -> None:
    """Only the command line does."""
    for path in MODULES:
        if layer_of(path) in ("cli", "__main__"):
            continue
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        names |= {f"{call.value.id}.{call.attr}" for call in calls if _is_plain_attribute(call)}
        assert not names & {"print", "exit", "quit", "sys.exit", "os._exit", "os.fork", "os.forkpty"}, path


def _is_plain_attribute(call: ast.expr) -> bool:
    return isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name)
