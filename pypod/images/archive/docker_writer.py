"""Write docker archives, for ``docker load``, ``podman load`` and skopeo, with one image or several.

Layers are written uncompressed and once, under their diff_id. The per-layer directories of docker before 1.10 (VERSION,
json, layer.tar) are left out, as in docker 25; all readers use manifest.json.
"""

from __future__ import annotations

import hashlib

from pypod.errors import InvalidImage, Unsupported
from pypod.images.archive.docker import read_diff_ids
from pypod.images.archive.files import HEAD_BYTES, peek
from pypod.images.layers.compression import decompressed, kind_of
from pypod.images.new_file import exactly
from pypod.model import plain_json
from pypod.model.images.image import CONFIG_BYTES_LIMIT, DOCKER_CONFIG, OCI_CONFIG, Index, Manifest, parse_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Self

    from pypod.images.tar.writer import TarWriter
    from pypod.model.images.image import Descriptor

_CONFIGS = frozenset((OCI_CONFIG, DOCKER_CONFIG))


class _Contents:
    """The contents of an archive that is being written."""

    def __init__(self) -> None:
        self.diff_ids: dict[str, str] = {}  # of layers, by the digest of the written blob and by diff_id
        self.configs: dict[str, bytes] = {}
        self.items: dict[str, dict[str, Any]] = {}  # of manifest.json, by the configuration's digest


class DockerArchiveDestination:
    """One image of a docker archive, with its full names; ``another`` is for the next image of the same archive.

    Images are written one after the other. The archive is complete, and a file visible, when the first image's ``with``
    block ends without an error. ``put_blob`` takes a configuration before its manifest, layers in any order.
    """

    def __init__(self, writer: TarWriter, names: tuple[str, ...] = (), contents: _Contents | None = None) -> None:
        self._writer = writer
        self._names = names
        self._owner = contents is None
        self._contents = contents or _Contents()

    def another(self, names: tuple[str, ...]) -> DockerArchiveDestination:
        """Return the destination of another image in the same archive."""
        return DockerArchiveDestination(self._writer, names, self._contents)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Return whether the archive has the blob already."""
        return descriptor.digest in self._contents.diff_ids or descriptor.digest in self._contents.configs

    def put_blob(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        """Write a configuration or a layer, which is decompressed on the way. Raises InvalidImage."""
        if self.has_blob(descriptor):
            return
        checked = exactly(descriptor.size, pieces, descriptor.digest)
        if descriptor.media_type in _CONFIGS:
            self._put_config(descriptor, checked)
        else:
            self._put_layer(descriptor, checked)

    def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:
        """Name the image, whose blobs must exist. Raises InvalidImage, and Unsupported for an index."""
        manifest = parse_manifest(body, media_type)
        if digest or isinstance(manifest, Index):
            raise Unsupported("index", "a docker archive cannot hold an index", hint="choose the image of one platform")
        config = self._contents.configs.get(manifest.config.digest)
        if config is None:
            raise InvalidImage("manifest", f"it is not a container image: {manifest.config.media_type[:80]!r}")
        found = [self._contents.diff_ids.get(layer.digest, "") for layer in manifest.layers]
        if found != read_diff_ids(config, "configuration"):
            raise InvalidImage("configuration", "its diff_ids do not match the layers")
        self._add(manifest, [f"{_hex(diff_id)}.tar" for diff_id in found])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if not self._owner:
            return
        try:
            if raised[0] is None and self._contents.items:
                self._finish()
        finally:
            self._writer.close()

    def _put_config(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        if descriptor.size > CONFIG_BYTES_LIMIT:
            raise InvalidImage("configuration", f"it is larger than {CONFIG_BYTES_LIMIT} bytes")
        body = b"".join(pieces)
        self._writer.add_bytes(f"{_hex(descriptor.digest)}.json", body)
        self._contents.configs[descriptor.digest] = body

    def _put_layer(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        known = self._contents.diff_ids
        beginning, pieces = peek(pieces, HEAD_BYTES)
        if not kind_of(beginning) and descriptor.digest.startswith("sha256:"):
            self._writer.add(f"{_hex(descriptor.digest)}.tar", descriptor.size, pieces)
            known[descriptor.digest] = descriptor.digest
            return
        hashed = hashlib.sha256()

        def name() -> str:
            diff_id = f"sha256:{hashed.hexdigest()}"
            is_new = diff_id not in known
            known[diff_id] = known[descriptor.digest] = diff_id
            return f"{hashed.hexdigest()}.tar" if is_new else ""

        self._writer.add_unsized(_hashing(decompressed(pieces, descriptor.digest), hashed), name)

    def _add(self, manifest: Manifest, layers: list[str]) -> None:
        new = {"Config": f"{_hex(manifest.config.digest)}.json", "RepoTags": [], "Layers": layers}
        item = self._contents.items.setdefault(manifest.config.digest, new)
        item["RepoTags"] += [name for name in dict.fromkeys(self._names) if name not in item["RepoTags"]]

    def _finish(self) -> None:
        items = list(self._contents.items.values())
        repositories: dict[str, dict[str, str]] = {}
        for item in items:
            for name in item["RepoTags"]:
                repository, _, tag = name.rpartition(":")
                if item["Layers"]:
                    repositories.setdefault(repository, {})[tag] = item["Layers"][-1].removesuffix(".tar")
        self._writer.add_bytes("manifest.json", _compact(items))
        self._writer.add_bytes("repositories", _compact(repositories))
        self._writer.finish()


def _hashing(pieces: Iterable[bytes], hashed: hashlib._Hash) -> Iterator[bytes]:
    for piece in pieces:
        hashed.update(piece)
        yield piece


def _hex(digest: str) -> str:
    return digest.partition(":")[2]


def _compact(value: object) -> bytes:
    return plain_json.dumps(value).encode()
