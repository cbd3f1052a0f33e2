"""The volumes of an engine: create, find, list, prune."""

from __future__ import annotations

import time
from _collections_abc import Callable, Mapping, Sequence

from pypod.api import types
from pypod.api.volumes.volume import Volume
from pypod.errors import AlreadyExists, InUse
from pypod.model import ids
from pypod.store import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Volumes:
    """The volumes of an engine."""

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine) -> None:
        self._engine = engine

    def create(
        self,
        name: str = "",
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        ignore: bool = False,
    ) -> Volume:
        """Create a volume, by default with a random name.

        ``options`` are those of podman's local driver. ``type``, ``device`` and ``o`` make it a file system, which
        mount(8) mounts when the volume is used: ``{"type": "tmpfs", "o": "size=64m"}``. In ``o``, ``uid`` and ``gid``
        are the owner of its root, ``size`` and ``inodes`` limit it where the file system has project quotas. Without
        ``nocopy`` a new volume gets a copy of what the image of its first container has in its place. With ``ignore`` a
        volume of that name that exists is returned as it is.

        Raises InvalidSpec, Unsupported, AlreadyExists; then nothing was created.

        >>> engine.volumes.create("data", labels={"of": "web"})                   # doctest: +SKIP
        <Volume data>
        """
        from pypod.engine.core import announce
        from pypod.engine.core.boundary import Boundary
        from pypod.engine.storage import volume_files, volume_options, volume_quota
        from pypod.errors import InvalidSpec

        if name:
            try:
                ids.check_name(name, "NAME")
            except InvalidSpec as error:
                raise InvalidSpec("NAME", f"running volume create option: {error.message}") from None
        volume_options.require_driver(driver, name)
        found = volume_options.read(options or {})
        volume_quota.require(self._engine.layout, found)
        record = volume_options.record(name or ids.new_id(), time.time_ns(), options=found, labels=labels)
        try:
            database = self._engine.database
            with Boundary(f"create volume {record.name}"), database.transaction() as connection, connection:
                volumes.add(connection, record)
        except AlreadyExists:
            if not ignore:
                raise
            return Volume(self._engine, record.name)
        volume_files.ensure(self._engine, record)
        announce.volume(self._engine, announce.CREATE, record.name)
        return Volume(self._engine, record.name)

    def get(self, ref: str) -> Volume:
        """Return the volume with this name, or the only one whose name begins with it.

        Raises NoSuchVolume, AmbiguousName.
        """
        return Volume(self._engine, volumes.find(self._engine.database, ref).name)

    def exists(self, name: str) -> bool:
        """Return whether there is a volume of exactly this name."""
        return volumes.named(self._engine.database, name) is not None

    def list(self) -> list[Volume]:
        """Return all volumes, sorted by name."""
        return [Volume(self._engine, one.name) for one in volumes.all_volumes(self._engine.database)]

    def records(self) -> Sequence[types.VolumeRecord]:
        """Return the records of all volumes, sorted by name."""
        return volumes.all_volumes(self._engine.database)

    def used(self) -> set[str]:
        """Return the names of the volumes that any container uses, running or not."""
        return volumes.used(self._engine.database)

    def unused(self) -> Sequence[types.VolumeRecord]:
        """Return the records of the volumes that no container uses, sorted by name."""
        used = self.used()
        return [one for one in self.records() if one.name not in used]

    def prune(self, only: Callable[[types.VolumeRecord], bool] | None = None) -> Sequence[str]:
        """Remove the volumes that no container uses; return their names.

        ``only`` returns for each whether to remove it.
        """
        from pypod.engine.core import announce

        removed = []
        for one in self.unused():
            if only is not None and not only(one):
                continue
            try:
                Volume(self._engine, one.name).remove()
            except InUse:  # a container was created just now
                continue
            removed.append(one.name)
        announce.volume(self._engine, announce.PRUNE, *removed)
        return removed
