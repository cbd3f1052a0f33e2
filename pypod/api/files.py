"""Methods of a container that read its files: commit, export, changes."""

from __future__ import annotations

from _collections_abc import Callable, Iterator, Mapping, Sequence

from pypod.api import types
from pypod.api.handle import ContainerHandle
from pypod.engine.core.boundary import Boundary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class FileMethods(ContainerHandle):
    """Create an image or a tar archive from a container's files, or compare them."""

    __slots__ = ()

    def commit(
        self,
        name: str = "",
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        config: Mapping[str, types.Any] | None = None,
        include_volumes: bool = False,
        pause: bool = False,
        squash: bool = False,
        format: str = "oci",
        progress: Callable[[types.Progress], None] | None = None,
    ) -> types.Image:
        """Create an image from its own image and what it has written since, and name it.

        ``config`` are fields of an image's configuration with docker's names, put over those of the container;
        ``changes`` is a list of Dockerfile instructions (``CMD``, ``ENV`` and so on); ``pause`` freezes its processes
        meanwhile; ``squash`` merges all layers into one; ``format`` is oci or docker, and only docker can have a
        ``message``; ``include_volumes`` declares all paths on which the container has mounts as volumes of the image;
        ``progress`` is called with the progress, as by ``Images.pull``. The contents of volumes are not included.

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
            config=config,
            include_volumes=include_volumes,
            pause=pause,
            squash=squash,
            format=format,
            progress=progress,
        )
        return self._engine.images.get(name or identifier)

    def export(self) -> Iterator[bytes]:
        """Yield a tar archive of its whole root file system, in pieces of bytes; what is mounted in it is left out."""
        from pypod.engine.containers.exporting import export

        yield from export(self._engine, self.id)

    def changes(self, base: types.Container | types.Image | None = None) -> Sequence[tuple[str, str]]:
        """Return the changes that it has written, or those of its root relative to ``base``'s; see ``Image.changes``.

        Raises Unsupported when it writes to its root directory itself (``overlay=False``).
        """
        from pypod.engine.containers.differences import changes

        with Boundary(f"compare container {self._name}"):
            return changes(self._engine, self.root, None if base is None else base.root)

    @property
    def root(self) -> tuple[str, str]:
        """The identity of its root file system in a comparison: ``container`` and its id."""
        return "container", self.id
