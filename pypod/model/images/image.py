"""The parts of an image, parsed from untrusted bytes: descriptors, manifests, indexes, configuration.

The two families are OCI's (image-spec: descriptor.md, manifest.md, image-index.md, config.md) and docker's schema 2.
Malformed input is InvalidImage; unknown fields are ignored. Nothing in an image changes isolation: annotations and
labels are stored but not obeyed.
"""

from __future__ import annotations

from pypod.errors import InvalidImage
from pypod.model import plain_json
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

MANIFESTS = frozenset((OCI_MANIFEST, DOCKER_MANIFEST))
INDEXES = frozenset((OCI_INDEX, DOCKER_INDEX))

# Limits of containers/image and of the distribution spec, far above any real image.
MANIFEST_BYTES_LIMIT = 4 << 20
CONFIG_BYTES_LIMIT = 4 << 20
_LAYERS_LIMIT = 1000
_HEX = frozenset("0123456789abcdef")
_DIGEST_LENGTHS = {"sha256": 64, "sha512": 128}


def check_digest(text: object, what: str) -> str:
    """Return a valid digest unchanged: ``sha256:`` or ``sha512:`` and lower-case hex, which is safe as part of a path.

    >>> check_digest("sha256:" + "0" * 64, "a layer")[:10]
    'sha256:000'
    >>> check_digest("sha256:../../etc", "a layer")
    Traceback (most recent call last):
    pypod.errors.InvalidImage: a layer: invalid digest 'sha256:../../etc'
    """
    if isinstance(text, str):
        algorithm, _, encoded = text.partition(":")
        if len(encoded) == _DIGEST_LENGTHS.get(algorithm, -1) and _HEX.issuperset(encoded):
            return text
    raise InvalidImage(what, f"invalid digest {_cut(text)}")


class Platform(Value):
    """The platform of an image, with Go's names: linux, amd64, and the variant of arm."""

    os: str = "linux"
    architecture: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def json(self) -> dict[str, Any]:
        """Return it as the specifications write it."""
        found = {
            "architecture": self.architecture,
            "os": self.os,
            "os.version": self.os_version,
            "os.features": list(self.os_features),
            "variant": self.variant,
            "features": list(self.features),
        }
        return {key: value for key, value in found.items() if value}


class Descriptor(Value):
    """A reference to a blob: its media type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: tuple[tuple[str, str], ...] = ()
    platform: Platform | None = None

    @property
    def compression(self) -> str:
        """A layer's compression by its media type: ``gzip``, ``zstd`` or empty. The actual bytes take precedence."""
        for suffix, name in ((".gzip", "gzip"), ("+gzip", "gzip"), ("+zstd", "zstd"), (".zstd", "zstd")):
            if self.media_type.endswith(suffix):
                return name
        return ""

    def json(self) -> dict[str, Any]:
        """Return it as the specifications write it."""
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        if self.platform is not None:
            found["platform"] = self.platform.json()
        return found


class Manifest(Value):
    """One image: its configuration and its layers, the lowest first. ``digest`` is that of ``body``."""

    media_type: str
    digest: str
    body: bytes
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()


class Index(Value):
    """Several manifests of one image, one per platform; ``subject`` is what the whole is about, if it says so."""

    media_type: str
    digest: str
    body: bytes
    manifests: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    subject: Descriptor | None = None


