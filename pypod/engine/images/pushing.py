"""Push an image of the store to a registry or another transport's destination."""

from __future__ import annotations

from pypod.engine.core.boundary import Boundary
from pypod.engine.images import copying
from pypod.errors import InvalidSpec, RegistryError
from pypod.model.images.form import FAMILIES, OCI
from pypod.model.images.reference import is_short, parse, split_transport
from pypod.store import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.engine.images.stored import StoredImage
    from pypod.images.registry.access import Access
    from pypod.model.images.reference import Reference
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
        return _to_registry(image, target(rest), form, access, progress)
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


def _to_registry(
    image: StoredImage,
    reference: Reference,
    form: copying.Form,
    access: Access | None,
    progress: Callable[[Progress], None] | None,
) -> str:
    from pypod.images.config import registries
    from pypod.images.registry.access import Access
    from pypod.images.registry.client import RegistryDestination

    known = {repository for repository, _ in image.named().digests} - {reference.name}
    destination = RegistryDestination(
        reference, access or Access(), registries.load(), mount_from=[parse(name) for name in sorted(known)]
    )
    with Boundary(f"push {reference}"), destination:
        try:
            digest = copying.copy(image, destination, form, progress)
        except RegistryError as error:
            error.message = f"writing to docker://{reference}: {error.message}"
            raise
    with image.context.database.transaction() as connection, connection:
        images.add_digest(connection, image.id, reference.name, digest)
    return digest
