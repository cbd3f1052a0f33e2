"""Unpacked layers: formats, kinds of files, whiteouts, and refused layers."""

from __future__ import annotations

import gzip
import os
import stat
import struct
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod.errors import InvalidImage, SystemFailure
from pypod.images.layers.unpack import fit_to_lowers, unpack
from pypod.kernel.capabilities import CAPABILITIES
from tests.images.layers import Layer, checked, header, merged, pax, snapshot
from tests.images.place import Place, is_opaque, is_whiteout, names, refused

pytestmark = pytest.mark.root

CHR, BLK, FIFO, DIR = tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE
WHITEOUT = (stat.S_IFCHR, 0)


# Kinds of files and their metadata.


def test_every_kind_of_file_with_all_that_it_has(place: Place) -> None:
    capability = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
    text = capability.decode("latin-1")
    layer = Layer()
    layer.directory("./", mode=0o751, uid=3, mtime=11)
    layer.directory("d/", mode=0o2750, uid=1, gid=2, mtime=1_000_000_000.25)
    layer.add("d/f", b"content", mode=0o4711, uid=70000, gid=3_000_000, mtime=-1.5)
    layer.symlink("s", "../../canary/f").link("h", "d/f").link("hs", "s")
    layer.add("c", kind=CHR, devmajor=1, devminor=3, mode=0o666).add("b", kind=BLK, devmajor=8, devminor=0, mode=0o660)
    layer.add("p", kind=FIFO, mode=0o600, mtime=5)
    layer.add("a", b"", pax={"SCHILY.xattr.user.k": "v=\n1"})
    layer.raw(pax((b"SCHILY.xattr.security.capability", capability)) + header(b"cap", mode=b"0000755\0"))
    top = place.unpack(layer)
    found = snapshot(top)
    assert found["."][:3] == ("0o40751", 3, 0)
    assert found["."][4] == 11 * 10**9
    assert found["d"][:3] == ("0o42750", 1, 2)
    assert found["d"][4] == 1_000_000_000_250_000_000
    assert found["d/f"] == ("0o104711", 70000, 3_000_000, b"content", -1_500_000_000, (), "h")
    assert found["h"] == found["d/f"]
    assert found["s"][3] == b"../../canary/f"
    assert found["s"][6] == found["hs"][6]
    assert found["c"][3] == os.makedev(1, 3)
    assert found["b"][0], found["b"][3] == ("0o60660", os.makedev(8, 0))
    assert (found["p"][0], found["p"][4]) == ("0o10600", 5 * 10**9)
    assert found["a"][5] == (("user.k", b"v=\n1"),)
    assert found["cap"][5] == (("security.capability", text.encode("latin-1")),)
    assert place.unpacked.implied == ()
    assert place.unpacked.entries == 11


def test_access_lists_are_kept_and_not_passed_on_within_the_layer(place: Place) -> None:
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, bits, who)
        for tag, bits, who in (
            (1, 7, 2**32 - 1),
            (2, 7, 1000),
            (4, 5, 2**32 - 1),
            (16, 7, 2**32 - 1),
            (32, 0, 2**32 - 1),
        )
    )
    records = pax((b"SCHILY.xattr.system.posix_acl_default", acl), (b"SCHILY.xattr.system.posix_acl_access", acl))
    top = place.unpack(records + header(b"d/", kind=b"5", mode=b"0000775\0") + header(b"d/f", mode=b"0000644\0"))
    if os.listxattr(top / "d") == []:
        pytest.skip("the file system of the temporary directory has no access control lists")
    assert os.getxattr(top / "d", "system.posix_acl_default") == acl
    assert os.getxattr(top / "d", "system.posix_acl_access") == acl
    assert os.listxattr(top / "d/f") == []
    assert stat.S_IMODE((top / "d/f").stat().st_mode) == 0o644


def test_a_set_group_id_directory_gives_nothing_to_what_is_in_it(place: Place) -> None:
    layer = Layer().directory("d/", mode=0o2755, gid=7).add("d/f").directory("d/e/", mode=0o700).add("d/i/g")
    found = snapshot(place.unpack(layer))
    assert [found[name][:3] for name in ("d/f", "d/e", "d/i")] == [
        *(("0o100644", 0, 0), ("0o40700", 0, 0), ("0o40755", 0, 0))
    ]


