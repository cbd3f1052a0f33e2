"""Tiny images built in memory, and archives of them, well-formed and not: these tests need no real image."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

from pypod.model.images.image import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Index,
)
from tests.images import forms
from tests.images.forms import configuration, descriptor, digest, layout
from tests.images.graph import walk


def tar(*members: tuple[str, bytes | str | None]) -> bytes:
    """Return a plain archive: bytes are a file, a string is a symbolic link to it, None is a FIFO."""
    return forms.tar(members, none=tarfile.FIFOTYPE, format=tarfile.USTAR_FORMAT)


class Tiny:
    """An image of one file per layer, with blobs as in OCI (``gzip`` or plain) or in docker's schema 2."""

    def __init__(self, *texts: bytes, compress: bool = True, docker: bool = False) -> None:
        self.plain = [tar((f"file{n}", text)) for n, text in enumerate(texts or (b"hello",))]
        self.stored = [gzip.compress(layer, mtime=0) if compress else layer for layer in self.plain]
        self.config = json.dumps(configuration(self.plain, {"Cmd": ["/file0"]})).encode()
        self.media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        self.manifest = forms.manifest(
            self.config,
            self.stored,
            media_type=self.media_type,
            config_type=DOCKER_CONFIG if docker else OCI_CONFIG,
            layer_type=DOCKER_LAYER + ".gzip" * compress if docker else OCI_LAYER + "+gzip" * compress,
        )

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    @property
    def blobs(self) -> dict[str, bytes]:
        return {digest(body): body for body in (*self.stored, self.config, self.manifest)}

    def entry(self, name: str = "") -> dict[str, object]:
        """Return the image's entry in an index."""
        return descriptor(self.manifest, self.media_type, name=name)

    def docker_members(self) -> list[tuple[str, bytes]]:
        found = {f"{digest(layer)[7:]}.tar": layer for layer in self.plain}
        return [*found.items(), (f"{digest(self.config)[7:]}.json", self.config)]

    def docker_item(self, *names: str) -> dict[str, object]:
        layers = [f"{digest(layer)[7:]}.tar" for layer in self.plain]
        return {"Config": f"{digest(self.config)[7:]}.json", "RepoTags": list(names), "Layers": layers}


def layout_files(named: dict[str, Tiny]) -> dict[str, bytes]:
    """Return the files of a layout that holds images by name."""
    entries = [image.entry(name) for name, image in named.items()]
    return layout(entries, (body for image in named.values() for body in image.blobs.values()))


def docker_archive(named: dict[str, Tiny]) -> bytes:
    members = dict(member for image in named.values() for member in image.docker_members())
    manifest = json.dumps([image.docker_item(name) for name, image in named.items()]).encode()
    return tar(*members.items(), ("manifest.json", manifest))


def write(directory: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


def copy(source, destination) -> None:
    """Copy an image as every copy does: blobs first, then manifests, checked on the way."""
    found = list(walk(source))
    for manifest in found:
        if not isinstance(manifest, Index):
            for blob in (manifest.config, *manifest.layers):
                if not destination.has_blob(blob):
                    destination.put_blob(blob, source.blob(blob))
        named = "" if manifest is found[-1] else manifest.digest
        destination.put_manifest(manifest.media_type, manifest.body, digest=named)


def read_all(source) -> dict[str, bytes]:
    """Return all blobs and manifests of a source by digest, each checked against it."""
    found: dict[str, bytes] = {}
    for manifest in walk(source):
        found[manifest.digest] = manifest.body
        if isinstance(manifest, Index):
            continue
        for blob in (manifest.config, *manifest.layers):
            found[blob.digest] = b"".join(source.blob(blob))
            assert len(found[blob.digest]) == blob.size
    for of, body in found.items():
        assert digest(body) == of
    return found
