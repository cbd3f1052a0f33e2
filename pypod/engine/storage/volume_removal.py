"""Remove volumes: under their locks, so that none is removed that a new container uses."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.storage import trash, volume_files, volume_mounts
from pypod.errors import InUse
from pypod.store import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context


def remove(context: Context, name: str) -> bool:
    """Remove a volume that no container uses; return whether it existed. Raises InUse."""
    directory = context.layout.volume(name)
    os.makedirs(context.layout.volumes, 0o700, exist_ok=True)
    with Boundary(f"remove volume {name}"), Lock(directory, without_space=True) as lock, lock:
        record = volumes.named(context.database, name)
        if record is None:
            return False
        _require_unused(context, name)
        volume_mounts.detach(context, record)
        volume_files.forget(context, [name])
        volumes.remove_unused(context.database, name)
        if volumes.named(context.database, name) is not None:  # a container that uses it was created just now
            volume_files.keep(context.layout, record)
            _require_unused(context, name)
        trash.discard(context, [directory])
    return True


def _require_unused(context: Context, name: str) -> None:
    users = volumes.users(context.database, name)
    if users:
        containers = ", ".join(users)
        message = f"volume {name} is being used by the following container(s): {containers}: volume is being used"
        raise InUse(name, message)