def test_the_root_is_open_to_all_when_the_layer_does_not_say(place: Place) -> None:
    before = os.umask(0o077)
    try:
        assert snapshot(place.unpack(Layer().add("f")))["."][0] == "0o40555"
        assert snapshot(place.unpack(Layer().directory("./", mode=0o711)))["."][0] == "0o40711"
    finally:
        os.umask(before)


def test_times_of_directories_are_those_of_the_layer(place: Place) -> None:
    layer = Layer().directory("a/", mtime=5).directory("a/b/", mtime=6).add("a/b/f").add("a/g").directory("a/", mtime=7)
    top = place.unpack(layer.add("i/f").add("a/late"))
    assert [int((top / name).stat().st_mtime) for name in ("a", "a/b", "i")] == [7, 6, 0]


# Formats.


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_formats(place: Place, format: int) -> None:
    long = "x/" * 40 + "n" * 99
    layer = Layer(format).directory("x/").add(long, b"1" * 1000)
    if format != tarfile.USTAR_FORMAT:
        long = "y/" * 200 + "n" * 200
        layer.add(long, b"2", uid=5_000_000).add("l", kind=tarfile.SYMTYPE, linkname="t/" * 500)
    top = place.unpack(layer)
    assert (top / long).stat().st_size in (1, 1000)
    if format != tarfile.USTAR_FORMAT:
        assert (top / long).stat().st_uid == 5_000_000
        assert os.readlink(top / "l") == "t/" * 500


def test_v7_star_and_numbers_in_base_256(place: Place) -> None:
    v7 = bytearray(header(b"dir/", kind=b"\0"))
    v7[257:] = bytes(255)
    star = bytearray(header(b"name"))
    star[345:351] = b"prefix"
    star[476:500] = b"00000000000 00000000000 "
    star[508:512] = b"tar\0"
    negative = b"\xff" * 11 + b"\xfe"
    big = header(b"big", uid=b"\x80\0\0\0\x7f\xff\xff\xff", mtime=negative)
    top = place.unpack(checked(v7) + checked(star) + big + header(b"con", kind=b"7", size=b"3") + b"abc" + bytes(509))
    assert names(top) == {"dir", "prefix", "prefix/name", "big", "con"}
    assert (top / "dir").is_dir()
    assert ((top / "big").stat().st_uid, (top / "big").stat().st_mtime) == (2**31 - 1, -2)
    assert (top / "con").read_bytes() == b"abc"


def test_pax_records_win_and_global_ones_change_nothing(place: Place) -> None:
    wide = pax((b"path", b"e"), (b"uid", b"9"))
    wide = checked(wide[:156] + b"g" + wide[157:512]) + wide[512:]
    own = pax((b"path", b"a" * 300), (b"path", b"b/c"), (b"size", b"3"), (b"mtime", b"7.000000001999"), (b"gid", b""))
    top = place.unpack(wide + own + header(b"x", size=b"0") + b"abc" + bytes(509) + header(b"after"))
    assert names(top) == {"b", "b/c", "after"}
    assert (top / "b/c").read_bytes() == b"abc"
    assert (top / "b/c").stat().st_mtime_ns == 7_000_000_001
    assert (top / "b/c").stat().st_uid == 0


SPARSE_DATA = b"A" * 512 + b"B" * 512
SPARSE = bytes(1024) + b"A" * 512 + bytes(2048) + b"B" * 512 + bytes(1000)
SPARSE_SIZE = b"%d" % len(SPARSE)


def old_gnu_sparse(*, many: bool = False) -> bytes:
    block = bytearray(header(b"s", kind=b"S", size=b"%o" % len(SPARSE_DATA), magic=b"ustar  \0"))
    pairs = [(1024, 512), (3584, 512), (len(SPARSE), 0)]
    if many:
        pairs = [(1024, 512), (2000, 0), (2000, 0), (2000, 0), (3584, 512), (len(SPARSE), 0)]
    encoded = [b"%011o\0%011o\0" % pair for pair in pairs]
    block[386:482] = b"".join(encoded[:4]).ljust(96, b"\0")
    block[482] = int(many)
    block[483:495] = b"%011o\0" % len(SPARSE)
    return checked(block) + (b"".join(encoded[4:]).ljust(512, b"\0") if many else b"") + SPARSE_DATA


