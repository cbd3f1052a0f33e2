"""Chains of links whose resolved path is longer than PATH_MAX (CVE-2025-4517, CVE-2025-4330, CVE-2025-4138)."""

from __future__ import annotations

import os

import pytest

from tests.images.layers import Layer
from tests.images.place import Place, names, refused

pytestmark = pytest.mark.root


def test_long_chains_of_links(place: Place) -> None:
    """The kernel resolves them; no path is built as a string."""
    layer = Layer().directory("t/")
    for level in range(60):
        layer.symlink(f"l{level}", "/".join(["."] * 100 + [f"l{level - 1}" if level else "t"]))
    assert names(place.unpack(layer.add("l20/f"))) >= {"t/f"}
    refused(place, layer.add("l59/f"), "too many symbolic links")


def test_a_link_as_long_as_a_path_may_be(place: Place) -> None:
    deep = "d" * 200
    layer = Layer().directory(deep)
    path = deep
    for _ in range(18):
        path += "/" + deep
        layer.directory(path)
    try:
        os.symlink(path, place.top / "long")
        (place.top / "long").unlink()
    except OSError:
        pytest.skip("this file system has no long symbolic links (XFS: 1024 bytes)")
    layer.symlink("far", path).add("far/" + deep + "/" + deep + "/f", b"x")
    top = place.unpack(layer)
    assert "far" in os.listdir(top)
    # replaced, and therefore removed completely, however deep it is
    assert names(place.unpack(layer.add(deep, b"file"))) == {deep, "far"}


@pytest.mark.parametrize("steps", [8, 16, 39])
def test_a_chain_whose_whole_path_is_longer_than_path_max(place: Place, steps: int) -> None:
    """realpath(3) leaves such a path unresolved (CVE-2025-4517): the last link leads out, and is not followed."""
    long = "d" * 247
    layer, path = Layer(), ""
    for step in range(steps):
        layer.directory(f"{path}{long}/").symlink(f"{path}{step}", long)
        path += f"{long}/"
        if len(path) > 3600:
            break
    short = "/".join(str(step) for step in range(path.count("/")))
    ups = "../" * path.count("/")
    layer.symlink(f"{path}out", f"{ups}../canary")
    layer.symlink("escape", f"{short}/out")
    layer.symlink("flag", "escape/f")
    # within the tree, the chain is as valid as any path
    assert len(names(place.unpack(Layer().raw(layer.bytes()[:-1024]).add(f"{short}/inside", b"x")))) > path.count("/")
    for use in (
        lambda layer: layer.add("escape/f", b"x"),
        lambda layer: layer.add("escape/new", b"x"),
        lambda layer: layer.link("h", "escape/f"),
        lambda layer: layer.add("flag/x", b"x"),
    ):
        refused(place, use(Layer().raw(layer.bytes()[:-1024])), "is not in the layer|too many symbolic links")
