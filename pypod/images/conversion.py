"""The same image in the words of the other family: docker's schema 2 as OCI's manifest and back.

Configuration and layers stay byte by byte what they are, so the image keeps its id. (podman writes the configuration
anew for OCI, which loses HEALTHCHECK and changes the id.) A layer's media type is made from its bytes: what skopeo
makes up for a docker archive says .gzip of plain layers.
"""

from __future__ import annotations

import json

from pypod.errors import InvalidImage, Unsupported
from pypod.images.compression import kind_of
from pypod.model.image import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    MANIFESTS,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.images.ends import Source
    from pypod.model.image import Descriptor, Manifest

_CONFIGS = {OCI_MANIFEST: OCI_CONFIG, DOCKER_MANIFEST: DOCKER_CONFIG}
# Schema 2 has no name for plain layers (distribution: docs/spec/manifest-v2-2.md) and none for zstd.
_LAYERS = {
    OCI_MANIFEST: {"": OCI_LAYER, "gzip": f"{OCI_LAYER}+gzip", "zstd": f"{OCI_LAYER}+zstd"},
    DOCKER_MANIFEST: {"": f"{DOCKER_LAYER}.gzip", "gzip": f"{DOCKER_LAYER}.gzip"},
}


def converted(source: Source, manifest: Manifest, media_type: str) -> bytes:
    """Return the body of the image's manifest as ``media_type``, OCI's or docker's; as it is when that is its own.

    ``source`` is asked for the first bytes of the layers. Raises Unsupported: docker's cannot say it (zstd). Raises
    InvalidImage: it is not a container image.
    """
    if media_type not in MANIFESTS:
        raise Unsupported("manifest", f"there is no conversion to {media_type}")
    if manifest.media_type == media_type:
        return manifest.body
    if manifest.config.media_type not in _CONFIGS.values():
        raise InvalidImage("manifest", f"it is no container image: {manifest.config.media_type[:80]!r}")
    body: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _described(manifest.config, _CONFIGS[media_type]),
        "layers": [_described(layer, _layer_type(source, layer, media_type)) for layer in manifest.layers],
    }
    if media_type == OCI_MANIFEST and manifest.annotations:
        body["annotations"] = dict(manifest.annotations)
    return json.dumps(body, separators=(",", ":")).encode()


def _layer_type(source: Source, layer: Descriptor, media_type: str) -> str:
    kind = kind_of(next(iter(source.blob(layer)), b""))
    found = _LAYERS[media_type].get(kind)
    if found is None:
        raise Unsupported("compression", f"{media_type} has no layers compressed with {kind}")
    return found


def _described(descriptor: Descriptor, media_type: str) -> dict[str, object]:
    # The order of the keys is Go's in both families, so that digests are those of podman where content is.
    size, digest = ("size", descriptor.size), ("digest", descriptor.digest)
    order = (digest, size) if media_type in (OCI_CONFIG, *_LAYERS[OCI_MANIFEST].values()) else (size, digest)
    return {"mediaType": media_type, **dict(order)}
