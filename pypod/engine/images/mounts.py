"""The root file systems of images, mounted read-only for inspection.

Where the kernel's overlay does not work, the root is a copy, which needs no mount; podman's vfs copies as well. A mount
program would have to run as long as the mount is used, in a mount namespace that the program itself keeps alive.
"""

from __future__ import annotations

import os

from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.storage.layers import escaped
from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.core.layout import Layout
    from pypod.engine.images.stored import StoredImage

# include/uapi/linux/mount.h
_FLAGS = 1 | 2 | 4  # MS_RDONLY, MS_NOSUID, MS_NODEV
_OPTIONS_BYTES_LIMIT = 4095  # mount(2) copies a page of options, with the zero byte at its end


def mount(image: StoredImage) -> str:
    """Mount the root of an image unless it is mounted, and return where. Raises OSError, NoSuchImage, Unsupported."""
    from pypod.engine.core.context import require_root
    from pypod.engine.storage import drivers

    copies = not drivers.of(image.context).is_kernel
    if not copies:
        require_root("mounting an image")
    layout = image.context.layout
    path = f"{layout.image_mounts}/{image.id}"
    # keeps the layers from being swept, and lets only one of two clients mount
    with Lock(layout.images, SHARED) as sharing, sharing, Lock(layout.image_mounts) as lock, lock:
        directories = image.layer_directories()
        if _is_there(path):
            return path
        os.makedirs(path, 0o700, exist_ok=True)
        if copies and directories:
            _copy(image, path, directories)
            return path
        try:
            _mount(layout, path, directories)
        except BaseException:
            os.rmdir(path)
            raise
    return path


def _is_there(path: str) -> bool:
    """Return whether the root of an image is mounted or copied there: an empty directory is neither."""
    if os.path.ismount(path):
        return True
    try:
        return bool(os.listdir(path))
    except FileNotFoundError:
        return False
    except PermissionError:  # the root of an image that only its owner may read
        return True


def _copy(image: StoredImage, path: str, directories: tuple[str, ...]) -> None:
    from pypod.engine.session import inside
    from pypod.engine.storage import layers

    layout = image.context.layout
    incoming = f"{layout.images}/incoming/{image.id}"
    with Lock(incoming) as lock, lock:
        layers.merge(image.context, [f"{layout.image_layers}/{name}" for name in directories], f"{incoming}/tree")
        inside.move(image.context, f"{incoming}/tree", path)


def _mount(layout: Layout, path: str, directories: tuple[str, ...]) -> None:
    from pypod.kernel import syscalls

    if not directories:
        syscalls.mount("tmpfs", path, "tmpfs", _FLAGS, "size=0,mode=0755")
        return
    fd = os.open(layout.image_layers, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        options = _options(layout.image_layers, fd, directories, layout.merged)
        syscalls.mount("overlay", path, "overlay", _FLAGS, options)
    finally:
        os.close(fd)


def _options(layers: str, fd: int, directories: tuple[str, ...], empty: str) -> str:
    """Return the options of a read-only overlay: it needs two lower directories, so an empty one comes last."""
    for prefix in (escaped(layers), f"/proc/self/fd/{fd}"):
        options = f"lowerdir={':'.join(f'{prefix}/{name}' for name in directories)}:{escaped(empty)}"
        if len(os.fsencode(options)) <= _OPTIONS_BYTES_LIMIT:
            return options
    raise Unsupported("layers", f"{len(directories)} layers are too many for one overlay mount")


def unmount(context: Context, identifier: str) -> bool:
    """Unmount an image; return whether it was mounted. Files open in it stay readable."""
    from pypod.engine.storage.mount_points import detach
    from pypod.engine.storage.trash import discard

    path = f"{context.layout.image_mounts}/{identifier}"
    was_mounted = _is_there(path)
    if was_mounted and not os.path.ismount(path):
        discard(context, [path])
    return detach(path) or was_mounted


def mounted(context: Context) -> dict[str, str]:
    """Return where images are mounted, by id, including those no longer in the store."""
    return {name: path for name, path in points(context).items() if _is_there(path)}


def points(context: Context) -> dict[str, str]:
    """Return the mount points of images by id, including those with nothing mounted in this mount namespace."""
    directory = context.layout.image_mounts
    try:
        return {name: f"{directory}/{name}" for name in sorted(os.listdir(directory))}
    except FileNotFoundError:
        return {}
