"""Try the registries that a short name may refer to, one after the other."""

from __future__ import annotations

from pypod.errors import NotInRegistry, RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from pypod.errors import PypodError
    from pypod.images.ends import Source
    from pypod.images.registry.access import Access
    from pypod.model.images.reference import Reference

    T = TypeVar("T")


def first_in_registry(ref: str, access: Access | None, read: Callable[[Reference, Source], T]) -> T:
    """Return what ``read`` returns for the first candidate that its registry has. Raises RegistryError."""
    from pypod.images.config import registries
    from pypod.images.registry.access import Access
    from pypod.images.registry.client import RegistrySource

    problems: list[RegistryError] = []
    configured = registries.load()
    for reference in configured.candidates(ref):
        with RegistrySource(reference, access or Access(), configured) as source:
            try:
                return read(reference, source)
            except RegistryError as error:
                error.message = f'reading image "docker://{reference}": {error.message}'
                problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    raise none_of_them(ref, f"{len(problems)} errors occurred while reading {ref}", problems)


def none_of_them(ref: str, what: str, problems: Sequence[PypodError]) -> NotInRegistry:
    """Return the error for a name that none of several registries had, with the answer of each."""
    error = NotInRegistry(ref, "not found in any of the registries")
    error.message = f"{what}:" + "".join([f"\n * {problem}" for problem in problems])
    return error
