"""Names used in annotations but not imported by the annotated modules, looked up on demand (PEP 562).

``typing.get_type_hints`` can resolve ``def spec(self) -> types.ContainerSpec``, but commands do not pay for importing
the class. Each layer has such a module for its names. Names of ``collections.abc`` come from ``_collections_abc``,
which every interpreter has loaded.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any as Any
    from typing import Self as Self

    from pypod.model.device import Device as Device
    from pypod.model.mount import Mount as Mount


def looked_up(module: str, where: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of ``module``; ``where`` maps each name to its module."""

    def look_up(name: str) -> object:
        if name not in where:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        __import__(where[name])  # importlib.import_module would be one module more
        found = getattr(sys.modules[where[name]], name)
        setattr(sys.modules[module], name, found)  # later accesses find the attribute
        return found

    return look_up


if not TYPE_CHECKING:
    __getattr__ = looked_up(
        __name__,
        {"Any": "typing", "Device": "pypod.model.device", "Mount": "pypod.model.mount", "Self": "typing"},
    )
