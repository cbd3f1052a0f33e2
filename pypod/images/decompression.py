"""Undoing gzip, zstd, bzip2 and xz piece by piece, with memory that does not grow with what comes out."""

from __future__ import annotations

from pypod.errors import InvalidImage

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
# The most a real file asks for: xz -9 takes 65 MiB, zstd refuses windows above 128 MiB by itself.
_XZ_MEMORY_BYTES = 256 << 20
_MAGICS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"))
MAGIC_BYTES = max(len(magic) for magic, _ in _MAGICS)


def compression_of(beginning: bytes) -> str:
    """Say how bytes that begin so are compressed, or nothing.

    >>> compression_of(b"\\x1f\\x8b\\x08")
    'gzip'
    """
    return next((name for magic, name in _MAGICS if beginning.startswith(magic)), "")


def decompress(pieces: Iterable[bytes], compression: str, what: str) -> Iterator[bytes]:
    """Yield what was compressed, in pieces of at most a MiB.

    Several streams in a row are read as one (gzip -c a b, pigz, zstd frames), and zeros after them are padding, as
    tar --record-size leaves them. Raises InvalidImage: damaged, cut off, or followed by something else.
    """
    stream: Decompressor | None = None
    padding = False
    for piece in pieces:
        rest = piece
        while rest or stream is not None:
            if stream is None:
                padding = padding or rest[0] == 0
                if padding:
                    _check_padding(rest, what)
                    break
                stream = _open(compression)
            found = _advance(stream, rest, compression, what)
            rest = b""
            if found:
                yield found
            if stream.eof:
                rest, stream = stream.unused_data, None
            elif stream.needs_input:
                break
    if stream is not None:
        raise InvalidImage(what, f"its {compression} stream is cut off")


def _open(compression: str) -> Decompressor:
    if compression == "gzip":
        from isal import igzip_lib

        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    if compression == "zstd":
        return _zstd()
    if compression == "bzip2":
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


def _advance(stream: Decompressor, data: bytes, compression: str, what: str) -> bytes:
    try:
        return stream.decompress(data, PIECE_BYTES)
    except Exception as error:  # each library has an error of its own, without a common base
        if isinstance(error, MemoryError):
            raise
        raise InvalidImage(what, f"its {compression} stream is damaged: {error}") from error


def _check_padding(rest: bytes, what: str) -> None:
    if rest.count(0) != len(rest):
        raise InvalidImage(what, "something else follows its compressed stream")
