"""Whiteouts of nothing, of parents, out of order and a hundred thousand times (CVE-2026-95838)."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images import umoci
from tests.images.layers import Layer, header, merged
from tests.images.oci import unpack_layers
from tests.images.place import Place, is_opaque, is_whiteout, names, refused

pytestmark = pytest.mark.root


@pytest.mark.parametrize("order", [1, -1])
def test_whiteouts_are_about_the_layers_below(place: Place, order: int) -> None:
    """image-spec, layer.md: "whiteout files MUST only apply to resources in lower/parent layers", in any order."""
    adds: list[Callable[[Layer], Layer]] = [lambda layer: layer.add(".wh.f"), lambda layer: layer.add("f", b"new")]
    top = place.unpack(apply(Layer(), adds[::order]))
    assert (top / "f").read_bytes() == b"new"
    adds = [lambda layer: layer.add(".wh.d"), lambda layer: layer.directory("d/").add("d/new")]
    top = place.unpack(apply(Layer(), adds[::order]))
    assert names(top) == {"d", "d/new"}
    assert is_opaque(top / "d")


def apply(layer: Layer, adds: list[Callable[[Layer], Layer]]) -> Layer:
    for add in adds:
        add(layer)
    return layer


def test_whiteouts_below_whiteouts(place: Place) -> None:
    top = place.unpack(Layer().add(".wh.d").add("d/.wh.f").add("d/.wh..wh..opq").add("d/e/.wh.g"))
    assert names(top) == {"d"}
    assert is_whiteout(top / "d")
    top = place.unpack(Layer().add(".wh.d").add("d/e/f"))
    assert names(top) == {"d", "d/e", "d/e/f"}
    assert is_opaque(top / "d")


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh..."])
def test_whiteouts_of_nothing(place: Place, name: str) -> None:
    refused(place, Layer().add("d/f").add(name), "a whiteout names nothing")


def test_what_aufs_left(place: Place) -> None:
    layer = Layer().directory(".wh..wh.plnk/").add(".wh..wh.plnk/1.2", b"x").add(".wh..wh.aufs").add("d/.wh..wh.orph")
    assert names(place.unpack(layer.add("f"))) == {"f"}
    refused(place, Layer().add("d/.wh.x/f"), "a whiteout is used as a directory")


def test_many_opaque_marks_take_linear_time(place: Place) -> None:
    files = b"".join(header(b"d/%d" % number) for number in range(2000))
    started = time.process_time() + sum(os.times()[2:4])
    top = place.unpack(files + header(b"d/.wh..wh..opq") * 100_000 + header(b".wh.x") * 20_000)
    assert time.process_time() + sum(os.times()[2:4]) - started < 5
    assert len(os.listdir(top / "d")) == 2000


# Stacked layers. The entries of a layer are in an order that umoci and image-spec interpret in the same way.
NAMES = ["a", "b", "c", "a/b", "a/c", "a/b/c", "a/b/d", "b/a", "b/c", "b/c/a"]


def _layer(randomness: random.Random) -> Layer:
    layer = Layer().directory("./", mtime=1)
    made: set[str] = set()
    whited: set[str] = set()
    for name in sorted(randomness.sample(NAMES, randomness.randrange(1, 7))):
        parents = ["/".join(name.split("/")[:end]) for end in range(1, name.count("/") + 1)]
        if any(parent in whited for parent in parents):
            continue
        for parent in parents:
            if parent not in made:
                layer.directory(
                    parent + "/", mode=randomness.choice([0o700, 0o755, 0o1777]), uid=randomness.randrange(9), mtime=5
                )
                made.add(parent)
        what = randomness.randrange(6)
        directory, _, base = name.rpartition("/")
        if what == 0:
            layer.add(f"{directory}/.wh.{base}".lstrip("/"))
            whited.add(name)
        elif what == 1:
            layer.directory(name + "/", mtime=7).add(f"{name}/.wh..wh..opq")
            made.add(name)
        elif what == 2 and not any(other.startswith(name + "/") for other in NAMES):
            layer.add(name, kind=b"2", linkname="c", uid=3, mtime=8)
        elif what == 3 and not any(other.startswith(name + "/") for other in NAMES):
            layer.add(name, b"%d" % randomness.randrange(99), mode=0o640, mtime=9)
        else:
            layer.directory(name + "/", mode=0o711, mtime=4, pax={"SCHILY.xattr.user.k": str(what)})
            made.add(name)
    return layer


@pytest.mark.not_in_chroot
def test_layers_on_each_other_as_umoci_has_them(tmp_path: Path, full: bool) -> None:
    randomness = random.Random(20261125)  # noqa: S311
    for number in range(200 if full else 12):
        base = tmp_path / str(number)
        layers = [_layer(randomness).bytes() for _ in range(randomness.randrange(2, 6))]
        layout = umoci.layout(layers, base / "oci")
        ours = merged(unpack_layers(layout, base / "layers"))
        theirs = umoci.unpacked(layout, "latest", base / "bundle")
        assert ours.keys() == theirs.keys(), number
        assert {path: entry[:4] for path, entry in ours.items()} == {
            path: entry[:4] for path, entry in theirs.items()
        }, number


@pytest.mark.not_in_chroot
@pytest.mark.parametrize("name", ["../.wh.canary", "a/../../.wh.canary", "/.wh.canary", "../canary/.wh.f"])
def test_a_whiteout_deletes_below_its_root_only(place: Place, name: str) -> None:
    """The canary beside the root has the same names; the fixture compares it."""
    low = place.unpack(Layer().directory("canary/").add("canary/f", b"of the image").add("kept", b"x"))
    high = place.unpack(Layer().add(name))
    found = merged([low, high])
    assert "canary/f" not in found
    assert "kept" in found
