"""Images made in memory that are sources themselves, with a busybox in them or anything else, and faults on demand."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pypod.errors import RegistryError
from pypod.model.image import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor

DIRECTORY = None
IDS = "localhost/ids"  # an image with files of two users (tests/integration/conftest.py)


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def layer(entries: Mapping[str, bytes | str | None], *, mode: int = 0o755, **fields: Any) -> bytes:
    """A tar: bytes are a file, a text is a symbolic link to it, None a directory. ``fields`` are of every entry."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            if content is DIRECTORY:
                entry.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            for field, value in fields.items():
                setattr(entry, field, value)
            archive.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return made.getvalue()


def tree(root: str) -> bytes:
    """A tar of a directory of ours."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(root, ".")
    return made.getvalue()


def busybox_entries(root: str) -> dict[str, bytes | str | None]:
    """A busybox with its names, as an image has it, and an empty /etc and /tmp."""
    names = os.listdir(f"{root}/bin")
    links: dict[str, bytes | str | None] = {f"bin/{name}": "busybox" for name in names if name != "busybox"}
    return {"bin": None, **links, "bin/busybox": Path(root, "bin", "busybox").read_bytes(), "etc": None, "tmp": None}


class Made:
    """An image of some layers.

    ``cut_after`` bytes of a blob the connection breaks, once; ``lies`` are sent in the place of blobs; ``asked`` is
    what was read, and from where on; layers wait for ``before_piece``.
    """

    def __init__(
        self, *layers: bytes, config: Mapping[str, Any] | None = None, compress: bool = False, **top: Any
    ) -> None:
        self.layers = [gzip.compress(one, 1, mtime=0) if compress else one for one in layers]
        self.config: dict[str, Any] = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-02T03:04:05Z",
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]},
            **top,
        }
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
        layers = [{"mediaType": OCI_LAYER, "digest": digest(one), "size": len(one)} for one in self.layers]
        config = {"mediaType": OCI_CONFIG, "digest": digest(self.config_body), "size": len(self.config_body)}
        return json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}).encode()

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
        entry: dict[str, Any] = {"mediaType": OCI_MANIFEST, "digest": digest(body), "size": len(body)}
        entries = [{**entry, "annotations": {"org.opencontainers.image.ref.name": name}} for name in names] or [entry]
        index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
        files |= {f"blobs/sha256/{digest(one)[7:]}": one for one in (body, self.config_body, *self.layers)}
        path.write_bytes(layer(files, mode=0o644))
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def busybox_image(root: str, *more: bytes, config: Mapping[str, Any] | None = None, **top: Any) -> Made:
    """An image of busybox, and further layers on it."""
    return Made(tree(root), *more, config={"Cmd": ["sh"], **(config or {})}, **top)


def names_of(directory: str) -> list[str]:
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []
