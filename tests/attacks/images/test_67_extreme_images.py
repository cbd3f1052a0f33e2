"""Images with 10,000 layers, 600,000 files, 60 GiB of holes, directories 2,000 levels deep, huge zstd windows."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from pypod.images.layers.compression import _zstd
from tests.attacks.pulled import Storage, assert_refused
from tests.fake_registry import images_of
from tests.images.layers import header, pax
from tests.images.made import Made, layer

pytestmark = pytest.mark.root

PEAK_BYTES = 100 << 20
GIB = 1 << 30


def image(*layers: bytes, compress: bool = False) -> Made:
    return Made(*layers, config={"Cmd": ["x"]}, compress=compress)


def sparse(size_bytes: int) -> bytes:
    """Return a tar of 2 kB with a file that is a single hole."""
    records = [(b"major", b"1"), (b"minor", b"0"), (b"realsize", b"%d" % size_bytes)]
    data = b"1\n%d\n0\n" % size_bytes
    head = pax(*((b"GNU.sparse." + key, value) for key, value in records)) + header(b"s", size=b"%o" % 512)
    return head + data.ljust(512, b"\0")


@pytest.mark.parametrize(
    ("count", "reason"),
    [(10_000, "more than 1000 entries"), (401, "it has 401 layers; overlayfs can stack at most 400")],
)
def test_layers_without_number(storage: Storage, count: int, reason: str) -> None:
    made = image(*[layer({"f": b""})] * count)
    found = storage.refuses(made, reason)
    assert found.peak_bytes < PEAK_BYTES


def test_as_many_layers_as_lie_on_each_other(storage: Storage, full: bool) -> None:
    count = 400 if full else 40
    assert storage.pull(image(*(layer({f"f{n}": b""}) for n in range(count)))).code == 0
    assert len(storage.holds()["layers"]) == count


def test_a_hole_of_60_gib(storage: Storage) -> None:
    found = storage.pull(image(sparse(60 * GIB)))
    assert found.code == 0, found
    assert found.peak_bytes < PEAK_BYTES
    status = next(Path(storage.root, "images/layers").glob("*/s")).stat()
    assert (status.st_size, status.st_blocks) == (60 * GIB, 0)


@pytest.mark.parametrize("size_bytes", [65 * GIB, 1 << 53])
def test_a_hole_that_is_larger_than_a_layer_may_be(storage: Storage, size_bytes: int) -> None:
    storage.refuses(image(sparse(size_bytes)), "its files are larger than is allowed")


def test_files_without_number(storage: Storage, full: bool) -> None:
    """Memory use does not depend on their number."""
    count = 600_000 if full else 20_000
    entries = b"".join(header(b"%d/%d" % (n % 100, n)) for n in range(count))
    found = storage.pull(image(entries, compress=True))
    assert found.code == 0, found
    assert found.peak_bytes < PEAK_BYTES
    (directory,) = storage.holds()["layers"]
    assert sum(len(files) for _, _, files in os.walk(f"{storage.root}/images/layers/{directory}")) == count


DEEP = [layer({"/".join(["d"] * depth): None for depth in depths}) for depths in (range(1, 2001), [2000])]


@pytest.mark.parametrize("layers", [DEEP[:1], DEEP[1:], DEEP], ids=["said", "implied", "implied on said"])
def test_directories_as_deep_as_a_path_is_long(storage: Storage, layers: list[bytes]) -> None:
    """Every traversal is bounded too: a command that cannot follow says so, and everything can be removed."""
    made = image(*layers)
    found = storage.pull(made)
    assert found.cpu_s < 10  # not two million steps, which take 20 seconds
    assert found.code == 0, found
    assert found.peak_bytes < PEAK_BYTES
    container = storage.pypod.ok("create", made.id, "x").strip()
    for words in (
        ("export", "-o", "/dev/null", container),
        ("commit", "-q", container, "localhost/deep"),
        ("save", "-q", "-o", f"{storage.root}.tar", made.id),
        ("image", "mount", made.id),
        ("image", "umount", made.id),
    ):
        found = storage.run(*words)
        if found.code:
            assert_refused(found, "directories are nested too deeply")
        assert found.peak_bytes < PEAK_BYTES
    storage.pypod.ok("rm", container)
    storage.pypod.ok("rmi", "-af")
    assert storage.holds() == {}
    deadline_s = time.monotonic() + 60
    while os.listdir(f"{storage.root}/trash"):  # pytest could not delete it
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_a_path_that_is_too_long(storage: Storage) -> None:
    storage.refuses(image(layer({"/".join(["d"] * 2100): None})), "a name is too long")


def zstd_frame(window_log: int) -> bytes:
    """Return a frame with a window of that size that holds 512 zeros (RFC 8878, 3.1.1)."""
    block = (512 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"  # the last block, an RLE block
    return b"\x28\xb5\x2f\xfd\0" + bytes([(window_log - 10) << 3]) + block


@pytest.mark.parametrize("window_log", [28, 31, 41])
def test_a_window_that_is_larger_than_zstd_makes(storage: Storage, window_log: int) -> None:
    made = image(bytes(512))
    made.layers = [zstd_frame(window_log)]
    found = storage.refuses(made, "Frame requires too much memory for decoding")
    assert found.peak_bytes < PEAK_BYTES


def test_a_window_as_large_as_zstd_makes(storage: Storage) -> None:
    made = image(bytes(512))
    made.layers = [zstd_frame(27)]
    found = storage.pull(made)
    assert found.code == 0, found
    assert found.peak_bytes < PEAK_BYTES + (128 << 20)


@pytest.mark.parametrize("count", [3, 8])
def test_many_large_windows_at_once(storage: Storage, count: int) -> None:
    """At most as many as there are concurrent unpackers."""
    zstd = _zstd()
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.compression_level: 1}
    plain = [layer({f"f{n}": os.urandom(100_000)}) for n in range(count)]
    made = image(*plain)
    made.layers = [zstd.compress(one, options=options) for one in plain]
    found = storage.pull(images_of(made))
    assert found.code == 0, found
    assert found.peak_bytes < PEAK_BYTES + 3 * (136 << 20)
    assert all(
        stat.S_ISDIR(os.stat(f"{storage.root}/images/layers/{name}").st_mode) for name in storage.holds()["layers"]
    )
