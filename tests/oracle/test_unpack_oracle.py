"""Layers unpacked by us and by others: GNU tar for what a tar is, umoci for what layers on each other are."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypod.images.unpack import unpack
from tests.images.layers import Layer, merged, snapshot
from tests.images.oci import extract, unpack_layers
from tests.images.stand_ins import archives

pytestmark = pytest.mark.root

COMPONENT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1, max_size=60)
COMPONENTS = COMPONENT.filter(lambda part: part not in (".", "..") and not part.startswith(".wh."))
FIELDS = st.fixed_dictionaries(
    {
        "mode": st.integers(0, 0o7777),
        "uid": st.integers(0, 2**32 - 2),
        "gid": st.integers(0, 2**32 - 2),
        "mtime": st.integers(1, 2**33) | st.integers(1, 2**23).map(lambda number: number + 0.5),
    }
)
KIND = st.sampled_from("file file directory directory symlink link fifo device sparse".split())


@pytest.fixture(scope="module")
def umoci() -> str:
    found = shutil.which("umoci")
    if found is None:
        pytest.skip("umoci is not installed")
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    entries=st.lists(
        st.tuples(KIND, COMPONENTS, FIELDS, st.binary(max_size=2000), st.integers(0, 99)),
        max_size=25,
        unique_by=lambda e: e[1],
    ),
    form=st.sampled_from([1, 2]),
)
def test_the_same_as_gnu_tar(entries, form: int) -> None:
    layer = Layer(form).directory("./", mtime=3)
    directories, files = [""], []
    for kind, component, drawn, data, number in entries:
        path = directories[number % len(directories)] + component
        if len(path.encode()) > 1000 or len(component.encode()) > 255:
            continue
        attributes = {"SCHILY.xattr.user.n": str(number)} if form == 2 and kind in ("file", "directory") else {}
        fields = {**drawn, "mtime": drawn["mtime"] if form == 2 else int(drawn["mtime"])}
        if kind == "directory":
            layer.directory(path + "/", pax=attributes, **fields)
            directories.append(path + "/")
        elif kind == "symlink":
            layer.add(path, kind=b"2", linkname=data.hex()[:300] or "x", **fields)
        elif kind == "link" and files:
            layer.add(path, kind=b"1", linkname=files[number % len(files)])
        elif kind in ("fifo", "device"):
            layer.add(path, kind=b"6" if kind == "fifo" else b"3", devmajor=1, devminor=number, **fields)
        else:
            layer.add(path, data, pax=attributes, **fields)
            files.append(path)
    with tempfile.TemporaryDirectory() as base:
        ours, theirs = Path(base, "ours"), Path(base, "theirs")
        ours.mkdir()
        theirs.mkdir()
        unpack([layer.bytes()], str(ours))
        command = ["tar", "-xpf", "-", "-C", theirs, "--numeric-owner", "--xattrs", "--xattrs-include=user.*"]
        command += ["--delay-directory-restore"]  # entries need not follow their directory
        subprocess.run(command, input=layer.bytes(), check=True, stderr=subprocess.DEVNULL)
        assert snapshot(ours) == snapshot(theirs)


def test_sparse_files_of_gnu_tar(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, parts in {"few": 3, "many": 300, "none": 0}.items():
        with (source / name).open("wb") as file:
            file.truncate(parts * 65536 + 4096)
            for part in range(parts):
                os.pwrite(file.fileno(), b"%d" % part * 900, part * 65536 + 8192)
    for number, options in enumerate(
        (["--format=gnu"], *(["--format=pax", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0")))
    ):
        command = ["tar", "-cf", "-", "-C", source, "--sparse", *options, "."]
        packed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        assert len(packed) < 3_000_000
        target = tmp_path / str(number)
        target.mkdir()
        unpack([packed], str(target))
        assert snapshot(target, times=False) == snapshot(source, times=False), options
        status = (target / "many").stat()
        assert status.st_blocks * 512 < status.st_size / 4


# Layers on each other. Entries of one layer come in an order in which umoci and image-spec mean the same.
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


def _layout(layers: list[bytes], target: Path) -> Path:
    blobs = target / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}

    descriptors = [put(layer, "layer.v1.tar") for layer in layers]
    diff_ids = [descriptor["digest"] for descriptor in descriptors]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {"schemaVersion": 2, "config": put(json.dumps(config).encode(), "config.v1+json"), "layers": descriptors}
    found = put(json.dumps(manifest).encode(), "manifest.v1+json")
    found["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [found]}))
    (target / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return target


def _as_umoci(umoci: str, layout: Path, tag: str, bundle: Path) -> dict[str, tuple]:
    command = [umoci, "unpack", "--image", f"{layout}:{tag}", str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return snapshot(bundle / "rootfs")


@pytest.mark.not_in_chroot
def test_layers_on_each_other_as_umoci_has_them(umoci: str, tmp_path: Path, full: bool) -> None:
    randomness = random.Random(20261125)  # noqa: S311
    for number in range(200 if full else 12):
        base = tmp_path / str(number)
        layers = [_layer(randomness).bytes() for _ in range(randomness.randrange(2, 6))]
        layout = _layout(layers, base / "oci")
        ours = merged(unpack_layers(layout, base / "layers"))
        theirs = _as_umoci(umoci, layout, "latest", base / "bundle")
        assert ours.keys() == theirs.keys(), number
        assert {path: entry[:4] for path, entry in ours.items()} == {
            path: entry[:4] for path, entry in theirs.items()
        }, number


@pytest.mark.not_in_chroot
def test_the_stand_in_images_as_umoci_has_them(umoci: str, tmp_path: Path, full: bool) -> None:
    names = ("busybox", "httpd", *(("debian", "python", "mysql", "wordpress") if full else ()))
    for name, archive in archives(*names).items():
        layout = extract(archive, tmp_path / name)
        ours = merged(unpack_layers(layout, tmp_path / f"{name}.layers"))
        index = json.loads((layout / "index.json").read_text())
        tag = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        theirs = _as_umoci(umoci, layout, tag, tmp_path / f"{name}.bundle")
        assert len(ours) > 200
        assert ours == theirs
        for made in tmp_path.iterdir():
            shutil.rmtree(made)