def digest_of(body: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of some bytes."""
    import hashlib

    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def parse_manifest(body: bytes, media_type: str = "", what: str = "manifest") -> Manifest | Index:
    """Parse a manifest or an index; ``media_type`` is the one its sender gave, and may be empty.

    Raises InvalidImage for invalid JSON, excessive size, an unsupported family (schema 1), or the parts of both a
    manifest and an index, which clients would interpret differently (GHSA-qmmc-jppf-32wv).
    """
    found = _object(load(body, MANIFEST_BYTES_LIMIT, what), what)
    if found.get("schemaVersion") != 2:
        raise InvalidImage(what, f"schema version {_cut(found.get('schemaVersion'))} is not supported, only 2 is")
    if "manifests" in found and ("layers" in found or "config" in found):
        raise InvalidImage(what, "it is both a manifest and an index")
    stated = text(found.get("mediaType", ""), f"{what}: mediaType")
    is_index = "manifests" in found
    families = INDEXES if is_index else MANIFESTS
    for name in (stated, media_type.partition(";")[0].strip()):
        if name in MANIFESTS | INDEXES and name not in families:
            raise InvalidImage(what, f"its media type {name} does not match its content")
    chosen = next((name for name in (stated, media_type) if name in families), OCI_INDEX if is_index else OCI_MANIFEST)
    annotations = strings(found.get("annotations"), f"{what}: annotations")
    if is_index:
        entries = values(found["manifests"], f"{what}: manifests")
        descriptors = tuple(parse_descriptor(entry, f"{what}: manifest {n}") for n, entry in enumerate(entries, 1))
        return Index(
            media_type=chosen,
            digest=digest_of(body),
            body=body,
            manifests=descriptors,
            annotations=annotations,
            subject=parse_descriptor(found["subject"], f"{what}: subject") if found.get("subject") else None,
        )
    layers = values(found.get("layers"), f"{what}: layers")
    return Manifest(
        media_type=chosen,
        digest=digest_of(body),
        body=body,
        config=parse_descriptor(found.get("config"), f"{what}: config"),
        layers=tuple(parse_descriptor(entry, f"{what}: layer {n}") for n, entry in enumerate(layers, 1)),
        annotations=annotations,
    )


def parse_descriptor(value: object, what: str) -> Descriptor:
    """Parse a descriptor. URLs of foreign layers are ignored: they could point anywhere."""
    found = _object(value, what)
    size = found.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        raise InvalidImage(what, f"invalid size {_cut(size)}")
    return Descriptor(
        media_type=text(found.get("mediaType", ""), f"{what}: mediaType"),
        digest=check_digest(found.get("digest"), what),
        size=size,
        annotations=strings(found.get("annotations"), f"{what}: annotations"),
        platform=_platform(found["platform"], f"{what}: platform") if found.get("platform") else None,
    )


def _platform(value: object, what: str) -> Platform:
    found = _object(value, what)
    return Platform(
        os=text(found.get("os", ""), what),
        architecture=text(found.get("architecture", ""), what),
        variant=text(found.get("variant", ""), what),
        os_version=text(found.get("os.version", ""), what),
        os_features=_texts(found.get("os.features"), what),
        features=_texts(found.get("features"), what),
    )


def _texts(value: object, what: str) -> tuple[str, ...]:
    return () if value is None else tuple(text(entry, what) for entry in values(value, what))


def load(body: bytes, limit_bytes: int, what: str) -> object:
    """Parse JSON of limited size."""
    if len(body) > limit_bytes:
        raise InvalidImage(what, f"it is larger than {limit_bytes} bytes")
    try:
        return plain_json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidImage(what, f"it is not JSON: {_cut(str(error))}") from error


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidImage(what, f"expected an object, found {_cut(value)}")
    return value


def values(value: object, what: str) -> list[Any]:
    """Return a list of reasonable length."""
    if not isinstance(value, list):
        raise InvalidImage(what, f"expected a list, found {_cut(value)}")
    if len(value) > _LAYERS_LIMIT:
        raise InvalidImage(what, f"more than {_LAYERS_LIMIT} entries")
    return value


def text(value: object, what: str) -> str:
    """Return a string that can be stored: without NUL bytes and lone surrogates."""
    try:
        if isinstance(value, str) and b"\0" not in value.encode():
            return value
    except UnicodeEncodeError:
        pass
    raise InvalidImage(what, f"expected text, found {_cut(value)}")


def strings(value: object, what: str) -> tuple[tuple[str, str], ...]:
    """Return an object of strings as pairs; a missing object is empty, and a null value an empty string, as in Go."""
    if value is None:
        return ()
    return tuple((key, text("" if entry is None else entry, what)) for key, entry in _object(value, what).items())


def _cut(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
