"""Blobs with a wrong digest, and digests and names that are paths (CVE-2026-111361, GHSA-qmmc-jppf-32wv)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attacks.pulled import Storage, assert_refused
from tests.fake_registry import Images, images_of
from tests.images.forms import digest
from tests.images.made import Made, busybox_image, layer

pytestmark = pytest.mark.root

Spoil = Callable[[Made], None]


def made() -> Made:
    return Made(layer({"f": b"1"}), config={"Cmd": ["x"]})


@pytest.fixture(autouse=True)
def untouched(tmp_path: Path) -> Iterator[None]:
    """Assert that nothing appears or changes outside the storage, wherever a name leads."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root")
    yield
    assert sorted(os.listdir(tmp_path)) in (["etc"], ["etc", "image"], ["etc", "image", "storage"], ["etc", "storage"])
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["passwd"]
    assert (tmp_path / "etc/passwd").read_text() == "root"


def serving(image: Made, of: bytes, instead: bytes) -> Images:
    """Return a registry that sends something else in place of one of an image's blobs."""
    found = images_of(image)
    found.blobs[digest(of)] = instead
    return found


LIES = {
    "another layer": (lambda m: serving(m, m.layers[0], b"x" * len(m.layers[0])), "layer"),
    "more than the layer": (lambda m: serving(m, m.layers[0], m.layers[0] + b"more"), "descriptor says"),
    "less than the layer": (lambda m: serving(m, m.layers[0], m.layers[0][:-1]), "descriptor says"),
    "another configuration": (
        lambda m: serving(m, m.config_body, b"{" + b" " * (len(m.config_body) - 2) + b"}"),
        "size or digest",
    ),
    "a shorter configuration": (lambda m: serving(m, m.config_body, b"{}"), "descriptor says"),
}


@pytest.mark.parametrize(("serve", "reason"), LIES.values(), ids=LIES.keys())
def test_a_registry_with_edited_blobs(storage: Storage, serve: Callable[[Made], Images], reason: str) -> None:
    storage.refuses(serve(made()), reason)


def config(**changes: object) -> Spoil:
    return lambda image: image.config.update(changes)


def diff_ids(*them: str) -> Spoil:
    return config(rootfs={"type": "layers", "diff_ids": list(them)})


CONFIGURATIONS = {
    "another diff id": (diff_ids("sha256:" + "0" * 64), "its diff id is"),
    "too few diff ids": (diff_ids(), "its configuration has 0 layers, its manifest 1"),
    "a path": (diff_ids("sha256:../../../etc"), "invalid digest"),
    "a path in the algorithm": (diff_ids("../../etc/passwd:" + "0" * 64), "invalid digest"),
    "an unknown algorithm": (diff_ids("md5:" + "0" * 32), "invalid digest"),
    "no layers": (config(rootfs={"type": "lies"}), "layers"),
    "other types": (config(config={"Env": "A=1", "Cmd": {"a": 1}}), "expected"),
}


