"""Read ``docker save`` archives, also podman's default: a tar with manifest.json, configurations and layers.

The format has no manifests. A docker schema 2 manifest is generated, with the digests of the layers as stored. For
uncompressed layers those are the configuration's diff_ids, so nothing is hashed, and the manifest is byte for byte
the one that skopeo generates: the digest is the one that podman shows. Compressed layers (kaniko, bazel) are hashed
once. Readers of the blobs verify them anyway.
(moby: image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format".)
"""

from __future__ import annotations

from contextlib import suppress

from pypod.errors import InvalidImage, InvalidSpec, NoSuchImage
from pypod.images.archive.layout import position, shown
from pypod.images.ends import StoredImage
from pypod.images.layers.compression import kind_of
from pypod.images.tar.headers import clean
from pypod.model import plain_json
from pypod.model.images.image import (
    CONFIG_BYTES_LIMIT,
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    MANIFEST_BYTES_LIMIT,
    Descriptor,
    check_digest,
    digest_of,
)
from pypod.model.images.reference import DOCKER_IO, full_name
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Self

    from pypod.images.archive.archive import Archive

LAYERS_LIMIT = 1000
# Schema 2 knows layers only as .gzip, so skopeo uses it for uncompressed ones, too; the actual bytes decide.
# The name with .zstd is buildkit's.
_MEDIA_TYPES = {"": f"{DOCKER_LAYER}.gzip", "gzip": f"{DOCKER_LAYER}.gzip", "zstd": f"{DOCKER_LAYER}.zstd"}


