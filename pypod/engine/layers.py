"""What a container has written: its own layer over the root file system."""

from __future__ import annotations

import os

from pypod.engine.effects import Effect


def upper(path: str, root: os.stat_result) -> Effect:
    """Return what makes an upper layer: its root has the owner and mode of the root file system's."""
    mode = root.st_mode & 0o7777

    def make() -> None:
        os.mkdir(path, mode)
        os.chmod(path, mode)  # whatever the umask
        if (root.st_uid, root.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(path, root.st_uid, root.st_gid)

    return Effect(f"make directory {path} for what the container writes", "mkdir(2)", make)


def work(path: str) -> list[Effect]:
    """Return what makes the work directory of an overlay, or makes it fit to be used again.

    A volatile overlay refuses to be mounted while the mark of an earlier mount is there
    (Documentation/filesystems/overlayfs.rst).
    """
    mark = f"{path}/work/incompat"
    if not os.path.isdir(path):
        return [Effect(f"make directory {path} for the overlay", "mkdir(2)", lambda: os.mkdir(path, 0o700))]
    if not os.path.isdir(mark):
        return []
    return [Effect(f"remove {mark}, which an earlier run left", "rmdir(2)", lambda: _remove_mark(mark))]


def _remove_mark(mark: str) -> None:
    for stale, remove in (("/volatile/dirty", os.unlink), ("/volatile", os.rmdir), ("", os.rmdir)):
        try:
            remove(f"{mark}{stale}")
        except FileNotFoundError:
            continue


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
