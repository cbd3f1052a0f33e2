"""Manifest lists as a user creates, changes and pushes them, with docker-registry where a registry is needed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod import Engine, InvalidImage
from tests.cli.images.test_image_transfers import manifest_at
from tests.cli.program import Program
from tests.docker_registry import DockerRegistry, needs_docker_registry
from tests.images.tiny import Tiny, save

pytestmark = pytest.mark.root

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Store:
    """A storage with an image for amd64 and one for arm64, and more storages on request."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.amd = Tiny({"a": b"amd" * 900}, name="localhost/amd:1", architecture="amd64")
        self.arm = Tiny({"b": b"arm" * 900}, name="localhost/arm:1", architecture="arm64", variant="v8")
        self.pypod = self.another("storage")
        for image in (self.amd, self.arm):
            self.pypod.ok("load", "-q", "-i", str(image.save(directory / "image.tar")))

    def another(self, name: str) -> Program:
        return Program(str(self.directory / name))

    def entries(self, name: str) -> list[dict]:
        return json.loads(self.pypod.ok("manifest", "inspect", name))["manifests"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as found:
        yield found.host


def test_what_is_added_changed_and_removed_is_shown(store: Store) -> None:
    pypod = store.pypod
    identifier = pypod.ok("manifest", "create", "web", "amd:1")
    assert pypod.ok("manifest", "add", "--annotation", "a=b", "web", "arm:1") == identifier
    assert store.entries("web") == [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": store.amd.digest,
            "size": len(store.amd.manifest),
            "platform": {"architecture": "amd64", "os": "linux"},
        },
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": store.arm.digest,
            "size": len(store.arm.manifest),
            "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"},
            "annotations": {"a": "b"},
        },
    ]
    pypod.ok("manifest", "annotate", "--arch", "riscv64", "--variant", "x", "--os-version", "7", "--os-features", "f,g",
             "--annotation", "c=d", "web", store.arm.digest)  # fmt: skip
    _, arm = store.entries("web")
    assert arm["platform"] == {
        "architecture": "riscv64", "os": "linux", "variant": "x", "os.version": "7", "os.features": ["f", "g"],
    }  # fmt: skip
    assert arm["annotations"] == {"a": "b", "c": "d"}
    pypod.ok("manifest", "add", "web", "arm:1")  # adding it again creates no duplicate
    assert [one["digest"] for one in store.entries("web")] == [store.amd.digest, store.arm.digest]
    assert pypod.ok("manifest", "remove", "web", store.amd.digest) == identifier
    assert [one["digest"] for one in store.entries("web")] == [store.arm.digest]


def test_a_list_is_an_image_by_its_names(store: Store) -> None:
    pypod = store.pypod
    identifier = pypod.ok("manifest", "create", "web", "amd:1", "arm:1").strip()
    shown = pypod.ok("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}", "web").split()
    body = json.dumps(json.loads(pypod.ok("manifest", "inspect", "web")), separators=(",", ":")).encode()
    assert shown == ["localhost/web:latest", identifier[:12], f"sha256:{hashlib.sha256(body).hexdigest()}"]
    assert pypod.ok("images", "-q", "--filter", "manifest=true") == f"{identifier[:12]}\n"
    assert identifier[:12] not in pypod.ok("images", "-q", "--filter", "manifest=false")
    pypod.ok("tag", "web", "localhost/other:2")
    assert pypod("manifest", "exists", "other:2").returncode == 0
    # where an image is needed, the list stands for the image for this machine
    assert pypod.ok("image", "inspect", "--format", "{{.Id}}", "web").strip() == store.amd.id
    assert pypod.ok("rmi", "other:2") == "Untagged: localhost/other:2\n"
    assert pypod.ok("manifest", "rm", "web") == f"Untagged: localhost/web:latest\nDeleted: {identifier}\n"
    assert pypod("manifest", "exists", "web").returncode == 1
    assert pypod("image", "exists", "amd:1").returncode == 0