class _Item(Value):
    """An entry of manifest.json: the names of files in the archive."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]


class _Image(Value):
    """An image with its generated manifest, and the files with its blobs."""

    body: bytes
    files: tuple[tuple[str, str], ...]


class DockerArchiveSource:
    """One image of a docker archive: ``choice`` is a name, ``@N``, or empty when there is only one.

    The owner of ``files`` closes them; ``select`` returns another image of the same archive.
    """

    transport = "docker-archive"

    def __init__(self, files: Archive, choice: str = "", *, owner: bool = True) -> None:
        self._files = files
        self._choice = choice
        self._owner = owner
        self._image: _Image | None = None

    def images(self) -> tuple[StoredImage, ...]:
        """List the images with their names, in the order of manifest.json. Raises InvalidImage."""
        return tuple(StoredImage(names=item.names, choice=f"@{n}") for n, item in enumerate(self._items()))

    def select(self, choice: str) -> DockerArchiveSource:
        """Return another image of the same archive, valid as long as this one is open."""
        return DockerArchiveSource(self._files, choice, owner=False)

    def manifest(self, digest: str = "") -> tuple[str, bytes]:
        """Return the generated manifest; there is no index, so ``digest`` can refer to nothing else.

        Raises NoSuchImage and InvalidSpec for a choice that does not select one image, and InvalidImage.
        """
        image = self._read()
        if digest not in ("", digest_of(image.body)):
            raise InvalidImage(self._files.where, f"there is no manifest {digest} in a docker archive")
        return DOCKER_MANIFEST, image.body

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """Yield the configuration or a layer, as stored, from ``offset`` on."""
        name = dict(self._read().files).get(descriptor.digest)
        if name is None:
            raise InvalidImage(self._files.where, f"there is no blob {descriptor.digest} in the archive")
        return self._files.pieces(name, offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._owner:
            self._files.close()

    def _read(self) -> _Image:
        # Two threads may both generate it; the result is the same.
        if self._image is None:
            self._image = self._made_up(self._chosen())
        return self._image

    def _made_up(self, item: _Item) -> _Image:
        what = f"{self._files.where}: {item.config}"
        config = self._files.read(item.config, CONFIG_BYTES_LIMIT)
        diff_ids = read_diff_ids(config, what)
        if len(diff_ids) != len(item.layers):
            raise InvalidImage(what, f"{len(diff_ids)} layers in the configuration, {len(item.layers)} in the manifest")
        entry = Descriptor(media_type=DOCKER_CONFIG, digest=digest_of(config), size=len(config))
        names = [self._files.resolve(name) for name in item.layers]
        hashed: dict[str, str] = {}
        layers = [self._layer(name, diff_id, hashed) for name, diff_id in zip(names, diff_ids, strict=True)]
        # Go's order of keys and lack of spaces, so that the digest is the one that podman shows.
        body = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": _in_order(entry),
            "layers": [_in_order(layer) for layer in layers],
        }
        files = [(entry.digest, item.config)]
        files += [(layer.digest, name) for layer, name in zip(layers, names, strict=True)]
        return _Image(body=plain_json.dumps(body).encode(), files=tuple(files))

    def _layer(self, name: str, diff_id: str, hashed: dict[str, str]) -> Descriptor:
        compression = kind_of(next(self._files.pieces(name), b""))
        if compression not in _MEDIA_TYPES:
            raise InvalidImage(f"{self._files.where}: {name}", f"{compression} is not supported for layers")
        if compression and name not in hashed:  # once, however many layers of the manifest refer to it
            hashed[name] = self._hash(name)
        digest = hashed[name] if compression else diff_id
        return Descriptor(media_type=_MEDIA_TYPES[compression], digest=digest, size=self._files.size(name))

    def _hash(self, name: str) -> str:
        import hashlib

        found = hashlib.sha256()
        for piece in self._files.pieces(name):
            found.update(piece)
        return f"sha256:{found.hexdigest()}"

    def _items(self) -> tuple[_Item, ...]:
        what = f"{self._files.where}: manifest.json"
        found = _json(self._files.read("manifest.json", MANIFEST_BYTES_LIMIT), what)
        if not isinstance(found, list) or len(found) > LAYERS_LIMIT:
            raise InvalidImage(what, f"it is not a list of at most {LAYERS_LIMIT} images")
        return tuple(_item(entry, what) for entry in found)

    def _chosen(self) -> _Item:
        items = self._items()
        where = f"docker-archive:{self._files.where}"
        names = [(*item.names, f"@{n}")[0] for n, item in enumerate(items)]
        if self._choice.startswith("@"):
            return items[position(self._choice, len(items), where)]
        if self._choice:
            wanted = full_name(self._choice, DOCKER_IO)
            for item in items:
                if any(_matches(name, wanted) for name in item.names):
                    return item
            raise NoSuchImage(f"{where}:{self._choice}", hint=f'tag "{wanted}" not found, there is {shown(names)}')
        if len(items) != 1:
            raise InvalidSpec(
                where, f"{where}: expected 1 image, got {len(items)}", hint=f"choose one of {shown(names)}"
            )
        return items[0]


def _matches(name: str, wanted: str) -> bool:
    with suppress(InvalidSpec):  # the name is only a claim of the archive
        return full_name(name, DOCKER_IO) == wanted
    return False


def _item(entry: Any, what: str) -> _Item:
    if not isinstance(entry, dict):
        raise InvalidImage(what, "an image in it is not an object")
    (config,) = _texts([entry.get("Config")], what)
    return _Item(
        config=_path(config, what),
        names=tuple(_texts(entry.get("RepoTags"), what)),
        layers=tuple(_path(layer, what) for layer in _texts(entry.get("Layers"), what)),
    )


def _path(name: str, what: str) -> str:
    if not name.isprintable():  # it would appear in an error message on a terminal
        raise InvalidImage(what, f"invalid name {name[:80]!r}")
    return clean(name, what)


def _texts(value: object, what: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > LAYERS_LIMIT or not all(isinstance(entry, str) for entry in value):
        raise InvalidImage(what, f"expected a list of at most {LAYERS_LIMIT} strings")
    return value


def read_diff_ids(config: bytes, what: str) -> list[str]:
    """Return the digests of an image's uncompressed layers. Raises InvalidImage."""
    found = _json(config, what)
    rootfs = found.get("rootfs") if isinstance(found, dict) else None
    if not isinstance(rootfs, dict):
        raise InvalidImage(what, "the configuration has no rootfs")
    return [check_digest(entry, what) for entry in _texts(rootfs.get("diff_ids"), what)]


def _json(body: bytes, what: str) -> Any:
    try:
        return plain_json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidImage(what, f"it is not JSON: {str(error)[:80]}") from error


def _in_order(descriptor: Descriptor) -> dict[str, object]:
    return {"mediaType": descriptor.media_type, "size": descriptor.size, "digest": descriptor.digest}
