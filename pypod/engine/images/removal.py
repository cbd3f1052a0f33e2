"""Remove images, and the layers and blobs that are no longer needed."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from pypod.engine.core import announce, lost_records
from pypod.engine.images import mounts
from pypod.engine.storage.mapped_layers import owner_of
from pypod.engine.storage.trash import discard
from pypod.errors import InUse, NoSuchContainer, NoSuchImage, StoreError
from pypod.images.blobs import Blobs
from pypod.store import image_layers, images
from pypod.store.failures import wants_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.engine.core.context import Context


def remove(
    context: Context, identifier: str, *, called: str = "", remove_user: Callable[[str], None] | None = None
) -> None:
    """Remove an image and what only it needed; ``called`` is its name in events.

    With ``remove_user``, the containers created from it are removed first, by calls with their ids. Raises InUse.
    """
    while True:
        if remove_user is not None:
            _remove_users(context, identifier, remove_user)
        try:
            names = images.named(context.database, identifier).names
            forget(context, identifier)
        except NoSuchImage:
            return
        except InUse:
            if remove_user is not None:  # a container was created meanwhile
                continue
            raise
        break
    announce.image_removed(context, identifier, names, called)
    sweep(context)


def forget(context: Context, identifier: str) -> None:
    """Delete the records of an image; on a full disk, first some of its files to make room. Raises InUse."""

    def blobs() -> Iterable[str]:
        return map(Blobs(context.layout.blobs).path, images.blobs_only_of(context.database, identifier))

    _with_room(lambda: images.remove_image(context.database, identifier), blobs)


def _with_room(delete_records: Callable[[], None], useless: Callable[[], Iterable[str]]) -> None:
    try:
        delete_records()
    except StoreError as error:
        if not wants_space(error):
            raise
        for path in useless():
            with suppress(FileNotFoundError):
                os.unlink(path)
        delete_records()


def _remove_users(context: Context, identifier: str, remove_user: Callable[[str], None]) -> None:
    with context.database.transaction(write=False) as connection:
        users = images.users_of(connection, identifier)
    for user, _ in users:
        with suppress(NoSuchContainer):  # removed meanwhile, for example by its monitor after --rm
            remove_user(user)


def sweep(context: Context) -> list[str]:
    """Delete the layers and blobs that no image needs; return their paths.

    While an image is being added nothing is deleted, since no image refers to what is arriving yet. The next sweep gets
    what is left.
    """
    try:
        fd = os.open(context.layout.images, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return []
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for identifier in mounts.points(context):
            if not images.exists(context.database, identifier):
                mounts.unmount(context, identifier)
        _with_room(lambda: image_layers.remove_unused(context.database), lambda: _unused_blobs(context))
        found = leftovers(context)
        discard(context, [path for path in found if os.path.isdir(path)])
        for path in found:
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(path)
    except BlockingIOError:
        return []
    finally:
        os.close(fd)
    return found


def leftovers(context: Context) -> list[str]:
    """Return the paths of layers and blobs that no record refers to: from removed images, or left by a crash."""
    layout = context.layout
    layers = [f"{layout.image_layers}/{name}" for name in _names(layout.image_layers)]
    incoming = [f"{layout.images}/incoming/{name}" for name in _names(f"{layout.images}/incoming")]
    # read after the directories were listed: a layer's directory exists before its record
    known = image_layers.directories(context.database)
    in_use = lost_records.layers_in_use(context)
    if in_use is None:
        layers = []
    unused = [path for path in layers if owner_of(os.path.basename(path)) not in known.union(in_use or ())]
    return [*unused, *incoming, *_unused_blobs(context)]


def _unused_blobs(context: Context) -> list[str]:
    return Blobs(context.layout.blobs).unused(images.used_blobs(context.database))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
