"""A hard link to a deeper symbolic link that means something else at its new place (CVE-2026-11940, in tarfile)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.images.layers import Layer
from tests.images.made import busybox_image
from tests.images.place import Place, refused
from tests.integration.images.test_images import bring, run

pytestmark = pytest.mark.root


def test_hard_links(place: Place) -> None:
    refused(place, Layer().link("h", "missing"), "target of a hard link is not in the layer: 'h'")
    refused(place, Layer().link("h", "../canary/f"), "is not in the layer")
    refused(place, Layer().link("h", str(place.canary / "f")), "is not in the layer")
    refused(place, Layer().directory("d/").link("h", "d"), "is a directory")
    refused(place, Layer().link("h", "/"), "is not in the layer")
    refused(place, Layer().add("f").link("h", "f/x"), "through something that is no directory")
    refused(place, Layer().add(".wh.f").link("h", "f"), "is not in the layer")
    # the symbolic link itself gets the second name, wherever it leads from there
    top = place.unpack(Layer().directory("a/").directory("a/b/").symlink("a/b/l", "../../canary").link("h", "a/b/l"))
    assert (top / "h").is_symlink()
    assert (top / "h").lstat().st_ino == (top / "a/b/l").lstat().st_ino
    refused(
        place,
        Layer().directory("a/").symlink("a/l", "../canary").link("h", "a/l").add("h/f", b"x"),
        "symbolic link to something that is not in the layer",
    )
    top = place.unpack(Layer().add("f", b"1").link("f", "f").link("h", "f").add("h", b"2"))
    assert ((top / "f").read_bytes(), (top / "h").read_bytes()) == (b"1", b"2")
    refused(place, Layer().directory("d/").add("d/f").link("d", "d/f"), "is not in the layer")


@pytest.mark.parametrize("depth", [1, 3, 12])
def test_recreated_further_up_it_leads_nowhere_outside(place: Place, depth: int) -> None:
    """Deep down the link stays within the tree; at the top, the same link leads to the canary."""
    deep = "/".join("abcdefghijkl"[:depth])
    layer = Layer()
    for end in range(1, depth + 1):
        layer.directory("/".join("abcdefghijkl"[:end]) + "/")
    layer.symlink(f"{deep}/l", "../" * depth + "canary").link("h", f"{deep}/l")
    top = place.unpack(layer)
    assert (top / "h").is_symlink()
    for use in (
        lambda layer: layer.add("h/f", b"written"),
        lambda layer: layer.link("again", "h/f"),
        lambda layer: layer.add("h/.wh.f"),
        lambda layer: layer.directory("h/new/"),
    ):
        again = Layer().raw(layer.bytes()[:-1024])
        refused(place, use(again), "is not in the layer")


def test_written_through_by_a_layer_above(engine, busybox, canary: Path) -> None:
    below = Layer().directory("a/").symlink("a/l", f"..{canary}").link("h", "a/l").bytes()
    image = bring(engine, busybox_image(busybox, below, Layer().add("h/file", b"mine").bytes()))
    assert run(engine, image, "cat", "/h/file") == "mine"
