"""Find the image to add to a manifest list: in the store, in registries, and in files."""

from __future__ import annotations

from pypod.engine.images.pulling import read_blob
from pypod.engine.images.registries import first_in_registry
from pypod.engine.images.stored import StoredImage, StoredList
from pypod.engine.images.stored import find as find_stored
from pypod.errors import InvalidImage, NoSuchImage
from pypod.images.blobs import Blobs
from pypod.model.images.config import parse_config
from pypod.model.images.image import CONFIG_BYTES_LIMIT, MANIFESTS, Descriptor, Index, digest_of, parse_manifest
from pypod.model.images.platform import choose, host
from pypod.model.images.reference import split_transport
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.images.ends import Source
    from pypod.images.registry.access import Access
    from pypod.model.images.image import Manifest, Platform
    from pypod.model.images.reference import Reference

_STORAGE = "containers-storage:"


class Member(Value):
    """An image of a list: its entry there, and the name in a registry that it comes from, or empty."""

    entry: Descriptor
    source: str = ""


def find(context: Context, ref: str, *, all: bool = False, access: Access | None = None) -> list[Member]:
    """Return the image that a name refers to; of a list, the one for this machine, or all of them with ``all``.

    The caller must hold the lock against sweeping: an image from a file is copied here. Raises NoSuchImage,
    RegistryError, InvalidImage, InvalidSpec.
    """
    transport, rest = split_transport(ref)
    if ref.startswith(_STORAGE):
        return _here(find_stored(context, ref.removeprefix(_STORAGE)), all=all)
    if not transport:
        try:
            image = find_stored(context, ref)
        except NoSuchImage:
            image = None
        if image is not None and not (all and _may_be_part(image)):
            return _here(image, all=all)
    if transport in ("", "docker"):
        return _in_registry(ref, access, all=all)
    return _in_file(context, transport, rest, all=all)


def _may_be_part(image: StoredImage) -> bool:
    """Return whether the name that an image was found by may refer, in a registry, to a list that it is a member of."""
    return not image.is_list and any(not name.startswith("localhost/") for name in image.tagged_names())


def _here(image: StoredImage, *, all: bool) -> list[Member]:
    if not image.is_list:
        manifest = image.manifest()
        return [Member(entry=_entry(manifest, image.config.body))]
    members = StoredList(image.context, image.id)
    index, sources = members.index(), members.sources()
    return [Member(entry=entry, source=sources[entry.digest]) for entry in _chosen(index, image.used_name, all=all)]


def _in_registry(ref: str, access: Access | None, *, all: bool) -> list[Member]:
    def read(reference: Reference, source: Source) -> list[Member]:
        media_type, body = source.manifest()
        found = parse_manifest(body, media_type, str(reference))
        entries = _entries(source, found, str(reference), all=all)
        return [Member(entry=entry, source=f"{reference.name}@{entry.digest}") for entry in entries]

    return first_in_registry(ref, access, read)


def _in_file(context: Context, transport: str, rest: str, *, all: bool) -> list[Member]:
    from pypod.images.archive.detect import open_source

    what = f"{transport}:{rest}"
    with open_source(transport, rest) as source:
        media_type, body = source.manifest()
        found = parse_manifest(body, media_type, what)
        entries = _entries(source, found, what, all=all)
        for entry in entries:
            manifest = found if not isinstance(found, Index) else member(source, entry)
            _keep(Blobs(context.layout.blobs), source, manifest)
    return [Member(entry=entry) for entry in entries]


def _keep(blobs: Blobs, source: Source, manifest: Manifest) -> None:
    """Copy the blobs of an image to the store. Raises InvalidImage when one does not match its digest."""
    for descriptor in (manifest.config, *manifest.layers):
        if not blobs.has(descriptor.digest) and blobs.write(source.blob(descriptor))[0] != descriptor.digest:
            raise InvalidImage(f"blob {descriptor.digest}", "its content does not match the digest")
    blobs.put(manifest.body)


def _entries(source: Source, found: Manifest | Index, what: str, *, all: bool) -> list[Descriptor]:
    """Return index entries for the images of a source. Configurations are read where an index omits the platform."""
    if not isinstance(found, Index):
        return [_entry(found, read_blob(source, found.config, CONFIG_BYTES_LIMIT, what))]
    return [
        entry if entry.platform else entry.replace(platform=_platform(source, member(source, entry)))
        for entry in _chosen(found, what, all=all)
    ]


def _chosen(index: Index, what: str, *, all: bool) -> Iterable[Descriptor]:
    chosen = index.manifests if all else (choose(index, host(), what),)
    for entry in chosen:
        if entry.media_type not in MANIFESTS:
            raise InvalidImage(what, f"{entry.digest} in it is not an image: {entry.media_type[:100]}")
    return chosen


def member(source: Source, entry: Descriptor) -> Manifest:
    """Return the manifest that an index names. Raises InvalidImage when it is not a manifest or not that one."""
    media_type, body = source.manifest(entry.digest)
    if digest_of(body) != entry.digest:
        raise InvalidImage(f"manifest {entry.digest}", "its content does not match the digest")
    found = parse_manifest(body, media_type or entry.media_type, f"manifest {entry.digest}")
    if isinstance(found, Index):
        raise InvalidImage(f"manifest {entry.digest}", "it is an index")
    return found


def _entry(manifest: Manifest, config: bytes) -> Descriptor:
    return Descriptor(
        media_type=manifest.media_type,
        digest=manifest.digest,
        size=len(manifest.body),
        platform=parse_config(config).platform,
    )


def _platform(source: Source, manifest: Manifest) -> Platform:
    return parse_config(read_blob(source, manifest.config, CONFIG_BYTES_LIMIT, manifest.digest)).platform
