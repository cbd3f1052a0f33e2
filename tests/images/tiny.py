"""Tiny images for tests, written as OCI archives: the layers and the configuration are what the test says."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CREATED = "2024-05-06T07:08:09.123456789Z"


class Tiny:
    """An image: ``layers`` are {path: content} each, the lowest first; a content of None is a directory.

    ``compression`` of the layers is gzip or nothing. ``config`` is the configuration's part of that name; ``history``
    the list of its entries, by default one a layer.
    """

    def __init__(
        self,
        *layers: dict[str, bytes | None],
        name: str = "",
        config: dict[str, Any] | None = None,
        history: list[dict[str, Any]] | None = None,
        created: str = CREATED,
        compression: str = "gzip",
        **more: Any,
    ) -> None:
        self.name = name
        plain = [tar(one) for one in layers]
        self.layers = [gzip.compress(one, mtime=0) if compression else one for one in plain]
        self.diff_ids = [digest(one) for one in plain]
        if history is None:
            history = [
                {"created": created, "created_by": f"/bin/sh -c #(nop) ADD layer {number}"}
                for number in range(len(layers))
            ]
        self.config = json.dumps(
            {
                "created": created,
                "architecture": "amd64",
                "os": "linux",
                "config": config or {},
                "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
                "history": history,
                **more,
            }
        ).encode()
        suffix = "+gzip" if compression else ""
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptor(CONFIG, self.config),
                "layers": [descriptor(LAYER + suffix, one) for one in self.layers],
            }
        ).encode()

    @property
    def id(self) -> str:
        return digest(self.config).removeprefix("sha256:")

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    def blobs(self) -> list[bytes]:
        return [self.manifest, self.config, *self.layers]

    def save(self, path: Path) -> Path:
        """Write it as an OCI archive of one image."""
        return save(path, self)


def save(path: Path, *images: Tiny) -> Path:
    """Write an OCI archive of several images."""
    entries = []
    blobs: dict[str, bytes] = {}
    for image in images:
        entry = descriptor(MANIFEST, image.manifest)
        if image.name:
            entry["annotations"] = {"org.opencontainers.image.ref.name": image.name}
        entries.append(entry)
        blobs |= {f"blobs/sha256/{digest(one).removeprefix('sha256:')}": one for one in image.blobs()}
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    files: dict[str, bytes | None] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index, **blobs}
    path.write_bytes(tar(files))
    return path


def tar(files: dict[str, bytes | None]) -> bytes:
    """A tar archive of these files, the same bytes each time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            member.mtime = 1_700_000_000
            if content is None:
                member.type = tarfile.DIRTYPE
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content or b""))
    return out.getvalue()


def descriptor(media_type: str, body: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(body), "size": len(body)}


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
