"""``podman volume inspect``."""

from __future__ import annotations

from pypod.engine.storage import volume_files
from pypod.model.moment import Timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.model.volume import VolumeRecord


def inspect_volume(context: Context, record: VolumeRecord) -> dict[str, Any]:
    """Return a volume's configuration and state, under podman's names and in podman's order."""
    options = record.option_map()
    return {
        "Name": record.name,
        "Driver": record.driver,
        "Mountpoint": volume_files.place(context.layout, record),
        "CreatedAt": Timestamp(record.created_ns),
        "Labels": record.label_map(),
        "Scope": "local",
        "Options": options,
        "UID": int(options.get("UID", "0")),
        "GID": int(options.get("GID", "0")),
        "Anonymous": bool(record.anonymous),
        "MountCount": _mount_count(context, record) if record.options != "[]" else 0,
        "NeedsCopyUp": bool(record.needs_copy),
        "NeedsChown": bool(record.needs_owner),
    }


def _mount_count(context: Context, record: VolumeRecord) -> int:
    from pypod.engine.storage import volume_mounts

    return volume_mounts.count(context, record)
