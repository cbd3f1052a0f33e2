"""Archives and layouts against skopeo, podman, buildah, umoci and tar: each reads what the other wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pypod.images.archive.detect import detect, open_destination, open_source
from pypod.images.archive.docker_writer import DockerArchiveDestination
from pypod.images.tar.writer import TarWriter
from pypod.model.images.form import OCI, V2S2, rewritten
from pypod.model.images.image import Manifest
from tests.images.graph import walk
from tests.images.stored import Tiny, copy, docker_archive, layout_files, read_all, tar, write

TRANSPORTS = ("oci", "oci-archive", "docker-archive", "dir")
Run = Callable[..., str]


def tool(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def skopeo_copy(source: str, destination: str) -> None:
    run("skopeo", "copy", "--quiet", "--insecure-policy", source, destination)


@pytest.fixture
def podman() -> Iterator[Run]:
    """podman with its own storage, in which no container is run."""
    os.makedirs("/var/lib/containers", exist_ok=True)
    root = tempfile.mkdtemp(prefix="pypod-oracle-", dir="/var/lib/containers")
    state = tempfile.mkdtemp(prefix="pypod-oracle-", dir="/run")
    yield lambda *words: run("podman", "--storage-driver=vfs", "--root", root, "--runroot", state, *words)
    for directory in (root, state):
        shutil.rmtree(directory)


@tool("skopeo")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
def test_what_skopeo_writes_is_read(tmp_path: Path, transport: str, compress: bool) -> None:
    image = Tiny(b"one", b"two" * 1000, b"one", compress=compress)
    skopeo_copy(f"oci:{write(tmp_path / 'layout', layout_files({'x': image}))}", f"{transport}:{tmp_path}/made")
    with open_source(transport, f"{tmp_path}/made") as source:
        found = read_all(source)
        (manifest,) = walk(source)
    assert image.config in found.values()
    assert manifest.body.decode() == run("skopeo", "inspect", "--raw", f"{transport}:{tmp_path}/made")


@tool("skopeo")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
def test_what_we_write_is_read_by_skopeo(tmp_path: Path, transport: str, compress: bool) -> None:
    image = Tiny(b"one", b"two" * 1000, b"one", compress=compress)
    where = f"{tmp_path}/made" + ":a:1" * (transport != "dir")
    source = write(tmp_path / "layout", layout_files({"x": image}))
    with open_source("oci", str(source)) as read, open_destination(transport, where) as written:
        copy(read, written)
    skopeo_copy(f"{transport}:{where}", f"dir:{tmp_path}/dir")
    assert run("skopeo", "inspect", "--config", "--raw", f"{transport}:{where}") == image.config.decode()
    with open_source("dir", f"{tmp_path}/dir") as again, open_source(transport, where) as ours:
        assert read_all(again) == read_all(ours)
        if transport != "docker-archive":
            assert read_all(again) == image.blobs


@tool("skopeo")
@pytest.mark.parametrize(("docker", "form"), [(True, "oci"), (False, "v2s2")])
def test_manifests_are_converted_as_skopeo_does(tmp_path: Path, docker: bool, form: str) -> None:
    image = Tiny(b"one", b"two", docker=docker)
    blobs = {of.partition(":")[2]: body for of, body in image.blobs.items()}
    version = b"Directory Transport Version: 1.1\n"
    source = write(tmp_path / "source", {**blobs, "manifest.json": image.manifest, "version": version})
    run("skopeo", "copy", "--quiet", "--insecure-policy", "--format", form, f"dir:{source}", f"dir:{tmp_path}/made")
    theirs = json.loads((tmp_path / "made/manifest.json").read_bytes())
    with open_source("dir", str(source)) as read:
        (manifest,) = walk(read)
    assert isinstance(manifest, Manifest)
    ours = json.loads(rewritten(manifest, OCI if docker else V2S2, [(layer, "gzip") for layer in manifest.layers]))
    if docker:  # skopeo writes a new configuration
        del ours["config"], theirs["config"]
    assert ours == theirs


@tool("skopeo")
def test_errors_are_in_skopeos_words(tmp_path: Path) -> None:
    layout = write(tmp_path / "layout", layout_files({"a": Tiny(b"a"), "b": Tiny(b"b")}))
    (tmp_path / "docker").write_bytes(docker_archive({"a:1": Tiny(b"a")}))
    cases = {
        f"oci:{layout}": "more than one image in oci, choose an image",
        f"oci:{layout}:c": 'no descriptor found for reference "c"',
        f"docker-archive:{tmp_path}/docker:b": 'ag "docker.io/library/b:latest" not found',
        f"docker-archive:{tmp_path}/docker:@3": "nvalid source index @3, only 1",
    }
    for name, words in cases.items():
        theirs = subprocess.run(["skopeo", "inspect", "--raw", name], capture_output=True, text=True, check=False)
        assert words in theirs.stderr.replace('\\"', '"')
        with open_source(*name.split(":", 1)) as source, pytest.raises(Exception) as ours:  # noqa: PT011
            source.manifest()
        assert words in str(ours.value)


@tool("podman")
@pytest.mark.root
def test_podman_saves_what_we_load_and_loads_what_we_save(tmp_path: Path, podman: Run) -> None:
    image = Tiny(b"one", b"two" * 1000)
    source = write(tmp_path / "layout", layout_files({"x": image}))
    for transport in ("docker-archive", "oci-archive"):
        where = f"{tmp_path}/{transport}"
        made = open_destination(transport, f"{where}:localhost/tiny:{transport}")
        with open_source("oci", str(source)) as read, made as written:
            copy(read, written)
        loaded = podman("load", "-q", "-i", where)
        assert loaded == f"Loaded image: localhost/tiny:{transport}\n"
    (found,) = json.loads(podman("image", "inspect", "localhost/tiny:docker-archive"))
    assert sorted(found["RepoTags"]) == ["localhost/tiny:docker-archive", "localhost/tiny:oci-archive"]
    assert found["Id"] == image_id(image)
    assert found["Config"]["Cmd"] == ["/file0"]
    for form in ("docker-archive", "oci-archive", "oci-dir", "docker-dir"):
        saved = f"{tmp_path}/saved-{form}"
        podman("save", "-q", "--format", form, "-o", saved, "localhost/tiny:oci-archive")
        with detect(saved) as ours:
            names = () if form == "docker-dir" else ("localhost/tiny:oci-archive",)
            assert [stored.names for stored in ours.images()] == [names]
            assert image_id(image) in {of.partition(":")[2] for of in read_all(ours)}


@tool("podman")
@pytest.mark.root
def test_several_images_of_one_docker_archive(tmp_path: Path, podman: Run) -> None:
    images = {"one": Tiny(b"base", b"one"), "two": Tiny(b"base", b"two")}
    source = write(tmp_path / "layout", layout_files(images))
    made = f"{tmp_path}/made"
    destination = DockerArchiveDestination(TarWriter(made), ("localhost/one:1", "localhost/uno:1"))
    with open_source("oci", str(source)) as read, destination as written:
        copy(read.select("one"), written)
        copy(read.select("two"), written.another(("localhost/two:2",)))
    loaded = podman("load", "-q", "-i", made)
    assert (
        loaded.split()
        == "Loaded image: localhost/one:1 Loaded image: localhost/uno:1 Loaded image: localhost/two:2".split()
    )
    podman("save", "-q", "-m", "-o", f"{tmp_path}/saved", "localhost/one:1", "localhost/two:2")
    with detect(f"{tmp_path}/saved") as ours:
        assert {name for stored in ours.images() for name in stored.names} >= {"localhost/one:1", "localhost/two:2"}
        for stored in ours.images():
            read_all(ours.select(stored.choice))


@tool("buildah")
@pytest.mark.root
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_what_buildah_writes_is_read(tmp_path: Path, transport: str) -> None:
    root = tempfile.mkdtemp(prefix="pypod-oracle-", dir="/run")
    storage = ["--storage-driver=vfs", "--root", f"{root}/root", "--runroot", f"{root}/run"]
    (tmp_path / "file").write_text("content")
    try:
        name = run("buildah", *storage, "from", "scratch").strip()
        run("buildah", *storage, "copy", name, str(tmp_path / "file"), "/file")
        run("buildah", *storage, "commit", "-q", name, f"{transport}:{tmp_path}/made:localhost/built:1")
    finally:
        shutil.rmtree(root)
    with detect(f"{tmp_path}/made") as source:
        assert [stored.names for stored in source.images()] == [("localhost/built:1",)]
        assert read_all(source)


@tool("umoci")
@pytest.mark.root
def test_umoci_and_we_share_a_layout(tmp_path: Path) -> None:
    layout = f"{tmp_path}/layout"
    source = write(tmp_path / "source", layout_files({"x": Tiny(b"one")}))
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:theirs")
    with open_source("oci", str(source)) as read, open_destination("oci", f"{layout}:ours") as written:
        copy(read, written)
    assert sorted(run("umoci", "ls", "--layout", layout).split()) == ["ours", "theirs"]
    run("umoci", "unpack", "--image", f"{layout}:ours", f"{tmp_path}/bundle")
    assert (tmp_path / "bundle/rootfs/file0").read_bytes() == b"one"
    run("umoci", "config", "--image", f"{layout}:ours", "--tag", "changed", "--author", "nobody")
    with open_source("oci", f"{layout}:changed") as again:
        assert read_all(again)


@tool("tar")
@pytest.mark.parametrize("form", ["gnu", "posix", "ustar"])
@pytest.mark.parametrize("flag", ["", "-z", "-j", "-J"])
def test_layouts_packed_by_tar_are_read(tmp_path: Path, form: str, flag: str) -> None:
    image = Tiny(b"one")
    source = write(tmp_path / "layout", layout_files({"x": image}))
    run("tar", "-C", str(source), f"--format={form}", "-c", *flag.split(), "-f", f"{tmp_path}/made", ".")
    with detect(f"{tmp_path}/made") as found:
        assert read_all(found) == image.blobs


@tool("tar")
def test_tar_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    source = write(tmp_path / "layout", layout_files({"x": Tiny(b"one")}))
    with open_source("oci", str(source)) as read, open_destination("oci-archive", f"{tmp_path}/made") as written:
        copy(read, written)
    done = subprocess.run(["tar", "-tvf", f"{tmp_path}/made"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert {line.split()[1] for line in done.stdout.splitlines()} == {"0/0"}


@tool("tar")
def test_of_two_members_of_one_name_tar_keeps_the_same(tmp_path: Path) -> None:
    first, last = Tiny(b"first"), Tiny(b"last")
    made = tmp_path / "made"
    made.write_bytes(tar(*layout_files({"x": first}).items(), *layout_files({"x": last}).items()))
    (tmp_path / "unpacked").mkdir()
    run("tar", "-C", f"{tmp_path}/unpacked", "-xf", str(made))
    with open_source("oci", f"{tmp_path}/unpacked") as theirs, open_source("oci-archive", str(made)) as ours:
        assert theirs.manifest() == ours.manifest()


def image_id(image: Tiny) -> str:
    import hashlib

    return hashlib.sha256(image.config).hexdigest()
