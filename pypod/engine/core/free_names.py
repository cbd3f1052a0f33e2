"""Names for objects that were created without a name: generated ones, and those of clones."""

from __future__ import annotations

from pypod.errors import AlreadyExists
from pypod.model import ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_ATTEMPTS = 16


def under_free_name(create: Callable[[str], T]) -> T:
    """Return ``create(name)`` for a generated name that is free.

    Only the store can tell whether a name is free, and only on insertion: other processes create at the same time.
    """
    for _ in range(_ATTEMPTS):
        name = ids.new_name()
        try:
            return create(name)
        except AlreadyExists as error:
            if error.name != name:
                raise
    return create(f"{name}_{ids.new_id()[:6]}")


def under_name_of_clone(original: str, create: Callable[[str], T]) -> T:
    """Return ``create`` with the first of NAME-clone, NAME-clone1 and so on that is free, as in podman."""
    number = 0
    while True:
        name = f"{original}-clone{number or ''}"
        try:
            return create(name)
        except AlreadyExists as error:
            if error.name != name:
                raise
        number += 1
