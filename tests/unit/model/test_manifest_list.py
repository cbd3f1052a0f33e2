"""Manifest lists: the descriptions of their members, and hostile members."""

from __future__ import annotations

import json

import pytest

from pypod.engine.images.list_members import member
from pypod.errors import InvalidImage
from pypod.model.images.form import OCI, V2S2, index_body
from pypod.model.images.image import OCI_INDEX, OCI_MANIFEST, Descriptor, Index, Platform, parse_manifest
from pypod.model.images.manifest_list import EntryChange
from tests.images.forms import digest
from tests.images.made import Made, layer

ENTRY = Descriptor(
    media_type=OCI_MANIFEST,
    digest=f"sha256:{'0' * 64}",
    size=7,
    annotations=(("a", "1"),),
    platform=Platform(architecture="arm", variant="v7", os_version="6.1", os_features=("win32k",), features=("sse4",)),
)


def test_an_index_is_read_as_it_was_written() -> None:
    found = parse_manifest(index_body(OCI, [ENTRY]))
    assert isinstance(found, Index)
    assert (found.media_type, found.manifests) == (OCI_INDEX, (ENTRY,))


def test_docker_has_no_annotations() -> None:
    (entry,) = json.loads(index_body(V2S2, [ENTRY]))["manifests"]
    assert "annotations" not in entry
    assert entry["platform"]["os.features"] == ["win32k"]


@pytest.mark.parametrize(
    ("change", "platform", "annotations"),
    [
        ({}, ENTRY.platform, {"a": "1"}),
        ({"architecture": "arm64", "variant": "v8"}, {"architecture": "arm64", "variant": "v8"}, {"a": "1"}),
        ({"os_features": ("x",)}, {"os_features": ("x",)}, {"a": "1"}),
        ({"annotations": (("a", "2"), ("b", ""))}, {}, {"a": "2", "b": ""}),
    ],
)
def test_a_change_leaves_the_rest(change, platform, annotations) -> None:
    found = EntryChange(**change).applied(ENTRY)
    wanted = platform if isinstance(platform, Platform) else ENTRY.platform.replace(**platform)
    assert (found.platform, dict(found.annotations)) == (wanted, annotations)


def test_an_entry_without_platform_gets_what_is_said_only() -> None:
    bare = ENTRY.replace(platform=None)
    assert EntryChange().applied(bare).platform is None
    assert EntryChange(architecture="arm64").applied(bare).platform.json() == {"architecture": "arm64"}


@pytest.mark.parametrize("value", ["win32k", {"a": 1}, [1], [["x"]], ["x\0y"], ["x"] * 1001])
@pytest.mark.parametrize("field", ["os.features", "features"])
def test_features_are_a_list_of_texts(field: str, value: object) -> None:
    entry = {"mediaType": OCI_MANIFEST, "digest": ENTRY.digest, "size": 7, "platform": {field: value}}
    with pytest.raises(InvalidImage):
        parse_manifest(json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())


def test_a_member_is_what_its_digest_says() -> None:
    made = Made(layer({"a": b"a"}))
    entry = ENTRY.replace(digest=digest(made.manifest_body()))
    assert member(made, entry).body == made.manifest_body()
    with pytest.raises(InvalidImage, match="its content does not match the digest"):
        member(made, ENTRY)


def test_a_member_is_no_index() -> None:
    class Nested(Made):
        def manifest_body(self) -> bytes:
            return index_body(OCI, [ENTRY])

    nested = Nested()
    with pytest.raises(InvalidImage):
        member(nested, ENTRY.replace(digest=digest(nested.manifest_body()), media_type=OCI_INDEX))
