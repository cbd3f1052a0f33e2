"""Images in OCI archives, unpacked by us and by other tools. Only for tests: the archives are trusted."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from pypod.images.layers.unpack import fit_to_lowers, unpack


def extract(archive: Path, target: Path) -> Path:
    """Lay an OCI archive out as a directory (image-spec: image-layout.md)."""
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="tar") if hasattr(tarfile, "tar_filter") else tar.extractall(target)  # noqa: S202
    return target


def unpack_layers(layout: Path, target: Path) -> list[Path]:
    """Unpack each layer into its own directory, the lowest first."""

    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    diff_ids = json.loads(blob(manifest["config"]["digest"]).read_text())["rootfs"]["diff_ids"]
    target.mkdir()
    made: list[Path] = []
    for descriptor, diff_id in zip(manifest["layers"], diff_ids, strict=True):
        directory = target / str(len(made))
        directory.mkdir()
        digest, size = descriptor["digest"], descriptor["size"]
        found = unpack(pieces(blob(digest)), str(directory), digest=digest, diff_id=diff_id, size=size)
        fit_to_lowers(str(directory), found, [str(below) for below in reversed(made)])
        made.append(directory)
    return made


def pieces(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, a megabyte at a time."""
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
