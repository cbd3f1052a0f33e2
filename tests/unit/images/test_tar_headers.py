"""Tar archives are read strictly: as tar reads them, or not at all."""

from __future__ import annotations

import io
import os
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypod.errors import InvalidImage
from pypod.images.tar.entries import BLOCK_BYTES, plain_header
from pypod.images.tar.headers import read_members
from tests.images.stored import tar


def members(content: bytes) -> dict:
    fd = os.memfd_create("archive")
    try:
        os.write(fd, content)
        return read_members(fd, "archive")
    finally:
        os.close(fd)


def edited(archive: bytes, at: int, value: bytes) -> bytes:
    """Return the archive with bytes of its first header replaced and the checksum corrected."""
    block = bytearray(archive[:BLOCK_BYTES])
    block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + archive[BLOCK_BYTES:]


def pax(records: bytes, flag: bytes = b"x") -> bytes:
    block = edited(plain_header("pax", len(records)), 156, flag)
    return block + records + bytes(-len(records) % BLOCK_BYTES)


def record(key: str, value: str) -> bytes:
    """Return LENGTH KEY=VALUE, where the length counts its own digits."""
    body = f" {key}={value}\n"
    size = next(size for size in range(len(body), 2 * len(body) + 9) if size == len(f"{size}{body}"))
    return f"{size}{body}".encode()


NAMES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0/"), min_size=1, max_size=150)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=1200)), max_size=6), st.sampled_from((0, 1, 2)))
@settings(max_examples=60, deadline=None)
def test_what_tarfile_writes_is_read_the_same(files: list, form: int) -> None:
    files = [(name, content) for name, content in files if name not in (".", "..")]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=(tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)[form % 2]) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(f"directory/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    whole = made.getvalue()
    found = members(whole)
    assert {name: whole[m.offset : m.offset + m.size] for name, m in found.items()} == {
        f"directory/{name}": content for name, content in files
    }


@given(st.binary(max_size=2000), st.integers(0, 1600))
@settings(max_examples=150, deadline=None)
def test_any_bytes_end_in_members_or_in_the_error(noise: bytes, at: int) -> None:
    archive = tar(("a", b"x" * 600), ("b", "a"))
    for content in (noise, archive[:at] + noise + archive[at + len(noise) :]):
        try:
            members(content)
        except InvalidImage:
            continue


def test_the_last_of_several_counts_as_when_tar_unpacks() -> None:
    archive = tar(("./a", b"first"), ("a", b"second"))
    assert members(archive)["a"].size == len(b"second")


def test_the_size_in_an_extended_header_wins_so_nothing_hides_behind_it() -> None:
    """CVE-2025-62518: a reader that uses the header's size of 0 reads the first member's content as members."""
    inner = plain_header("smuggled", 0)
    archive = (
        pax(record("size", str(len(inner)))) + plain_header("outer", 0) + inner + plain_header("next", 0) + bytes(1024)
    )
    assert sorted(members(archive)) == ["next", "outer"]


def test_large_sizes_are_read_and_written_in_binary() -> None:
    size = 9 << 30
    fd = os.memfd_create("archive")
    try:
        os.pwrite(fd, plain_header("large", size), 0)
        os.pwrite(fd, plain_header("after", 0), BLOCK_BYTES + size)
        found = read_members(fd, "archive")
        with os.fdopen(os.dup(fd), "rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            assert [(entry.name, entry.size) for entry in archive] == [("large", size), ("after", 0)]
    finally:
        os.close(fd)
    assert (found["large"].size, found["after"].offset) == (size, 2 * BLOCK_BYTES + size)


ONE = tar(("a", b"content"))
HOSTILE = {
    "nothing like a tar": (b"PK\3\4" + bytes(600), "invalid tar header"),
    "checksum": (b"b" + ONE[1:], "invalid tar header"),
    "cut in a header": (ONE[:100], "truncated"),
    "cut in a file": (ONE[: BLOCK_BYTES + 3], "truncated"),
    "a size that lies": (edited(ONE, 124, b"77777777777\0"), "is wrong"),
    "a size in letters": (edited(ONE, 124, b"12x\0"), "not a number"),
    "a size with a sign": (edited(ONE, 124, b"-7\0"), "not a number"),
    "a negative binary size": (edited(ONE, 124, b"\xff" * 12), "not a number"),
    "a huge binary size": (edited(ONE, 124, b"\x80" + b"\xff" * 11), "is wrong"),
    "..": (tar(("../index.json", b"")), "invalid name"),
    ".. inside": (tar(("blobs/../../x", b"")), "invalid name"),
    "a directory with data": (edited(ONE, 156, b"5"), "has data"),
    "a name with / and data": (tar(("a/", b"x")), "has data"),
    "a link with data": (edited(ONE, 156, b"2"), "has data"),
    "GNU sparse": (edited(ONE, 156, b"S"), "sparse"),
    "pax sparse": (pax(record("GNU.sparse.major", "1")) + ONE, "sparse"),
    "pax size in letters": (pax(record("size", "1e3")) + ONE, "not a number"),
    "pax size of 1000 digits": (pax(record("size", "9" * 1000)) + ONE, "not a number"),
    "pax path with ..": (pax(record("path", "../x")) + ONE, "invalid name"),
    "pax path with NUL": (pax(record("path", "a\0b")) + ONE, "damaged"),
    "pax length beyond": (pax(b"99 path=a\n") + ONE, "damaged"),
    "pax length zero": (pax(b"0 path=a\n") + ONE, "damaged"),
    "pax length huge": (pax(b"9" * 30 + b" path=a\n") + ONE, "damaged"),
    "pax without a length": (pax(b"path=a\n") + ONE, "damaged"),
    "global pax with a path": (pax(record("path", "a"), b"g") + ONE, "for all members"),
    "an extended header at the end": (pax(record("path", "a")) + bytes(1024), "ends after"),
    "an extended header of 2 MB": (pax(b"x" * (2 << 20)) + ONE, "too large"),
    "a name of 5000 bytes": (pax(record("path", "a" * 5000)) + ONE, "invalid name"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_could_be_read_in_two_ways_is_refused(case: str) -> None:
    content, reason = HOSTILE[case]
    with pytest.raises(InvalidImage, match=reason):
        members(content)


def test_members_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypod.images.tar.headers.MEMBERS_LIMIT", 3)
    archive = tar(*((str(n), b"") for n in range(4)))
    with pytest.raises(InvalidImage, match="more than 3 members"):
        members(archive)


def test_names_lose_what_tar_does_not_use() -> None:
    assert set(members(tar(("./blobs//x", b""), ("/etc/passwd", b"")))) == {"blobs/x", "etc/passwd"}
