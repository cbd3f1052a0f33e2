"""Compression of layers: gzip, zstd, and for reading also bzip2 and xz, which docker accepted.

The first bytes decide how a layer is compressed, not its media type, as in podman (containers/image: pkg/compression).
"""

from __future__ import annotations

import itertools

from pypod.errors import InvalidImage, InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Protocol

    class Decompressor(Protocol):
        """What bz2, lzma, zstd and igzip_lib have in common."""

        @property
        def eof(self) -> bool: ...
        @property
        def needs_input(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...
        def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


PIECE_BYTES = 256 << 10  # the largest output piece, however small the input was; it fits in a core's cache
_INPUT_BYTES = 64 << 10  # the data after the end of a member is copied, so members may be short
_WINDOW_LOG_LIMIT = 27  # 128 MB: the default limit of zstd(1) for reading, and the maximum its levels write
_XZ_MEMORY_BYTES = 128 << 20
_MAGIC_BYTES = 6
_FAST = 3  # of isal_zlib, which has four levels, and of zstd
_GZIP_BITS = 31  # the largest window, with the header of gzip


def decompressed(pieces: Iterable[bytes], subject: str = "layer") -> Iterator[bytes]:
    """Yield ``pieces`` decompressed, in pieces of at most 256 kB; members and frames may follow one another.

    Raises InvalidImage about ``subject`` for data that are damaged, truncated, or followed by others.

    >>> import gzip
    >>> b"".join(decompressed([gzip.compress(b"two "), gzip.compress(b"members")]))
    b'two members'
    """
    rest = iter(pieces)
    head = b""
    for piece in rest:
        head += piece
        if len(head) >= _MAGIC_BYTES:
            break
    whole = itertools.chain((head,) if head else (), rest)
    kind = kind_of(head)
    if not kind:
        yield from _cut(whole, PIECE_BYTES)
        return
    make, failures = _decompressors(kind)
    try:
        yield from _members(kind, make, _cut(whole, _INPUT_BYTES), subject)
    except failures as error:
        raise InvalidImage(subject, f"its {kind} data are damaged: {error}") from error


def kind_of(head: bytes) -> str:
    """Return the compression that starts with these bytes: ``gzip``, ``zstd``, ``bzip2``, ``xz`` or nothing."""
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return kind
    # RFC 8878, 3.1.2: skippable frames may come first
    return "zstd" if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50 else ""


_MAGICS = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
)


def _decompressors(kind: str) -> tuple[Callable[[], Decompressor], Any]:
    """Return a function that creates a decompressor, and the exceptions it raises for damaged data."""
    if kind == "gzip":
        from isal import igzip_lib

        return lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), (igzip_lib.IsalError,)
    if kind == "zstd":
        zstd = _zstd()
        options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_LIMIT}
        return lambda: zstd.ZstdDecompressor(options=options), (zstd.ZstdError,)
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor, (OSError, EOFError)
    import lzma

    return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES), (lzma.LZMAError, EOFError)


def _zstd() -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
    except ImportError:
        from backports import zstd
    return zstd


def _members(kind: str, make: Callable[[], Decompressor], pieces: Iterator[bytes], subject: str) -> Iterator[bytes]:
    decompressor = make()
    for piece in pieces:
        data = piece
        while data or not (decompressor.eof or decompressor.needs_input):
            if decompressor.eof:
                decompressor = make()
            made = decompressor.decompress(data, PIECE_BYTES)
            data = decompressor.unused_data if decompressor.eof else b""
            if made:
                yield made
    if not decompressor.eof:
        raise InvalidImage(subject, f"its {kind} data are cut short")


def compress(pieces: Iterable[bytes], kind: str, level: int = 0) -> Iterator[bytes]:
    """Yield ``pieces`` compressed by ``gzip`` or ``zstd``, or unchanged; the output is deterministic.

    ``level`` is one of gzip(1) or zstd(1); 0 stands for a fast one.

    >>> b"".join(decompressed(compress([b"a layer"], "zstd")))
    b'a layer'
    """
    if not kind:
        yield from pieces
        return
    compressor = _compressor(kind, level)
    for piece in pieces:
        if made := compressor.compress(piece):
            yield made
    yield compressor.flush()


def _compressor(kind: str, level: int) -> Any:
    if kind == "gzip" and level:
        import zlib

        return zlib.compressobj(level, wbits=_GZIP_BITS)
    if kind == "gzip":
        from isal import isal_zlib

        return isal_zlib.compressobj(_FAST, wbits=_GZIP_BITS)
    if kind == "zstd":
        return _zstd().ZstdCompressor(level=level or _FAST)
    raise InvalidSpec("compression", f"unknown compression {kind!r}", hint="gzip, zstd or nothing")


def _cut(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of at most ``size``."""
    for piece in pieces:
        if len(piece) <= size:
            yield piece
        else:
            view = memoryview(piece)
            for start in range(0, len(piece), size):
                yield bytes(view[start : start + size])
