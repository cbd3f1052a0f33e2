"""Files with holes in a tar."""

from __future__ import annotations

import errno
import os

from pypod.images.tar import entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PIECE_BYTES = 256 << 10  # stays in a core's cache


def parts(fd: int, status: os.stat_result) -> tuple[tuple[int, int], ...]:
    """Return offset and length of the data in a sparse file, with an empty last part when it ends in a hole."""
    size = status.st_size
    if status.st_blocks * 512 >= size:
        return ()
    found = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # only a hole is left
                raise
            break
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start < at:
            found.append((start, at - start))
    if at < size or not found or sum(found[-1]) < size:
        found.append((size, 0))
    return tuple(found)


def head(entry: entries.Entry, size: int, parts: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """Yield header and map of a sparse file in GNU tar's format 1.0, which Go's reader, and so podman, supports."""
    listing = b"%d\n" % len(parts) + b"".join(b"%d\n%d\n" % part for part in parts)
    listing += entries.padding(len(listing))
    directory, _, name = entry.path.rpartition(b"/")
    records = (
        (b"GNU.sparse.major", b"1"),
        (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.name", entry.path),
        (b"GNU.sparse.realsize", b"%d" % size),
    )
    shown = entries.joined(entries.joined(directory, b"GNUSparseFile.0"), name)  # for readers that do not support it
    stored = len(listing) + sum(length for _, length in parts)
    yield entry.replace(path=shown, size=stored, records=records + entry.records).encode() + listing


def content(fd: int, offset: int, length: int) -> Iterator[bytes]:
    end = offset + length
    while offset < end:
        piece = os.pread(fd, min(_PIECE_BYTES, end - offset), offset)
        if not piece:
            piece = bytes(min(_PIECE_BYTES, end - offset))
        yield piece
        offset += len(piece)
