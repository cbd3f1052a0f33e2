"""Layers unpacked by us and by others: GNU tar for tar archives, umoci for the stand-in images."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypod.images.layers.unpack import unpack
from tests.images import umoci
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
        command += ["--delay-directory-restore"]  # entries need not come right after their directory
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


@pytest.mark.not_in_chroot
def test_the_stand_in_images_as_umoci_has_them(tmp_path: Path, full: bool) -> None:
    names = ("busybox", "httpd", *(("debian", "python", "mysql", "wordpress") if full else ()))
    for name, archive in archives(*names).items():
        layout = extract(archive, tmp_path / name)
        ours = merged(unpack_layers(layout, tmp_path / f"{name}.layers"))
        index = json.loads((layout / "index.json").read_text())
        tag = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        theirs = umoci.unpacked(layout, tag, tmp_path / f"{name}.bundle")
        assert len(ours) > 200
        theirs["."] = ("0o40555", *theirs["."][1:])  # of a layer without an entry for its root: umoci's own, podman's
        assert ours == theirs
        for made in tmp_path.iterdir():
            shutil.rmtree(made)
