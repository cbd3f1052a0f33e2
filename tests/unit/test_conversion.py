"""Manifests of one family in the words of the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod.errors import InvalidImage, Unsupported
from pypod.images.conversion import converted
from pypod.images.detect import open_source
from pypod.images.graph import walk
from pypod.model.image import DOCKER_LAYER, DOCKER_MANIFEST, OCI_LAYER, OCI_MANIFEST, parse_manifest
from tests.images.stored import Tiny, digest, layout_files, write

try:
    from compression import zstd
except ImportError:
    from backports import zstd


@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("docker", [True, False], ids=["docker", "oci"])
def test_there_and_back(tmp_path: Path, compress: bool, docker: bool) -> None:
    image = Tiny(b"one", b"two", compress=compress, docker=docker)
    own, other = (DOCKER_MANIFEST, OCI_MANIFEST) if docker else (OCI_MANIFEST, DOCKER_MANIFEST)
    with open_source("oci", str(write(tmp_path, layout_files({"x": image})))) as source:
        (manifest,) = walk(source)
        assert converted(source, manifest, own) == image.manifest
        there = parse_manifest(converted(source, manifest, other))
        back = parse_manifest(converted(source, there, own))
    assert there.media_type == other
    blobs = [(blob.digest, blob.size) for blob in (manifest.config, *manifest.layers)]
    assert [(blob.digest, blob.size) for blob in (there.config, *there.layers)] == blobs
    if not (docker and not compress):  # docker's own word for plain layers is .gzip
        assert (back.config, back.layers) == (manifest.config, manifest.layers)


def test_the_bytes_have_the_last_word(tmp_path: Path) -> None:
    image = Tiny(compress=False, docker=True)
    image.manifest = image.manifest.replace(DOCKER_LAYER.encode(), f"{DOCKER_LAYER}.gzip".encode())
    with open_source("oci", str(write(tmp_path, layout_files({"x": image})))) as source:
        (manifest,) = walk(source)
        assert parse_manifest(converted(source, manifest, OCI_MANIFEST)).layers[0].media_type == OCI_LAYER


def test_docker_has_no_zstd(tmp_path: Path) -> None:
    image = Tiny()
    gzipped, image.stored = digest(image.stored[0]), [zstd.compress(image.plain[0])]
    image.manifest = image.manifest.replace(gzipped.encode(), digest(image.stored[0]).encode())
    with open_source("oci", str(write(tmp_path, layout_files({"x": image})))) as source:
        (manifest,) = walk(source)
        with pytest.raises(Unsupported, match="zstd"):
            converted(source, manifest, DOCKER_MANIFEST)


def test_what_is_no_image_is_not_converted(tmp_path: Path) -> None:
    image = Tiny()
    body = image.manifest.replace(b"application/vnd.oci.image.config.v1+json", b"application/vnd.example+json")
    with open_source("oci", str(write(tmp_path, layout_files({"x": image})))) as source:
        with pytest.raises(InvalidImage, match="no container image"):
            converted(source, parse_manifest(body), DOCKER_MANIFEST)
        with pytest.raises(Unsupported):
            converted(source, parse_manifest(body), "text/html")
