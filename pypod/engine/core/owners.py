"""Owners of ephemeral objects: processes."""

from __future__ import annotations

from pypod.kernel import pidfd
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context


def owner_is_gone(context: Context, text: str) -> bool:
    """Return whether an object is ephemeral and its owner has exited."""
    owner = records.parse_owner(text)
    if owner is None:
        return False
    return owner.boot_id != context.boot_id or not pidfd.is_alive(owner.pid, owner.start_time, proc=context.proc)
