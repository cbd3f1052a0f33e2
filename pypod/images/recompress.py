"""Layers in another compression: for registries and archives that want one."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.images.compression import decompressed, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

COMPRESSIONS = ("gzip", "zstd")
_GZIP_LEVEL = 2  # of ISA-L: as small as zlib's 4, ten times as fast
_GZIP_HEADER_BITS = 31  # zlib.compressobj: 16 for gzip's header, of no time, and 15 for the window


def recompressed(pieces: Iterable[bytes], compression: str, subject: str = "layer") -> Iterator[bytes]:
    """Yield what ``pieces`` hold, compressed anew as gzip or zstd. Raises InvalidImage, InvalidSpec.

    >>> plain = b"".join(decompressed(recompressed([b"plain"], "gzip")))
    >>> plain, kind_of(next(recompressed([b"plain"], "zstd")))
    (b'plain', 'zstd')
    """
    make = _COMPRESSORS.get(compression)
    if make is None:
        raise InvalidSpec("--compression-format", f'cannot find compressor for "{compression}"')
    compressor = make()
    for piece in decompressed(pieces, subject):
        if made := compressor.compress(piece):
            yield made
    yield compressor.flush()


def _gzip() -> Any:
    from isal import isal_zlib

    return isal_zlib.compressobj(level=_GZIP_LEVEL, wbits=_GZIP_HEADER_BITS)


def _zstd() -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
    except ImportError:
        from backports import zstd
    return zstd.ZstdCompressor()


_COMPRESSORS: dict[str, Callable[[], Any]] = {"gzip": _gzip, "zstd": _zstd}
__all__ = ["COMPRESSIONS", "kind_of", "recompressed"]
