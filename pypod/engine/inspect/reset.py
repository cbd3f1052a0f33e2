"""Remove a storage directory whose objects have been removed."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.images import mounts
from pypod.engine.networks import user_bridges
from pypod.engine.storage import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context

# What a storage directory contains; also as a prefix, like pypod.db-wal. Anything else in it is not ours.
_OWN = (
    *(
        "bridges",
        "cache",
        "containers",
        "events.log",
        "giving-ids",
        "images",
        "merged",
        "mount-points",
        "names",
        "pods",
    ),
    *("pypod.db", "secrets", "session", "storage-driver.json", "trash", "volumes"),
)


def remove_storage(context: Context) -> None:
    """End a user's session and delete everything in the storage directory that is pypod's, and then itself if empty.

    Files of containers' users are deleted from within the session, the rest afterwards. The context is closed.
    """
    layout = context.layout
    with Boundary(f"remove the storage {layout.root}"):
        for identifier in mounts.points(context):
            mounts.unmount(context, identifier)
        trash.discard(context, [layout.images, layout.volumes, layout.mount_points, layout.merged], wait=True)
        with Lock(layout.trash) as lock, lock:  # other processes have finished deleting what is in there
            pass
        if context.rootless:
            user_bridges.end_session(context)
        context.close()
        for name in os.listdir(layout.root):
            if name.startswith(_OWN):
                _delete(f"{layout.root}/{name}")
        with suppress(OSError):  # something of another's is in it, or it is a mount point
            os.rmdir(layout.root)


def _delete(path: str) -> None:
    try:
        shutil.rmtree(path)
    except NotADirectoryError:
        with suppress(FileNotFoundError):
            os.unlink(path)
    except FileNotFoundError:
        return
