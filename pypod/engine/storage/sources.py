"""The host's files and directories that a container mounts."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.model.mount import BIND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.model.mount import Mount


def require_sources(mounts: Iterable[Mount]) -> None:
    """Raise InvalidSpec when the source of a mount does not exist on the host."""
    for mount in mounts:
        if mount.type == BIND and not os.path.lexists(mount.source):
            raise InvalidSpec(mount.argument, f"statfs {mount.source}: no such file or directory")
