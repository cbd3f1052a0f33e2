"""The parts of images and their archives (image-spec), for the tests' builders."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pypod.model.images.image import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def descriptor(body: bytes, media_type: str, *, name: str = "") -> dict[str, Any]:
    """Return the descriptor of a blob, as in a manifest or an index; with a name as in a layout's index."""
    named = {"annotations": {REF_NAME: name}} if name else {}
    return {"mediaType": media_type, "digest": digest(body), "size": len(body), **named}


def configuration(plain: Iterable[bytes], config: Mapping[str, Any], **top: Any) -> dict[str, Any]:
    """Return the configuration of an image whose layers are ``plain`` tars."""
    layers = {"type": "layers", "diff_ids": [digest(layer) for layer in plain]}
    return {"architecture": "amd64", "os": "linux", "config": dict(config), "rootfs": layers, **top}


def manifest(
    config: bytes,
    layers: Sequence[bytes],
    *,
    media_type: str = OCI_MANIFEST,
    config_type: str = OCI_CONFIG,
    layer_type: str = OCI_LAYER,
) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": descriptor(config, config_type),
            "layers": [descriptor(layer, layer_type) for layer in layers],
        }
    ).encode()


def index(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}).encode()


def layout(entries: Iterable[dict[str, Any]], blobs: Iterable[bytes]) -> dict[str, bytes]:
    """Return the files of a layout (image-layout.md)."""
    found = {"oci-layout": LAYOUT, "index.json": index(*entries)}
    return found | {blob_name(digest(body)): body for body in blobs}


def blob_name(of: str) -> str:
    return f"blobs/{of.replace(':', '/')}"


def tar(
    members: Iterable[tuple[str, bytes | str | None]],
    *,
    none: bytes = tarfile.DIRTYPE,
    format: int = tarfile.PAX_FORMAT,
    **fields: Any,
) -> bytes:
    """Return a reproducible tar: bytes are a file, a string is a symbolic link to it, None is of the type ``none``.

    ``fields`` are set on every entry.
    """
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
            else:
                entry.type = none if content is None else tarfile.SYMTYPE
                entry.linkname = content or ""
            for field, value in fields.items():
                setattr(entry, field, value)
            archive.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return made.getvalue()
