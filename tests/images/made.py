"""Images built in memory that are sources themselves, with busybox or anything else, and faults on demand."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pypod.errors import RegistryError
from pypod.model.images.image import OCI_MANIFEST, Descriptor
from tests.images.forms import configuration, descriptor, digest, layout, manifest, tar

IDS = "localhost/ids"  # an image with files of two users (tests/integration/conftest.py)


def layer(entries: Mapping[str, bytes | str | None], *, mode: int = 0o755, **fields: Any) -> bytes:
    """Return a tar: bytes are a file, a string is a symbolic link, None a directory. Every entry gets ``fields``."""
    return tar(entries.items(), mode=mode, **fields)


def tree(root: str) -> bytes:
    """Return a tar of a directory."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(root, ".")
    return made.getvalue()


def busybox_entries(root: str) -> dict[str, bytes | str | None]:
    """Return a busybox with its links, as in an image, and an empty /etc and /tmp."""
    names = os.listdir(f"{root}/bin")
    links: dict[str, bytes | str | None] = {f"bin/{name}": "busybox" for name in names if name != "busybox"}
    return {"bin": None, **links, "bin/busybox": Path(root, "bin", "busybox").read_bytes(), "etc": None, "tmp": None}


class Made:
    """An image of some layers.

    After ``cut_after`` bytes of a blob the connection breaks, once; ``lies`` are sent instead of blobs; ``asked`` lists
    the blobs that were read, with their offsets; layers wait for ``before_piece``.
    """

    def __init__(
        self, *layers: bytes, config: Mapping[str, Any] | None = None, compress: bool = False, **top: Any
    ) -> None:
        self.layers = [gzip.compress(one, 1, mtime=0) if compress else one for one in layers]
        self.config = configuration(layers, config or {}, **{"created": "2026-01-02T03:04:05Z", **top})
        self.cut_after = -1
        self.asked: list[tuple[str, int]] = []
        self.lies: dict[str, bytes] = {}
        self.before_piece: threading.Event | None = None

    @property
    def config_body(self) -> bytes:
        return json.dumps(self.config).encode()

    @property
    def id(self) -> str:
        return digest(self.config_body)[7:]

    def manifest_body(self) -> bytes:
        return manifest(self.config_body, self.layers)

    def manifest(self, _: str = "") -> tuple[str, bytes]:
        return OCI_MANIFEST, self.manifest_body()

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        self.asked.append((descriptor.digest, offset))
        bodies = {digest(body): body for body in (*self.layers, self.config_body)}
        body = self.lies.get(descriptor.digest, bodies.get(descriptor.digest, b""))
        step = 4096
        for at in range(offset, len(body), step):
            if self.before_piece is not None and body != self.config_body:
                self.before_piece.wait()
            if 0 <= self.cut_after <= at:
                self.cut_after = -1
                raise RegistryError("https://made", "the connection was cut")
            yield body[at : at + step]

    def layers_asked(self) -> list[tuple[str, int]]:
        return [(one, offset) for one, offset in self.asked if one != digest(self.config_body)]

    def archive(self, path: Path, *names: str) -> Path:
        """Write it as an OCI archive."""
        body = self.manifest_body()
        entries = [descriptor(body, OCI_MANIFEST, name=name) for name in names or ("",)]
        files = layout(entries, (body, self.config_body, *self.layers))
        path.write_bytes(tar(files.items(), mode=0o644))
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def busybox_image(root: str, *more: bytes, config: Mapping[str, Any] | None = None, **top: Any) -> Made:
    """Return an image of busybox, with further layers on it."""
    return Made(tree(root), *more, config={"Cmd": ["sh"], **(config or {})}, **top)


def names_of(directory: str) -> list[str]:
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []
