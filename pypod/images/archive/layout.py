"""OCI image layouts: a directory or an archive with index.json and blobs (image-spec: image-layout.md).

A layout holds several images; ``index.json`` names them with the annotation org.opencontainers.image.ref.name.
An image is chosen by that name, by ``@N``, the N-th from 0, or by nothing when there is only one.
"""

from __future__ import annotations

from pypod.errors import InvalidImage, InvalidSpec, NoSuchImage
from pypod.images.ends import StoredImage
from pypod.model.images.image import (
    INDEXES,
    MANIFEST_BYTES_LIMIT,
    MANIFESTS,
    OCI_INDEX,
    Index,
    check_digest,
    parse_manifest,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from pypod.images.archive.files import Files
    from pypod.model.images.image import Descriptor

REF_NAME = "org.opencontainers.image.ref.name"
# containerd and docker store the full name here and only the tag in REF_NAME; podman prefers it, too
_CONTAINERD_NAME = "io.containerd.image.name"


class LayoutSource:
    """One image of a layout. The owner of ``files`` closes them; ``select`` returns another one of the same layout."""

    def __init__(self, files: Files, choice: str = "", *, transport: str = "oci", owner: bool = True) -> None:
        self._files = files
        self._choice = choice
        self.transport = transport
        self._owner = owner

    def images(self) -> tuple[StoredImage, ...]:
        """List the images of the layout. Raises InvalidImage."""
        entries = self._entries()
        return tuple(StoredImage(names=_names(entry), choice=f"@{n}") for n, entry in enumerate(entries))

    def select(self, choice: str) -> LayoutSource:
        """Return another image of the same layout, valid as long as this one is open."""
        return LayoutSource(self._files, choice, transport=self.transport, owner=False)

    def manifest(self, digest: str = "") -> tuple[str, bytes]:
        """Return the image's manifest or index, or the one with that digest; both are verified against it.

        Raises NoSuchImage and InvalidSpec for a choice that does not select one image, and InvalidImage.
        """
        chosen = None if digest else self._chosen()
        digest = chosen.digest if chosen else check_digest(digest, self._files.where)
        body = self._files.read(blob_path(digest), MANIFEST_BYTES_LIMIT)
        check_body(body, digest, self._files.where)
        return chosen.media_type if chosen else "", body

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a blob from ``offset`` on."""
        return self._files.pieces(blob_path(check_digest(descriptor.digest, self._files.where)), offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._owner:
            self._files.close()

    def _entries(self) -> tuple[Descriptor, ...]:
        return parse_index(self._files.read("index.json", MANIFEST_BYTES_LIMIT), self._files.where).manifests

    def _chosen(self) -> Descriptor:
        entries = self._entries()
        where = f"{self.transport}:{self._files.where}"
        if self._choice.startswith("@"):
            return entries[position(self._choice, len(entries), where)]
        if not self._choice:
            if len(entries) == 1:
                return entries[0]
            hint = f"choose one of {shown(entry_names(entries))}" if entries else "there is none"
            raise InvalidSpec(where, f"{where}: more than one image in oci, choose an image", hint=hint)
        for entry in entries:
            if entry.media_type in MANIFESTS | INDEXES and dict(entry.annotations).get(REF_NAME) == self._choice:
                return entry
        hint = f'no descriptor found for reference "{self._choice}", there is {shown(entry_names(entries))}'
        raise NoSuchImage(f"{where}:{self._choice}", hint=hint)


def parse_index(body: bytes, where: str) -> Index:
    """Parse the index.json of the layout at ``where``. Raises InvalidImage."""
    found = parse_manifest(body, OCI_INDEX, f"{where}: index.json")
    if not isinstance(found, Index):
        raise InvalidImage(f"{where}: index.json", "it is not an index")
    return found


def check_body(body: bytes, digest: str, what: str) -> None:
    """Raise InvalidImage when the bytes do not match the digest."""
    import hashlib

    algorithm, _, encoded = digest.partition(":")
    if hashlib.new(algorithm, body).hexdigest() != encoded:
        raise InvalidImage(what, f"the content of {digest} is different")


def position(choice: str, count: int, where: str) -> int:
    """Parse ``@N``. Raises InvalidSpec if it is not a number, NoSuchImage if there are only ``count`` images."""
    digits = choice[1:]
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 9:
        raise InvalidSpec(where, f"invalid source index {choice}", hint="write @ and a number, starting at 0")
    if int(digits) >= count:
        raise NoSuchImage(f"{where}:{choice}", hint=f"invalid source index {choice}, only {count} available")
    return int(digits)


def entry_names(entries: tuple[Descriptor, ...]) -> list[str]:
    """Return the name that each image can be chosen by."""
    return [(*_names(entry), f"@{n}")[0] for n, entry in enumerate(entries)]


def shown(names: list[str]) -> str:
    """Return names for a hint: quoted, and at most ten."""
    return ", ".join(repr(name) for name in names[:10]) + (", ..." if len(names) > 10 else "") or "none"


def _names(entry: Descriptor) -> tuple[str, ...]:
    annotations = dict(entry.annotations)
    name = annotations.get(_CONTAINERD_NAME) or annotations.get(REF_NAME)
    return (name,) if name else ()


def blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
