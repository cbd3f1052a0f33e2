"""A volume, as the store has it."""

from __future__ import annotations

from pypod.model import plain_json
from pypod.model.value import Value


class VolumeRecord(Value):
    """A row of the table of volumes.

    ``labels`` and ``options`` are pairs in JSON. ``data`` is the place of the files within the volume's directory.
    ``needs_copy`` and ``needs_owner``: no container has used it yet, so the first one's image determines its content,
    and owner and mode of its root. ``mounts`` is the number of mounts that the user asked for, and the boot they belong
    to; empty for none.
    """

    name: str
    driver: str = "local"
    created_ns: int
    anonymous: int = 0
    labels: str = "[]"
    options: str = "[]"
    data: str = "_data"
    needs_copy: int = 1
    needs_owner: int = 1
    mounts: str = ""

    def label_map(self) -> dict[str, str]:
        """Return the labels; empty when the row is damaged."""
        return _pairs(self.labels)

    def option_map(self) -> dict[str, str]:
        """Return the options in podman's form; empty when the row is damaged."""
        return _pairs(self.options)


def _pairs(text: str) -> dict[str, str]:
    try:
        return {str(key): str(value) for key, value in plain_json.loads(text)}
    except (ValueError, TypeError):
        return {}
