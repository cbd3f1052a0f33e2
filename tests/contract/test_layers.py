"""Layers point one way: errors < kernel < model < runtime, store < engine < cli."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pypod"
RANK = {"errors": 0, "kernel": 1, "model": 2, "runtime": 3, "store": 3, "engine": 4, "cli": 5}
# Above everything: the promised names, the program, the plugin. model/value.py has no imports and serves every layer.
TOP = {"__init__", "__main__", "pytest_plugin"}


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("pypod.")}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    here = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if here in TOP:
        return
    wrong = []
    for name in imports(path):
        there = layer(name)
        if there in TOP or name == "pypod.__version__":
            continue
        downwards = RANK[there] < RANK[here] or there == here
        if not downwards:
            wrong.append(name)
    assert wrong == []


def test_every_module_belongs_to_a_layer() -> None:
    names = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in PACKAGE.rglob("*.py")}
    assert names == set(RANK) | TOP
