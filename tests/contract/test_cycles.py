"""No module imports itself indirectly, not even within a function: a module imports only from below."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "pypod"

# module: the modules it imports, and the line of each import
Imports = dict[str, dict[str, int]]


def imports_of(name: str, source: str, modules: set[str], *, is_package: bool = False) -> dict[str, int]:
    """Return the modules that a module imports when it runs, with the line of the first import."""
    found: dict[str, int] = {}
    for node in _running(ast.parse(source)):
        for imported in _named(name, node, modules, is_package):
            if imported != name:
                found.setdefault(imported, node.lineno)
    return found


def _running(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports of a tree, except those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _asks_for_type_checker(child.test):
            for statement in child.orelse:
                yield from _running(ast.Module([statement], []))
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from _running(child)


def _asks_for_type_checker(test: ast.expr) -> bool:
    return (test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")) == "TYPE_CHECKING"


def _named(importer: str, node: ast.Import | ast.ImportFrom, modules: set[str], is_package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in modules)
        return
    base = node.module or ""
    if node.level:
        above = node.level - is_package
        parents = importer.split(".")[: -above or None]
        base = ".".join([*parents, base] if base else parents)
    for alias in node.names:
        if f"{base}.{alias.name}" in modules:
            yield f"{base}.{alias.name}"
        elif base in modules:
            yield base


def read_imports(root: Path) -> Imports:
    """Return the imports of every module below a directory."""
    paths = {_dotted(path, root): path for path in root.rglob("*.py")}
    return {
        name: imports_of(name, path.read_text(), set(paths), is_package=path.name == "__init__.py")
        for name, path in paths.items()
    }


def _dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")


def shortest_circle(module: str, imports: Imports) -> list[str]:
    """Return the shortest import cycle through a module, without the return to it; empty if there is none."""
    came_from: dict[str, str] = {}
    waiting = deque([module])
    while waiting:
        current = waiting.popleft()
        for imported in imports[current]:
            if imported == module:
                way = [current]
                while way[-1] != module:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if imported not in came_from:
                came_from[imported] = current
                waiting.append(imported)
    return []


def described(circle: list[str], imports: Imports) -> str:
    """Return a cycle as text, one line for each import."""
    pairs = zip(circle, [*circle[1:], circle[0]], strict=True)
    return "\n".join(
        f"{importer} line {imports[importer][imported]} imports {imported}" for importer, imported in pairs
    )


@pytest.fixture(scope="module")
def imports() -> Imports:
    """Return the imports of every module of pypod."""
    return read_imports(ROOT)


@pytest.fixture(scope="module")
def circles(imports: Imports) -> list[list[str]]:
    """Return the shortest cycle through each module that is in one."""
    return [circle for module in sorted(imports) if (circle := shortest_circle(module, imports))]


def test_no_circle(imports: Imports, circles: list[list[str]]) -> None:
    shortest = min(circles, key=len, default=[])
    assert not circles, f"an import cycle, one of {len(circles)}:\n{described(shortest, imports)}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import p.b", {"p.b": 1}),
        ("from p import b", {"p.b": 1}),
        ("from p.b import anything", {"p.b": 1}),
        ("from p import anything", {"p": 1}),
        ("from . import b", {"p.b": 1}),
        ("from .b import anything", {"p.b": 1}),
        ("def f():\n    from p import b", {"p.b": 2}),
        ("class C:\n    def f(self):\n        import p.b", {"p.b": 3}),
        ("if TYPE_CHECKING:\n    import p.b", {}),
        ("if typing.TYPE_CHECKING:\n    import p.b", {}),
        ("if TYPE_CHECKING:\n    import p.b\nelse:\n    import p.c", {"p.c": 4}),
        ("if not TYPE_CHECKING:\n    import p.b", {"p.b": 2}),
        ("try:\n    import p.b\nexcept ImportError:\n    import os", {"p.b": 2}),
        ("import os\nfrom json import loads", {}),
    ],
)
def test_imports_that_count(source: str, expected: dict[str, int]) -> None:
    assert imports_of("p.a", source, {"p", "p.a", "p.b", "p.c"}) == expected


def test_relative_imports_of_a_package() -> None:
    modules = {"p", "p.a", "p.q", "p.q.b"}
    assert imports_of("p.q", "from . import b\nfrom .. import a", modules, is_package=True) == {"p.q.b": 1, "p.a": 2}


def test_the_shortest_circle_is_named() -> None:
    long_way = {"a": {"b": 1, "c": 2}, "b": {"d": 3}, "c": {"a": 4}, "d": {"a": 5}, "e": {"a": 6}}
    assert shortest_circle("a", long_way) == ["a", "c"]
    assert shortest_circle("d", long_way) == ["d", "a", "b"]
    assert shortest_circle("e", long_way) == []
    assert described(["a", "c"], long_way) == "a line 2 imports c\nc line 4 imports a"
