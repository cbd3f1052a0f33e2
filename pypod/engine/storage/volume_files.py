"""The directories of volumes: created with the record, moved to the trash after it, and restored from each other.

A volume's directory has a directory for its files and a copy of its record, since a database can be lost and its
content must not be. Removal deletes the copy first. So a directory with a copy but no row belongs to a volume whose
record was lost, and one with neither to a volume whose creation or removal was interrupted.
"""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.core.lost_records import VOLUME_RECORD
from pypod.engine.storage import trash
from pypod.engine.storage.layers import give
from pypod.errors import InvalidSpec, PypodError
from pypod.kernel.descriptors import read_file, write_all
from pypod.model import plain_json
from pypod.model.ids import check_name
from pypod.model.volume import VolumeRecord
from pypod.store import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from sqlite3 import Connection

    from pypod.engine.core.context import Context
    from pypod.engine.core.layout import Layout

_BYTES_LIMIT = 1 << 24
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def place(layout: Layout, record: VolumeRecord) -> str:
    """Return the directory of a volume's files, which is its mount point on the host."""
    return f"{layout.volume(record.name)}/{record.data}".rstrip("/")


def ensure(context: Context, record: VolumeRecord) -> None:
    """Create the directory of a volume that has a row, unless it is complete."""
    if os.path.isdir(place(context.layout, record)) and os.path.exists(_record_path(context.layout, record.name)):
        return
    directory = context.layout.volume(record.name)
    os.makedirs(context.layout.volumes, 0o700, exist_ok=True)
    with Boundary(f"create volume {record.name}"), Lock(directory) as lock, lock:
        _make(context, record)


def _make(context: Context, record: VolumeRecord) -> None:
    path = place(context.layout, record)
    if not os.path.isdir(path):
        incoming = f"{path}.incoming" if record.data else path
        os.makedirs(incoming, 0o755, exist_ok=True)
        os.chmod(incoming, 0o755)  # regardless of the umask
        options = record.option_map()
        if "SIZE" in options or "INODES" in options:
            from pypod.engine.storage import volume_quota

            volume_quota.limit(incoming, options)
        owner = tuple(int(options.get(kind, "0")) for kind in ("UID", "GID"))
        give(context, incoming, (owner[0], owner[1]), 0o755)
        if incoming != path:
            from pypod.engine.session import inside

            inside.move(context, incoming, path)
    if not os.path.exists(_record_path(context.layout, record.name)):
        keep(context.layout, record)


def _record_path(layout: Layout, name: str) -> str:
    return f"{layout.volume(name)}/{VOLUME_RECORD}"


def keep(layout: Layout, record: VolumeRecord) -> None:
    path = _record_path(layout, record.name)
    incoming = f"{path}.incoming"
    if os.path.lexists(incoming):  # of a process that was killed
        os.unlink(incoming)
    fd = os.open(incoming, _WRITE, 0o600)
    try:
        write_all(fd, plain_json.dumps(record.__dict__).encode())
    finally:
        os.close(fd)
    os.rename(incoming, path)


def forget(context: Context, names: Sequence[str]) -> None:
    """Delete the copies of the records of volumes that are being removed. Raises OSError."""
    for name in names:
        try:
            os.unlink(_record_path(context.layout, name))
        except (FileNotFoundError, NotADirectoryError):
            continue


def directories(layout: Layout) -> list[str]:
    """Return the names of the directories of volumes, sorted."""
    try:
        return sorted(os.listdir(layout.volumes))
    except FileNotFoundError:
        return []


def kept(layout: Layout) -> list[VolumeRecord]:
    """Return the volumes whose records are kept in their directories."""
    found = (_kept(layout, name) for name in directories(layout))
    return [one for one in found if one is not None]


def _kept(layout: Layout, name: str) -> VolumeRecord | None:
    """Return the record kept in a volume's directory; one with defaults if it is damaged: the files are not."""
    path = _record_path(layout, name)
    try:
        check_name(name)
        status = os.lstat(path)
    except (OSError, InvalidSpec):
        return None
    try:
        record = volumes.checked(VolumeRecord(**plain_json.loads(read_file(path, _BYTES_LIMIT))))
        if record.name == name and record.data in ("", "_data"):
            return record
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    return VolumeRecord(name=name, created_ns=status.st_mtime_ns, needs_copy=0, needs_owner=0)


def lost(context: Context) -> list[str]:
    """Return the names of volumes whose record was lost."""
    there = kept(context.layout)
    known = volumes.names(context.database) if there else set()
    return [one.name for one in there if one.name not in known]


def lost_at_most(context: Context) -> list[str]:
    """Return the same, or all volumes when the store cannot be read."""
    try:
        return lost(context)
    except PypodError:
        return [one.name for one in kept(context.layout)]


def restore(context: Context) -> list[str]:
    """Insert the rows of volumes that lack them; return messages about what was done."""
    names = []
    for name in lost(context):
        with Lock(context.layout.volume(name)) as lock, lock:
            record = _kept(context.layout, name)  # its removal may have been under way
            if record is not None:
                with context.database.transaction() as connection, connection:
                    names += [one.name for one in volumes.add_missing(connection, [record])]
    return _told(names)


def restore_all(layout: Layout, connection: Connection) -> list[str]:
    """Insert the rows of all volumes into a new database; return messages about what was done."""
    return _told(one.name for one in volumes.add_missing(connection, kept(layout)))


def _told(names: Iterable[str]) -> list[str]:
    return [f"brought back the record of volume {name}" for name in names]


def orphans(context: Context) -> list[str]:
    """Return the directories of volumes that have neither a row nor a copy of one."""
    # Queried after listing the directories: a volume's row is inserted before its directory is created.
    there = directories(context.layout)
    known = volumes.names(context.database) | volumes.used(context.database) if there else set()
    return [context.layout.volume(name) for name in there if name not in known and _kept(context.layout, name) is None]


def remove_orphans(context: Context) -> list[str]:
    """Delete the directories of ``orphans``; return their paths."""
    removed = []
    for path in orphans(context):
        with Lock(path) as lock, lock:
            if path in orphans(context):  # its name may have been taken by a new volume since
                trash.discard(context, [path])
                removed.append(path)
    return removed
