"""Write OCI image layouts, into a directory or an archive (image-spec: image-layout.md)."""

from __future__ import annotations

import os

from pypod.images.archive.files import Directory, open_beneath
from pypod.images.archive.layout import REF_NAME, blob_path, parse_index
from pypod.images.new_file import exactly, write_file
from pypod.model import plain_json
from pypod.model.images.image import MANIFEST_BYTES_LIMIT, Descriptor, digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self

    from pypod.images.tar.writer import TarWriter

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LayoutDestination:
    """An image in a layout directory, under ``name`` or without one; an existing layout is extended, else created."""

    def __init__(self, path: str, name: str = "") -> None:
        os.makedirs(path, exist_ok=True)
        self._path = path
        self._name = name
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Return whether a blob of that name and size exists already."""
        try:
            fd = open_beneath(self._fd, blob_path(descriptor.digest))
        except OSError:
            return False
        try:
            return os.fstat(fd).st_size == descriptor.size
        finally:
            os.close(fd)

    def put_blob(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        """Write a blob atomically: it does not appear when ``pieces`` raises."""
        directory, _, name = blob_path(descriptor.digest).rpartition("/")
        fd = self._made(directory)
        try:
            write_file(fd, name, exactly(descriptor.size, pieces, descriptor.digest))
        finally:
            os.close(fd)

    def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:
        """Write a manifest or an index and, without ``digest``, name it in index.json."""
        entry = _entry(media_type, body, digest or digest_of(body), self._name)
        self.put_blob(entry, (body,))
        if digest:
            return
        import fcntl

        # Concurrent writers of a layout must not lose each other's entries; the lock ends with the descriptor.
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            write_file(self._fd, "oci-layout", (_LAYOUT,))
            write_file(self._fd, "index.json", (_index([*self._others(entry), entry.json()]),))
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _made(self, name: str) -> int:
        made = ""
        for part in name.split("/"):
            made = f"{made}/{part}" if made else part
            parent, _, last = made.rpartition("/")
            fd = open_beneath(self._fd, parent, _DIRECTORY) if parent else os.dup(self._fd)
            try:
                os.mkdir(last, dir_fd=fd)
            except FileExistsError:
                pass
            finally:
                os.close(fd)
        return open_beneath(self._fd, name, _DIRECTORY)

    def _others(self, entry: Descriptor) -> list[dict[str, Any]]:
        """Return the remaining entries of index.json, verbatim."""
        files = Directory(self._path)
        try:
            body = files.read("index.json", MANIFEST_BYTES_LIMIT) if "index.json" in files else _index([])
        finally:
            files.close()
        found = parse_index(body, self._path)
        replaced = [
            dict(other.annotations).get(REF_NAME, "") == self._name and (self._name or other.digest == entry.digest)
            for other in found.manifests
        ]
        raw: list[dict[str, Any]] = plain_json.loads(body)["manifests"]
        return [other for other, is_replaced in zip(raw, replaced, strict=True) if not is_replaced]


class OciArchiveDestination:
    """An image in a new OCI archive; ``another`` is for the next image of the same archive.

    Images are written one after the other. The archive is complete, and a file visible, when the first image's ``with``
    block ends without an error.
    """

    def __init__(self, writer: TarWriter, name: str = "", first: OciArchiveDestination | None = None) -> None:
        self._writer = writer
        self._name = name
        self._owner = first is None
        self._written: set[str] = first._written if first else set()
        self._entries: list[dict[str, Any]] = first._entries if first else []
        if first is None:
            writer.add_bytes("oci-layout", _LAYOUT)

    def another(self, name: str) -> OciArchiveDestination:
        """Return the destination of another image in the same archive."""
        return OciArchiveDestination(self._writer, name, self)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Return whether the archive has the blob already."""
        return descriptor.digest in self._written

    def put_blob(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        """Write a blob as it is."""
        if descriptor.digest not in self._written:
            self._writer.add(blob_path(descriptor.digest), descriptor.size, pieces)
            self._written.add(descriptor.digest)

    def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:
        """Write a manifest or an index and, without ``digest``, name it in index.json."""
        entry = _entry(media_type, body, digest or digest_of(body), self._name)
        self.put_blob(entry, (body,))
        if not digest:
            self._entries.append(entry.json())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if not self._owner:
            return
        try:
            if raised[0] is None and self._entries:
                self._writer.add_bytes("index.json", _index(self._entries))
                self._writer.finish()
        finally:
            self._writer.close()


def _entry(media_type: str, body: bytes, digest: str, name: str) -> Descriptor:
    annotations = ((REF_NAME, name),) if name else ()
    return Descriptor(media_type=media_type, digest=digest, size=len(body), annotations=annotations)


def _index(entries: list[dict[str, Any]]) -> bytes:
    return plain_json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
