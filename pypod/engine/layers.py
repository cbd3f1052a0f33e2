"""The layers of a container's root file system, and what it has written into its own on top."""

from __future__ import annotations

import os

from pypod.engine.effects import Effect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.engine import Engine
    from pypod.engine.layout import Layout
    from pypod.model.container import ContainerSpec


def roots(layout: Layout, spec: ContainerSpec) -> list[str]:
    """Return the directories that a container's root is made of, the topmost first, without its own layer."""
    if not spec.image:
        return [spec.rootfs]
    return [f"{layout.image_layers}/{name}" for name in spec.layers] or [layout.mount_points]


def escaped(path: str, characters: str = "\\,:") -> str:
    r"""Return a path as an option of an overlay has it: there ``,`` ends the option, and ``:`` a lower directory.

    >>> escaped("/a:b")
    '/a\\:b'
    """
    for character in characters:
        path = path.replace(character, f"\\{character}")
    return path


def upper(engine: Engine, path: str, root: os.stat_result, root_path: str) -> Effect:
    """Return what makes an upper layer: its root has the owner and mode of the root file system's."""
    mode = root.st_mode & 0o7777

    def make() -> None:
        os.mkdir(path, mode)
        os.chmod(path, mode)  # whatever the umask
        if (root.st_uid, root.st_gid) != (os.geteuid(), os.getegid()):
            _give(engine, path, root, root_path)

    return Effect(f"make directory {path} for what the container writes", "mkdir(2)", make)


def _give(engine: Engine, path: str, root: os.stat_result, root_path: str) -> None:
    """Give a directory the owner that a root has; root where that one has no id in the user's session."""
    from pypod.engine import inside, session

    own = session.of(engine)
    if own is None or (engine.inside and own.owns(root)):
        os.chown(path, root.st_uid, root.st_gid)
    elif not engine.inside and own.owns(root):
        inside.call(engine, "own", path, root_path)


def work(path: str) -> list[Effect]:
    """Return what makes the work directory of an overlay, or makes it fit to be used again.

    A volatile overlay refuses to be mounted while the mark of an earlier mount is there
    (Documentation/filesystems/overlayfs.rst).
    """
    mark = f"{path}/work/incompat"
    if not os.path.isdir(path):
        return [Effect(f"make directory {path} for the overlay", "mkdir(2)", lambda: os.mkdir(path, 0o700))]
    if _is_open(f"{path}/work") and not os.path.isdir(mark):
        return []
    return [Effect(f"remove {mark}, which an earlier run left", "rmdir(2)", lambda: _remove_mark(mark))]


def _is_open(directory: str) -> bool:
    """Return whether we may look into a directory, or it is not there. overlayfs gives its own mode 0."""
    return os.access(directory, os.X_OK) or not os.path.isdir(directory)


def _remove_mark(mark: str) -> None:
    for closed in (os.path.dirname(mark), mark, f"{mark}/volatile"):
        if not _is_open(closed):
            os.chmod(closed, 0o700)
    for stale, remove in (("/volatile/dirty", os.unlink), ("/volatile", os.rmdir), ("", os.rmdir)):
        try:
            remove(f"{mark}{stale}")
        except FileNotFoundError:
            continue


def writable_bytes(engine: Engine, directory: str) -> int:
    """Return the size of what a container has written, given its directory: hard links once, holes counted full."""
    from pypod.engine import inside

    if inside.is_needed(engine):
        found: int = inside.call(engine, "writable_bytes", directory)
        return found
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
