"""The types that tools read at run time are those that type checkers read."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import pypod
from pypod.api.containers import Containers
from pypod.api.images.images import Images
from pypod.api.images.manifest_lists import ManifestLists
from pypod.api.networks.networks import Networks
from pypod.api.pods import Pods
from pypod.model.value import Value

PUBLIC = [getattr(pypod, name) for name in pypod.__all__ if name != "__version__"]
CALLED_BY_SYNTAX = (
    "__init__",
    "__enter__",
    "__exit__",
    "__iter__",
    "__getitem__",
    "__len__",
    "__contains__",
    "__call__",
)
NOT_ANNOTATED = (vars(Value)["__init__"], vars(object)["__init__"])  # a value's fields are its arguments
LOOKED_UP = ["pypod.model.types", "pypod.engine.core.types", "pypod.api.types"]


def _callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    for value in (*PUBLIC, Containers, Images, ManifestLists, Networks, Pods):
        yield value.__name__, value
        if isinstance(value, type):
            for name in dir(value):
                member = getattr(value, name)
                if name.startswith("_") and name not in CALLED_BY_SYNTAX:
                    continue
                if isinstance(member, property):
                    assert member.fget is not None
                    yield f"{value.__name__}.{name}", member.fget
                elif callable(member) and member not in NOT_ANNOTATED:
                    yield f"{value.__name__}.{name}", member


CALLABLES = dict(_callables())


@pytest.mark.parametrize("name", CALLABLES)
def test_type_hints_can_be_read(name: str) -> None:
    hints = typing.get_type_hints(CALLABLES[name])
    assert not [kind for kind in hints.values() if isinstance(kind, str)]
    if inspect.isfunction(CALLABLES[name]):
        assert "return" in hints


def test_the_test_sees_them() -> None:
    """Methods of handles and of collections, properties, functions, fields of values."""
    assert {
        "Pod.create",
        "Containers.run",
        "Container.addresses",
        "compare",
        "Mount",
        "Engine.firewall",
    } <= CALLABLES.keys()
    assert typing.get_type_hints(pypod.Mount)["no_suid"] is bool
    assert typing.get_type_hints(pypod.Pod.create)["memory"] == int | str
    assert typing.get_type_hints(pypod.Pod.run)["return"] is pypod.Container


@pytest.mark.parametrize("name", LOOKED_UP)
def test_what_is_looked_up_is_what_type_checkers_see(name: str) -> None:
    module = import_module(name)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    table = next(node for node in ast.walk(tree) if isinstance(node, ast.Dict))
    assert seen == {name: f"{where}.{name}" for name, where in ast.literal_eval(table).items()}
    for known in seen:
        assert getattr(module, known) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        module.Nothing  # noqa: B018
