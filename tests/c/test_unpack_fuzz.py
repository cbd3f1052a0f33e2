"""The program that unpacks layers, with sanitizers, on archives that were damaged or made up at random."""

from __future__ import annotations

import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.c.test_c import FLAGS, HERE, PAUSE, SANITIZE, gcc
from tests.images.layers import Layer, header, pax, snapshot
from tests.kernel.test_unpack import MALFORMED, REPLACING, old_gnu_sparse, pax_sparse

__all__ = ["gcc"]
SEED = 20261125


def _seeds() -> list[bytes]:
    plain = [Layer(format).directory("d/").add("d/f" * 50, b"x" * 700) for format in (0, 1, 2)]
    whole = Layer()
    for add in REPLACING.values():
        add(whole)
    records = pax((b"path", b"a/b" * 90), (b"mtime", b"-1.5"), (b"SCHILY.xattr.user.k", bytes(300)), (b"size", b"3"))
    made = [layer.bytes() for layer in [*plain, whole]] + [records + header() + bytes(512) + header(b"after")]
    made += [old_gnu_sparse(), old_gnu_sparse(many=True), *(pax_sparse(version) for version in ("0.0", "0.1", "1.0"))]
    return made + [layer for layer, _ in MALFORMED.values()]


def test_damaged_archives(gcc: str, tmp_path: Path, full: bool) -> None:
    program = tmp_path / "tar_fuzz"
    subprocess.run([gcc, *FLAGS, "-o", program, HERE / "tar_fuzz.c", PAUSE / "numbers.c"], check=True)
    seeds = []
    for number, data in enumerate(_seeds()):
        seeds.append(tmp_path / f"{number}.tar")
        seeds[-1].write_bytes(data)
    times = 1_000_000 if full else 20_000
    done = subprocess.run(
        [program, str(times), str(SEED), *seeds], capture_output=True, text=True, check=False, timeout=900
    )
    assert (done.returncode, done.stderr) == (0, "")
    read, refused, entries = (int(part.split()[0]) for part in done.stdout.split(", "))
    assert read + refused == times
    assert min(read, refused, entries) > times // 20  # it does see both ends of the code


@pytest.mark.root
def test_made_up_layers(gcc: str, tmp_path: Path, full: bool) -> None:
    """Few names, used again and again, so that everything meets everything."""
    make = ["make", "-s", "-C", PAUSE, f"OUT={tmp_path}/out", f"CC={gcc}", "LINK=", f"{tmp_path}/out/unpack"]
    subprocess.run([*make, f"CFLAGS=-O1 -g {' '.join(SANITIZE)}"], check=True)
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
            ["sh", "-c", command, tmp_path / "out/unpack", tree, tmp_path],
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
