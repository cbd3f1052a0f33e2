"""Translate an image's manifest between the two families: OCI's manifests and docker's schema 2.

Layers and configuration keep their bytes; media types change, and with them the manifest and its digest.
"""

from __future__ import annotations

from pypod.model.images.image import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
)
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Family(Value):
    """The media types of one family, and the compressions it supports: ``layers`` by compression."""

    manifest: str
    index: str
    config: str
    layers: tuple[tuple[str, str], ...]


OCI = Family(
    manifest=OCI_MANIFEST,
    index=OCI_INDEX,
    config=OCI_CONFIG,
    layers=(("", OCI_LAYER), ("gzip", f"{OCI_LAYER}+gzip"), ("zstd", f"{OCI_LAYER}+zstd")),
)
V2S2 = Family(
    manifest=DOCKER_MANIFEST,
    index=DOCKER_INDEX,
    config=DOCKER_CONFIG,
    layers=(("", DOCKER_LAYER), ("gzip", f"{DOCKER_LAYER}.gzip")),
)
FAMILIES = {"oci": OCI, "v2s2": V2S2, "docker": V2S2}  # by the name of a manifest's type


def family_of(manifest: Manifest) -> Family:
    """Return the family of a manifest."""
    return V2S2 if manifest.media_type == DOCKER_MANIFEST else OCI


def rewritten(manifest: Manifest, family: Family, layers: Sequence[tuple[Descriptor, str]]) -> bytes:
    """Return the body of a manifest in ``family`` with these blobs as layers, in these compressions.

    Returns the same body when nothing changes.
    """
    import json

    own, types = family_of(manifest), dict(family.layers)
    descriptors = tuple(
        descriptor if family is own and descriptor in manifest.layers else descriptor.replace(media_type=types[kind])
        for descriptor, kind in layers
    )
    if family is own and descriptors == manifest.layers:
        return manifest.body
    found = json.loads(manifest.body)
    found["mediaType"] = family.manifest
    found["config"] = _plain(manifest.config.replace(media_type=family.config), family)
    found["layers"] = [_plain(one, family) for one in descriptors]
    if family is V2S2:  # which lacks the other fields
        found = {name: found[name] for name in ("schemaVersion", "mediaType", "config", "layers")}
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()


def index_body(
    family: Family,
    manifests: Iterable[Descriptor],
    annotations: Iterable[tuple[str, str]] = (),
    subject: Descriptor | None = None,
) -> bytes:
    """Return the body of an index in ``family`` that names these manifests; only OCI has annotations and a subject."""
    import json

    found = {
        "schemaVersion": 2,
        "mediaType": family.index,
        "manifests": [_plain(one, family) for one in manifests],
    }
    said = dict(annotations)
    if subject is not None and family is not V2S2:
        found["subject"] = subject.json()
    if said and family is not V2S2:
        found["annotations"] = said
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()


def _plain(descriptor: Descriptor, family: Family) -> dict[str, object]:
    return (descriptor.replace(annotations=()) if family is V2S2 else descriptor).json()
