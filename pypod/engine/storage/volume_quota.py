"""Limits of the size of a volume: project quotas, where its file system has them."""

from __future__ import annotations

import os

from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pypod.engine.core.layout import Layout


def _is_limited(options: Mapping[str, str]) -> bool:
    """Return whether a volume's size is limited by a quota; that of a tmpfs is an option of its mount."""
    return ("SIZE" in options or "INODES" in options) and options.get("type", "").lower() != "tmpfs"


def require(layout: Layout, options: Mapping[str, str]) -> None:
    """Raise Unsupported when a volume is to be limited where the file system has no project quotas."""
    if not _is_limited(options):
        return
    from pypod.kernel import quota

    os.makedirs(layout.volumes, 0o700, exist_ok=True)
    if not quota.has_projects(layout.volumes):
        message = "volume options size and inodes not supported. Filesystem does not support Project Quota"
        raise Unsupported("--opt o=size", message)


def limit(directory: str, options: Mapping[str, str]) -> None:
    """Give a new directory a project of its own, and limit that. Raises OSError."""
    if not _is_limited(options):
        return
    from pypod.engine.storage.volume_options import size_bytes
    from pypod.kernel import quota

    quota.limit(directory, bytes=size_bytes(options.get("SIZE", "0")), inodes=int(options.get("INODES", "0")))
