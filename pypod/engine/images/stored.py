"""Stored images: look them up by the names people use, and read them."""

from __future__ import annotations

from _collections_abc import Sequence

from pypod.engine.core import types
from pypod.errors import InvalidImage, NoSuchImage
from pypod.images.blobs import Blobs
from pypod.model.images.config import parse_config
from pypod.model.images.image import MANIFEST_BYTES_LIMIT, Index, Manifest, parse_manifest
from pypod.model.images.reference import is_short, parse
from pypod.store import image_layers, images, manifest_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context


class StoredImage:
    """One image of the store: a context and an id. Names and configuration are read on demand."""

    __slots__ = ("_context", "_used_name", "id")

    def __init__(self, context: types.Context, identifier: str, used_name: str = "") -> None:
        self._context = context
        self.id = identifier
        self._used_name = used_name

    @property
    def context(self) -> types.Context:
        """The context of its storage."""
        return self._context

    def named(self) -> images.Named:
        """Return its database record. Raises NoSuchImage when it was removed."""
        return images.named(self._context.database, self.id)

    @property
    def names(self) -> tuple[str, ...]:
        """Its names, each with a tag: ``docker.io/library/busybox:latest``; NAME@DIGEST if pulled by digest."""
        return self.named().names

    @property
    def digests(self) -> tuple[str, ...]:
        """Its repository digests: ``docker.io/library/busybox@sha256:...``."""
        return self.named().repo_digests

    @property
    def called(self) -> str:
        """The full name that it was found by; empty when it was found by other means."""
        return self._used_name

    @property
    def used_name(self) -> str:
        """The full name that it was found by; otherwise one of its names, or its id."""
        return self._used_name or next(iter(self.names), self.id)

    def tagged_names(self) -> tuple[str, ...]:
        """Return the name that it was found by, if that has a tag: its name in an archive."""
        name = self._used_name
        return (name,) if name and "@" not in name else ()

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return self.named().record.manifest

    @property
    def is_list(self) -> bool:
        """Whether it is a manifest list rather than an image (``Engine.manifests``)."""
        return images.is_list(self._context.database, self.id)

    def instance(self, platform: str = "") -> StoredImage:
        """Return the image itself or, from a list, the member for a platform (OS/ARCHITECTURE[/VARIANT]).

        The default is the platform of this machine.

        Raises NoSuchImage when the member is not stored here, InvalidImage when the list has none.
        """
        return _member(self, platform) if self.is_list else self

    def manifest(self) -> Manifest:
        """Return its manifest. Raises InvalidImage when it is damaged, or a manifest list."""
        digest = self.digest
        body = Blobs(self._context.layout.blobs).read(digest, MANIFEST_BYTES_LIMIT)
        found = parse_manifest(body, what=f"manifest {digest}")
        if not isinstance(found, Manifest):
            raise InvalidImage(f"manifest {digest}", "it is an index")
        return found

    @property
    def config(self) -> types.ImageConfig:
        """The image configuration: command, environment, user, labels and so on.

        Raises InvalidImage, also for a manifest list, which has none.
        """
        record = self.named().record
        if record.is_list:
            raise InvalidImage(self.used_name, "it is a manifest list", hint="instance() returns its image for here")
        return parse_config(record.config.encode())

    def layers(self) -> Sequence[image_layers.LayerRecord]:
        """Return its layers, the topmost first."""
        return image_layers.of_chain(self._context.database, self.named().record.chain)

    def layer_directories(self) -> tuple[str, ...]:
        """Return the names of the directories that make up its root, the topmost first."""
        return image_layers.shown(self.layers())

    def history(self) -> Sequence[types.HistoryEntry]:
        """Return its build history, the first step first."""
        return self.config.history


