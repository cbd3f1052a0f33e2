"""Methods of a container about what it has written: commit, export, changes."""

from __future__ import annotations

from _collections_abc import Callable, Iterator, Sequence

from pypod.api import types
from pypod.api.handle import ContainerHandle
from pypod.engine.core.boundary import Boundary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class FileMethods(ContainerHandle):
    """Make an image or a tar archive of a container's files, compare them."""

    __slots__ = ()

    def commit(
        self,
        name: str = "",
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        include_volumes: bool = False,
        pause: bool = False,
        squash: bool = False,
        format: str = "oci",
        progress: Callable[[types.Progress], None] | None = None,
    ) -> types.Image:
        """Make an image of its own image and what it wrote since, and give it a name.

        ``changes`` is a list of Dockerfile instructions (``CMD``, ``ENV`` and so on); ``pause`` keeps its processes
        from running meanwhile; ``squash`` makes one layer of all; ``format`` is oci or docker; ``include_volumes``
        makes volumes of the image of all that the container has mounts on; ``progress`` is told how it goes, as by
        ``Images.pull``. What lies in volumes is not in it.

        Raises InvalidSpec, also for a container without an image.
        """
        from pypod.engine.containers.committing import commit

        identifier = commit(
            self._engine,
            self.id,
            name,
            author=author,
            message=message,
            changes=changes,
            include_volumes=include_volumes,
            pause=pause,
            squash=squash,
            format=format,
            progress=progress,
        )
        return self._engine.images.get(name or identifier)

    def export(self) -> Iterator[bytes]:
        """Yield a tar of its whole root file system, pieces of bytes; what is mounted there is left out."""
        from pypod.engine.containers.exporting import export

        yield from export(self._engine, self.id)

    def changes(self, base: types.Container | types.Image | None = None) -> Sequence[tuple[str, str]]:
        """Return what it has written, or how its root differs from that of ``base``: see ``Image.changes``.

        Raises Unsupported when it writes into its root directory itself (``overlay=False``).
        """
        from pypod.engine.containers.differences import changes

        with Boundary(f"compare container {self._name}"):
            return changes(self._engine, self.root, None if base is None else base.root)

    @property
    def root(self) -> tuple[str, str]:
        """What names its root file system in a comparison: ``container`` and its id."""
        return "container", self.id
