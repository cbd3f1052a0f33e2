"""The ``dir:`` transport of containers/image: manifest.json, version, and blobs named by the hex of their digest.

For inspecting an image with ordinary tools; it holds a single image, without a name. (containers/image:
docs/containers-transports.5.md, and directory_transport.go for the file names.)
"""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.images.archive.files import Directory
from pypod.images.archive.layout import check_body
from pypod.images.ends import StoredImage
from pypod.images.new_file import exactly, write_file
from pypod.model.images.image import MANIFEST_BYTES_LIMIT, check_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from pypod.model.images.image import Descriptor

_VERSION = b"Directory Transport Version: 1.1\n"


class DirSource:
    """The image in a ``dir:`` directory."""

    transport = "dir"

    def __init__(self, path: str) -> None:
        self._files = Directory(path)

    def images(self) -> tuple[StoredImage, ...]:
        """List it. Raises InvalidImage."""
        self._files.size("manifest.json")
        return (StoredImage(names=(), choice=""),)

    def select(self, choice: str) -> DirSource:
        """Return itself: there is only one image."""
        if choice:
            raise InvalidSpec(choice, f"a directory holds one image, there is no {choice}")
        return self

    def manifest(self, digest: str = "") -> tuple[str, bytes]:
        """Return the manifest or index, or the one with that digest, verified against it. Raises InvalidImage."""
        name = f"{_name(digest, self._files.where)}.manifest.json" if digest else "manifest.json"
        body = self._files.read(name, MANIFEST_BYTES_LIMIT)
        if digest:
            check_body(body, digest, self._files.where)
        return "", body

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a blob from ``offset`` on."""
        return self._files.pieces(_name(descriptor.digest, self._files.where), offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


class DirDestination:
    """An image in a ``dir:`` directory, which is created, is empty, or holds an image; blobs of another image stay."""

    def __init__(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)
        names = os.listdir(path)
        self._fd = -1
        if names and "version" not in names:
            reason = "not a containers image directory, don't want to overwrite important data"
            raise InvalidSpec(path, f"dir:{path}: {reason}")
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        write_file(self._fd, "version", (_VERSION,))

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Return whether a file of that name and size exists already."""
        try:
            return (
                os.stat(self._blob_name(descriptor), dir_fd=self._fd, follow_symlinks=False).st_size == descriptor.size
            )
        except FileNotFoundError:
            return False

    def put_blob(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        """Write a blob atomically: it does not appear when ``pieces`` raises."""
        write_file(self._fd, self._blob_name(descriptor), exactly(descriptor.size, pieces, descriptor.digest))

    def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:  # noqa: ARG002
        """Write the manifest or, with ``digest``, one that it refers to."""
        name = f"{_name(digest, 'manifest')}.manifest.json" if digest else "manifest.json"
        write_file(self._fd, name, (body,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @staticmethod
    def _blob_name(descriptor: Descriptor) -> str:
        return _name(descriptor.digest, "blob")


def _name(digest: str, what: str) -> str:
    return check_digest(digest, what).partition(":")[2]
