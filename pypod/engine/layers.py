"""What a container has written: its own layer over the root file system."""

from __future__ import annotations

import os


def writable_bytes(directory: str) -> int:
    """Return the size of what a container has written, given its directory: hard links once, holes counted full."""
    total = 0
    seen: set[tuple[int, int]] = set()
    waiting = [f"{directory}/upper"]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    status = entry.stat(follow_symlinks=False)
                    key = (status.st_dev, status.st_ino)
                    if status.st_nlink > 1 and key in seen:
                        continue
                    seen.add(key)
                    total += status.st_size
        except FileNotFoundError:
            continue  # it is being written to, or there is no layer yet
    return total
