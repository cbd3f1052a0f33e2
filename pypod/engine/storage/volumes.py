"""The volumes of a container: created with it, filled at their first use, and removed with the last that uses them."""

from __future__ import annotations

import os
import time

from pypod.engine.core import announce
from pypod.engine.core.effects import Effect
from pypod.engine.core.locks import Lock
from pypod.engine.storage import volume_files
from pypod.engine.storage.layers import give, root_ids
from pypod.model import ids
from pypod.model.mount import VOLUME, plain_path
from pypod.model.volume import VolumeRecord
from pypod.store import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from sqlite3 import Connection

    from pypod.engine.core.context import Context
    from pypod.engine.session.id_maps import Maps
    from pypod.engine.storage.volume_mounts import Attachments
    from pypod.model.container import ContainerSpec
    from pypod.model.mount import Mount


def with_names(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """Return mounts with a new name for each volume that has none."""
    return tuple(mount.replace(source=ids.new_id()) if _is_nameless(mount) else mount for mount in mounts)


def _is_nameless(mount: Mount) -> bool:
    return mount.type == VOLUME and not mount.source


def add_missing(connection: Connection, mounts: Iterable[Mount], container_id: str = "") -> list[VolumeRecord]:
    """Insert the volumes of a new container that do not exist yet; return them. ``created`` completes their creation.

    ``container_id`` is an infra, whose specification does not name the volumes of its pod.
    """
    wanted = {mount.source: mount for mount in mounts if mount.type == VOLUME}
    if not wanted:
        return []
    from pypod.engine.storage import volume_options

    now_ns = time.time_ns()
    records = []
    for name, mount in wanted.items():
        options = volume_options.read(dict(one.partition("=")[::2] for one in mount.options))
        records.append(volume_options.record(name, now_ns, options=options, anonymous=mount.anonymous))
    if container_id:
        volumes.use(connection, container_id, wanted)
    return volumes.add_missing(connection, records)


def created(context: Context, records: Sequence[VolumeRecord]) -> None:
    """Create the directories of volumes that were just inserted, and record the events."""
    for record in records:
        volume_files.ensure(context, record)
        announce.volume(context, announce.CREATE, record.name)


class Volumes:
    """The volumes of a container that is about to start, by name.

    A volume is used for the first time under its lock: two containers do not fill it at once. ``preparations`` come
    before the launch of the container, ``conclusions`` after it.
    """

    def __init__(self, context: Context, spec: ContainerSpec, maps: Maps | None) -> None:
        self._context = context
        self._maps = maps
        self._mounts = [mount for mount in spec.mounts if mount.type == VOLUME]
        self._locks: dict[str, Lock] = {}
        self._attachments: Attachments | None = None
        self._records: dict[str, VolumeRecord] = {}
        self._changed_ns: dict[str, int] = {}
        self._look()

    def _look_locked(self) -> None:
        self._look()
        for name, record in self._records.items():
            self._changed_ns[name] = _changed_ns(volume_files.place(self._context.layout, record))

    def _look(self) -> None:
        names = sorted({mount.source for mount in self._mounts})
        found = {one.name: one for one in volumes.of_names(self._context.database, names)}
        missing = VolumeRecord(name="", created_ns=0)  # removed by someone who edits the database
        self._records = {name: found.get(name) or missing.replace(name=name) for name in names}

    def place(self, mount: Mount) -> str:
        """Return the directory on the host that a mount of a volume shows."""
        return volume_files.place(self._context.layout, self._records[mount.source])

    def _is_new(self, name: str) -> bool:
        record = self._records[name]
        return bool(record.needs_owner or (record.needs_copy and any(self._copies(one) for one in self._mounts)))

    def _copies(self, mount: Mount) -> bool:
        record = self._records[mount.source]
        asked = mount.copy_up and "nocopy" not in record.option_map()
        return bool(asked and record.needs_copy and _is_empty(self.place(mount)))

    def preparations(self) -> list[Effect]:
        """Return what creates the directories of the volumes and mounts their file systems."""
        made = [one for record in self._records.values() for one in self._preparing(record)]
        if any(self._is_new(name) for name in self._records):
            made.append(Effect("look whether another container has filled the volumes", "read(2)", self._look_locked))
        return [*made, *self._mounting()]

    def _preparing(self, record: VolumeRecord) -> list[Effect]:
        made = []
        path = volume_files.place(self._context.layout, record)
        if not os.path.isdir(path):
            words = f"make directory {path} for a volume"
            made.append(Effect(words, "mkdir(2)", lambda: volume_files.ensure(self._context, record)))
        owner = root_ids(self._context, self._maps)
        if record.needs_owner and owner != (0, 0):
            words = f"give {path} to root of the container's user namespace"
            made.append(Effect(words, "chown(2)", lambda: give(self._context, path, owner, 0o755)))
        if self._is_new(record.name):
            words = f"lock volume {record.name}, which is used for the first time"
            made.append(Effect(words, "flock(2)", lambda: self._lock(record.name), self._release))
        return made

    def _mounting(self) -> list[Effect]:
        if all(record.options == "[]" for record in self._records.values()):
            return []
        from pypod.engine.storage.volume_mounts import Attachments

        self._attachments = Attachments(self._context, self._records.values())
        return self._attachments.preparations()

    def _lock(self, name: str) -> None:
        lock = Lock(self._context.layout.volume(name))
        self._locks[name] = lock
        lock.__enter__()

    def _release(self) -> None:
        while self._locks:
            self._locks.popitem()[1].__exit__(None, None, None)

    def conclusions(self) -> list[Effect]:
        """Return what records that the volumes have been used, once the container runs."""
        if not self._attachments and not any(self._is_new(name) for name in self._records):
            return []
        return [Effect("record that its volumes have been used", "flock(2)", self._conclude)]

    def _conclude(self) -> None:
        try:
            for name, record in self._records.items():
                copied = bool(record.needs_copy) and self._got_content(record)
                if record.needs_owner or copied:
                    volumes.set_used(self._context.database, name, copied=copied)
        finally:
            self._release()
            if self._attachments is not None:
                self._attachments.release()

    def _got_content(self, record: VolumeRecord) -> bool:
        """Return whether anything was put into a volume since it was locked, even if the container removed it again."""
        path = volume_files.place(self._context.layout, record)
        return not _is_empty(path) or _changed_ns(path) != self._changed_ns.get(record.name)

    def filled(self) -> dict[str, tuple[bool, bool]]:
        """Return for each target whether the image's content is copied to the volume, and owner and mode."""
        found: dict[str, tuple[bool, bool]] = {}
        seen: set[str] = set()
        for mount in self._mounts:
            record = self._records[mount.source]
            copies = self._copies(mount)
            owned = bool(record.needs_owner and (record.data or copies))
            if (copies or owned) and record.name not in seen and not mount.subpath and not mount.overlay:
                found[plain_path(mount.target)] = copies, owned
                seen.add(record.name)
        return found

    def given(self) -> dict[str, bool]:
        """Return the targets of new volumes, which are given to the container's user without what is in them."""
        return {target: False for target, (_, owned) in self.filled().items() if owned}

    def taken(self) -> dict[str, tuple[str, tuple[str | int, ...]]]:
        """Return for each target the operation, without its slot, that opens a volume mounted elsewhere."""
        found = {}
        for mount in self._mounts:
            record = self._records[mount.source]
            if record.options == "[]":
                continue
            from pypod.engine.storage import volume_mounts

            taken = volume_mounts.taken(self._context, record)
            if taken:
                found[plain_path(mount.target)] = taken
        return found


def _is_empty(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True
    except PermissionError:  # it belongs to a user of a container
        return False


def _changed_ns(directory: str) -> int:
    """Return when an entry was last added to a directory or removed from it."""
    try:
        return os.stat(directory).st_mtime_ns
    except FileNotFoundError:
        return 0
