"""Push an image of the store to a registry or another transport's destination."""

from __future__ import annotations

from pypod.engine.core.boundary import Boundary
from pypod.engine.images import copying
from pypod.errors import InvalidSpec, RegistryError
from pypod.model.images.form import FAMILIES, OCI
from pypod.model.images.reference import is_short, parse, split_transport
from pypod.model.images.signing import NO_SIGNING
from pypod.store import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.engine.images.stored import StoredImage
    from pypod.images.registry.access import Access
    from pypod.images.registry.client import RegistryDestination
    from pypod.model.images.reference import Reference
    from pypod.model.images.signing import Signing
    from pypod.model.reports.progress import Progress

COMPRESSIONS = ("gzip", "zstd")
_LEVELS = {"": 9, "gzip": 9, "zstd": 20}  # the highest; without a compression, layers may have either
_WORKERS = 3


def push(
    image: StoredImage,
    destination: str = "",
    *,
    access: Access | None = None,
    format: str = "",
    compression: str = "",
    compression_level: int = 0,
    compress: bool = False,
    signing: Signing = NO_SIGNING,
    progress: Callable[[Progress], None] | None = None,
) -> str:
    """Write an image; return the digest of its manifest there. See ``Images.push``."""
    check_form(format, compression, compression_level)
    form = copying.Form(
        family=FAMILIES.get(format), compression=compression, compress_plain=compress, level=compression_level
    )
    transport, rest = split_transport(destination or image.used_name)
    if transport in ("", "docker"):
        form = form.replace(compress_plain=True, workers=_WORKERS)
        known = {repository for repository, _ in image.named().digests}
        return _to_registry(image, in_registry(target(rest), known, access, signing), form, progress)
    require_registry(destination, signing)
    from pypod.images.archive.detect import open_destination

    if transport in ("oci", "oci-archive"):
        form = form.replace(family=OCI)
    with Boundary(f"write {destination}"), open_destination(transport, rest) as opened:
        return copying.copy(image, opened, form, progress)


def check_form(format: str, compression: str, level: int = 0) -> None:
    """Raise InvalidSpec for an unknown format or compression, or a level that the compression does not have."""
    if format and format not in FAMILIES:
        known = "Choose on of the supported formats: 'oci', 'v2s1', or 'v2s2'"  # podman's words
        hint = "pypod does not write v2s1, which registries no longer take" if format == "v2s1" else ""
        raise InvalidSpec("--format", f'unknown format "{format}". {known}', hint=hint)
    if compression and compression not in COMPRESSIONS:
        raise InvalidSpec("--compression-format", f'cannot find compressor for "{compression}"')
    most = _LEVELS[compression]
    if not 0 <= level <= most:
        raise InvalidSpec("--compression-level", f"invalid compression level: {level}", hint=f"1 to {most}")


def target(name: str) -> Reference:
    """Return where an image is pushed to; a name without a registry means docker.io, as with podman."""
    reference = parse(name)
    if is_short(name) and reference.digest:
        raise InvalidSpec("DESTINATION", f"{name}: cannot push to a digest", hint="use NAME:TAG")
    return reference.tagged()


def require_registry(destination: str, signing: Signing) -> None:
    """Raise InvalidSpec for a signature of what has no name in a registry."""
    if signing.flag:
        message = f"Cannot determine canonical Docker reference for destination {destination}"
        raise InvalidSpec(signing.flag, message, hint="sign what is pushed to a registry")


def in_registry(
    reference: Reference, known: Iterable[str], access: Access | None, signing: Signing
) -> RegistryDestination:
    """Return a name in a registry as a destination, where blobs may be in the ``known`` repositories already."""
    from pypod.images.config import registries
    from pypod.images.registry.access import Access
    from pypod.images.registry.client import RegistryDestination

    others = [parse(name) for name in sorted({*known} - {reference.name})]
    to = reference, access or Access(), registries.load()
    if not signing.flag:
        return RegistryDestination(*to, mount_from=others)
    from pypod.engine.images.signing import SigningDestination

    return SigningDestination(*to, mount_from=others, signing=signing)


def _to_registry(
    image: StoredImage,
    destination: RegistryDestination,
    form: copying.Form,
    progress: Callable[[Progress], None] | None,
) -> str:
    reference = destination.reference
    with Boundary(f"push {reference}"), destination:
        try:
            digest = copying.copy(image, destination, form, progress)
        except RegistryError as error:
            error.message = f"writing to docker://{reference}: {error.message}"
            raise
    with image.context.database.transaction() as connection, connection:
        images.add_digest(connection, image.id, reference.name, digest)
    return digest
