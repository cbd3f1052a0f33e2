"""What annotations name and a module does not import, looked up when somebody asks (PEP 562).

``def spec(self) -> types.ContainerSpec`` can be read by ``typing.get_type_hints``, and the module imports nothing for
it that the commands people wait for would pay. Each layer has such a module for what it names. What ``collections.abc``
has is taken from ``_collections_abc``, which every interpreter has loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any as Any
    from typing import Self as Self


def looked_up(module: str, where: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module; ``where`` has the module of each name."""

    def look_up(name: str) -> object:
        if name not in where:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(where[name]), name)
        setattr(import_module(module), name, found)  # the next one need not ask
        return found

    return look_up


if not TYPE_CHECKING:
    __getattr__ = looked_up(__name__, {"Any": "typing", "Self": "typing"})
