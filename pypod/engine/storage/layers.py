"""The layers of a container's root file system, and what it wrote to its own on top."""

from __future__ import annotations

import os

from pypod.engine.core.effects import Effect
from pypod.kernel import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.engine.core.layout import Layout
    from pypod.engine.session.id_maps import Maps
    from pypod.model.container import ContainerSpec

_LIMIT_BYTES = 1 << 20


def roots(layout: Layout, spec: ContainerSpec) -> list[str]:
    """Return the directories that a container's root is stacked from, the topmost first, without its own layer."""
    if not spec.image:
        return [spec.rootfs]
    return [f"{layout.image_layers}/{name}" for name in spec.layers] or [layout.mount_points]


def copy_in(directory: str) -> str:
    """Return where the container with this directory has its full copy, if it has one."""
    return f"{directory}/root"


def tree(layout: Layout, identifier: str, spec: ContainerSpec) -> list[str]:
    """Return the directories that a container's root now consists of, the topmost first, including what it wrote."""
    directory = layout.container(identifier)
    own, upper = copy_in(directory), f"{directory}/upper"
    if not spec.overlay:
        return [spec.rootfs]
    if os.path.isdir(own):
        return [own]
    return [*([upper] if os.path.isdir(upper) else []), *roots(layout, spec)]


def etc_file(directories: Iterable[str], name: str) -> str:
    """Return the text of a file in /etc of stacked layers, the topmost first; empty if none has it.

    No link in a layer is followed: whoever made it could have it lead to a file of the host.
    """
    return next(filter(None, (_etc_file(directory, name) for directory in directories)), "")


def _etc_file(directory: str, name: str) -> str:
    fds: list[int] = []
    try:
        fds.append(os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        fds.append(os.open("etc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fds[0]))
        fds.append(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fds[1]))
        return os.read(fds[2], _LIMIT_BYTES).decode("utf-8", "replace") if os.fstat(fds[2]).st_size else ""
    except OSError:
        return ""
    finally:
        for fd in fds:
            os.close(fd)


def escaped(path: str, characters: str = "\\,:") -> str:
    r"""Return a path escaped for an overlay option, where ``,`` ends the option and ``:`` a lower directory.

    >>> escaped("/a:b")
    '/a\\:b'
    """
    for character in characters:
        path = path.replace(character, f"\\{character}")
    return path


def upper(
    context: Context, path: str, root: os.stat_result, maps: Maps | None = None, *, of_image: bool = True
) -> Effect:
    """Return what creates an upper layer, with the owner and mode of the root file system's root.

    ``maps`` are those of the container's user namespace. What is ``of_image`` has the same ids in every namespace.
    """
    mode = root.st_mode & 0o7777

    def make() -> None:
        os.mkdir(path, mode)
        os.chmod(path, mode)  # regardless of the umask
        give(context, path, _owner(context, root, maps, of_image=of_image), mode)

    return Effect(f"make directory {path} for what the container writes", "mkdir(2)", make)


def copying(
    context: Context,
    stack: list[str],
    directory: str,
    root: os.stat_result,
    maps: Maps | None,
    *,
    of_image: bool,
) -> Effect:
    """Return what makes a container's copy of everything that the directories of ``stack`` show, the topmost first."""
    from pypod.engine.session import inside

    target = copy_in(directory)

    def make() -> None:
        incoming = f"{target}.incoming"
        merge(context, stack, incoming)
        give(context, incoming, _owner(context, root, maps, of_image=of_image), root.st_mode & 0o7777)
        inside.move(context, incoming, target)

    return Effect(f"copy {', '.join(stack)} to {target}", "copy_file_range(2)", make)


def merge(context: Context, stack: list[str], target: str) -> None:
    """Merge stacked directories, the topmost first, into one tree, with privilege over every id."""
    from pypod.engine.session import inside
    from pypod.engine.storage.trash import discard

    discard(context, [target])  # left by a process that was killed
    if inside.is_needed(context):
        inside.call(context, _merge, stack, target)
    else:
        _merge(context, stack, target)


def _merge(context: Context, stack: list[str], target: str) -> None:
    from pypod.engine.storage import layer_copies

    del context
    layer_copies.merge(stack, target)


def lay(context: Context, layer: str, lowers: list[str], target: str) -> None:
    """Copy what a layer shows on those below it, with sockets for its whiteouts, with privilege over every id."""
    from pypod.engine.session import inside

    if inside.is_needed(context):
        inside.call(context, _lay, layer, lowers, target)
    else:
        _lay(context, layer, lowers, target)


def _lay(context: Context, layer: str, lowers: list[str], target: str) -> None:
    from pypod.engine.storage import layer_copies

    del context
    layer_copies.lay(layer, lowers, target)


def give(context: Context, path: str, ids: tuple[int, int], mode: int) -> None:
    """Set owner and mode of a directory of ours; a user's ids are those of their session."""
    from pypod.engine.session import inside

    if inside.is_needed(context):
        if ids != (0, 0):  # those are ours already
            inside.call(context, _own, path, *ids, mode)
    elif ids != (os.geteuid(), os.getegid()):
        _own(context, path, *ids, mode)


def _own(context: Context, path: str, uid: int, gid: int, mode: int) -> None:
    del context
    os.chown(path, uid, gid)
    os.chmod(path, mode)  # changing the owner clears set-ID bits


def root_ids(context: Context, maps: Maps | None) -> tuple[int, int]:
    """Return the ids on disk that own a container's files without a particular owner: those of its root."""
    if maps is None or not context.rootless:  # root has the ids of the container on the disk
        return (0, 0)
    return tuple(idmap.outside(ranges, idmap.root_of(ranges)) for ranges in maps)  # type: ignore[return-value]


def _owner(context: Context, root: os.stat_result, maps: Maps | None, *, of_image: bool) -> tuple[int, int]:
    """Return the owner of an upper layer: that of the root, or root where that id is not mapped."""
    from pypod.engine.session import session

    own = session.of(context)
    if own is None:
        return root.st_uid, root.st_gid
    found = list(root_ids(context, maps))
    for at, one in enumerate((root.st_uid, root.st_gid)):
        ours = one if context.inside else idmap.inside(own.maps[at], one)
        if maps is None:
            found[at] = found[at] if ours is None else ours
        elif ours is not None and of_image and idmap.has(maps[at], ours):
            found[at] = idmap.outside(maps[at], ours)
        elif ours is not None and idmap.inside(maps[at], ours) is not None and not of_image:
            found[at] = ours
    return found[0], found[1]


def work(path: str) -> list[Effect]:
    """Return what creates the work directory of an overlay, or makes it usable again.

    A volatile overlay refuses to mount while the mark of an earlier mount exists
    (Documentation/filesystems/overlayfs.rst).
    """
    mark = f"{path}/work/incompat"
    if not os.path.isdir(path):
        return [Effect(f"make directory {path} for the overlay", "mkdir(2)", lambda: os.mkdir(path, 0o700))]
    if _is_open(f"{path}/work") and not os.path.isdir(mark):
        return []
    return [Effect(f"remove {mark}, which an earlier run left", "rmdir(2)", lambda: _remove_mark(mark))]


def _is_open(directory: str) -> bool:
    """Return whether a directory is accessible to us, or missing. overlayfs gives its own mode 0."""
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
