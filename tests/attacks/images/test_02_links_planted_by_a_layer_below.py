"""A link that one layer plants and another writes, deletes or links through (CVE-2014-9356, CVE-2025-11395)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pypod.errors import InvalidImage
from tests.images.layers import Layer, merged
from tests.images.made import busybox_image
from tests.images.place import Place, names, refused
from tests.integration.images.test_images import bring, run

pytestmark = pytest.mark.root


def test_symbolic_links_lead_nowhere_outside(place: Place) -> None:
    """Links are followed within a layer, as in podman; targets that are not in the layer are refused."""
    for target in (str(place.canary), "../canary", "/proc/self/root/" + str(place.canary), "/proc/1/root", "nowhere"):
        for use in (
            Layer().symlink("l", target).add("l/f", b"x"),
            Layer().symlink("l", target).directory("l/d"),
            Layer().symlink("l", target).add("l/.wh.f"),
            Layer().symlink("l", target).add("l/.wh..wh..opq"),
            Layer().symlink("l", target).link("l/h", "l/f"),
            Layer().symlink("l", target).symlink("l/s", "x"),
        ):
            refused(place, use, "symbolic link to something that is not in the layer")
        refused(place, Layer().symlink("l", target).link("h", "l/f"), "target of a hard link is not in the layer")
    loop = Layer().symlink("a", "b").symlink("b", "a").add("a/f")
    refused(place, loop, "too many symbolic links")
    top = place.unpack(Layer().directory("etc/").symlink("l", "/etc").add("l/f", b"in it").link("h", "l/f"))
    assert names(top) == {"etc", "l", "etc/f", "h"}
    assert (top / "etc/f").read_bytes() == b"in it"


THROUGH: dict[str, Callable[[Layer], Layer]] = {
    "write": lambda layer: layer.add("etc/file", b"mine"),
    "whiteout": lambda layer: layer.add("etc/.wh.file"),
    "opaque": lambda layer: layer.add("etc/.wh..wh..opq"),
    "hard link to it": lambda layer: layer.link("h", "etc/file"),
    "hard link there": lambda layer: layer.add("g", b"mine").link("etc/h", "g"),
    "directory": lambda layer: layer.directory("etc/empty/", mode=0o777).add("etc/empty/new", b"mine"),
    "the link itself": lambda layer: layer.directory("etc/", mode=0o777, uid=7).add("etc/f", b"mine"),
}


@pytest.mark.not_in_chroot
@pytest.mark.parametrize("up", ["", "../../../../../../../../.."])
@pytest.mark.parametrize("through", THROUGH)
def test_in_another_layer(engine, busybox, canary: Path, through: str, up: str) -> None:
    """The canary fixture compares its state before and afterwards; none of it may be in the image."""
    below = Layer().symlink("etc", f"{up}{canary}").bytes()
    above = THROUGH[through](Layer()).bytes()
    with suppress(InvalidImage):
        image = bring(engine, busybox_image(busybox, below, above))
        text = run(engine, image, "sh", "-c", "cat /etc/file /h /etc/h; ls /etc/; true")
        assert "untouched" not in text
        assert "passwd" not in text


@pytest.mark.not_in_chroot
def test_the_link_is_replaced_by_a_directory(place: Place) -> None:
    """As in podman and umoci: the directory of the upper layer replaces the link and does not merge with its target."""
    layers = [place.unpack(Layer().symlink("etc", str(place.canary))), place.unpack(Layer().add("etc/f", b"mine"))]
    found = merged(layers)
    assert found.keys() == {".", "etc", "etc/f"}
    assert found["etc/f"][3] == b"mine"
