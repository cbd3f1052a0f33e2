"""Devices, FIFOs, set-ID files, capabilities, wrong sizes, duplicate names: the same tree as other tools create."""

from __future__ import annotations

import os
import struct
import tarfile
from pathlib import Path

import pytest

from tests.images import podman, umoci
from tests.images.layers import Layer, header, merged, pax, snapshot
from tests.images.oci import unpack_layers
from tests.images.place import Place, is_opaque, names, refused

pytestmark = pytest.mark.root

CHR, BLK, FIFO = tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE


def test_attributes_that_steer_the_host_are_left_out(place: Place) -> None:
    records = [(b"SCHILY.xattr." + key, b"y") for key in (b"trusted.overlay.opaque", b"trusted.overlay.redirect")]
    records += [(b"SCHILY.xattr." + key, b"y") for key in (b"trusted.x", b"security.ima", b"user.overlay.opaque")]
    records += [(b"SCHILY.xattr.user.fine", b"y"), (b"SCHILY.xattr.user.a\0b", b"y")]
    top = place.unpack(pax(*records) + header(b"d/", kind=b"5") + pax(*records) + header(b"f"))
    assert os.listxattr(top / "d") == ["user.fine"]
    assert os.listxattr(top / "f") == ["user.fine"]


REPLACING = {
    "file": lambda layer: layer.add("x", b"file"),
    "directory": lambda layer: layer.directory("x/").add("x/inside", b"1").directory("x/d/").add("x/d/e"),
    "symlink": lambda layer: layer.symlink("x", "/etc"),
    "fifo": lambda layer: layer.add("x", kind=FIFO),
    "device": lambda layer: layer.add("x", kind=CHR, devmajor=1, devminor=3),
    "link": lambda layer: layer.link("x", "other"),
}


@pytest.mark.parametrize("second", REPLACING)
@pytest.mark.parametrize("first", REPLACING)
def test_the_last_entry_of_a_name_counts(place: Place, first: str, second: str) -> None:
    start = Layer().add("other", b"other")
    alone = place.unpack(REPLACING[second](Layer().add("other", b"other")))
    both = place.unpack(REPLACING[second](REPLACING[first](start)))
    expected, found = snapshot(alone, times=False), snapshot(both, times=False)
    if second == "directory" and first != "directory":  # the earlier object hid the layers below
        assert is_opaque(both / "x")
        os.removexattr(both / "x", "trusted.overlay.opaque")
        found = snapshot(both, times=False)
    assert {path: entry[:4] for path, entry in found.items()} == {path: entry[:4] for path, entry in expected.items()}


CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


def of_every_kind(*, times: int) -> list[bytes]:
    """Return stacked layers that umoci, podman and image-spec interpret in the same way."""
    low = Layer().directory("./", mtime=1).directory("d/", mode=0o2750, uid=1, gid=2, mtime=3).add("d/f", b"1", mtime=4)
    low.add("null", kind=CHR, devmajor=1, devminor=3, mode=0o666, mtime=5)
    low.add("disk", kind=BLK, devmajor=8, devminor=1, mode=0o660, gid=6, mtime=5)
    low.add("pipe", kind=FIFO, mode=0o600, mtime=5).add("set", b"x", mode=0o6755, uid=33, mtime=5)
    low.add("sticky", b"x", mode=0o1777, mtime=5).symlink("s", "/etc/passwd").link("hs", "s")
    low.add("hp", kind=tarfile.LNKTYPE, linkname="pipe", mode=0o600, mtime=5)
    low.raw(pax((b"SCHILY.xattr.security.capability", CAPABILITY)) + header(b"able", mode=b"0000755\0"))
    for number in range(times):
        low.add("again", b"%d" % number, mode=0o640 + number, mtime=6)
    low.directory("turns/", mtime=7).add("turns/in", b"x", mtime=7).add("l", b"file", mtime=7).directory("e/", mtime=7)
    high = Layer().directory("./", mtime=1).add("turns", b"a file now", mtime=8).add("s", b"no link now", mtime=8)
    high.directory("l/", mtime=8).add("l/in", b"x", mtime=8).add("pipe", b"a file now", mtime=8)
    high.symlink("e", "d")
    high.add("null", kind=FIFO, mtime=8).add("set", b"plain now", mode=0o755, mtime=8)
    return [low.bytes(), high.bytes()]


def compared(tree: dict[str, tuple]) -> dict[str, tuple]:
    """Return kind, mode, owner, content and capability; directory times differ between programs."""
    return {path: (*entry[:4], dict(entry[5]).get("security.capability")) for path, entry in tree.items()}


@pytest.mark.not_in_chroot
def test_the_same_as_umoci(tmp_path: Path) -> None:
    layout = umoci.layout(of_every_kind(times=3), tmp_path / "oci")
    ours = compared(merged(unpack_layers(layout, tmp_path / "layers")))
    assert ours == compared(umoci.unpacked(layout, "latest", tmp_path / "bundle"))
    assert ours["again"][:4] == ("0o100642", 0, 0, b"2")


@pytest.mark.not_in_chroot
def test_the_same_as_podman(tmp_path: Path) -> None:
    """podman accepts no duplicate names, and its root is 0555 whatever the layer says."""
    layout = umoci.layout(of_every_kind(times=1), tmp_path / "oci")
    ours, theirs = compared(merged(unpack_layers(layout, tmp_path / "layers"))), compared(podman.mounted(layout))
    assert {**ours, ".": theirs["."]} == theirs


SIZES = {
    "pax says more": (pax((b"size", b"5000")) + header(size=b"3") + b"abc" + bytes(509), "it is cut short"),
    "pax says less": (pax((b"size", b"0")) + header(size=b"1000") + b"x" * 1024, "checksum|a number is not one"),
    "sparse says much": (
        pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9" * 18))
        + header(size=b"1000")
        + b"0\n".ljust(512, b"\0"),
        "larger than is allowed|contradicts",
    ),
}


@pytest.mark.parametrize("name", SIZES)
def test_lies_about_sizes(place: Place, name: str) -> None:
    layer, reason = SIZES[name]
    refused(place, layer, reason, limit_bytes=1 << 32)


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_what_has_no_content_has_no_size(place: Place, kind: bytes) -> None:
    """As in GNU tar and Go: the next block is a header, or two readers would see two trees (CVE-2025-62518)."""
    odd = header(b"odd", kind=kind, size=b"1000", link=b"f", major=b"0000001\0", minor=b"0000003\0")
    assert names(place.unpack(header(b"f") + odd + header(b"next") + header(b"last"))) == {"f", "odd", "next", "last"}
