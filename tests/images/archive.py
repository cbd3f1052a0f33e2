"""Unpack an OCI archive that we built ourselves into a directory: layers in order, whiteouts applied.

For tests only: the archive is trusted. Nothing here is fit for an image from elsewhere.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path


def unpack(archive: Path, target: Path) -> dict[str, object]:
    """Unpack and return the image's configuration (User, Env, Entrypoint, Cmd, WorkingDir)."""
    blobs = target.with_name(target.name + ".blobs")
    with tarfile.open(archive) as tar:
        tar.extractall(blobs, filter="tar") if hasattr(tarfile, "tar_filter") else tar.extractall(blobs)  # noqa: S202

    def blob(digest: str) -> Path:
        return blobs / "blobs" / digest.replace(":", "/")

    index = json.loads((blobs / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    target.mkdir(parents=True)
    for layer in manifest["layers"]:
        _apply(blob(layer["digest"]), target)
    config = json.loads(blob(manifest["config"]["digest"]).read_text())["config"]
    shutil.rmtree(blobs)
    return config


def _apply(layer: Path, target: Path) -> None:
    with tarfile.open(layer) as tar:
        tar.errorlevel = 1
        for member in tar:
            path = target / member.name
            name = path.name
            if name == ".wh..wh..opq":
                for child in path.parent.iterdir():
                    _remove(child)
                continue
            if name.startswith(".wh."):
                _remove(path.with_name(name[4:]))
                continue
            if path.is_symlink() or (path.exists() and not (path.is_dir() and member.isdir())):
                _remove(path)
            if hasattr(tarfile, "fully_trusted_filter"):
                tar.extract(member, target, numeric_owner=True, filter="fully_trusted")
            else:
                tar.extract(member, target, numeric_owner=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
