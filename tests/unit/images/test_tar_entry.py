"""Tar entries that we write, read by the standard library."""

from __future__ import annotations

import io
import tarfile

from hypothesis import given, settings
from hypothesis import strategies as st

from pypod.images.layers.compression import compress, decompressed, kind_of
from pypod.images.tar import entries

COMPONENT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1, max_size=90)
PATH = st.lists(COMPONENT.filter(lambda part: part not in (".", "..")), min_size=1, max_size=6).map("/".join)
ID = st.integers(0, 2**32 - 2)


@settings(max_examples=150, deadline=None)
@given(
    path=PATH,
    link=PATH,
    kind=st.sampled_from(
        [entries.FILE, entries.SYMLINK, entries.HARD_LINK, entries.DIRECTORY, entries.CHARACTER_DEVICE, entries.FIFO]
    ),
    mode=st.integers(0, 0o7777),
    uid=ID,
    gid=ID,
    mtime_ns=st.integers(-(2**60), 2**62),
    size=st.integers(0, 3000) | st.just(2**34),
    value=st.binary(min_size=1, max_size=1200).filter(lambda value: b"\0" not in value),
)
def test_python_reads_what_we_write(path, link, kind, mode, uid, gid, mtime_ns, size, value) -> None:
    size = size if kind == entries.FILE else 0
    entry = entries.Entry(
        path=path.encode(),
        type=kind,
        link=link.encode() if kind in (entries.SYMLINK, entries.HARD_LINK) else b"",
        mode=mode,
        uid=uid,
        gid=gid,
        mtime_ns=mtime_ns,
        size=size,
        device=(5, 2**20 - 1) if kind == entries.CHARACTER_DEVICE else (0, 0),
        records=((b"SCHILY.xattr.user.k", value),),
    )
    data = entry.encode()
    assert len(data) % entries.BLOCK_BYTES == 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8") as read:
        found = read.firstmember
    assert found.name == path.rstrip("/")
    assert (found.mode, found.uid, found.gid, found.size, found.type) == (mode, uid, gid, size, kind.encode())
    assert found.linkname == entry.link.decode()
    assert abs(found.mtime - mtime_ns / 10**9) < 1e-3 * max(1, abs(mtime_ns) / 10**15)
    assert found.pax_headers["SCHILY.xattr.user.k"].encode("utf-8", "surrogateescape") == value
    if kind == entries.CHARACTER_DEVICE:
        assert (found.devmajor, found.devminor) == (5, 2**20 - 1)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=3000), kind=st.sampled_from(["gzip", "zstd", ""]), cut=st.integers(1, 50))
def test_compression_and_back(data: bytes, kind: str, cut: int) -> None:
    whole = b"".join(compress([data[:7], data[7:]], kind))
    assert whole == b"".join(compress([data[:7], data[7:]], kind))
    if kind or not kind_of(data):
        pieces = [whole[start : start + cut] for start in range(0, len(whole), cut)]
        assert b"".join(decompressed(pieces)) == data
