"""The session of an unprivileged user: the user namespace that their containers run in."""

from __future__ import annotations

import os
from _collections_abc import Sequence

from pypod.engine.core.layout import Layout
from pypod.kernel.proc import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def holder(root: str | None = None) -> str:
    """Return a string that identifies the session of a storage directory; empty when there never was one.

    Each session has its own. The storage is neither opened nor created.
    """
    try:
        return read_text(Layout(root).session_status)
    except OSError:  # opening the storage reports what is wrong with it
        return ""


def has_storage(root: str | None = None) -> bool:
    """Return whether there is a storage that the caller can read. It is neither opened nor created."""
    return os.access(Layout(root).database, os.R_OK)


def volume_path(root: str | None = None) -> str:
    """Return the directory in which a storage directory has its volumes. The storage is neither opened nor created."""
    return Layout(root).volumes


def limitations() -> Sequence[str]:
    """Return the limitations of the caller's containers on this host, each with what to do about it."""
    from pypod.engine.networks import options
    from pypod.engine.session import subordinate_ids

    return [missing for missing in (subordinate_ids.notice(), options.notice()) if missing]
