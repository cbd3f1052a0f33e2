"""The program that unpacks layers, with sanitizers, on random layers."""

from __future__ import annotations

import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.c.test_c import PAUSE, gcc
from tests.images.layers import Layer, snapshot

__all__ = ["gcc"]
SEED = 20261125


@pytest.mark.root
def test_made_up_layers(gcc: str, tmp_path: Path, full: bool) -> None:
    """Few names, repeated often, so that entries collide in every combination."""
    program = tmp_path / "out" / "unpack"
    subprocess.run(["make", "-s", "-C", PAUSE, "SANITIZE=1", f"OUT={program.parent}", program], check=True)
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "f").write_text("untouched")
    before = snapshot(canary)
    randomness = random.Random(SEED)  # noqa: S311
    kinds: dict[str, int] = {}
    for number in range(3000 if full else 100):
        tree = tmp_path / f"tree{number}"
        tree.mkdir()
        layer = _made_up(randomness, str(canary))
        (tmp_path / "tar").write_bytes(layer)
        command = 'exec "$0" 99999999 3<"$1" 4>"$2/report" <"$2/tar"'
        done = subprocess.run(
            ["sh", "-c", command, program, tree, tmp_path],
            env={"ASAN_OPTIONS": "detect_leaks=0"},
            stderr=subprocess.PIPE,
            check=False,
            timeout=20,
        )
        kind = (tmp_path / "report").read_bytes().split(b"\0")[0].decode()
        assert (done.stderr, kind in ("made", "refused")) == (b"", True), (number, (tmp_path / "report").read_bytes())
        assert done.returncode == (0 if kind == "made" else 1)
        kinds[kind] = kinds.get(kind, 0) + 1
        subprocess.run(["rm", "-rf", tree], check=True)
    assert snapshot(canary) == before
    assert set(kinds) == {"made", "refused"}


NAMES = ["a", "b", "a/b", "a/a", "b/a/b", "a/a/a", "../a", "/b", "a/../b", ".", "a/b/a/b/a"]
NAMES += [".wh.a", "a/.wh.b", "a/.wh..wh..opq", ".wh..wh..opq", "b/a/.wh.b", ".wh..wh.plnk/a"]
KINDS = (b"0", b"0", b"5", b"5", b"2", b"1", b"6", b"3")


def _made_up(randomness: random.Random, canary: str) -> bytes:
    layer = Layer(tarfile.USTAR_FORMAT)
    targets = ["a", "b", "a/b", "..", "/", "../../canary", canary, "/b", "a/a"]
    for _ in range(randomness.randrange(1, 12)):
        name, kind = randomness.choice(NAMES), randomness.choice(KINDS)
        data = b"x" * randomness.randrange(0, 2000) if kind == b"0" else b""
        target = randomness.choice(targets) if kind in b"12" else ""
        layer.add(name, data, kind, linkname=target, devmajor=1, devminor=3, mode=randomness.randrange(0o10000))
    return layer.bytes()