@pytest.mark.parametrize(("spoil", "reason"), CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_a_configuration_that_lies(storage: Storage, spoil: Spoil, reason: str) -> None:
    image = made()
    spoil(image)
    storage.refuses(image, reason)


def manifest(change: Callable[[dict], None]) -> bytes:
    found = json.loads(made().manifest_body())
    change(found)
    return json.dumps(found).encode()


MANIFESTS = {
    "both a manifest and an index": (lambda m: m.update(manifests=[]), "it is both a manifest and an index"),
    "of an index by its type": (
        lambda m: m.update(mediaType="application/vnd.oci.image.index.v1+json"),
        "does not match its content",
    ),
    "a path as a layer": (lambda m: m["layers"][0].update(digest="sha256:../../../etc/passwd"), "invalid digest"),
    "a path as a configuration": (lambda m: m["config"].update(digest="sha256:../../x"), "invalid digest"),
    "an unknown algorithm": (lambda m: m["layers"][0].update(digest="md5:" + "0" * 32), "invalid digest"),
    "capital letters": (lambda m: m["layers"][0].update(digest="sha256:" + "A" * 64), "invalid digest"),
    "a negative size": (lambda m: m["layers"][0].update(size=-1), "invalid size"),
    "an endless size": (lambda m: m["layers"][0].update(size=1 << 64), "invalid size"),
    "a text as a size": (lambda m: m["layers"][0].update(size="1"), "invalid size"),
    "schema 1": (lambda m: m.update(schemaVersion=1), "only 2 is"),
}


@pytest.mark.parametrize(("change", "reason"), MANIFESTS.values(), ids=MANIFESTS.keys())
@pytest.mark.parametrize("where", ["registry", "layout"])
def test_a_manifest_that_lies(
    storage: Storage, tmp_path: Path, change: Callable[[dict], None], reason: str, where: str
) -> None:
    body = manifest(change)
    if where == "registry":
        images = images_of(made())
        images.put("latest", body)
        storage.refuses(images, reason)
        return
    (tmp_path / "image").mkdir()
    image = made()
    image.manifest_body = lambda: body  # type: ignore[method-assign]
    subprocess.run(["tar", "-x", "-C", tmp_path / "image"], input=archive(image, tmp_path), check=True)
    assert_refused(storage.run("pull", "-q", f"oci:{tmp_path}/image"), reason)
    assert storage.holds() == {}


def archive(image: Made, directory: Path) -> bytes:
    path = image.archive(directory / "archive.tar")
    try:
        return path.read_bytes()
    finally:
        path.unlink()


@pytest.mark.parametrize("entry", ["sha256:../../../../etc/passwd", "../etc:passwd", "sha256:"])
def test_a_layout_whose_index_leads_elsewhere(storage: Storage, tmp_path: Path, entry: str) -> None:
    (tmp_path / "image").mkdir()
    subprocess.run(["tar", "-x", "-C", tmp_path / "image"], input=archive(made(), tmp_path), check=True)
    index = json.loads((tmp_path / "image/index.json").read_text())
    index["manifests"][0]["digest"] = entry
    (tmp_path / "image/index.json").write_text(json.dumps(index))
    assert_refused(storage.run("pull", "-q", f"oci:{tmp_path}/image"), "invalid digest")
    assert storage.holds() == {}


def test_a_layout_whose_blobs_are_links_to_elsewhere(storage: Storage, tmp_path: Path) -> None:
    """The layer is a host file whose digest the image's author knows."""
    (tmp_path / "image").mkdir()
    image = made()
    subprocess.run(["tar", "-x", "-C", tmp_path / "image"], input=archive(image, tmp_path), check=True)
    blob = tmp_path / "image/blobs" / digest(image.layers[0]).replace(":", "/")
    blob.unlink()
    blob.symlink_to(tmp_path / "etc/passwd")
    found = storage.run("pull", "-q", f"oci:{tmp_path}/image")
    assert (found.code, storage.holds()) == (125, {})
    assert "symbolic links" in found.stderr


@pytest.mark.parametrize(
    "name", ["../../etc/passwd:latest", "team/../../x:latest", "team/app:../../x", "team/app@md5:0"]
)
def test_names_that_are_paths(storage: Storage, name: str) -> None:
    server = storage.serve(made())
    found = storage.pull(server, name=name)
    assert found.code == 125
    assert found.stderr.startswith("Error: ")
    assert server.requests == []


def test_a_known_layer_does_not_get_other_content(storage: Storage, busybox: str) -> None:
    """Layers are found by the diff ID in a configuration: it must be verified, or one image could change another."""
    assert storage.pull(busybox_image(busybox)).code == 0
    evil = Made(layer({"bin": None, "bin/sh": b"#!evil"}), config={"Cmd": ["sh"]})
    evil.config["rootfs"]["diff_ids"] = [digest(busybox_image(busybox).layers[0])]
    before = storage.holds()
    assert_refused(storage.pull(evil), "its diff id is")
    assert storage.holds() == before