@pytest.mark.parametrize(
    ("flags", "which"),
    [
        ((), "amd"),
        (("--arch", "arm64"), "arm"),
        (("--platform", "linux/arm64"), "arm"),
        (("--platform", "linux/arm64/v8"), "arm"),
        (("--arch", "arm64", "--variant", "v8", "--os", "linux"), "arm"),
        (("--platform", "linux/amd64"), "amd"),
    ],
)
def test_a_container_is_made_of_the_member_that_is_asked_for(store: Store, flags: tuple[str, ...], which: str) -> None:
    pypod = store.pypod
    pypod.ok("manifest", "create", "web", "amd:1", "arm:1")
    container = pypod.ok("create", "--pull", "never", *flags, "web", "/x").strip()
    shown = pypod.ok("inspect", "--format", "{{.Image}} {{.ImageName}}", container).split()
    assert shown == [getattr(store, which).id, "localhost/web:latest"]
    assert pypod.ok("pull", "-q", "--policy", "missing", *flags, "web").strip() == getattr(store, which).id
    (layer,) = json.loads(pypod.ok("image", "inspect", f"{which}:1"))[0]["GraphDriver"]["Data"].values()
    assert f"lowerdir={layer}:" in pypod.ok("run", "--explain", *flags, "web", "/x")


def test_a_container_of_a_member_that_is_not_there(store: Store) -> None:
    pypod = store.pypod
    pypod.ok("manifest", "create", "web", "amd:1", "arm:1")
    done = pypod("create", "--pull", "never", "--arch", "s390x", "web", "/x")
    assert done.returncode == 125
    assert "no image found in manifest list for architecture s390x" in done.stderr
    pypod.ok("rmi", "arm:1")
    done = pypod("create", "--pull", "never", "--arch", "arm64", "web", "/x")
    assert (done.returncode, "its image for linux/arm64 is not in the store" in done.stderr) == (125, True)


def test_a_list_without_an_image_for_this_machine(store: Store) -> None:
    pypod = store.pypod
    pypod.ok("manifest", "create", "far", "arm:1")
    pypod.ok("manifest", "create", "away", "amd:1")
    pypod.ok("rmi", "amd:1")
    for name, message in (
        ("far", "no image found in manifest list for architecture amd64"),
        ("away", "its image for linux/amd64 is not in the store"),
    ):
        for words in (("image", "inspect"), ("history",), ("run", "--pull", "never"), ("push", "-q")):
            done = pypod(*words, name)
            assert (done.returncode, message in done.stderr) == (125, True), done
    assert pypod.ok("images", "--format", "{{.Repository}} {{.Labels}}", "far") == "localhost/far map[]\n"
    with Engine(pypod.root) as engine:
        assert not [image for image in engine.images.list() if image.is_list]
        (found,) = (image for image in engine.images.list(with_lists=True) if image.names == ("localhost/far:latest",))
        assert (found.is_list, found.layers()) == (True, [])
        with pytest.raises(InvalidImage, match="it is a manifest list"):
            _ = found.config


def test_annotations_of_the_list_itself(store: Store) -> None:
    pypod = store.pypod

    def annotations() -> dict[str, str]:
        return json.loads(pypod.ok("manifest", "inspect", "web")).get("annotations", {})

    pypod.ok("manifest", "create", "--annotation", "a=b=c", "--annotation", "d=", "web", "amd:1")
    assert annotations() == {"a": "b=c", "d": ""}
    pypod.ok("manifest", "add", "web", "arm:1")
    pypod.ok("manifest", "create", "--amend", "--annotation", "d=e", "web")
    assert (annotations(), len(store.entries("web"))) == ({"a": "b=c", "d": "e"}, 2)
    assert pypod("manifest", "create", "--annotation", "a", "other").returncode == 125


def test_removing_lists_that_may_not_exist(store: Store) -> None:
    pypod = store.pypod
    pypod.ok("manifest", "create", "web")
    done = pypod("manifest", "rm", "--ignore", "none", "amd:1", "web")
    assert (done.returncode, done.stderr) == (125, "Error: localhost/amd:1: image is not a manifest list\n")
    assert pypod("manifest", "exists", "web").returncode == 1
    assert pypod.ok("manifest", "rm", "--ignore", "web") == ""


