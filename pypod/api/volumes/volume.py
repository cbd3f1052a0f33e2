"""The handle of a volume."""

from __future__ import annotations

import os
from _collections_abc import Iterable, Iterator, Mapping, Sequence

from pypod.api import types
from pypod.api.default import opened
from pypod.errors import NoSuchContainer, NoSuchVolume
from pypod.store import records, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class Volume:
    """A volume: an engine and a name. Its files outlive the containers that mount it.

    >>> data = Volume.create("data")                                               # doctest: +SKIP
    >>> Container.run("busybox", ["touch", "/srv/f"], volumes=["data:/srv"])       # doctest: +SKIP
    """

    __slots__ = ("_engine", "name")

    def __init__(self, engine: types.Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    @classmethod
    def create(
        cls,
        name: str = "",
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        ignore: bool = False,
        engine: types.Engine | None = None,
    ) -> Volume:
        """Create a volume; see ``Volumes.create``."""
        found = opened(engine).volumes
        return found.create(name, driver=driver, labels=labels, options=options, ignore=ignore)

    @classmethod
    def get(cls, ref: str, *, engine: types.Engine | None = None) -> Volume:
        """Return the volume with this name, or the only one whose name begins with it. Raises NoSuchVolume."""
        return opened(engine).volumes.get(ref)

    @classmethod
    def list(cls, *, engine: types.Engine | None = None) -> list[Volume]:
        """Return all volumes, sorted by name."""
        return opened(engine).volumes.list()

    @property
    def engine(self) -> types.Engine:
        """The engine it belongs to."""
        return self._engine

    def record(self) -> types.VolumeRecord:
        """Return its row in the database. Raises NoSuchVolume when it was removed."""
        found = volumes.named(self._engine.database, self.name)
        if found is None:
            raise NoSuchVolume(self.name)
        return found

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self.record().label_map()

    @property
    def options(self) -> dict[str, str]:
        """Its options, in podman's form."""
        return self.record().option_map()

    @property
    def anonymous(self) -> bool:
        """Whether it was created without a name, and goes with the last container that uses it."""
        return bool(self.record().anonymous)

    @property
    def path(self) -> str:
        """The directory of its files on the host; a volume with a file system of its own is mounted there when used."""
        from pypod.engine.storage.volume_files import place

        return place(self._engine.layout, self.record())

    def containers(self) -> Sequence[types.Container]:
        """Return the containers that use it, running or not; for a pod, its infra."""
        from pypod.api.container import Container

        found = []
        for identifier in volumes.users(self._engine.database, self.name):
            try:
                record = records.find_container(self._engine.database, identifier)
            except NoSuchContainer:  # removed just now
                continue
            found.append(Container(self._engine, record.id, record.name))
        return found

    def inspect(self) -> dict[str, types.Any]:
        """Return all its details, in podman's form."""
        from pypod.engine.inspect.volumes import inspect_volume

        return inspect_volume(self._engine, self.record())

    def remove(self, *, force: bool = False, timeout: float | None = None) -> None:
        """Remove the volume and its files. Does nothing if it no longer exists.

        With ``force`` the containers and pods that use it are removed first; running ones are killed after ``timeout``
        seconds. Raises InUse when a container uses it.
        """
        from pypod.engine.core import announce
        from pypod.engine.storage.volume_removal import remove

        if force:
            self._remove_users(timeout)
        if remove(self._engine, self.name):
            announce.volume(self._engine, announce.REMOVE, self.name)

    def _remove_users(self, timeout: float | None) -> None:
        for container in self.containers():
            try:
                record = container.record()
            except NoSuchContainer:
                continue
            if record.kind == records.INFRA:
                self._engine.pods.get(record.pod_id).remove(force=True, timeout=timeout)
                continue
            for other in container.dependents():
                other.remove(force=True, timeout=timeout, volumes=False)
            container.remove(force=True, timeout=timeout, volumes=False)

    def export(self) -> Iterator[bytes]:
        """Yield a tar archive of its files, in pieces of bytes."""
        from pypod.engine.storage.volume_transfers import export

        return export(self._engine, self.record().name)

    def import_(self, source: str | os.PathLike[str] | types.BinaryIO | Iterable[bytes]) -> None:
        """Add the files of a tar archive, compressed or not: from a path, a file object, or pieces of bytes.

        A file of the archive replaces one of the same name; the others stay. What the archive names lies within the
        volume, whatever links and ``..`` there are. Raises InvalidImage for an invalid archive, InvalidSpec for a path
        that cannot be read; what was added before an error stays.
        """
        from pypod.engine.storage.volume_transfers import import_

        import_(self._engine, self.record().name, source)

    def mount(self) -> str:
        """Mount its file system on the host unless it is a directory there anyway; return where.

        It stays mounted until ``unmount`` was called as often as this, and no running container uses it.
        """
        from pypod.engine.storage.volume_mounts import mount

        return mount(self._engine, self.record())

    def unmount(self) -> None:
        """Undo one ``mount``."""
        from pypod.engine.storage.volume_mounts import unmount

        unmount(self._engine, self.record())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Volume) and (other.name, other._engine.layout.root) == (
            self.name,
            self._engine.layout.root,
        )

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<Volume {self.name}>"