def pax_sparse(version: str) -> bytes:
    size = b"%o" % len(SPARSE_DATA)
    if version == "0.0":
        pairs = [(b"offset", b"1024"), (b"numbytes", b"512"), (b"offset", b"3584"), (b"numbytes", b"512")]
        records = [(b"size", SPARSE_SIZE), (b"numblocks", b"2"), *pairs]
        return pax(*((b"GNU.sparse." + k, v) for k, v in records)) + header(b"s", size=size) + SPARSE_DATA
    if version == "0.1":
        records = [(b"size", SPARSE_SIZE), (b"numblocks", b"2"), (b"map", b"1024,512,3584,512"), (b"name", b"s")]
        return pax(*((b"GNU.sparse." + k, v) for k, v in records)) + header(b"x/s", size=size) + SPARSE_DATA
    records = [(b"major", b"1"), (b"minor", b"0"), (b"name", b"s"), (b"realsize", SPARSE_SIZE)]
    data = b"3\n1024\n512\n3584\n512\n%d\n0\n" % len(SPARSE)
    data += bytes(512 - len(data)) + SPARSE_DATA
    return pax(*((b"GNU.sparse." + k, v) for k, v in records)) + header(b"x/s", size=b"%o" % len(data)) + data


@pytest.mark.parametrize(
    "layer",
    [old_gnu_sparse(), old_gnu_sparse(many=True), *(pax_sparse(version) for version in ("0.0", "0.1", "1.0"))],
    ids=["old", "old-extended", "0.0", "0.1", "1.0"],
)
def test_sparse_files(place: Place, layer: bytes) -> None:
    top = place.unpack(layer + header(b"next"))
    assert names(top) == {"s", "next"}
    assert (top / "s").read_bytes() == SPARSE


def test_holes_take_no_space(place: Place) -> None:
    records = [(b"major", b"1"), (b"minor", b"0"), (b"realsize", b"%d" % (1 << 30))]
    data = b"1\n%d\n0\n" % (1 << 30)
    layer = (
        pax(*((b"GNU.sparse." + k, v) for k, v in records)) + header(b"s", size=b"%o" % 512) + data.ljust(512, b"\0")
    )
    status = (place.unpack(layer) / "s").stat()
    assert (status.st_size, status.st_blocks) == (1 << 30, 0)
    refused(place, layer, "files are larger than is allowed", limit_bytes=(1 << 30) - 1)


def test_the_end(place: Place) -> None:
    one = header(b"f", size=b"3") + b"abc" + bytes(509)
    for end in (b"", bytes(512), bytes(1024), bytes(1024) + b"whatever follows" * 1000, bytes(10240)):
        assert names(place.unpack(one + end)) == {"f"}
    assert names(place.unpack(b"")) == set()
    assert place.unpacked.implied == (".",)


