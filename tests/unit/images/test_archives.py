"""Images in archives and directories: reading returns what was written, and hostile input is rejected."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import resource
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from pypod.errors import InvalidImage, InvalidSpec, NoSuchImage, PypodError, Unsupported
from pypod.images.archive.archive import Archive
from pypod.images.archive.detect import detect, open_destination, open_source
from pypod.images.archive.docker_writer import DockerArchiveDestination
from pypod.images.layers.compression import decompressed
from pypod.images.tar.writer import TarWriter
from pypod.model.images.image import DOCKER_LAYER, OCI_INDEX, Descriptor, parse_manifest
from tests.images.forms import LAYOUT, REF_NAME, blob_name, descriptor, digest, index
from tests.images.graph import walk
from tests.images.stored import Tiny, copy, docker_archive, layout_files, read_all, tar, write

TRANSPORTS = ("oci", "oci-archive", "docker-archive", "dir")
COMPRESS = {"gzip": gzip.compress, "zstd": zstd.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def archive(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def oci_archive(path: Path, **named: Tiny) -> str:
    return archive(path, tar(*layout_files(named).items()))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
def test_what_is_written_is_read_again(tmp_path: Path, transport: str, compress: bool) -> None:
    image = Tiny(b"one", b"two" * 100, b"one", compress=compress, docker=transport == "docker-archive")
    source = oci_archive(tmp_path / "source.tar", x=image)
    where = f"{tmp_path}/made"
    with open_source("oci-archive", source) as read, open_destination(transport, where) as written:
        copy(read, written)
    with open_source(transport, where) as again:
        found = read_all(again)
        (manifest,) = walk(again)
    if transport == "docker-archive":  # stores layers uncompressed; its manifest is generated
        assert [found[layer.digest] for layer in manifest.layers] == image.plain
        assert found[manifest.config.digest] == image.config
    else:
        assert found == image.blobs
        assert manifest.digest == image.digest


@pytest.mark.parametrize("kind", [*COMPRESS, ""])
@pytest.mark.parametrize("form", ["oci", "docker"])
def test_archives_are_found_out_by_content_compressed_too(tmp_path: Path, kind: str, form: str) -> None:
    image = Tiny()
    plain = tar(*layout_files({"x": image}).items()) if form == "oci" else docker_archive({"x": image})
    path = archive(tmp_path / "a", COMPRESS.get(kind, bytes)(plain))
    with detect(path) as source:
        assert [stored.names for stored in source.images()] == [("x",)]
        assert image.config in read_all(source.select("@0")).values()


def test_a_pipe_is_read_too(tmp_path: Path) -> None:
    content = gzip.compress(docker_archive({"x": Tiny(os.urandom(200_000))}))
    reading, writing = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writing, content[:7]), feed(writing, content[7:])))
    thread.start()
    with detect("/dev/stdin", reading) as source:
        read_all(source)
    thread.join()
    os.close(reading)


def feed(fd: int, content: bytes) -> None:
    while content:
        content = content[os.write(fd, content) :]
    os.close(fd)


def test_nothing_is_left_of_a_spooled_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a", gzip.compress(docker_archive({"x": Tiny()})))
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setenv("TMPDIR", str(spool))
    with detect(path) as source:
        assert source.images()
        assert os.listdir(spool) == []


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_one_of_several_images_is_chosen_by_name_or_number(tmp_path: Path, transport: str) -> None:
    images = {"a:1": Tiny(b"a"), "b:2": Tiny(b"b")}
    where = str(tmp_path / "x")
    if transport == "docker-archive":
        archive(tmp_path / "x", docker_archive(images))
    elif transport == "oci":
        write(tmp_path / "x", layout_files(images))
    else:
        archive(tmp_path / "x", tar(*layout_files(images).items()))
    for choice, image in (("b:2", images["b:2"]), ("@0", images["a:1"]), ("@1", images["b:2"])):
        with open_source(transport, f"{where}:{choice}") as source:
            assert image.config in read_all(source).values()
    with open_source(transport, where) as source:
        assert [stored.names for stored in source.images()] == [("a:1",), ("b:2",)]
        with pytest.raises(InvalidSpec, match="choose"):
            source.manifest()
        with pytest.raises(NoSuchImage, match="@2, only 2"):
            source.select("@2").manifest()
        with pytest.raises(InvalidSpec, match="invalid source index"):
            source.select("@x").manifest()
        with pytest.raises(NoSuchImage, match=r"not known.*'a:1', 'b:2'"):
            source.select("c").manifest()


def test_names_of_docker_archives_are_compared_in_full(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", docker_archive({"busybox:latest": Tiny()}))
    for name in ("busybox", "docker.io/library/busybox", "library/busybox:latest"):
        with open_source("docker-archive", f"{path}:{name}") as source:
            assert source.manifest()


def test_containerds_annotation_has_the_whole_name(tmp_path: Path) -> None:
    image = Tiny()
    entry = image.entry("latest")
    entry["annotations"]["io.containerd.image.name"] = "docker.io/library/x:latest"
    files = {**layout_files({"latest": image}), "index.json": index(entry)}
    with open_source("oci", str(write(tmp_path, files))) as source:
        assert source.images()[0].names == ("docker.io/library/x:latest",)


def test_dockers_links_between_layers_are_followed(tmp_path: Path) -> None:
    image = Tiny(b"same")
    (name, layer), _ = image.docker_members()
    config = json.dumps({"rootfs": {"diff_ids": [digest(layer)] * 2}}).encode()
    item = {"Config": "config", "RepoTags": None, "Layers": ["one/layer.tar", "two/layer.tar"]}
    links = (("one/layer.tar", f"../{name}"), ("two/layer.tar", "../one/layer.tar"))
    content = tar((name, layer), *links, ("config", config), ("manifest.json", json.dumps([item]).encode()))
    with open_source("docker-archive", archive(tmp_path / "a", content)) as source:
        (manifest,) = walk(source)
        assert [blob.digest for blob in manifest.layers] == [digest(layer)] * 2
        assert read_all(source)[digest(layer)] == layer


@pytest.mark.parametrize(("kind", "suffix"), [("gzip", ".gzip"), ("zstd", ".zstd")])
def test_compressed_layers_of_a_docker_archive_stay_as_they_are(tmp_path: Path, kind: str, suffix: str) -> None:
    image = Tiny()
    stored = COMPRESS[kind](image.plain[0])
    (name, _), config = image.docker_members()
    path = archive(
        tmp_path / "a", tar((name, stored), config, ("manifest.json", json.dumps([image.docker_item()]).encode()))
    )
    with open_source("docker-archive", path) as source:
        (manifest,) = walk(source)
        assert [(layer.media_type, layer.digest) for layer in manifest.layers] == [
            (DOCKER_LAYER + suffix, digest(stored))
        ]
        assert read_all(source)[digest(stored)] == stored


def test_blobs_are_read_from_an_offset_by_several_threads(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    image = Tiny(content, compress=False)
    layer = Descriptor(media_type="", digest=digest(image.plain[0]), size=len(image.plain[0]))
    found: dict[int, bytes] = {}
    with open_source("oci-archive", oci_archive(tmp_path / "a", x=image)) as source:

        def read(offset: int) -> None:
            found[offset] = b"".join(source.blob(layer, offset))

        threads = [threading.Thread(target=read, args=(n << 19,)) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {n << 19: image.plain[0][n << 19 :] for n in range(5)}


# --- hostile input


def test_the_content_of_a_manifest_is_compared_with_its_digest(tmp_path: Path) -> None:
    files = layout_files({"x": Tiny()})
    files[blob_name(Tiny().digest)] = Tiny(b"other").manifest
    with open_source("oci", str(write(tmp_path, files))) as source, pytest.raises(InvalidImage, match="is different"):
        source.manifest()


@pytest.mark.parametrize("bad", ["sha256:../../../etc/passwd", "sha256:", "md5:" + "0" * 32, "sha256:" + "A" * 64])
def test_digests_are_no_paths(tmp_path: Path, bad: str) -> None:
    entry = {**Tiny().entry(), "digest": bad}
    write(tmp_path, {"index.json": index(entry), "oci-layout": LAYOUT})
    with open_source("oci", str(tmp_path)) as source:
        with pytest.raises(InvalidImage, match="invalid digest"):
            source.manifest()
        with pytest.raises(InvalidImage, match="invalid digest"):
            source.manifest(bad)
        with pytest.raises(InvalidImage, match="invalid digest"):
            list(source.blob(Descriptor(media_type="", digest=bad, size=1)))


def replaced_by_link(path: Path, outside: Path) -> None:
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


def replaced_by_fifo(path: Path, outside: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replaced_by_directory(path: Path, outside: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("replaced", [replaced_by_link, replaced_by_fifo, replaced_by_directory])
@pytest.mark.parametrize("which", ["index.json", "manifest", "layer"])
def test_only_plain_files_of_a_layout_are_read(tmp_path: Path, replaced, which: str) -> None:
    image = Tiny()
    layout = write(tmp_path / "layout", layout_files({"x": image}))
    names = {"manifest": blob_name(image.digest), "layer": blob_name(digest(image.stored[0]))}
    replaced(layout / names.get(which, which), tmp_path / "outside")
    with open_source("oci", str(layout)) as source, pytest.raises(InvalidImage, match=r"regular file|symbolic links"):
        read_all(source)


def test_directories_of_a_layout_are_no_links_either(tmp_path: Path) -> None:
    layout = write(tmp_path / "layout", layout_files({"x": Tiny()}))
    (layout / "blobs").rename(tmp_path / "elsewhere")
    (layout / "blobs").symlink_to(tmp_path / "elsewhere")
    with open_source("oci", str(layout)) as source, pytest.raises(InvalidImage, match="not a directory"):
        source.manifest()
    with open_destination("oci", str(layout)) as destination, pytest.raises(NotADirectoryError):
        destination.put_blob(Descriptor(media_type="", digest=digest(b"x"), size=1), [b"x"])
    assert digest(b"x")[7:] not in os.listdir(tmp_path / "elsewhere/sha256")


@pytest.mark.parametrize("content", ["../../../etc/passwd", "/etc/passwd", "index.json", None])
def test_links_and_others_in_the_place_of_a_blob_are_refused(tmp_path: Path, content: str | None) -> None:
    image = Tiny()
    files: dict = {**layout_files({"x": image}), blob_name(digest(image.stored[0])): content}
    path = archive(tmp_path / "a", tar(*files.items()))
    with open_source("oci-archive", path) as source, pytest.raises(InvalidImage, match="not a regular file"):
        read_all(source)


@pytest.mark.parametrize(
    ("link", "reason"),
    [("../../../../etc/passwd", "no such file"), ("/etc/passwd", "no such file"), ("layer.tar", "too many links")],
)
def test_links_of_a_docker_archive_stay_inside_and_end(tmp_path: Path, link: str, reason: str) -> None:
    image = Tiny()
    _, config = image.docker_members()
    item = {"Config": config[0], "RepoTags": [], "Layers": ["a/layer.tar"]}
    path = archive(tmp_path / "a", tar(("a/layer.tar", link), config, ("manifest.json", json.dumps([item]).encode())))
    with open_source("docker-archive", path) as source, pytest.raises(InvalidImage, match=reason):
        source.manifest()


BROKEN_MANIFESTS = {
    "no JSON": b"[",
    "nested too deep": b"[" * 100_000,
    "an object": b"{}",
    "a list of numbers": b"[1]",
    "no configuration": b"[{}]",
    "a path that leads out": b'[{"Config":"../x","Layers":[]}]',
    "a number as layer": b'[{"Config":"x","Layers":[1]}]',
    "1001 layers": json.dumps([{"Config": "x", "Layers": ["y"] * 1001}]).encode(),
    "1001 images": json.dumps([{"Config": "x", "Layers": []}] * 1001).encode(),
    "a name for terminals": b'[{"Config":"\\u001b[31m","Layers":[]}]',
    "5 MB": b'"' + b" " * (5 << 20) + b'"',
}


@pytest.mark.parametrize("case", BROKEN_MANIFESTS)
def test_broken_manifests_of_docker_archives(tmp_path: Path, case: str) -> None:
    content = tar(("x", b"{}"), ("manifest.json", BROKEN_MANIFESTS[case]))
    with open_source("docker-archive", archive(tmp_path / "a", content)) as source:
        with pytest.raises(InvalidImage):
            source.manifest()
        with pytest.raises(InvalidImage) as failure:
            source.images()
    assert str(failure.value).isprintable()


@pytest.mark.parametrize(
    "config", [b"{}", b"[]", b'{"rootfs":{"diff_ids":[]}}', b'{"rootfs":{"diff_ids":["sha256:x"]}}', b"x"]
)
def test_configurations_that_do_not_fit_the_layers(tmp_path: Path, config: bytes) -> None:
    item = {"Config": "c", "RepoTags": [], "Layers": ["l"]}
    content = tar(("l", b""), ("c", config), ("manifest.json", json.dumps([item]).encode()))
    with open_source("docker-archive", archive(tmp_path / "a", content)) as source, pytest.raises(InvalidImage):
        source.manifest()


def test_indexes_are_walked_so_deep_and_no_deeper(tmp_path: Path) -> None:
    image = Tiny()
    files = layout_files({"x": image})
    body, entry = b"", image.entry()
    for depth in range(5):
        body = index(entry)
        files[blob_name(digest(body))] = body
        entry = descriptor(body, OCI_INDEX)
        files["index.json"] = index(entry)
        with open_source("oci", str(write(tmp_path / str(depth), files))) as source:
            if depth < 4:
                assert len(read_all(source)) == depth + 4
            else:
                with pytest.raises(InvalidImage, match="nested"):
                    read_all(source)


def test_an_index_that_names_much_more_than_it_has_is_read_once(tmp_path: Path) -> None:
    """Four levels of 1000 entries each would be 10^12 manifests."""
    image = Tiny()
    files = layout_files({"x": image})
    entry = image.entry()
    for _ in range(4):
        body = index(*[entry] * 1000)
        files[blob_name(digest(body))] = body
        entry = descriptor(body, OCI_INDEX)
    files["index.json"] = index(entry)
    with open_source("oci", str(write(tmp_path, files))) as source:
        assert len(list(walk(source))) == 5


def test_manifests_of_an_image_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.images.graph.MANIFESTS_LIMIT", 2)
    images = [Tiny(bytes([n])) for n in range(3)]
    files = layout_files({str(n): image for n, image in enumerate(images)})
    body = index(*(image.entry() for image in images))
    files |= {blob_name(digest(body)): body, "index.json": index(descriptor(body, OCI_INDEX))}
    with open_source("oci", str(write(tmp_path, files))) as source, pytest.raises(InvalidImage, match="more than 2"):
        list(walk(source))


@pytest.mark.parametrize("kind", COMPRESS)
def test_compressed_archives_that_are_damaged_cut_or_followed(tmp_path: Path, kind: str) -> None:
    whole = COMPRESS[kind](docker_archive({"x": Tiny(os.urandom(3000))}))
    for content in (whole[: len(whole) // 2], whole[:-1], whole + b"more", whole[:60] + b"\xff" * 30 + whole[90:]):
        with pytest.raises(InvalidImage):
            detect(archive(tmp_path / "a", content))


def test_a_bomb_that_is_no_archive_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file() -> int:
        raise AssertionError("it was spooled")

    monkeypatch.setattr("pypod.images.archive.archive.temporary_file", no_file)
    path = archive(tmp_path / "a", gzip.compress(bytes(50 << 20), 1))
    with pytest.raises(InvalidImage, match="invalid tar header"):
        detect(path)
    with pytest.raises(InvalidImage, match="invalid tar header"):
        detect("/dev/zero")


@pytest.mark.parametrize("content", [b"", b"x" * 1000, tar(("hello", b"x"))])
def test_what_is_nothing_known_is_said_in_podmans_words(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidImage, match="payload does not match any of the supported image formats:") as failure:
        detect(archive(tmp_path / "a", content))
    assert " * oci-archive: " in str(failure.value)
    assert " * docker-archive: " in str(failure.value)


def test_directories_are_found_out_too(tmp_path: Path) -> None:
    with pytest.raises(InvalidImage, match="payload does not match"):
        detect(str(tmp_path))
    image = Tiny()
    layout = write(tmp_path / "layout:1", layout_files({"x": image}))
    with detect(str(layout)) as source, open_destination("dir", f"{tmp_path}/dir") as destination:
        copy(source.select("@0"), destination)
    with detect(f"{tmp_path}/dir") as source:
        assert read_all(source.select(source.images()[0].choice)) == image.blobs


def test_no_descriptor_is_left_by_what_fails(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for content in (b"", b"x" * 600, gzip.compress(b"x" * 600), tar(("a", b"")), gzip.compress(tar(("../a", b"")))):
        with pytest.raises(InvalidImage):
            detect(archive(tmp_path / "a", content))
    with pytest.raises(InvalidSpec):
        open_source("oci-archive", f"{tmp_path}/nothing")
    with pytest.raises(FileNotFoundError):
        TarWriter(f"{tmp_path}/nothing/a")
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        ("dir", "open {}/manifest.json: no such file or directory"),
        ("docker-archive", 'opening file "{0}": open {0}: no such file or directory'),
        ("oci", "initializing source oci:{0}:: open {0}/index.json: no such file or directory"),
        ("oci-archive", "creating temp directory: open {}: no such file or directory"),
    ],
)
def test_what_is_not_there(tmp_path: Path, transport: str, words: str) -> None:
    """The words are podman's."""
    path = f"{tmp_path}/nothing"
    with pytest.raises(InvalidSpec) as refused:
        open_source(transport, path)
    assert str(refused.value) == words.format(path)


