"""Undoing gzip, zstd, bzip2 and xz piece by piece, with memory that does not grow with what comes out."""

from __future__ import annotations

from pypod.errors import InvalidImage
from pypod.images.files import peek

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    class Decompressor(Protocol):
        """What the decompressors of bz2, lzma, isal and backports.zstd have in common: one stream each."""

        @property
        def eof(self) -> bool: ...
        @property
        def needs_input(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...
        def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


PIECE_BYTES = 1 << 20
# What follows the end of a stream is copied by each library: with a MiB at once, tiny streams took five times as long.
_INPUT_BYTES = 64 << 10
# The most a real file asks for: xz -9 takes 65 MiB, zstd refuses windows above 128 MiB by itself.
_XZ_MEMORY_BYTES = 256 << 20
_MAGICS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"))
MAGIC_BYTES = max(len(magic) for magic, _ in _MAGICS)


def kind_of(head: bytes) -> str:
    """Return the compression that these first bytes begin: ``gzip``, ``zstd``, ``bzip2``, ``xz`` or nothing.

    >>> kind_of(b"\\x1f\\x8b\\x08")
    'gzip'
    """
    return next((kind for magic, kind in _MAGICS if head.startswith(magic)), "")


def decompressed(pieces: Iterable[bytes], subject: str) -> Iterator[bytes]:
    """Yield the bytes, decompressed when they are compressed, in pieces of at most a MiB.

    Several streams in a row are read as one (gzip -c a b, pigz, zstd frames). Raises InvalidImage about ``subject``:
    damaged, cut off, or followed by something else.
    """
    head, pieces = peek(pieces, MAGIC_BYTES)
    kind = kind_of(head)
    return _streams(pieces, kind, subject) if kind else pieces


def _streams(pieces: Iterable[bytes], kind: str, subject: str) -> Iterator[bytes]:
    stream: Decompressor | None = None
    for piece in pieces:
        for start in range(0, len(piece), _INPUT_BYTES):
            rest = piece[start : start + _INPUT_BYTES]
            while rest or not (stream is None or stream.needs_input):
                stream = stream or _open(kind)
                found = _advance(stream, rest, kind, subject)
                rest = b""
                if found:
                    yield found
                if stream.eof:
                    rest, stream = stream.unused_data, None
    if stream is not None:
        raise InvalidImage(subject, f"its {kind} stream is cut off")


def _open(kind: str) -> Decompressor:
    if kind == "gzip":
        from isal import igzip_lib

        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    if kind == "zstd":
        return _zstd()
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


def _zstd() -> Decompressor:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    made: Decompressor = zstd.ZstdDecompressor()
    return made


def _advance(stream: Decompressor, data: bytes, kind: str, subject: str) -> bytes:
    try:
        return stream.decompress(data, PIECE_BYTES)
    except Exception as error:  # each library has an error of its own, without a common base
        if isinstance(error, MemoryError):
            raise
        raise InvalidImage(subject, f"its {kind} stream is damaged: {error}") from error
