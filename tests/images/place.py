"""A place to unpack layers into, with a canary beside it that no layer may touch."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod.errors import InvalidImage
from pypod.images.layers.unpack import Unpacked, unpack
from tests.images.layers import Layer, snapshot


class Place:
    """A directory to unpack into, with a canary beside it that no layer may touch."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.canary = top / "canary"
        self.canary.mkdir()
        (self.canary / "f").write_text("untouched")
        self.made = 0

    def unpack(self, layer: Layer | bytes, **options) -> Path:
        self.made += 1
        target = self.top / str(self.made)
        target.mkdir()
        data = layer if isinstance(layer, bytes) else layer.bytes()
        self.unpacked: Unpacked = unpack([data], str(target), **options)
        return target


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    os.chmod(tmp_path, 0o755)
    place = Place(tmp_path)
    before = snapshot(place.canary)
    yield place
    assert snapshot(place.canary) == before
    assert {child.name for child in tmp_path.iterdir()} <= {
        "canary",
        "merged",
        "none",
        "programs",
        *map(str, range(1, 99)),
    }


def names(top: Path) -> set[str]:
    return snapshot(top).keys() - {"."}


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path)


def refused(place: Place, layer: Layer | bytes, reason: str, **options) -> None:
    with pytest.raises(InvalidImage, match=reason):
        place.unpack(layer, **options)
