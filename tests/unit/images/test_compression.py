"""Compressed layers: concatenated members, truncated and damaged data, decompression bombs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct

import pytest

from pypod.errors import InvalidImage, InvalidSpec
from pypod.images.layers.compression import PIECE_BYTES, compress, decompressed

DATA = bytes(range(256)) * 4000


def zstd(data: bytes) -> bytes:
    return b"".join(compress([data], "zstd"))


COMPRESS = {"gzip": gzip.compress, "zstd": zstd, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", COMPRESS)
def test_members_follow_each_other(kind: str) -> None:
    stored = COMPRESS[kind](DATA) + COMPRESS[kind](b"") + COMPRESS[kind](b"end")
    assert b"".join(decompressed([stored])) == DATA + b"end"
    assert b"".join(decompressed(stored[at : at + 1] for at in range(len(stored)))) == DATA + b"end"


@pytest.mark.parametrize("kind", COMPRESS)
def test_pieces_are_small_however_much_they_expand(kind: str) -> None:
    sizes = [len(piece) for piece in decompressed([COMPRESS[kind](bytes(20 << 20))])]
    assert sum(sizes) == 20 << 20
    assert max(sizes) <= PIECE_BYTES
    assert max(len(piece) for piece in decompressed([bytes(3 << 20)])) == PIECE_BYTES


@pytest.mark.parametrize("kind", COMPRESS)
def test_damage(kind: str) -> None:
    stored = COMPRESS[kind](DATA)
    middle = len(stored) // 2
    for damaged, reason in (
        (stored[:-1], "cut short"),
        (stored[:middle], "cut short"),
        (stored + b"trailing bytes", "damaged|cut short"),
        (stored + bytes(100), "damaged|cut short"),
        (stored[:-6] + bytes([stored[-6] ^ 1]) + stored[-5:], "damaged"),
    ):
        if kind == "zstd" and reason == "damaged":
            continue  # our frames have no checksum: the layer's digest serves as one
        with pytest.raises(InvalidImage, match=f"a layer: its {kind} data are ({reason})"):
            list(decompressed([damaged], "a layer"))


def test_zstd_frames_to_skip() -> None:
    """RFC 8878, 3.1.2; the table of contents of zstd:chunked is such a frame."""
    skip = struct.pack("<II", 0x184D2A50, 5) + b"hello"
    assert b"".join(decompressed([skip + zstd(DATA) + skip + zstd(b"x") + skip])) == DATA + b"x"


def test_unknown_compression() -> None:
    with pytest.raises(InvalidSpec, match="unknown compression 'lz4'"):
        list(compress([b""], "lz4"))
    assert list(decompressed([])) == []
    assert list(decompressed([b"", b"ab", b"c"])) == [b"abc"]