def test_names_that_are_taken_and_names_of_nothing(store: Store) -> None:
    pypod = store.pypod
    identifier = pypod.ok("manifest", "create", "web", "amd:1")
    done = pypod("manifest", "create", "web")
    assert (done.returncode, "is already associated with image" in done.stderr) == (125, True)
    assert pypod.ok("manifest", "create", "--amend", "web", "arm:1") == identifier
    assert len(store.entries("web")) == 2
    for words in (
        ("exists", "amd:1"), ("rm", "amd:1"), ("add", "amd:1", "arm:1"), ("push", "amd:1", "dir:x"),
        ("create", "--amend", "amd:1"),
    ):  # fmt: skip
        done = pypod("manifest", *words)
        assert (done.returncode, done.stderr) == (125, "Error: localhost/amd:1: image is not a manifest list\n"), words
    done = pypod("manifest", "rm", "none", "web")
    assert (done.returncode, done.stderr) == (1, "Error: none: image not known\n")
    assert done.stdout == f"Untagged: localhost/web:latest\nDeleted: {identifier}"
    absent = f"sha256:{'0' * 64}"
    pypod.ok("manifest", "create", "new", "amd:1")
    for verb in ("remove", "annotate"):
        done = pypod("manifest", verb, "new", absent)
        assert (done.returncode, f'no instance matching digest "{absent}" found' in done.stderr) == (125, True)
        done = pypod("manifest", verb, "new", "../x")
        assert (done.returncode, 'invalid image digest "../x"' in done.stderr) == (125, True)
    done = pypod("manifest", "create", "half", "amd:1", "dir:/nonexistent")
    assert (done.returncode, pypod("manifest", "exists", "half").returncode) == (125, 1), done


def test_a_list_keeps_what_its_images_were(store: Store, tmp_path: Path) -> None:
    """Removed images can be pushed as long as a list names them, and are deleted with it."""
    pypod = store.pypod
    pypod.ok("manifest", "create", "web", "amd:1", "arm:1")
    pypod.ok("rmi", "amd:1", "arm:1")
    pypod.ok("manifest", "push", "-q", "web", f"oci-archive:{tmp_path}/web.tar")
    other = store.another("other")
    other.ok("pull", "-q", "--platform", "linux/arm64", f"oci-archive:{tmp_path}/web.tar")
    assert other.ok("images", "-q", "--no-trunc").strip() == f"sha256:{store.arm.id}"
    pypod.ok("manifest", "rm", "web")
    assert list((tmp_path / "storage").rglob("images/blobs/sha256/*")) == []


def test_two_that_add_at_once_lose_nothing(store: Store) -> None:
    images = [Tiny({f"f{number}": b"x" * number}, name=f"localhost/many:{number}") for number in range(1, 7)]
    store.pypod.ok("load", "-q", "-i", str(save(store.directory / "many.tar", *images)))
    store.pypod.ok("manifest", "create", "web")
    running = [
        store.pypod.start("manifest", "add", "web", f"many:{number}", stdout=subprocess.DEVNULL)
        for number in range(1, 7)
    ]
    assert [process.wait(60) for process in running] == [0] * 6
    assert {entry["digest"] for entry in store.entries("web")} == {image.digest for image in images}


def test_members_from_files(store: Store, tmp_path: Path) -> None:
    pypod, other = store.pypod, store.another("other")
    pypod.ok("manifest", "create", "web", "amd:1", "arm:1")
    for transport in ("oci", "oci-archive", "dir"):
        pypod.ok("manifest", "push", "-q", "web", f"{transport}:{tmp_path}/{transport}")
        name = f"from-{transport}"
        other.ok("manifest", "create", "--all", name, f"{transport}:{tmp_path}/{transport}")
        assert json.loads(other.ok("manifest", "inspect", name))["manifests"] == store.entries("web")
    other.ok("manifest", "create", "one", f"oci:{tmp_path}/oci")
    assert [entry["digest"] for entry in json.loads(other.ok("manifest", "inspect", "one"))["manifests"]] == [
        store.amd.digest
    ]
    done = pypod("manifest", "push", "web", f"docker-archive:{tmp_path}/x")
    assert (done.returncode, "a docker archive cannot hold a list" in done.stderr) == (125, True)


