"""Blobs by their digests: stored exactly as registries and archives deliver them, and a source of images themselves."""

from __future__ import annotations

import os

from pypod.errors import InvalidImage
from pypod.images.new_file import PIECE_BYTES
from pypod.model.images.image import check_digest, digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from pypod.model.images.image import Descriptor


class Blobs:
    """The directory of blobs: ``sha256/HEX``. Each is written to a temporary file and renamed once verified."""

    __slots__ = ("directory",)

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, digest: str) -> str:
        """Return the path of a blob, whether it exists or not. Raises InvalidImage for an invalid digest."""
        algorithm, _, encoded = check_digest(digest, "blob").partition(":")
        return f"{self.directory}/{algorithm}/{encoded}"

    def has(self, digest: str) -> bool:
        """Return whether a blob is stored."""
        return os.path.exists(self.path(digest))

    def size_bytes(self, digest: str) -> int:
        """Return the size of a blob. Raises InvalidImage when it is not stored."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            raise _missing(digest) from None

    def read(self, digest: str, limit_bytes: int) -> bytes:
        """Return a whole blob, verified against its digest. Raises InvalidImage when it is missing or damaged."""
        try:
            with open(self.path(digest), "rb") as file:
                body = file.read(limit_bytes + 1)
        except FileNotFoundError:
            raise _missing(digest) from None
        if len(body) > limit_bytes or (digest.startswith("sha256:") and digest_of(body) != digest):
            raise InvalidImage(digest, "the stored blob is damaged", hint="pull the image again")
        return body

    def pieces(self, digest: str, offset: int = 0) -> Iterator[bytes]:
        """Yield a blob from ``offset`` on. Raises InvalidImage when it is not stored."""
        try:
            file = open(self.path(digest), "rb")  # noqa: SIM115
        except FileNotFoundError:
            raise _missing(digest) from None
        with file:
            file.seek(offset)
            while piece := file.read(PIECE_BYTES):
                yield piece

    def put(self, body: bytes) -> str:
        """Store bytes; return their digest."""
        digest = digest_of(body)
        if not self.has(digest):
            self.write([body])
        return digest

    def write(self, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Store the pieces as a blob; return its digest and size."""
        import hashlib

        digest, size_bytes = hashlib.sha256(), 0
        temporary = self._temporary()
        try:
            with open(temporary, "xb") as file:
                for piece in pieces:
                    digest.update(piece)
                    size_bytes += len(piece)
                    file.write(piece)
        except BaseException:
            os.unlink(temporary)
            raise
        name = f"sha256:{digest.hexdigest()}"
        self.commit(temporary, name)
        return name, size_bytes

    def _temporary(self) -> str:
        os.makedirs(f"{self.directory}/sha256", 0o700, exist_ok=True)
        return f"{self.directory}/sha256/.{os.urandom(12).hex()}"

    def commit(self, path: str, digest: str) -> None:
        """Move in a file that is the blob of a digest; its content has been verified already."""
        target = self.path(digest)
        try:
            os.rename(path, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
            os.rename(path, target)

    def unused(self, used: set[str]) -> list[str]:
        """Return the paths of the blobs, complete or not, that are not among ``used``."""
        found = []
        for algorithm in ("sha256", "sha512"):
            try:
                names = os.listdir(f"{self.directory}/{algorithm}")
            except FileNotFoundError:
                continue
            found += [f"{self.directory}/{algorithm}/{name}" for name in names if f"{algorithm}:{name}" not in used]
        return found


class BlobSource:
    """An image in the store as a source."""

    def __init__(self, blobs: Blobs, manifest: str, media_type: str = "") -> None:
        self._blobs = blobs
        self._manifest = manifest
        self._media_type = media_type

    def manifest(self, digest: str = "") -> tuple[str, bytes]:
        """Return media type and body of the manifest."""
        from pypod.model.images.image import MANIFEST_BYTES_LIMIT

        return "" if digest else self._media_type, self._blobs.read(digest or self._manifest, MANIFEST_BYTES_LIMIT)

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a blob."""
        return self._blobs.pieces(descriptor.digest, offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _missing(digest: str) -> InvalidImage:
    return InvalidImage(digest, "the blob is not in the store", hint="pull the image again")
