"""Trees read, written and packed by descriptors, in directories of the caller's."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from pypod.errors import InvalidImage, SystemFailure
from pypod.images.tar.members import members
from pypod.images.trees import archives
from pypod.images.trees.places import Root, plain
from pypod.images.trees.reading import LOOK, Reader
from pypod.images.trees.writing import Writer


def copied(source: Path, target: Path, top: str = "copy", **options) -> None:
    fd, to = os.open(source, LOOK), os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    owner = (os.geteuid(), os.getegid())
    writer = Writer(to, str(target), owner=owner, **options)
    items = Reader().items(fd, top)
    try:
        writer.write(items)
    finally:
        writer.close()
        items.close()
        os.close(fd)
        os.close(to)


def packed(**kinds: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, fields in kinds.items():
            entry = tarfile.TarInfo(name)
            for key, value in fields.items():  # type: ignore[attr-defined]
                setattr(entry, key, value)
            made.addfile(entry, io.BytesIO(bytes(entry.size)))
    return buffer.getvalue()


def unpacked(data: bytes, target: Path, **options) -> None:
    to = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    writer = Writer(to, str(target), owner=(os.geteuid(), os.getegid()), **options)
    try:
        writer.write(archives.parsed([data], "x"))
    finally:
        writer.close()
        os.close(to)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "source"
    (top / "deep/er").mkdir(parents=True)
    (top / "deep/er/file").write_bytes(b"x" * 3_000_000)
    (top / "deep/script").write_text("#!/bin/sh")
    (top / "deep/script").chmod(0o750)
    (top / "link").symlink_to("/etc")
    os.mkfifo(top / "fifo")
    os.link(top / "deep/script", top / "same")
    os.utime(top / "deep", (1, 1_000_000_000))
    return top


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_a_copy_is_like_the_source(source: Path, target: Path) -> None:
    copied(source, target)
    copy = target / "copy"
    assert (copy / "deep/er/file").read_bytes() == b"x" * 3_000_000
    assert stat.S_IMODE((copy / "deep/script").stat().st_mode) == 0o750
    assert (copy / "deep").stat().st_mtime == 1_000_000_000
    assert (copy / "link").readlink() == Path("/etc")
    assert (copy / "fifo").is_fifo()
    assert (copy / "same").samefile(copy / "deep/script")


def test_the_content_of_a_directory(source: Path, target: Path) -> None:
    copied(source, target, "")
    assert {path.name for path in target.iterdir()} == {path.name for path in source.iterdir()}


def test_links_in_the_target_are_replaced_and_never_followed(source: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (target / "copy").mkdir()
    for name in ("same", "fifo"):
        (target / "copy" / name).symlink_to(tmp_path / "outside" / name)
    copied(source, target)
    assert list((tmp_path / "outside").iterdir()) == []
    (target / "other").symlink_to(tmp_path / "outside")
    with pytest.raises(SystemFailure, match="file exists"):
        copied(source, target, "other")
    assert list((tmp_path / "outside").iterdir()) == []


def test_kinds_are_changed_only_if_asked_to(source: Path, target: Path) -> None:
    (target / "copy").write_text("a file")
    with pytest.raises(SystemFailure, match=r'error creating ".*/copy": file exists'):
        copied(source, target)
    copied(source, target, overwrite=True)
    with pytest.raises(SystemFailure, match="file exists"):
        copied(source / "deep/script", target)
    copied(source / "deep/script", target, overwrite=True)
    assert (target / "copy").read_text() == "#!/bin/sh"


def test_a_failed_copy_leaves_the_old_file(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (target / "copy").write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pypod.images.trees.writing.copy_content", fail)
    for name in ("copy", "new"):
        with pytest.raises(SystemFailure, match="no space left"):
            copied(source / "same", target, name)
    assert [path.name for path in target.iterdir()] == ["copy"]
    assert (target / "copy").read_text() == "old"


def test_an_archive_there_and_back(source: Path, target: Path) -> None:
    fd = os.open(source, LOOK)
    data = b"".join(archives.encoded(Reader().items(fd, "top"), (12, 2**31)))
    os.close(fd)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {(one.uid, one.gid) for one in archive} == {(12, 2**31)}
        assert archive.getmember("top/same").linkname == "top/deep/script"
    unpacked(data, target)
    assert (target / "top/deep/er/file").read_bytes() == b"x" * 3_000_000
    assert (target / "top/same").samefile(target / "top/deep/script")
    assert (target / "top/deep").stat().st_mtime_ns == 1_000_000_000_000_000_000


def test_attributes_of_other_writers() -> None:
    long = "d/" * 90 + "n" * 200
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as made:
            entry = tarfile.TarInfo(long)
            entry.size, entry.uid, entry.gid, entry.mtime, entry.mode = 5, 3_000_000, 4, 1.0, 0o4711
            made.addfile(entry, io.BytesIO(b"12345"))
        pieces = [buffer.getvalue()[at : at + 7] for at in range(0, len(buffer.getvalue()), 7)]
        ((one, content),) = [(member, b"".join(member.pieces)) for member in members(pieces, "x")]
        assert (one.name, one.uid, one.gid, one.mode, content) == (long, 3_000_000, 4, 0o4711, b"12345")
        assert one.mtime_ns == 1_000_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"no archive at all" * 100,
        packed(a={"size": 5})[:514],
        packed(**{"../a": {}}),
        packed(**{"a/../../b": {}}),
        packed(a={"type": tarfile.LNKTYPE, "linkname": "../b"}),
        packed(a={"pax_headers": {"size": "x"}}),
        packed(a={"pax_headers": {"uid": "x"}}),
        packed(a={"pax_headers": {"uid": "99999999999"}}),
        packed(a={"pax_headers": {"mtime": "now"}}),
        packed(a={"pax_headers": {"path": "a\0b"}}),
        packed(a={"type": tarfile.GNUTYPE_SPARSE}),
        packed(a={"type": b"9"}),
        packed(a={"pax_headers": {"comment": "x" * (2 << 20)}}),
    ],
)
def test_damaged_archives(data: bytes, target: Path) -> None:
    with pytest.raises(InvalidImage):
        unpacked(data, target)
    assert list(target.parent.iterdir()) == [target]


def test_a_link_in_an_archive_is_no_way_out(target: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    data = packed(
        **{"a": {"type": tarfile.SYMTYPE, "linkname": str(tmp_path / "outside")}, "a/file": {"size": 1}},
    )
    with pytest.raises(SystemFailure):
        unpacked(data, target)
    assert list((tmp_path / "outside").iterdir()) == []


def test_paths_in_a_root(tmp_path: Path) -> None:
    (tmp_path / "root/in").mkdir(parents=True)
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "root/file").write_text("inside")
    for name, to in (
        ("abs", "/file"),
        ("up", "../../../file"),
        ("gone", "in/new"),
        ("loop", "loop"),
        ("out", "../outside"),
    ):
        (tmp_path / "root" / name).symlink_to(to)
    root = Root(os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY))
    try:
        assert root.read("/abs", 100) == root.read("/up", 100) == b"inside"
        assert root.read("/out", 100) == root.read("/file", 3) == root.read("/in", 9) == b""
        directory, name = root.place("/gone")
        assert (os.readlink(f"/proc/self/fd/{directory}"), name) == (str(tmp_path / "root/in"), "new")
        os.close(directory)
        for path in ("/loop", "/none/x", "/file/x"):
            with pytest.raises(OSError, match=path.strip("/").split("/")[0]):
                root.place(path)
    finally:
        root.close()


def test_plain_paths() -> None:
    assert plain("x/../../y", "/var/z") == "/var/y"
    assert plain("../../..", "/var") == "/"
