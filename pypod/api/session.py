"""The session of an ordinary user: the user namespace that their containers live in."""

from __future__ import annotations

from _collections_abc import Sequence

from pypod.engine.core.layout import Layout
from pypod.kernel.proc import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def holder(root: str | None = None) -> str:
    """Return what names the session of a storage directory, another one for each; empty when there never was one.

    Nothing is opened or made for that.
    """
    try:
        return read_text(Layout(root).session_status)
    except OSError:  # what is wrong with the storage is told by whoever opens it
        return ""


def limitations() -> Sequence[str]:
    """Return what the caller's containers do without on this host, and what to do about it."""
    from pypod.engine.networks import options
    from pypod.engine.session import subordinate_ids

    return [missing for missing in (subordinate_ids.notice(), options.notice()) if missing]
