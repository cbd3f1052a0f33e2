"""The handle of an image."""

from __future__ import annotations

import os
from _collections_abc import Callable, Sequence

from pypod.api import types
from pypod.api.default import opened
from pypod.engine.core.boundary import Boundary
from pypod.engine.images.stored import StoredImage
from pypod.errors import InvalidSpec, NoSuchImage
from pypod.model.images.reference import full_name, is_short, parse
from pypod.store import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


SHORT_ID_LENGTH = 12


def _name_to_remove(text: str) -> str:
    """Return the full name that a name without a registry stands for where names are removed. Raises InvalidSpec."""
    if text.startswith("sha256:"):
        raise InvalidSpec("NAME", f"{text}: untag by digest not supported")
    found = parse(f"localhost/{text}" if is_short(text) else text).tagged()
    return str(found.replace(tag="") if found.digest else found)  # podman's names have either


class Image(StoredImage):
    """An image in the store: an engine and an id. Names and configuration are read on access.

    ``loaded_names`` are the names it had in the archive, if ``load`` returned it.

    >>> image = pypod.Image.pull("docker.io/library/busybox")     # doctest: +SKIP
    >>> image.config.command                                      # doctest: +SKIP
    ('sh',)
    """

    __slots__ = ("_engine", "loaded_names")

    def __init__(
        self, engine: types.Engine, identifier: str, used_name: str = "", loaded_names: tuple[str, ...] = ()
    ) -> None:
        super().__init__(engine, identifier, used_name)
        self._engine = engine
        self.loaded_names = loaded_names

    @classmethod
    def pull(
        cls,
        ref: str,
        *,
        platform: str = "",
        access: types.Access | None = None,
        progress: Callable[[types.Progress], None] | None = None,
        choose: types.Choose | None = None,
        engine: types.Engine | None = None,
    ) -> Image:
        """Pull an image from a registry or an archive; see ``Images.pull``."""
        images = opened(engine).images
        return images.pull(ref, platform=platform, access=access, progress=progress, choose=choose)

    @classmethod
    def get(cls, ref: str, *, engine: types.Engine | None = None) -> Image:
        """Return the image with this name, digest or id prefix. Raises NoSuchImage."""
        return opened(engine).images.get(ref)

    @classmethod
    def list(cls, *, engine: types.Engine | None = None) -> list[Image]:
        """Return all images, newest first."""
        return opened(engine).images.list()

    @classmethod
    def load(cls, path: str, *, engine: types.Engine | None = None) -> Sequence[Image]:
        """Load the images of an archive; see ``Images.load``."""
        return opened(engine).images.load(path)

    @property
    def engine(self) -> types.Engine:
        """The engine it belongs to."""
        return self._engine

    @property
    def size_bytes(self) -> int:
        """The size of its layers, uncompressed."""
        return self.named().record.size_bytes

    @property
    def created_ns(self) -> int:
        """The time of creation, in nanoseconds since the epoch; 0 if the image does not state it."""
        return self.named().record.created_ns

    def instance(self, platform: str = "") -> Image:
        """Return this image, or of a manifest list the member for a platform (OS/ARCHITECTURE[/VARIANT]).

        The default platform is this machine's. Raises NoSuchImage when the member does not exist locally, InvalidImage
        when the list has none.
        """
        found = super().instance(platform)
        return self if found is self else Image(self._engine, found.id, found.called)

    def steps(self) -> Sequence[types.ImageStep]:
        """Return its history with the size of the layer each step created, last step first. Raises InvalidImage."""
        from pypod.engine.images.history import steps

        return steps(self)

    def layer_uses(self, *, above: bool = False) -> Sequence[types.LayerUse]:
        """Return its layers, lowest first, each with the names of the images whose topmost layer it is.

        With ``above`` return its topmost layer and all those stacked on it, each before those on top of it.
        """
        from pypod.engine.images import history

        return history.layers_above(self) if above else history.layers_below(self)

    def children(self) -> Sequence[Image]:
        """Return the local images that were built from it in one step."""
        from pypod.engine.images.history import children

        return [Image(self._engine, identifier) for identifier in children(self)]

    def parents(self) -> Sequence[Image]:
        """Return the local images that it was built from in one step."""
        from pypod.engine.images.history import parents

        return [Image(self._engine, identifier) for identifier in parents(self)]

    def inspect(self) -> dict[str, types.Any]:
        """Return all its details, in podman's form."""
        from pypod.engine.inspect.images import inspect_image

        return inspect_image(self)

    def tag(self, name: str) -> None:
        """Add a name to it; an image that had the name loses it. Raises InvalidSpec for an invalid name."""
        from pypod.engine.core import announce

        full = full_name(name)
        with self._engine.database.transaction() as connection, connection:
            images.tag(connection, self.id, full)
        announce.image(self._engine, announce.TAG, self.id, full)

    def untag(self, *names: str) -> None:
        """Remove some of its names, or all of them. Raises NoSuchImage for a name that it does not have."""
        from pypod.engine.core import announce

        record = self.named()
        found = tuple(name if name in record.names else _name_to_remove(name) for name in names) or record.names
        for name in found:
            if name not in record.names:
                raise NoSuchImage(name, reason="tag not known")
        images.untag(self._engine.database, self.id, found)
        announce.image(self._engine, announce.UNTAG, self.id, *found)

    def remove(self, *, force: bool = False) -> None:
        """Remove it with all its names; with ``force`` the containers created from it first.

        Raises InUse when containers use it. Does nothing if it no longer exists.
        """
        from pypod.engine.images.removal import remove

        with Boundary(f"remove image {self.id[:SHORT_ID_LENGTH]}"):
            remove_users = self._remove_user if force else None
            remove(self._engine, self.id, called=self._used_name, remove_user=remove_users)

    def _remove_user(self, identifier: str) -> None:
        self._engine.containers.get(identifier).remove(force=True)

    def mount(self) -> str:
        """Mount its root read-only and return the path; it stays mounted until ``unmount`` or removal. Needs root."""
        from pypod.engine.core import announce
        from pypod.engine.images.mounts import mount

        with Boundary(f"mount image {self.id[:SHORT_ID_LENGTH]}"):
            path = mount(self)
        announce.image(self._engine, announce.MOUNT, self.id, "")
        return path

    @property
    def mount_point(self) -> str:
        """The path where ``mount`` has mounted its root; empty when it is not mounted."""
        from pypod.engine.images.mounts import mounted

        return mounted(self._engine).get(self.id, "")

    def unmount(self) -> bool:
        """Unmount it; return whether it was mounted."""
        from pypod.engine.core import announce
        from pypod.engine.images.mounts import unmount

        with Boundary(f"unmount image {self.id[:SHORT_ID_LENGTH]}"):
            was_mounted = unmount(self._engine, self.id)
        if was_mounted:
            announce.image(self._engine, announce.UNMOUNT, self.id, "")
        return was_mounted

    def changes(self, base: types.Container | Image | None = None) -> Sequence[tuple[str, str]]:
        """Return the differences from ``base``, or from the layers below its topmost one.

        For each path, in order, a pair of ``A`` (added), ``C`` (changed) or ``D`` (deleted), and the path.
        """
        from pypod.engine.containers.differences import changes

        with Boundary(f"compare image {self.id[:SHORT_ID_LENGTH]}"):
            return changes(self._engine, ("image", self.id), None if base is None else base.root)

    @property
    def root(self) -> tuple[str, str]:
        """The identity of its root file system in a comparison: ``image`` and its id."""
        return "image", self.id

    def save(
        self,
        path: str,
        *,
        format: str = "docker-archive",
        fd: int = -1,
        tags: Sequence[str] = (),
        compress: bool = False,
        uncompressed: bool = False,
        progress: Callable[[types.Progress], None] | None = None,
    ) -> None:
        """Save it to an archive or a directory; see ``Images.save``."""
        self._engine.images.save(
            self._used_name or self.id,
            path,
            format=format,
            fd=fd,
            tags=tags,
            compress=compress,
            uncompressed=uncompressed,
            progress=progress,
        )

    def push(
        self,
        destination: str = "",
        *,
        access: types.Access | None = None,
        format: str = "",
        compression: str = "",
        compression_level: int = 0,
        compress: bool = False,
        sign_by: str = "",
        sigstore_key: str | os.PathLike[str] = "",
        passphrase_file: str | os.PathLike[str] = "",
        progress: Callable[[types.Progress], None] | None = None,
    ) -> str:
        """Push it to a registry or another transport's destination; return its digest there. See ``Images.push``."""
        return self._engine.images.push(
            self._used_name or self.id,
            destination,
            access=access,
            format=format,
            compression=compression,
            compression_level=compression_level,
            compress=compress,
            sign_by=sign_by,
            sigstore_key=sigstore_key,
            passphrase_file=passphrase_file,
            progress=progress,
        )

    def _repr_html_(self) -> str:
        from pypod.engine.images.history import image_html

        return image_html(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Image {self._used_name or self.id[:SHORT_ID_LENGTH]}>"
