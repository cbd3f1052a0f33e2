"""The options of ``Container.update``."""

from __future__ import annotations

from _collections_abc import Mapping, Sequence

from pypod.model.options.classes import field, frozen
from pypod.model.options.fields import NONE_GIVEN, about
from pypod.model.options.limits import LimitOptions


@frozen(kw_only=True)
class UpdateOptions(LimitOptions):
    """What can be changed of a container that exists: its limits, its environment, its restart policy."""

    environment: Mapping[str, str] = field(
        default=NONE_GIVEN,
        metadata=about("Set environment variables in container", flag="env", kind="stringArray", short="e"),
    )
    unsetenv: Sequence[str] = field(
        default=(), metadata=about("Unset environment variables of the container", kind="stringArray")
    )
    restart: str = field(default="", metadata=about("Restart policy to apply when the container exits", kind="string"))
