"""An image in the format of the other family (OCI, docker), and its creation time."""

from __future__ import annotations

import json

import pytest

from pypod.model.images.form import OCI, V2S2, family_of, rewritten
from pypod.model.images.image import DOCKER_MANIFEST, Manifest, parse_manifest
from pypod.model.moment import created_ns
from pypod.store.images import ImageRecord, Named
from tests.images.tiny import Tiny

IMAGE = Tiny({"a": b"a"}, {"b": b"b"})


def parsed(body: bytes) -> Manifest:
    found = parse_manifest(body)
    assert isinstance(found, Manifest)
    return found


def layers(manifest: Manifest) -> list:
    return [(layer, "gzip") for layer in manifest.layers]


def test_what_does_not_change_keeps_its_bytes() -> None:
    body = json.dumps({**json.loads(IMAGE.manifest), "annotations": {"a": "ü"}}, indent=3).encode()
    manifest = parsed(body)
    assert rewritten(manifest, OCI, layers(manifest)) is manifest.body


def test_there_and_back() -> None:
    manifest = parsed(json.dumps({**json.loads(IMAGE.manifest), "annotations": {"a": "b"}}).encode())
    docker = parsed(rewritten(manifest, V2S2, layers(manifest)))
    assert (docker.media_type, docker.annotations, family_of(docker)) == (DOCKER_MANIFEST, (), V2S2)
    assert [layer.media_type.rpartition(".")[2] for layer in docker.layers] == ["gzip", "gzip"]
    back = parsed(rewritten(docker, OCI, layers(docker)))
    assert back.replace(body=b"", digest="") == manifest.replace(body=b"", digest="", annotations=())
    assert [layer.digest for layer in docker.layers] == [layer.digest for layer in manifest.layers]


def test_a_layer_in_another_compression() -> None:
    manifest = parsed(IMAGE.manifest)
    other = manifest.layers[0].replace(digest="sha256:" + "0" * 64, size=7)
    found = parsed(rewritten(manifest, OCI, [(other, "zstd"), (manifest.layers[1], "gzip")]))
    assert [layer.media_type[-5:] for layer in found.layers] == ["+zstd", "+gzip"]
    assert (found.layers[0].size, found.layers[1], found.config) == (7, manifest.layers[1], manifest.config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:01.123456789Z", 1_123_456_789),
        ("1970-01-01T01:00:01.5+01:00", 1_500_000_000),
        ("0001-01-01T00:00:00Z", 0),  # Go's zero time; in nanoseconds, neither this nor the next fits in 64 bits
        ("9999-12-31T23:59:59Z", 0),
        ("", 0),
        ("yesterday", 0),
        ("1970-01-01T00:00:01." + "9" * 5000 + "Z", 1_999_999_999),
    ],
)
def test_when_an_image_was_made(text: str, expected: int) -> None:
    assert created_ns(text) == expected


def test_digests_are_those_of_the_repository_or_the_manifest() -> None:
    record = ImageRecord(id="i", manifest="sha256:m", chain="", created_ns=0, size_bytes=0, config="")
    named = Named(
        record=record,
        names=("q.io/a:1", "q.io/a:2", "localhost:5000/b:1", "q.io/c@sha256:d"),
        digests=(("q.io/a", "sha256:x"), ("q.io/c", "sha256:d"), ("q.io/gone", "sha256:y")),
    )
    assert named.repo_digests == ("q.io/a@sha256:x", "localhost:5000/b@sha256:m", "q.io/c@sha256:d")
    assert named.tags == ("q.io/a:1", "q.io/a:2", "localhost:5000/b:1")
