"""Numbers of what is opened before the container's file systems exist: binds and overlays, then secrets, then trees.

Number 0 is the pod's /dev/shm.
"""

from __future__ import annotations

from pypod.runtime.ops import Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.model.secret import SecretUse
    from pypod.runtime.compiler.surroundings import Surroundings

OPENED = ("bind", "overlay")


def binds(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the mounts whose source is opened first; an overlay is not made on its target."""
    return [mount for mount in config.get("mounts", ()) if mount["type"] in OPENED]


def numbered(config: dict[str, Any], around: Surroundings) -> list[tuple[int, str, SecretUse]]:
    first = 1 + len(binds(config))
    return [(first + number, path, use) for number, (path, use) in enumerate(around.secrets)]


def opened(config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the operations that open the secrets, with the original privileges and in the host's mount namespace."""
    return [Op("open_file", slot, path) for slot, path, _ in numbered(config, around)]


def first_tree(config: dict[str, Any], around: Surroundings) -> int:
    return 1 + len(binds(config)) + len(around.secrets)
