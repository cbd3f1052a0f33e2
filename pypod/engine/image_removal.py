"""Remove images, and the layers and blobs that nothing needs any more."""

from __future__ import annotations

import errno
import fcntl
import os

from pypod.engine.stopping import discard
from pypod.errors import NoSuchImage
from pypod.images.blobs import Blobs
from pypod.store import images, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.engine import Engine


def remove(engine: Engine, identifier: str, *, force: bool = False) -> None:
    """Remove an image, and what only it needed. Raises InUse."""
    if force:
        with engine.database.transaction(write=False) as connection:
            users = images.users_of(connection, identifier)
        for user, _ in users:
            engine.containers.get(user).remove(force=True)
    try:
        images.remove_image(engine.database, identifier)
    except NoSuchImage:
        return
    sweep(engine)


def sweep(engine: Engine) -> int:
    """Delete layers and blobs that no image needs; return how many. While anybody adds an image nothing is deleted:
    what is on its way is not needed by an image yet. Whoever sweeps next finds it."""
    try:
        fd = os.open(engine.layout.images, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _sweep(engine)
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise
        return 0
    finally:
        os.close(fd)


def _sweep(engine: Engine) -> int:
    layout = engine.layout
    unused = images.take_unused_layers(engine.database)
    known = images.layer_directories(engine.database)
    # also what a crash left between a rename and the row that was to follow
    directories = [f"{layout.image_layers}/{name}" for name in _names(layout.image_layers) if name not in known]
    blobs = Blobs(layout.blobs).unused(images.used_blobs(engine.database))
    incoming = [f"{layout.images}/incoming/{name}" for name in _names(f"{layout.images}/incoming")]
    discard(engine, [*directories, *incoming])
    for path in blobs:
        os.unlink(path)
    return max(len(unused), len(directories)) + len(blobs)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def users(engine: Engine, identifier: str) -> list[str]:
    """Return the ids of the containers that were made from an image."""
    found = records.all_containers(engine.database)
    return [one.id for one in found if one.image_id == identifier]
