"""The label that asks for updates of a container's image from its registry (podman-auto-update(1))."""

from __future__ import annotations

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL = "io.containers.autoupdate"
FROM_REGISTRY = ("image", "registry")


def require_full_name(labels: Mapping[str, str], image: str) -> None:
    """Raise InvalidSpec when a container is to be updated from a registry and its image is named without one."""
    if labels.get(LABEL) not in FROM_REGISTRY:
        return
    from pypod.model.images.reference import is_short

    if is_short(image):
        message = f'short name: auto updates require fully-qualified image reference: "{image}"'
        raise InvalidSpec("--label", message)
