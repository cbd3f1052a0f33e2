"""Gzip and zstd bombs, wrong sizes, trailing data, indexes that multiply (GO-2026-6597)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pypod.images.layers.compression import compress
from pypod.model.images.image import OCI_INDEX
from pypod.model.images.platform import host
from tests.attacks.pulled import Storage, assert_refused
from tests.fake_registry import Images, images_of
from tests.images.forms import digest
from tests.images.layers import header
from tests.images.made import Made, layer

pytestmark = pytest.mark.root

DISK_BYTES = 100 << 20
PEAK_BYTES = 100 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Storage]:
    """Return a storage on a disk of 100 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=711", "tmpfs", disk], check=True)
    try:
        with ExitStack() as stack:
            yield Storage(stack, str(disk / "storage"))
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def image_of(*stored: bytes) -> Made:
    """Return an image of these blobs, whatever they contain."""
    made = Made(*[b""] * len(stored), config={"Cmd": ["x"]})
    made.layers = list(stored)
    return made


def zeros(size_bytes: int, kind: str) -> bytes:
    """Return a compressed layer with a file of that many zeros."""

    def pieces() -> Iterator[bytes]:
        yield header(b"bomb", size=b"%o" % size_bytes)
        for _ in range(size_bytes >> 20):
            yield bytes(1 << 20)

    return b"".join(compress(pieces(), kind))


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_more_than_the_disk_has(small: Storage, kind: str) -> None:
    bomb = zeros(3 * DISK_BYTES, kind)
    assert len(bomb) < 4 << 20
    found = small.refuses(image_of(bomb), "No space left on device")
    assert found.peak_bytes < PEAK_BYTES
    assert small.pull(Made(layer({"f": b"1"}), config={"Cmd": ["x"]})).code == 0


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_more_than_a_layer_may_have(storage: Storage, kind: str) -> None:
    """The size in a file's header is checked at once, without waiting for 8 GiB of data."""
    bomb = b"".join(compress([header(b"bomb", size=b"\x80" + (65 << 30).to_bytes(11, "big"))], kind))
    assert storage.refuses(image_of(bomb), "larger than is allowed").peak_bytes < PEAK_BYTES


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_after_the_end_of_the_tar(small: Storage, kind: str) -> None:
    """Data after the archive belongs to the diff ID, so it is hashed, but it is not written anywhere."""
    plain = layer({"f": b"1"})
    bomb = b"".join(compress([plain, *[bytes(1 << 20)] * 300], kind))
    assert small.refuses(image_of(bomb), "its diff id is").peak_bytes < PEAK_BYTES


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_data_that_follows_the_compressed(storage: Storage, kind: str) -> None:
    stored = b"".join(compress([layer({"f": b"1"})], kind))
    storage.refuses(image_of(stored + b"what follows" * 1000), f"its {kind} data are damaged")


@pytest.mark.parametrize("change", [-1, 1, 1 << 40])
def test_a_size_that_lies(storage: Storage, change: int) -> None:
    made = Made(layer({"f": b"1"}), config={"Cmd": ["x"]})
    images = images_of(made)
    found = json.loads(made.manifest_body())
    found["layers"][0]["size"] += change
    images.put("latest", json.dumps(found).encode())
    assert storage.refuses(images, "descriptor says").peak_bytes < PEAK_BYTES


def test_a_configuration_as_large_as_a_film(storage: Storage) -> None:
    made = Made(layer({"f": b"1"}), config={"Cmd": ["x"]})
    images = images_of(made)
    found = json.loads(made.manifest_body())
    found["config"]["size"] = 1 << 40
    images.put("latest", json.dumps(found).encode())
    storage.refuses(images, "larger than 4194304 bytes")


def index_of(*bodies: bytes) -> bytes:
    entries = [{"mediaType": OCI_INDEX, "digest": digest(body), "size": len(body)} for body in bodies]
    platform = {"os": "linux", "architecture": host().architecture}
    return json.dumps({"schemaVersion": 2, "manifests": [{**one, "platform": platform} for one in entries]}).encode()


def test_indexes_within_indexes_end(storage: Storage) -> None:
    """An index nested in indexes again and again is not followed."""
    images: Images = images_of(Made(layer({"f": b"1"}), config={"Cmd": ["x"]}))
    body = images.manifests["latest"][1]
    for _ in range(10):
        body = index_of(body)
        images.put("latest", body, OCI_INDEX)
    server = storage.serve(images)
    storage.refuses(server, "too deep")
    assert len(server.asked("GET", "/manifests/")) == 3


def test_an_index_that_names_the_same_again_and_again(storage: Storage) -> None:
    """Following every entry would multiply them; only one is chosen."""
    images = images_of(Made(layer({"f": b"1"}), config={"Cmd": ["x"]}))
    body = images.manifests["latest"][1]
    for _ in range(2):
        body = index_of(*[body] * 900)
        images.put("latest", body, OCI_INDEX)
    server = storage.serve(images)
    assert storage.pull(server).code == 0
    assert len(server.asked("GET", "/manifests/")) == 3
    images.put("latest", index_of(*[body] * 1001), OCI_INDEX)
    assert_refused(storage.pull(server), "more than 1000 entries")