MALFORMED = {
    "cut in a header": (header(b"f")[:300], "it is cut short"),
    "cut in data": (header(b"f", size=b"5000") + b"x" * 600, "it is cut short: 'f'"),
    "cut in padding": (header(b"f", size=b"3") + b"abc", "it is cut short"),
    "cut after a pax header": (pax((b"path", b"x")), "it is cut short"),
    "checksum": (header(b"f").replace(b"ustar", b"Ustar"), "checksum of a header is wrong"),
    "garbage": (b"garbage!" * 64, "a number is not one|checksum"),
    "a lone empty block": (header(b"a") + bytes(512) + header(b"f"), "a header is empty"),
    "negative size": (header(b"f", size=b"\xff" * 12), "out of range"),
    "enormous size": (header(b"f", size=b"\x80" + b"\x7f" * 11), "a number is too large"),
    "size beyond the limit": (header(b"f", size=b"7" * 11), "larger than is allowed|cut short"),
    "no octal": (header(b"f", size=b"12x"), "a number is not one"),
    "owner": (header(b"f", uid=b"\x80\0\0\0\xff\xff\xff\xff"), "out of range"),
    "type": (header(b"f", kind=b"V"), "a type that layers do not have"),
    "pax length": (pax((b"path", b"x")).replace(b"9 path", b"8 path") + header(), "pax header is malformed"),
    "pax without =": (pax((b"path", b"x")).replace(b"path=", b"path-") + header(), "pax header is malformed"),
    "pax number": (pax((b"uid", b"1x")) + header(), "a number is not one"),
    "pax time": (pax((b"mtime", b"1.x")) + header(), "a time is not one"),
    "pax size": (header(b"p", kind=b"x", size=b"7" * 8), "a header is larger than 1 MiB"),
    "xattr name": (pax((b"SCHILY.xattr.user." + b"n" * 300, b"x")) + header(), "attribute is too long"),
    "symlink to nothing": (header(kind=b"2"), "target of a symbolic link is empty"),
    "sparse map": (pax_sparse("0.1").replace(b"1024,512", b"1024,999"), "contradicts"),
    "sparse order": (pax_sparse("0.1").replace(b"1024,512,3584", b"3584,512,1024"), "contradicts itself"),
    "sparse odd": (pax_sparse("0.1").replace(b",3584,512", b",3584    "), "a number is not one"),
    "sparse beyond": (pax_sparse("1.0").replace(b"3584\n512", b"9584\n512"), "contradicts itself"),
    "sparse end": (pax_sparse("0.1").replace(SPARSE_SIZE, b"4000"), "contradicts itself"),
    "sparse count": (pax_sparse("1.0").replace(b"3\n1024", b"9\n1024"), "a number is not one|malformed|cut short"),
    "old sparse": (checked(old_gnu_sparse()[:257] + b"ustar\x0000" + old_gnu_sparse()[265:512]), "no format of GNU"),
    "whiteout device": (header(kind=b"3", major=b"0000000\0", minor=b"0000000\0"), "would be a whiteout"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(place: Place, name: str) -> None:
    layer, reason = MALFORMED[name]
    refused(place, layer, reason, limit_bytes=1 << 32)


def test_a_directory_again_keeps_what_is_in_it(place: Place) -> None:
    top = place.unpack(Layer().directory("d/", mode=0o700).add("d/f").directory("d/", mode=0o711, uid=5))
    assert names(top) == {"d", "d/f"}
    assert stat.S_IMODE((top / "d").stat().st_mode) == 0o711
    assert (top / "d").stat().st_uid == 5
    refused(place, Layer().add("f").add("f/g"), "through something that is no directory")


# Whiteouts.


def test_whiteouts(place: Place) -> None:
    top = place.unpack(Layer().directory("d/").add("d/.wh.gone").add("d/.wh..wh..opq").add(".wh.top").add("e/.wh.x"))
    assert names(top) == {"d", "d/gone", "top", "e", "e/x"}
    assert all(is_whiteout(top / name) for name in ("d/gone", "top", "e/x"))
    assert is_opaque(top / "d")
    assert place.unpacked.implied == (".", "e")
    assert place.unpacked.whitening == (".", "d", "e")
    assert not place.unpacked.root_is_opaque
    place.unpack(Layer().add("./.wh..wh..opq"))
    assert place.unpacked.root_is_opaque


@pytest.mark.not_in_chroot
def test_layers_on_each_other(place: Place) -> None:
    """The kernel's overlay of them shows what the layers say."""
    low = (
        Layer().directory("a/", mode=0o711, uid=4, mtime=9).add("a/x", b"1").add("a/y", b"2").directory("b/").add("b/z")
    )
    low.directory("c/", mode=0o700).add("c/1").symlink("l", "a").add("f", b"f")
    high = Layer().add("a/.wh.x").add("a/n", b"3").add("b/.wh..wh..opq").add("b/new").add(".wh.f").directory("./")
    high.add("l/in", b"a link below is replaced by a directory, as podman has it").add(".wh.c").add("c/2")
    bottom = place.unpack(low)
    top = place.unpack(high)
    assert place.unpacked.implied == ("a", "b", "l")
    fit_to_lowers(str(top), place.unpacked, [str(bottom)])
    found = merged([bottom, top])
    assert found.keys() == {".", "a", "a/y", "a/n", "b", "b/new", "c", "c/2", "l", "l/in"}
    assert found["a"][:3] == ("0o40711", 4, 0)
    assert found["a"][4] == 9 * 10**9
    assert (found["c"][0], found["l"][0]) == ("0o40755", "0o40755")


@pytest.mark.not_in_chroot
def test_whiteouts_that_hide_nothing_are_not_listed(place: Place) -> None:
    """The kernel lists them in a directory that is in one layer only."""
    low = Layer().directory("a/").add("a/x").directory("o/").add("o/x").add(".wh.nothing")
    high = Layer().directory("new/", mtime=5).add("new/.wh.ghost").add("o/.wh.x").add("o/.wh..wh..opq").add("a/.wh.x")
    made: list[Path] = []
    for layer in (low, high):
        made.append(place.unpack(layer))
        fit_to_lowers(str(made[-1]), place.unpacked, [str(below) for below in made[-2::-1]])
    found = merged(made)
    assert found.keys() == {".", "a", "new", "o"}
    assert found["new"][4] == 5 * 10**9
    assert is_whiteout(made[1] / "a/x")


def test_inherit_stops_where_the_layers_below_are_hidden(place: Place) -> None:
    def stacked(*layers: Layer) -> dict[str, tuple]:
        made: list[str] = []
        for layer in layers:
            top = place.unpack(layer)
            fit_to_lowers(str(top), place.unpacked, made)
            made.insert(0, str(top))
        return snapshot(made[0])

    low = Layer().directory("d/", uid=1).directory("d/e/", uid=2, pax={"SCHILY.xattr.user.k": "v"})
    assert stacked(low, Layer().add("x"), Layer().add("d/e/f"))["d/e"][1] == 2
    assert stacked(low, Layer().add("d/e/f"))["d/e"][5] == (("user.k", b"v"),)
    assert stacked(low, Layer().add(".wh.d"), Layer().add("d/e/f"))["d/e"][1] == 0
    assert stacked(low, Layer().add("d/.wh..wh..opq"), Layer().add("d/e/f"))["d/e"][1] == 0
    assert stacked(low, Layer().add("d/.wh..wh..opq").add("d/e/f"))["d/e"][1] == 0
    assert stacked(low, Layer().add("d/.wh..wh..opq"), Layer().add("d/f"))["d"][1] == 1
    assert stacked(low, Layer().symlink("d", str(place.canary)), Layer().add("d/e/f"))["d/e"][1] == 0
    assert stacked(low, Layer().add("d", b""), Layer().add("d/e/f"))["d"][1] == 0
    assert (
        stacked(Layer().symlink("d", "/"), Layer().directory("real/").symlink("d", "real").add("d/e/f"))["real/e"][1]
        == 0
    )
    assert stacked(Layer().directory("./", uid=6), Layer().add("f"))["."][1] == 6


# Digests, sizes, bombs, and a full disk.


def test_digests_and_sizes(place: Place) -> None:
    layer = Layer().add("f", b"content").bytes()
    stored = gzip.compress(layer)
    place.unpack(stored)
    made = place.unpacked
    assert (made.compressed_bytes, made.size_bytes) == (len(stored), len(layer))
    place.unpack(stored, digest=made.digest, diff_id=made.diff_id, size=len(stored))
    other = "sha256:" + "0" * 64
    refused(place, stored, f"layer {other}: its digest is {made.digest}", digest=other)
    refused(place, stored, f"its diff id is {made.diff_id}", diff_id=other)
    refused(place, stored, "larger than the stated 10 bytes", size=10)
    refused(place, stored, f"{len(stored)} bytes, {len(stored) + 1} are stated", size=len(stored) + 1)


def test_bombs(place: Place) -> None:
    zeros = gzip.compress(header(b"f", size=b"%o" % (1 << 30)) + bytes(64 << 20))
    refused(place, zeros, "larger than 16777216 bytes when unpacked|larger than is allowed", limit_bytes=1 << 24)
    nothing = gzip.compress(bytes(64 << 20))
    refused(place, nothing, "larger than 16777216 bytes when unpacked", limit_bytes=1 << 24)


@pytest.mark.not_in_chroot
def test_a_full_disk_is_no_fault_of_the_layer(place: Place) -> None:
    layer = Layer().add("big", bytes(4 << 20)).bytes()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pypod.images.layers.unpack import unpack\nfrom pypod.errors import SystemFailure\n"
        "try: unpack([sys.stdin.buffer.read()], sys.argv[2])\n"
        "except SystemFailure as error: print(error.errno, error)\n"
    )
    import subprocess
    import sys

    target = place.top / "1"
    target.mkdir()
    script = f'mount -t tmpfs -o size=1m none {target} && exec "$@"'
    root = str(Path(__file__).parents[2])
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", code, root, str(target)]
    done = subprocess.run(command, input=layer, capture_output=True, check=True)
    assert done.stdout.decode() == f"28 unpack layer: write: {os.strerror(28)}: 'big'\n"


def test_the_program_gives_up_what_it_does_not_need(place: Place) -> None:
    """While it reads: its root, capabilities, system calls and descriptors."""
    found: dict[str, str] = {}

    def pieces() -> Iterator[bytes]:
        yield header(b"f", size=b"%o" % 512)
        (pid,) = Path("/proc/thread-self/children").read_text().split()
        process = Path("/proc") / pid
        for _ in range(5000):
            if "pypod-unpack" in (process / "comm").read_text() and os.listdir(place.top / "1"):
                break
            time.sleep(0.001)
        found.update(line.split(":\t") for line in (process / "status").read_text().splitlines() if ":\t" in line)
        found["root"] = " ".join(os.listdir(process / "root"))
        found["cwd"] = " ".join(os.listdir(process / "cwd"))
        found["fds"] = " ".join(os.readlink(path) for path in (process / "fd").iterdir())
        yield bytes(512)

    (place.top / "1").mkdir()
    unpack(pieces(), str(place.top / "1"))
    assert (found["root"], found["cwd"]) == ("f", "f")
    kept = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP", "SYS_ADMIN")
    mask = sum(1 << CAPABILITIES.index(f"CAP_{name}") for name in kept)
    assert [int(found[name], 16) & ~mask for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")] == [0] * 4
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert str(place.top) not in found["fds"].replace(str(place.top / "1"), "")


def test_a_report_has_a_limit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from pypod.images.layers import unpack as module

    monkeypatch.setattr(module, "_REPORT_BYTES_LIMIT", 100_000)
    refused(place, b"".join(pax((b"path", b"d" * 200 + b"%d/f" % n)) + header() for n in range(800)), "have no entry")


def test_no_program_is_left_and_no_descriptor(place: Place) -> None:
    def pieces() -> Iterator[bytes]:
        yield header(b"f", size=b"7777777")
        raise KeyboardInterrupt

    before = len(os.listdir("/proc/self/fd"))
    target = place.top / "1"
    target.mkdir()
    with pytest.raises(KeyboardInterrupt):
        unpack(pieces(), str(target))
    with pytest.raises(InvalidImage):
        unpack([b"x" * 5000] * 1000, str(target))
    with pytest.raises(FileNotFoundError):
        unpack([], str(target / "missing"))
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_program_that_dies_is_told(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also if SIGPIPE is not ignored, as in a program that embeds Python."""
    import signal

    from pypod.kernel import programs

    fake = place.top / "programs"
    fake.mkdir()
    (fake / "unpack").write_text("#!/bin/sh\nkill -KILL $$\n")
    (fake / "unpack").chmod(0o755)
    monkeypatch.setattr(programs, "DIRECTORY", str(fake))
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        with pytest.raises(SystemFailure, match=r"ended before it could report, by signal 9$"):
            place.unpack(bytes(1 << 24))
    finally:
        signal.signal(signal.SIGPIPE, before)


def test_memory_does_not_grow_with_the_layer(place: Place) -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pypod.images.layers.unpack import unpack\nfrom pypod.images.layers.compression import compress\n"
        "from tests.images.layers import header\n"
        "def tar():\n"
        "    yield header(b'f', size=b'%o' % (30 << 20))\n"
        "    for _ in range(300): yield bytes(1 << 20)\n"  # most of it is after the end and need not be written
        "unpack(compress(tar(), sys.argv[3]), sys.argv[2])\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    for number, kind in enumerate(("gzip", "zstd"), 1):
        target = place.top / str(number)
        target.mkdir()
        command = [sys.executable, "-c", code, str(Path(__file__).parents[2]), str(target), kind]
        peak_kb = int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        assert peak_kb < 40_000, kind
        (target / "f").unlink()
