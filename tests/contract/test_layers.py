"""Dependencies point one way: errors < kernel < model < {runtime, store, images, network, display} < engine < cli."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "pypod"
# A module imports from its own layer and from those to the left; those in the middle do not know each other.
MIDDLE = ("runtime", "store", "images", "network", "display")
LAYERS = (("errors",), ("kernel",), ("model",), MIDDLE, ("engine",), ("api",), ("cli",))
# What stands beside the layers uses all of them.
BESIDE = {"", "__main__", "notebook", "pytest_plugin"}
RANK = {layer: rank for rank, layers in enumerate(LAYERS) for layer in layers}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.stat().st_size)


def layer_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, layer) for every import of pypod's own, wherever it stands and whatever it is for."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name == "pypod.__version__":  # a text, for everybody
                continue
            if name == "pypod" or name.startswith("pypod."):
                parts = name.split(".")
                known = len(parts) > 1 and (parts[1] in RANK or parts[1] in BESIDE)
                yield node.lineno, parts[1] if known else ""


def allowed(importer: str, imported: str) -> bool:
    if importer in BESIDE or imported == importer:
        return True
    if (importer, imported) == ("engine", "api"):  # until the context is apart from the handles
        return True
    return imported in RANK and RANK[imported] < RANK[importer]


def test_every_module_has_a_place() -> None:
    assert {layer_of(path) for path in MODULES} <= RANK.keys() | BESIDE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_left(path: Path) -> None:
    importer = layer_of(path)
    wrong = [
        f"line {line}: {importer} imports from {imported or 'the top'}"
        for line, imported in imports(path.read_text())
        # the command line's version and the cleanup program's entry come from the top
        if not allowed(importer, imported) and not (importer == "cli" and imported == "")
    ]
    assert wrong == []


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
