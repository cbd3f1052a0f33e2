"""The engine that a class method works with when it is given none."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine

__all__ = ["opened"]


def opened(engine: Engine | None) -> Engine:
    """Return an engine as it was given, or one on the default storage directory.

    The class is looked up under its public name: an engine makes the handles, so that these cannot import it.
    """
    if engine is not None:
        return engine
    import pypod

    return pypod.Engine()
