"""The kernel's version. A distribution's may have later features: where possible the kernel itself is probed."""

from __future__ import annotations

import os


def version_of(release: str) -> tuple[int, int] | None:
    """Return (major, minor) of a kernel release, or None: ``6.1.0-18-amd64`` gives (6, 1)."""
    parts = [part[: len(part) - len(part.lstrip("0123456789"))] for part in release.split(".")[:2]]
    if len(parts) < 2 or not all(0 < len(part) < 10 for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def is_at_least(major: int, minor: int, release: str | None = None) -> bool:
    """Return whether a kernel's version, by default the running one's, is at least this."""
    return (version_of(os.uname().release if release is None else release) or (0, 0)) >= (major, minor)
