"""The manifest lists of an engine: create and find."""

from __future__ import annotations

import time
from _collections_abc import Mapping, Sequence

from pypod.api import types
from pypod.api.images.manifest_list import ManifestList
from pypod.errors import AlreadyExists, InvalidSpec, NoSuchImage
from pypod.model.ids import new_id
from pypod.model.images.reference import full_name
from pypod.store import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pypod.images.ends import Source
    from pypod.model.images.reference import Reference


class ManifestLists:
    """The manifest lists of an engine: images for several platforms under one name."""

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine) -> None:
        self._engine = engine

    def create(
        self,
        name: str,
        members: Sequence[str] = (),
        *,
        all: bool = False,
        amend: bool = False,
        access: types.Access | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> ManifestList:
        """Create a list with some members, as ``ManifestList.add`` takes them; with ``amend`` add to an existing one.

        ``annotations`` are those of the list itself, not of its members.

        Raises AlreadyExists when the name is in use and ``amend`` is not given. If a member cannot be added, no list is
        created.
        """
        full = full_name(name)
        with self._engine.database.transaction(write=False) as connection:
            holder = images.holder_of(connection, full)
        if holder and not amend:
            raise AlreadyExists("image", full, "image", holder)
        found = self.get(full) if holder else ManifestList(self._engine, new_id(), full)
        found.extend(
            members, all=all, access=access, created_ns=0 if holder else time.time_ns(), annotations=annotations
        )
        return found

    def get(self, ref: str) -> ManifestList:
        """Return the list with this name or id. Raises NoSuchImage, and InvalidSpec when it is an image."""
        image = self._engine.images.find(ref)
        if not image.is_list:
            raise InvalidSpec("LIST", f"{image.used_name}: image is not a manifest list")
        return ManifestList(self._engine, image.id, image.used_name)

    def in_registry(self, ref: str, *, access: types.Access | None = None) -> bytes:
        """Return the list, or the manifest of an image, that a registry has under a name, unchanged.

        Raises NotInRegistry, RegistryError, InvalidImage.
        """
        from pypod.engine.images.registries import first_in_registry
        from pypod.model.images.image import parse_manifest
        from pypod.model.images.reference import split_transport

        def read(_: Reference, source: Source) -> bytes:
            media_type, body = source.manifest()
            return parse_manifest(body, media_type, ref).body

        transport, _ = split_transport(ref)
        if transport not in ("", "docker"):
            raise InvalidSpec("LIST", f"{ref}: lists can only be inspected locally or in a registry")
        return first_in_registry(ref, access, read)

    def exists(self, ref: str) -> bool:
        """Return whether a list with this name exists. Raises InvalidSpec when it is the name of an image."""
        try:
            self.get(ref)
        except NoSuchImage:
            return False
        return True