@needs_docker_registry
class TestRegistry:
    def test_what_is_pushed_is_there_and_every_platform_gets_its_own(self, store: Store, registry: str) -> None:
        pypod, target = store.pypod, f"{registry}/m/web:1"
        pypod.ok("manifest", "create", "web", "amd:1", "arm:1")
        done = pypod(
            "manifest", "push", "--tls-verify=false", "--digestfile", store.directory / "digest", "web", target
        )
        assert (done.returncode, done.stdout) == (0, ""), done
        lines = done.stderr.splitlines()
        assert lines[:3] == [
            "Getting image list signatures",
            "Copying 2 of 2 images in list",
            f"Copying image {store.amd.digest} (1/2)",
        ]
        assert lines[-2:] == ["Writing manifest list to image destination", "Storing list signatures"]
        there = self.raw(target)
        assert there == pypod.ok("manifest", "inspect", "web")
        assert (store.directory / "digest").read_text() == pypod.ok("images", "--format", "{{.Digest}}", "web").strip()
        for platform, image in (("linux/amd64", store.amd), ("linux/arm64", store.arm)):
            other = store.another(platform.replace("/", "-"))
            assert other.ok("pull", "-q", "--tls-verify=false", "--platform", platform, target) == f"{image.id}\n"
            assert other.ok("image", "inspect", "--format", "{{.Digest}}", target) == f"{image.digest}\n"
        assert pypod.ok("manifest", "inspect", "--insecure", f"docker://{target}") == there
        assert self.raw(target) == there

    def raw(self, target: str) -> str:
        """Return the list in a registry, fetched by skopeo where it is installed, formatted as by inspect."""
        if shutil.which("skopeo") is None:
            host, _, rest = target.partition("/")
            found = manifest_at(host, rest)
            found.pop("digest")
        else:
            command = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{target}"]
            found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
        return json.dumps(found, indent=4) + "\n"

    def test_members_of_a_registry_are_fetched_by_the_push_only(self, store: Store, registry: str) -> None:
        first, second = f"{registry}/m/from:1", f"{registry}/m/to:1"
        store.pypod.ok("manifest", "create", "web", "amd:1", "arm:1")
        store.pypod.ok("manifest", "push", "-q", "--tls-verify=false", "web", first)
        other = store.another("other")
        other.ok("manifest", "create", "--tls-verify=false", "one", f"docker://{first}")
        other.ok("manifest", "create", "--tls-verify=false", "--all", "all", first)
        other.ok("manifest", "add", "--all", "one", "all")
        blobs = list((store.directory / "other").rglob("blobs/sha256/*"))
        assert all(json.loads(blob.read_bytes())["mediaType"] == OCI_INDEX for blob in blobs), blobs
        for name in ("one", "all"):
            assert self.raw(first) == other.ok("manifest", "inspect", name)
        other.ok("manifest", "push", "-q", "--rm", "--tls-verify=false", "all", second)
        assert self.raw(second) == self.raw(first)
        assert other("manifest", "exists", "all").returncode == 1
        third = store.another("third")
        assert third.ok("pull", "-q", "--tls-verify=false", "--platform", "linux/arm64", second) == f"{store.arm.id}\n"
        # only the image is here, not the list: with --all the registry's list is used
        third.ok("manifest", "create", "--tls-verify=false", "--all", "again", second)
        assert self.raw(first) == third.ok("manifest", "inspect", "again")

    def test_in_dockers_words(self, store: Store, registry: str) -> None:
        target = f"{registry}/m/docker:1"
        store.pypod.ok("manifest", "create", "web", "amd:1", "arm:1")
        store.pypod.ok("push", "-q", "--all", "--format", "v2s2", "--tls-verify=false", "web", target)
        found = json.loads(self.raw(target))
        assert found["mediaType"] == DOCKER_INDEX
        assert [entry["mediaType"] for entry in found["manifests"]] == [DOCKER_MANIFEST] * 2
        other = store.another("other")
        assert other.ok("pull", "-q", "--tls-verify=false", "--platform", "linux/arm64", target) == f"{store.arm.id}\n"

    def test_plain_layers_are_compressed_and_the_list_names_what_is_there(self, store: Store, registry: str) -> None:
        plain = Tiny({"c": b"c" * 5000}, name="localhost/plain:1", compression="")
        store.pypod.ok("load", "-q", "-i", str(plain.save(store.directory / "plain.tar")))
        store.pypod.ok("manifest", "create", "web", "plain:1")
        target = f"{registry}/m/plain:1"
        store.pypod.ok("manifest", "push", "-q", "--tls-verify=false", "web", target)
        (entry,) = json.loads(self.raw(target))["manifests"]
        there = manifest_at(registry, f"m/plain:{entry['digest']}")
        assert (there["digest"], there["layers"][0]["mediaType"][-8:]) == (entry["digest"], "tar+gzip")
        assert there["config"]["digest"] == f"sha256:{plain.id}"


