"""The engine of a class method that was called without one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine

__all__ = ["opened"]


def opened(engine: Engine | None) -> Engine:
    """Return ``engine`` if it is given, else one on the default storage directory.

    The class is looked up by its public name: its module imports the handles, so these cannot import it.
    """
    if engine is not None:
        return engine
    import pypod

    return pypod.Engine()
