"""Names in a layer that lead out of it, are too long, or contain a NUL or a newline (CVE-2007-4559)."""

from __future__ import annotations

import os
import tarfile

import pytest

from pypod.errors import InvalidImage
from tests.images.layers import Layer, header, pax
from tests.images.made import Made
from tests.images.place import Place, names, refused
from tests.integration.images.test_images import bring, store

pytestmark = pytest.mark.root


@pytest.mark.parametrize("name", ["../x", "/x", "./../x", "a/../../../x", "//x", "a/./../x/", "/../../x", "....//../x"])
def test_names_are_taken_to_be_below_the_root(place: Place, name: str) -> None:
    """As in podman and umoci: names are resolved lexically, as if the root were /."""
    assert names(place.unpack(Layer().add(name, b"x"))) == {"x"}


def test_names_with_every_other_byte(place: Place) -> None:
    odd = b"a\n\x01\x7f\xff\\ -"
    top = place.unpack(header(odd))
    assert os.listdir(os.fsencode(top)) == [odd]
    with pytest.raises(InvalidImage) as caught:
        place.unpack(header(odd, kind=b"V"))
    assert str(caught.value).isprintable()
    with pytest.raises(InvalidImage) as caught:
        place.unpack(pax((b"path", b"n" * 4000)) + header(kind=b"1"))
    assert len(str(caught.value)) < 200


KINDS = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "fifo": tarfile.FIFOTYPE,
    "hard link": tarfile.LNKTYPE,
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_file_is_made_outside(place: Place, kind: str) -> None:
    """Resolved lexically, the names lead to the canary, and to a new name beside it."""
    for name in (f"..{place.canary}/f", f"{place.canary}/new", "../canary/f", "d/../../canary/new", "../new"):
        layer = Layer().directory("d/").add("f", b"x").add(name, kind=KINDS[kind], linkname="f")
        assert {path.partition("/")[0] for path in names(place.unpack(layer))} <= {
            "d", "f", "new", "canary", place.canary.parts[1],
        }  # fmt: skip


NAMES = {
    "NUL": (pax((b"path", b"a\0b")) + header(), "a name has a NUL in it"),
    "NUL in the target": (pax((b"linkpath", b"a\0b")) + header(kind=b"2"), "a name has a NUL in it"),
    "long path": (pax((b"path", b"p/" * 2048)) + header(), "a name is too long"),
    "long component": (pax((b"path", b"n" * 256)) + header(), "a name is too long"),
    "long target": (pax((b"linkpath", b"p" * 4096)) + header(kind=b"2"), "a name is too long"),
    "long dots": (pax((b"path", b"../" * 1400 + b"x")) + header(), "a name is too long"),
    "nothing": (header(b""), "the name of an entry is empty"),
    "only dots": (header(b"../."), "the name of an entry is empty"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_none(place: Place, name: str) -> None:
    layer, reason = NAMES[name]
    refused(place, layer, reason)


def test_an_image_with_such_a_name_leaves_nothing(engine) -> None:
    for layer, _ in NAMES.values():
        with pytest.raises(InvalidImage):
            bring(engine, Made(Layer().add("f", b"x").raw(layer).bytes()))
        assert store(engine)["layers"] == store(engine)["incoming"] == []
        assert engine.images.list() == []