def test_variants_in_another_compression(store: Store, tmp_path: Path) -> None:
    """Only what is pushed has them, marked as podman does."""
    pypod = store.pypod
    pypod.ok("manifest", "create", "web", "amd:1", "arm:1")
    there = tmp_path / "there"
    pypod.ok("manifest", "push", "-q", "--add-compression", "zstd,gzip", "web", f"oci:{there}")
    index = json.loads((there / "index.json").read_text())["manifests"][0]["digest"]
    entries = json.loads((there / "blobs" / index.replace(":", "/")).read_text())["manifests"]
    assert [one["digest"] for one in entries[:2]] == [store.amd.digest, store.arm.digest]
    assert [one["platform"]["architecture"] for one in entries] == ["amd64", "arm64"] * 2, "gzip is there already"
    assert [one.get("annotations") for one in entries[2:]] == [{"io.github.containers.compression.zstd": "true"}] * 2
    for one, kind in zip(entries, ("gzip", "gzip", "zstd", "zstd"), strict=True):
        manifest = json.loads((there / "blobs" / one["digest"].replace(":", "/")).read_text())
        assert [layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]] == [kind]
    assert len(store.entries("web")) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--add-compression", "lz4"), 'cannot find compressor for "lz4"'),
        (("--add-compression", "zstd", "--all=false"), "variants can only be added to images that are pushed"),
        (("--add-compression", "zstd", "--format", "v2s2"), "docker's schema 2 has no zstd"),
        (("--compression-level", "10"), "invalid compression level: 10"),
        (("--compression-format", "zstd", "--compression-level", "21"), "invalid compression level: 21"),
    ],
)
def test_compressions_that_cannot_be_had(store: Store, tmp_path: Path, words, message: str) -> None:
    store.pypod.ok("manifest", "create", "web", "amd:1")
    done = store.pypod("manifest", "push", *words, "web", f"oci:{tmp_path / 'there'}")
    assert (done.returncode, done.stderr.startswith(f"Error: {message}")) == (125, True), done.stderr


def test_the_index_itself_is_annotated(store: Store, tmp_path: Path) -> None:
    pypod = store.pypod
    pypod.ok("manifest", "create", "--annotation", "a=b", "web", "amd:1")
    pypod.ok("manifest", "annotate", "--index", "--annotation", "c=d", "web")
    pypod.ok("manifest", "annotate", "--subject", "arm:1", "web")
    there = tmp_path / "there"
    pypod.ok("manifest", "push", "-q", "web", f"oci:{there}")
    pushed = json.loads((there / "index.json").read_text())["manifests"][0]["digest"]
    subject = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": store.arm.digest,
        "size": len(store.arm.manifest),
    }
    for index in (
        json.loads(pypod.ok("manifest", "inspect", "web")),
        json.loads((there / "blobs" / pushed.replace(":", "/")).read_text()),
    ):
        assert index["annotations"] == {"a": "b", "c": "d"}
        assert index["subject"] == subject
    assert "annotations" not in store.entries("web")[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("web",), "the image in the list must be named, unless --index or --subject is given"),
        (("--index", "web", "sha256:" + "0" * 64), "--index and --subject are about the list: "),
        (("--index", "--arch", "arm64", "web"), "--index and --subject are about the list: "),
        (("--subject", "nosuch", "web"), "nosuch"),
    ],
)
def test_annotations_of_nothing(store: Store, words, message: str) -> None:
    store.pypod.ok("manifest", "create", "web", "amd:1")
    done = store.pypod("manifest", "annotate", *words)
    assert (done.returncode, message in done.stderr) == (125, True), done.stderr