# --- writing


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_archives_are_the_same_bytes_in_a_file_and_down_a_pipe(tmp_path: Path, transport: str) -> None:
    source = oci_archive(tmp_path / "source.tar", x=Tiny(b"one", b"two"))
    made = [tmp_path / "1", tmp_path / "2"]
    for path in made:
        with open_source("oci-archive", source) as read, open_destination(transport, f"{path}:a:1") as written:
            copy(read, written)
    os.mkfifo(tmp_path / "pipe")
    piped: list[bytes] = []
    thread = threading.Thread(target=lambda: piped.append((tmp_path / "pipe").read_bytes()))
    thread.start()
    with open_source("oci-archive", source) as read, open_destination(transport, f"{tmp_path}/pipe:a:1") as written:
        copy(read, written)
    thread.join()
    assert made[0].read_bytes() == made[1].read_bytes() == piped[0]
    assert made[0].stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    return int(
        next(line for line in Path("/proc/self/status").read_text().splitlines() if "Umask" in line).split()[1], 8
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_fails_on_the_way_leaves_nothing_visible(tmp_path: Path, transport: str) -> None:
    def broken():
        yield b"some"
        raise ConnectionError("gone")

    where = tmp_path / "made"
    blob = Descriptor(media_type="application/vnd.oci.image.layer.v1.tar", digest=digest(b"something"), size=9)
    with pytest.raises(ConnectionError), open_destination(transport, str(where)) as destination:
        destination.put_blob(blob, broken())
    with pytest.raises(InvalidImage, match="9 bytes"), open_destination(transport, str(where)) as destination:
        destination.put_blob(blob, [b"some"])
    with pytest.raises(InvalidImage, match="9 bytes"), open_destination(transport, str(where)) as destination:
        destination.put_blob(blob, [b"something", b"more"])
    files = {name for _, _, names in os.walk(tmp_path) for name in names}
    assert files <= {"version"}


def test_a_file_that_is_replaced_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    writer = TarWriter(str(path))
    writer.add_bytes("x", b"after")
    assert path.read_bytes() == b"before"
    writer.finish()
    assert len(path.read_bytes()) == 10240
    assert os.listdir(tmp_path) == ["a"]


def test_several_images_go_into_one_docker_archive_and_layers_once(tmp_path: Path) -> None:
    one, two = Tiny(b"base", b"one"), Tiny(b"base", b"two", compress=False)
    source = oci_archive(tmp_path / "source.tar", one=one, two=two)
    path = str(tmp_path / "made")
    with open_source("oci-archive", source) as read, DockerArchiveDestination(TarWriter(path), ("a:1", "a:2")) as made:
        copy(read.select("one"), made)
        copy(read.select("two"), made.another(("b:1",)))
        copy(read.select("one"), made.another(("a:2", "c:3")))
    with detect(path) as again:
        assert [stored.names for stored in again.images()] == [("a:1", "a:2", "c:3"), ("b:1",)]
        assert two.config in read_all(again.select("b:1")).values()
    with open(path, "rb") as file:
        assert file.read().count(one.plain[0]) == 1


def test_a_docker_archive_takes_no_index_and_no_layers_of_others(tmp_path: Path) -> None:
    image, other = Tiny(), Tiny(b"other")
    forged = json.loads(image.manifest)
    forged["layers"] = json.loads(other.manifest)["layers"]
    manifest = parse_manifest(json.dumps(forged).encode())
    with open_destination("docker-archive", f"{tmp_path}/a") as made:
        with pytest.raises(Unsupported):
            made.put_manifest(OCI_INDEX, index(image.entry()))
        with pytest.raises(InvalidImage, match="not a container image"):
            made.put_manifest("", image.manifest)
        made.put_blob(manifest.config, [image.config])
        made.put_blob(manifest.layers[0], [other.stored[0]])
        with pytest.raises(InvalidImage, match="diff_ids"):
            made.put_manifest("", manifest.body)
    assert os.listdir(tmp_path) == []


def test_a_layout_keeps_its_other_images_and_replaces_the_name(tmp_path: Path) -> None:
    images = {"a": Tiny(b"a"), "b": Tiny(b"b")}
    source = oci_archive(tmp_path / "source.tar", **images)
    with open_source("oci-archive", source) as read:
        for name, into in (("a", "x"), ("b", "y"), ("b", "x"), ("a", ""), ("a", "")):
            with open_destination("oci", f"{tmp_path}/layout:{into}") as written:
                copy(read.select(name), written)
    with open_source("oci", f"{tmp_path}/layout") as read:
        assert [stored.names for stored in read.images()] == [("y",), ("x",), ()]
        assert read_all(read.select("x")) == images["b"].blobs


def test_what_is_there_is_not_overwritten_by_what_does_not_fit(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", b"x")
    with pytest.raises(InvalidSpec, match="doesn't support modifying existing images"):
        open_destination("docker-archive", path)
    with pytest.raises(InvalidSpec, match="not a containers image directory"):
        open_destination("dir", str(tmp_path))
    with pytest.raises(InvalidSpec, match="unknown transport"):
        open_source("ftp", "x")
    with pytest.raises(InvalidSpec, match="path is missing"):
        open_source("oci", ":x")


def test_file_systems_without_unnamed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", os.O_RDWR | os.O_DIRECTORY)  # as old kernels see it: EISDIR
    with open_source("oci-archive", oci_archive(tmp_path / "source.tar", x=Tiny())) as read:
        with open_destination("docker-archive", f"{tmp_path}/made") as written:
            copy(read, written)
        with pytest.raises(InvalidImage), open_destination("docker-archive", f"{tmp_path}/other") as written:
            written.put_blob(Descriptor(media_type="", digest=digest(b""), size=9), [b"x"])
    assert sorted(os.listdir(tmp_path)) == ["made", "source.tar"]
    with detect(f"{tmp_path}/made") as again:
        assert read_all(again)


def test_archives_keep_the_last_of_two_members_of_one_name(tmp_path: Path) -> None:
    first, last = Tiny(b"first"), Tiny(b"last")
    files = [*layout_files({"x": first}).items(), *layout_files({"x": last}).items()]
    with open_source("oci-archive", archive(tmp_path / "a", tar(*files))) as source:
        assert read_all(source) == last.blobs


def test_an_archive_says_what_it_has(tmp_path: Path) -> None:
    files = Archive(archive(tmp_path / "a", tar(("a", b"content"))))
    assert "a" in files
    assert "b" not in files
    assert files.read("a", 7) == b"content"
    with pytest.raises(InvalidImage, match="larger than 6 bytes"):
        files.read("a", 6)
    files.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_memory_does_not_grow_with_a_layer(tmp_path: Path, transport: str) -> None:
    """16 KiB that expand to 16 MiB: written, decompressed on the way into a docker archive, and read again."""
    image = Tiny(bytes(16 << 20))
    path = archive(tmp_path / "a", gzip.compress(tar(*layout_files({"x": image}).items()), 1))
    tracemalloc.start()
    try:
        with open_source("oci-archive", path) as read, open_destination(transport, f"{tmp_path}/made") as written:
            copy(read, written)
        with open_source(transport, f"{tmp_path}/made") as again:
            (manifest,) = walk(again)
            assert sum(len(piece) for blob in manifest.layers for piece in again.blob(blob)) > 15_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20


@pytest.mark.parametrize("kind", COMPRESS)
def test_many_small_streams_take_no_longer_than_their_bytes(kind: str) -> None:
    """An empty gzip stream has 20 bytes, so 60,000 of them are 1.2 MB; they took 0.1 s."""
    streams = 60_000 if kind == "gzip" else 2_000
    whole = COMPRESS[kind](b"") * streams + COMPRESS[kind](b"end")
    started = time.process_time()
    assert b"".join(decompressed([whole], "x")) == b"end"
    assert time.process_time() - started < 3


def test_a_layer_that_comes_compressed_in_two_ways_is_written_once(tmp_path: Path) -> None:
    """The second is recognised only after its last byte; a file is truncated, a pipe never receives it."""
    image, again = Tiny(os.urandom(30_000)), Tiny()
    again.plain, again.config = image.plain, image.config
    again.stored = [gzip.compress(image.plain[0], 1, mtime=1)]
    manifest = json.loads(image.manifest)
    manifest["layers"][0] = descriptor(again.stored[0], manifest["layers"][0]["mediaType"])
    again.manifest = json.dumps(manifest).encode()
    source = oci_archive(tmp_path / "source.tar", one=image, two=again)
    made = {}
    for choices in (("one",), ("one", "two")):
        path = tmp_path / "-".join(choices)
        with open_source("oci-archive", source) as read, open_destination("docker-archive", str(path)) as written:
            for choice in choices:
                copy(read.select(choice), written)
        made[choices] = path.read_bytes()
    reading, writing = os.pipe()
    piped: list[bytes] = []
    thread = threading.Thread(target=lambda: piped.append(drained(reading)))
    thread.start()
    with open_source("oci-archive", source) as read, DockerArchiveDestination(TarWriter("", writing)) as written:
        os.close(writing)
        copy(read.select("one"), written)
        copy(read.select("two"), written)
    thread.join()
    assert made["one",] == made["one", "two"] == piped[0]


def drained(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        return file.read()


def test_a_link_at_the_end_of_the_path_stays(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("other/archive")
    source = oci_archive(tmp_path / "source.tar", x=Tiny())
    with open_source("oci-archive", source) as read, open_destination("oci-archive", f"{tmp_path}/link") as written:
        copy(read, written)
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "other") == ["archive"]


def test_a_layer_that_a_manifest_names_a_thousand_times_is_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = gzip.compress(os.urandom(100_000))
    links = [(f"{n}.tar", "layer") for n in range(500)]
    config = json.dumps({"rootfs": {"diff_ids": [digest(b"")] * 500}}).encode()
    item = {"Config": "config", "RepoTags": [], "Layers": [name for name, _ in links]}
    members = (("layer", layer), *links, ("config", config), ("manifest.json", json.dumps([item]).encode()))
    hashed = 0

    class Counting:
        def __init__(self) -> None:
            self._real = hashlib.new("sha256")

        def update(self, data: bytes) -> None:
            nonlocal hashed
            hashed += len(data)
            self._real.update(data)

        def hexdigest(self) -> str:
            return self._real.hexdigest()

    path = archive(tmp_path / "a", tar(*members))
    with open_source("docker-archive", path) as source, monkeypatch.context() as patch:
        patch.setattr(hashlib, "sha256", lambda data=b"": hashlib.new("sha256", data) if data else Counting())
        source.manifest()
    assert hashed == len(layer)


def test_names_that_are_none_hide_no_other(tmp_path: Path) -> None:
    image = Tiny()
    item = image.docker_item("Upper Case", "", "x@sha256:0", "busybox")
    path = archive(tmp_path / "a", tar(*image.docker_members(), ("manifest.json", json.dumps([item]).encode())))
    with open_source("docker-archive", f"{path}:docker.io/library/busybox:latest") as source:
        assert parse_manifest(source.manifest()[1]).config.digest == digest(image.config)
    with open_source("docker-archive", f"{path}:other") as source, pytest.raises(NoSuchImage):
        source.manifest()


def test_a_name_leads_to_images_only(tmp_path: Path) -> None:
    other = {**descriptor(b"{}", "application/vnd.example+json"), "annotations": {REF_NAME: "x"}}
    image = Tiny()
    files = {**layout_files({"x": image}), "index.json": index(other, image.entry("x"))}
    with open_source("oci", f"{write(tmp_path, files)}:x") as source:
        assert digest(source.manifest()[1]) == image.digest


def test_writers_of_one_layout_keep_each_others_images(tmp_path: Path) -> None:
    names = [f"n{n}" for n in range(12)]
    source = oci_archive(tmp_path / "source.tar", x=Tiny())

    def add(name: str) -> None:
        with (
            open_source("oci-archive", source) as read,
            open_destination("oci", f"{tmp_path}/layout:{name}") as written,
        ):
            copy(read, written)

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_source("oci", f"{tmp_path}/layout") as read:
        assert sorted(stored.names[0] for stored in read.images()) == sorted(names)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("x.json") | st.just(digest(b"")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "Config RepoTags Layers rootfs diff_ids manifests layers config digest size mediaType".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
@settings(max_examples=60, deadline=None)
def test_any_json_ends_in_an_image_or_a_typed_error(manifest: object, config: object) -> None:
    bodies = [json.dumps(value).encode() for value in (manifest, [manifest], config)]
    if isinstance(manifest, dict):
        bodies[0] = json.dumps({"schemaVersion": 2, **manifest}).encode()
    for name, body in (("manifest.json", bodies[0]), ("manifest.json", bodies[1]), ("index.json", bodies[0])):
        content = tar((name, body), ("x.json", bodies[2]), (blob_name(digest(b"")), b""))
        tolerated(content)


@given(st.sampled_from(("oci", "docker")), st.lists(st.tuples(st.integers(0, 9000), st.binary(max_size=9)), max_size=4))
@settings(max_examples=100, deadline=None)
def test_any_damage_ends_in_an_image_or_a_typed_error(form: str, damages: list[tuple[int, bytes]]) -> None:
    files = {"x": Tiny()}
    content = bytearray(docker_archive(files) if form == "docker" else tar(*layout_files(files).items()))
    for at, piece in damages:
        content[at : at + len(piece)] = piece
    tolerated(bytes(content))


def tolerated(content: bytes) -> None:
    fd = os.memfd_create("archive")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            with detect("archive", fd) as source:
                for stored in source.images():
                    for manifest in walk(source.select(stored.choice)):
                        for blob in getattr(manifest, "layers", ()):
                            b"".join(source.select(stored.choice).blob(blob))
        except PypodError:
            return
    finally:
        os.close(fd)


@pytest.mark.parametrize("body", [b"{}", b'{"schemaVersion":2,"mediaType":[],"manifests":[]}', Tiny().manifest])
def test_an_index_that_is_none_is_neither_read_nor_added_to(tmp_path: Path, body: bytes) -> None:
    layout = write(tmp_path, {"index.json": body})
    with open_source("oci", str(layout)) as source, pytest.raises(InvalidImage):
        source.images()
    with open_destination("oci", str(layout)) as written, pytest.raises(InvalidImage):
        written.put_manifest(Tiny().media_type, Tiny().manifest)
    assert (tmp_path / "index.json").read_bytes() == body


def test_what_docker_writes_since_25_is_both_and_read_as_either(tmp_path: Path) -> None:
    """A layout with manifest.json beside it, whose paths lead into blobs/ (moby: image/tarexport/save.go)."""
    image = Tiny(b"one", compress=False)
    paths = [blob_name(digest(layer)) for layer in image.stored]
    item = {"Config": blob_name(digest(image.config)), "RepoTags": ["x:latest"], "Layers": paths}
    entry = image.entry("latest")
    entry["annotations"]["io.containerd.image.name"] = "docker.io/library/x:latest"
    files = {**layout_files({"latest": image}), "index.json": index(entry)}
    path = archive(tmp_path / "a", tar(*files.items(), ("manifest.json", json.dumps([item]).encode())))
    with detect(path) as source:
        assert source.images()[0].names == ("docker.io/library/x:latest",)
        assert read_all(source) == image.blobs
    with open_source("docker-archive", f"{path}:x") as source:
        assert image.plain[0] in read_all(source).values()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_full_disk_is_an_oserror_and_leaves_nothing(
    tmp_path: Path, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated by a limit on file sizes: EFBIG instead of ENOSPC."""
    image = Tiny(os.urandom(100_000), compress=False)
    plain = oci_archive(tmp_path / "source.tar", x=image)
    packed = archive(tmp_path / "packed", gzip.compress(tar(*layout_files({"x": image}).items())))
    (tmp_path / "spool").mkdir()
    monkeypatch.setenv("TMPDIR", f"{tmp_path}/spool")
    before = os.listdir("/proc/self/fd")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            detect(packed)
        with open_source("oci-archive", plain) as read, pytest.raises(OSError, match="too large"):  # noqa: SIM117
            with open_destination(transport, f"{tmp_path}/made") as written:
                copy(read, written)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir("/proc/self/fd") == before
    found = {name for _, _, names in os.walk(tmp_path) for name in names}
    assert found - {"version", digest(image.config)[7:]} == {"source.tar", "packed"}


@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
def test_an_archive_with_a_broken_member_never_appears(tmp_path: Path, compress: bool) -> None:
    image = Tiny(os.urandom(1000), compress=compress)
    source = oci_archive(tmp_path / "source.tar", x=image)
    with open_source("oci-archive", source) as read:
        (manifest,) = walk(read)
        with pytest.raises(OSError, match="Bad file descriptor"):  # noqa: PT012, SIM117
            with open_destination("docker-archive", f"{tmp_path}/made") as written:
                with pytest.raises(InvalidImage):
                    written.put_blob(manifest.layers[0], [image.stored[0][:-100]])
                copy(read, written)
    assert os.listdir(tmp_path) == ["source.tar"]


def test_what_the_shell_redirects_to_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    source = oci_archive(tmp_path / "source.tar", x=Tiny())
    code = (
        "from pypod.images.archive.detect import open_destination, open_source\n"
        "from tests.images.stored import copy\n"
        f"with open_source('oci-archive', {source!r}) as a, open_destination('oci-archive', '/dev/stdout:x') as b:\n"
        "    copy(a, b)\n"
    )
    with (tmp_path / "out").open("wb") as out:
        inode = os.fstat(out.fileno()).st_ino
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True, cwd=Path(__file__).parents[3])
    assert (tmp_path / "out").stat().st_ino == inode
    with open_source("oci-archive", f"{tmp_path}/out:x") as again:
        assert read_all(again)
