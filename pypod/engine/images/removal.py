"""Remove images, and the layers and blobs that nothing needs any more."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from pypod.engine.containers import recovery
from pypod.engine.core import announce
from pypod.engine.images import mounts
from pypod.engine.storage.mapped_layers import owner_of
from pypod.engine.storage.trash import discard
from pypod.errors import InUse, NoSuchContainer, NoSuchImage, StoreError
from pypod.images.blobs import Blobs
from pypod.store import images
from pypod.store.database import wants_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.api.engine import Engine


def remove(engine: Engine, identifier: str, *, force: bool = False, called: str = "") -> None:
    """Remove an image, and what only it needed; ``called`` is its name in what is told of it. Raises InUse."""
    while True:
        if force:
            _remove_users(engine, identifier)
        try:
            names = images.named(engine.database, identifier).names
            forget(engine, identifier)
        except NoSuchImage:
            return
        except InUse:
            if force:  # a container was made meanwhile
                continue
            raise
        break
    announce.image_removed(engine, identifier, names, called)
    sweep(engine)


def forget(engine: Engine, identifier: str) -> None:
    """Delete the records of an image; what it is made of comes first when it leaves no room to. Raises InUse."""

    def blobs() -> Iterable[str]:
        return map(Blobs(engine.layout.blobs).path, images.blobs_only_of(engine.database, identifier))

    _with_room(lambda: images.remove_image(engine.database, identifier), blobs)


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


def _remove_users(engine: Engine, identifier: str) -> None:
    with engine.database.transaction(write=False) as connection:
        users = images.users_of(connection, identifier)
    for user, _ in users:
        with suppress(NoSuchContainer):  # somebody else was quicker: its monitor, after --rm
            engine.containers.get(user).remove(force=True)


def sweep(engine: Engine) -> list[str]:
    """Delete the layers and blobs that no image needs; return their paths.

    While anybody adds an image nothing is deleted: what is on its way is needed by no image yet. Whoever sweeps next
    finds what is left.
    """
    try:
        fd = os.open(engine.layout.images, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return []
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for identifier in mounts.points(engine):
            if not images.exists(engine.database, identifier):
                mounts.unmount(engine, identifier)
        _with_room(lambda: images.remove_unused_layers(engine.database), lambda: _unused_blobs(engine))
        found = leftovers(engine)
        discard(engine, [path for path in found if os.path.isdir(path)])
        for path in found:
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(path)
    except BlockingIOError:
        return []
    finally:
        os.close(fd)
    return found


def leftovers(engine: Engine) -> list[str]:
    """Return the paths of layers and blobs that no record names: of images removed, or left by a crash."""
    layout = engine.layout
    layers = [f"{layout.image_layers}/{name}" for name in _names(layout.image_layers)]
    incoming = [f"{layout.images}/incoming/{name}" for name in _names(f"{layout.images}/incoming")]
    # asked after looking: the directory of a layer is there before its record
    known = images.layer_directories(engine.database)
    in_use = recovery.layers_in_use(engine)
    if in_use is None:
        layers = []
    unused = [path for path in layers if owner_of(os.path.basename(path)) not in known.union(in_use or ())]
    return [*unused, *incoming, *_unused_blobs(engine)]


def _unused_blobs(engine: Engine) -> list[str]:
    return Blobs(engine.layout.blobs).unused(images.used_blobs(engine.database))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