class StoredList:
    """One manifest list: a context and an id."""

    __slots__ = ("_context", "_name", "id")

    def __init__(self, context: types.Context, identifier: str, name: str = "") -> None:
        self._context = context
        self.id = identifier
        self._name = name

    @property
    def context(self) -> types.Context:
        """The context of its storage."""
        return self._context

    @property
    def name(self) -> str:
        """The full name that it was found by; otherwise one of its names, or its id."""
        return self._name

    @property
    def names(self) -> tuple[str, ...]:
        """Its names, each with a tag. Raises NoSuchImage."""
        return images.named(self._context.database, self.id).names

    def index(self) -> Index:
        """Return its OCI index. Raises NoSuchImage."""
        return index_of(self._context, images.named(self._context.database, self.id).record.manifest)

    def sources(self) -> dict[str, str]:
        """Return for each member, by digest, the name in a registry that it comes from; empty for one stored here."""
        with self._context.database.transaction(write=False) as connection:
            return manifest_lists.sources(connection, self.id)


def index_of(context: types.Context, digest: str) -> Index:
    """Return a manifest list. Raises InvalidImage."""
    found = parse_manifest(Blobs(context.layout.blobs).read(digest, MANIFEST_BYTES_LIMIT), what=f"index {digest}")
    if not isinstance(found, Index):
        raise InvalidImage(f"index {digest}", "it is a manifest")
    return found


def _member(image: StoredImage, platform: str) -> StoredImage:
    """Return the image of a list for a platform, or for this machine. Raises NoSuchImage, InvalidImage."""
    from pypod.model.images.platform import choose, host
    from pypod.model.images.platform import parse as parse_platform

    index = index_of(image.context, image.digest)
    wanted = parse_platform(platform) if platform else host()
    entry = choose(index, wanted, image.used_name)
    identifier = images.find_by_manifest(image.context.database, entry.digest)
    if not identifier:
        reason = f"its image for {wanted} is not in the store"
        raise NoSuchImage(image.used_name, reason=reason, hint=f"pypod manifest inspect {image.used_name} shows it")
    return StoredImage(image.context, identifier, image.used_name)


def find(context: types.Context, ref: str) -> StoredImage:
    """Return the image or manifest list that a name, NAME@DIGEST, an id or an id prefix refers to.

    A short name is tried below localhost, docker.io, and then as a suffix of any name. Raises NoSuchImage,
    AmbiguousName, and InvalidSpec for an invalid name.
    """
    database = context.database
    text = ref.removeprefix("docker://")
    if text.startswith("sha256:") or (len(text) == 64 and images.find_by_id(database, text)):
        return _found(context, images.find_by_id(database, text), ref, "")
    reference = parse(text)
    if reference.digest:
        for name in _names(text.partition("@")[0].rpartition(":")[0] if reference.tag else text.partition("@")[0]):
            identifier = images.find_by_digest(database, name, reference.digest)
            if identifier:
                return _found(context, identifier, ref, f"{name}@{reference.digest}")
        raise NoSuchImage(ref)
    names = [f"{name}:{reference.tag or 'latest'}" for name in _names(_untagged(text, reference.tag))]
    for name in names:
        identifier = images.find_by_name(database, [name])
        if identifier:
            return _found(context, identifier, ref, name)
    identifier = ""
    if is_short(text):
        found = images.find_by_suffix(database, f"{_untagged(text, reference.tag)}:{reference.tag or 'latest'}")
        if found:
            return _found(context, found[0], ref, found[1])
        identifier = images.find_by_id(database, text)
    return _found(context, identifier, ref, "")


def _found(context: Context, identifier: str, ref: str, name: str) -> StoredImage:
    if not identifier:
        raise NoSuchImage(ref)
    return StoredImage(context, identifier, name)


def _untagged(text: str, tag: str) -> str:
    return text[: -len(tag) - 1] if tag else text


def _names(name: str) -> list[str]:
    """Return the full names, without a tag, that a name may refer to in the store, the likeliest first."""
    reference = parse(name)
    return [f"localhost/{name}", reference.name] if is_short(name) else [reference.name]
