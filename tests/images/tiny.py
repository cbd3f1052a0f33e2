"""Tiny images for tests, written as OCI archives, with layers and configuration chosen by the test."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from pypod.model.images.image import OCI_LAYER, OCI_MANIFEST
from tests.images import forms
from tests.images.forms import descriptor, digest

CREATED = "2024-05-06T07:08:09.123456789Z"


class Tiny:
    """An image: ``layers`` are each {path: content}, the lowest first; a content of None is a directory.

    ``compression`` of the layers is gzip or none (""). ``config`` is the configuration's field of that name;
    ``history`` is the list of history entries, by default one per layer.
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
        if history is None:
            history = [
                {"created": created, "created_by": f"/bin/sh -c #(nop) ADD layer {number}"}
                for number in range(len(layers))
            ]
        made = forms.configuration(plain, config or {}, created=created, history=history, **more)
        self.diff_ids: list[str] = made["rootfs"]["diff_ids"]
        self.config = json.dumps(made).encode()
        self.manifest = forms.manifest(
            self.config, self.layers, layer_type=OCI_LAYER + ("+gzip" if compression else "")
        )

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
    entries = [descriptor(image.manifest, OCI_MANIFEST, name=image.name) for image in images]
    path.write_bytes(tar(dict(forms.layout(entries, (body for image in images for body in image.blobs())))))
    return path


def tar(files: dict[str, bytes | None]) -> bytes:
    """Return a reproducible tar archive of these files."""
    return forms.tar(files.items(), mode=0o755, mtime=1_700_000_000)
