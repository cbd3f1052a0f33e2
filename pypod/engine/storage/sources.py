"""The host's files and directories that a container mounts."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.model.mount import BIND, IMAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.model.mount import Mount


def require_sources(mounts: Iterable[Mount]) -> None:
    """Raise InvalidSpec when the source of a mount does not exist on the host."""
    for mount in mounts:
        _require_available(mount)
        if mount.type == BIND and not os.path.lexists(mount.source):
            raise InvalidSpec(mount.argument, f"statfs {mount.source}: no such file or directory")


def _require_available(mount: Mount) -> None:
    missing = (
        ("type=image", mount.type == IMAGE),
        ("U", mount.chown),
        ("O", mount.overlay),
        ("idmap", mount.idmap),
        ("subpath", bool(mount.subpath)),
        (mount.propagation, mount.propagation.endswith(("shared", "unbindable"))),
    )
    for name, asked in missing:
        if asked:
            raise InvalidSpec(mount.argument, f"mount option {name!r} is not available yet")
