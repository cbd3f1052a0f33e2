"""When this pypod was built."""

from __future__ import annotations

import os

from pypod.kernel.programs import DIRECTORY


def built_s() -> int:
    """Return when the C programs were built, in seconds since the epoch; 0 when they are missing."""
    try:
        return int(max(entry.stat().st_mtime for entry in os.scandir(DIRECTORY)))
    except (FileNotFoundError, ValueError):
        return 0
