"""load, save, push and pull as a user sees them, with docker-registry where a registry is needed."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from pypod.model.images.image import DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST
from tests import fake_registry
from tests.cli.program import Program, Terminal
from tests.docker_registry import DockerRegistry, needs_docker_registry
from tests.fake_registry import Answer, Images, Server
from tests.images.forms import digest
from tests.images.tiny import Tiny, save

pytestmark = pytest.mark.root

NAME = "docker.io/library/tiny:one"
ENDING = "Writing manifest to image destination\nStoring signatures\n"


class Store:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.image = Tiny({"etc": None, "etc/a": b"a\n" * 5000}, {"b": b"b"}, name=NAME, config={"Cmd": ["sh"]})
        self.plain = Tiny({"c": b"c" * 5000}, name="localhost/plain:x", compression="")
        self.archive = save(directory / "both.tar", self.image, self.plain)
        self.pypod = Program(str(directory / "storage"))
        self.pypod.ok("load", "-q", "-i", str(self.archive))

    def other(self) -> Program:
        """Return a program with an empty storage."""
        self.number = getattr(self, "number", 0) + 1
        return Program(str(self.directory / f"other{self.number}"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("transfers"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as found:
        yield found.host


def manifest_at(registry: str, path: str) -> dict:
    """Return a registry's manifest, fetched without pypod."""
    name, _, tag = path.partition(":")
    request = Request(
        f"http://{registry}/v2/{name}/manifests/{tag}", headers={"Accept": f"{OCI_MANIFEST}, {DOCKER_MANIFEST}"}
    )
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        body = answer.read()
    return {**json.loads(body), "digest": digest(body)}


def blob_at(registry: str, path: str, name: str) -> bytes:
    with urlopen(f"http://{registry}/v2/{path}/blobs/{name}", timeout=10) as answer:
        return answer.read()


def test_load_says_what_it_does(store: Store) -> None:
    done = store.other()("load", "-i", store.archive)
    assert done.stdout == f"Loaded image: {NAME}\nLoaded image: localhost/plain:x\n"
    blobs, config = done.stderr.split("Copying config ")[:2]
    assert blobs.splitlines()[0] == "Getting image source signatures"
    assert sorted(blobs.splitlines()[1:]) == sorted(f"Copying blob {digest(one)}" for one in store.image.layers)
    assert config.startswith(f"sha256:{store.image.id}\n{ENDING}")


def test_load_from_a_pipe(store: Store) -> None:
    other = store.other()
    assert other.ok("load", "-q", stdin=store.archive.read_bytes()).count("Loaded image: ") == 2
    assert other.ok("image", "inspect", "-f", "{{.Digest}}", "tiny:one") == f"{store.image.digest}\n"


def test_what_cannot_be_loaded(store: Store, tmp_path: Path) -> None:
    done = store.pypod("load", "-i", tmp_path / "nosuch")
    assert (done.returncode, done.stderr) == (125, f"Error: stat {tmp_path}/nosuch: no such file or directory\n")
    done = store.pypod("load", stdin=b"")
    assert done.returncode == 125
    assert "payload does not match any of the supported image formats" in done.stderr
    with store.pypod.terminal("load") as terminal:
        terminal.expect("cannot read from terminal, use command-line redirection or the --input flag")
        assert terminal.wait() == 125


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "docker-dir", "oci-dir"])
def test_what_is_saved_is_loaded_again(store: Store, tmp_path: Path, form: str) -> None:
    done = store.pypod("save", "--format", form, "-o", tmp_path / "out", "tiny:one")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("Copying blob sha256:")
    assert done.stderr.endswith(f"Copying config sha256:{store.image.id}\n{ENDING}")
    other = store.other()
    names = {"oci-dir": f"localhost{tmp_path}/out", "docker-dir": f"sha256:{store.image.id}"}
    assert other.ok("load", "-q", "-i", str(tmp_path / "out")) == f"Loaded image: {names.get(form, NAME)}\n"
    found = other.ok("inspect", "-f", "{{.Id}} {{.RootFS.Layers}} {{.Digest}}", store.image.id).split()
    assert found[0] == store.image.id
    assert " ".join(found[1:3]) == f"[{' '.join(store.image.diff_ids)}]"
    # the OCI formats keep the manifest byte for byte
    assert (found[3] == store.image.digest) == form.startswith("oci")


def test_save_to_a_pipe_with_more_names_and_more_images(store: Store) -> None:
    saved = subprocess.run(
        [*store.pypod.words, "save", "-q", "tiny:one", "two", "quay.io/a/b:c", "two"], capture_output=True, check=False
    )
    assert (saved.returncode, saved.stderr) == (0, b"")
    with tarfile.open(fileobj=io.BytesIO(saved.stdout)) as tar:
        (entry,) = json.load(tar.extractfile("manifest.json"))
        assert entry["RepoTags"] == ["localhost/two:latest", "quay.io/a/b:c", NAME]
        assert {digest(tar.extractfile(name).read()) for name in entry["Layers"]} == set(store.image.diff_ids)
    saved = subprocess.run(
        [*store.pypod.words, "save", "-q", "-m", "tiny:one", "plain:x"], capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(saved.stdout)) as tar:
        assert [one["RepoTags"] for one in json.load(tar.extractfile("manifest.json"))] == [
            [NAME],
            ["localhost/plain:x"],
        ]


def test_load_from_an_address(store: Store) -> None:
    body = store.archive.read_bytes()
    answers = {"/x.tar": (200, {}, body), "/x.tar.gz": (200, {}, gzip.compress(body)), "/y": (404, {}, b"no")}
    answers["/moved"] = (302, {"Location": "/x.tar"}, b"")
    loaded = f"Loaded image: {NAME}\nLoaded image: localhost/plain:x\n"
    with Server(lambda request: answers[request.path]) as server:
        for path in ("x.tar", "x.tar.gz", "moved"):
            assert store.other().ok("load", "-q", "-i", f"http://{server.host}/{path}") == loaded
        done = store.pypod("load", "-i", f"http://{server.host}/y")
        assert done.returncode == 125
        assert done.stderr == f"Error: http://{server.host}/y: the server answers 404 Not Found\n"


def test_load_through_a_proxy(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(lambda _: (200, {}, store.archive.read_bytes())) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:pw@{proxy.host}")
        store.other().ok("load", "-q", "-i", "http://example.com/x.tar")
        (asked,) = proxy.requests
        assert asked.path == "http://example.com/x.tar"
        assert base64.b64decode(asked.headers["proxy-authorization"].removeprefix("Basic ")) == b"me:pw"


def test_a_directory_in_oci_s_layout_gives_its_path_for_a_name(store: Store, tmp_path: Path) -> None:
    """As in podman, whatever the layout calls its image; the layout's name counts where podman finds no name at all."""
    for place in ("lay", "Lay"):
        store.pypod.ok("save", "-q", "--format", "oci-dir", "-o", str(tmp_path / place), "tiny:one")
    other, options = store.other(), {"cwd": tmp_path}
    for path, name in (
        ("lay", "localhost/lay"),
        ("lay/", "localhost/lay"),
        (f"{tmp_path}/lay", f"localhost{tmp_path}/lay"),
        ("Lay", NAME),
        ("./lay", NAME),
    ):
        assert other("load", "-q", "-i", path, **options).stdout == f"Loaded image: {name}\n"
    fresh = store.other()
    assert fresh("pull", "-q", "oci:lay", **options).stdout == f"{store.image.id}\n"
    assert fresh.ok("images", "--format", "{{.Repository}}:{{.Tag}}") == "localhost/lay:latest\n"


def test_import_from_nowhere(store: Store) -> None:
    done = store.pypod("import", "-q", "http://127.0.0.1:1/x.tar")
    assert (done.returncode, done.stderr.splitlines()[1:]) == (
        125,
        ['Error: Get "http://127.0.0.1:1/x.tar": dial tcp 127.0.0.1:1: connect: connection refused'],
    )


def test_save_to_stdout_is_silent_also_when_its_reader_goes(store: Store) -> None:
    big = Tiny({"big": os.urandom(300_000)}, name="localhost/big:1")  # does not fit into a pipe
    store.pypod.ok("load", "-q", "-i", str(big.save(store.directory / "big.tar")))
    for count, code in ((-1, 0), (1, 128 + 13)):
        saving = store.pypod.start("save", "big:1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert saving.stdout
        saving.stdout.read(count)
        saving.stdout.close()
        assert (saving.wait(20), saving.communicate()[1]) == (code, b"")


def test_what_save_refuses(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    for words, message in (
        (("-o", out, "tiny:one"), "docker-archive doesn't support modifying existing images"),
        (("-o", out, "nosuch"), "nosuch: image not known"),
        (
            ("--format", "x", "-o", out, "tiny:one"),
            "format value must be one of oci-dir oci-archive docker-dir docker-arch",
        ),
        (("--compress", "-o", out, "tiny:one"), "--compress can only be set when --format is 'docker-dir'"),
        (("-o", "a:b", "tiny:one"), "invalid filename (should not contain ':')"),
        (("-m", "--format", "oci-archive", "-o", out, "tiny:one", "plain:x"), 'unsupported format "oci-archive" for'),
        ((), "need at least 1 argument"),
    ):
        done = store.pypod("save", *words)
        assert (done.returncode, done.stderr[: 7 + len(message)]) == (125, f"Error: {message}")
    assert out.read_text() == "mine"
    with store.pypod.terminal("save", "tiny:one") as terminal:
        terminal.expect("refusing to save to terminal. Use -o flag or redirect")


def test_push_takes_the_name_that_podman_s_manual_has_for_v2s2(store: Store, tmp_path: Path) -> None:
    store.pypod.ok("push", "-q", "--format", "docker", "tiny:one", f"dir:{tmp_path}/out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["mediaType"].startswith(
        "application/vnd.docker."
    )


def test_uncompressed_layers(store: Store, tmp_path: Path) -> None:
    """They are the tar itself, as the configuration's diff ids say, and can be loaded again."""
    for form in ("oci-archive", "oci-dir", "docker-dir"):
        store.pypod.ok("save", "-q", "--uncompressed", "--format", form, "-o", str(tmp_path / form), "tiny:one")
    index = json.loads((tmp_path / "oci-dir" / "index.json").read_text())
    blobs = tmp_path / "oci-dir" / "blobs" / "sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"].partition(":")[2]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"].partition(":")[2]).read_text())
    assert [layer["digest"] for layer in manifest["layers"]] == config["rootfs"]["diff_ids"]
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar"}
    for form in ("oci-archive", "docker-dir"):
        assert "Loaded image" in store.pypod.ok("load", "-q", "-i", str(tmp_path / form))


def test_plain_layers_are_compressed_into_a_directory_when_asked(store: Store, tmp_path: Path) -> None:
    for flags, name in (((), "plain"), (("--compress",), "gzip")):
        store.pypod.ok("save", "-q", *flags, "--format", "docker-dir", "-o", str(tmp_path / name), "plain:x")
    (layer,) = json.loads((tmp_path / "gzip/manifest.json").read_text())["layers"]
    assert (
        gzip.decompress((tmp_path / "gzip" / layer["digest"].partition(":")[2]).read_bytes()) == store.plain.layers[0]
    )
    assert (tmp_path / "plain" / store.plain.diff_ids[0].partition(":")[2]).read_bytes() == store.plain.layers[0]


def test_a_container_of_an_image_in_a_file(store: Store, tmp_path: Path) -> None:
    store.pypod.ok("save", "-q", "--format", "oci-archive", "-o", str(tmp_path / "tiny.tar"), "tiny:one")
    other = store.other()
    done = other("create", "--name", "a", f"oci-archive:{tmp_path}/tiny.tar")
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, "Getting image source signatures")
    assert other("create", "-q", "--pull", "never", "--name", "b", f"oci-archive:{tmp_path}/tiny.tar").stderr == ""
    assert other.ok("ps", "-a", "--format", "{{.Names}} {{.Image}}") == f"a {NAME}\nb {NAME}\n"


@needs_docker_registry
class TestRegistry:
    def test_what_is_pushed_is_there_and_keeps_its_digest(self, store: Store, registry: str, tmp_path: Path) -> None:
        target = f"{registry}/p/tiny:one"
        done = store.pypod("push", "--tls-verify=false", "--digestfile", tmp_path / "digest", "tiny:one", target)
        assert (done.returncode, done.stdout) == (0, "")
        lines = done.stderr.splitlines()
        assert lines[0] == "Getting image source signatures"
        assert sorted(lines[1:3]) == sorted(f"Copying blob {digest(one)}" for one in store.image.layers)
        assert lines[3:] == [f"Copying config sha256:{store.image.id}", *ENDING.splitlines()]
        assert (tmp_path / "digest").read_text() == store.image.digest == manifest_at(registry, "p/tiny:one")["digest"]
        assert store.pypod.ok("push", "-q", "--tls-verify=false", "tiny:one", f"docker://{target}") == ""
        other = store.other()
        assert other.ok("pull", "-q", "--tls-verify=false", target) == f"{store.image.id}\n"
        assert other.ok("inspect", "-f", "{{.RepoDigests}}", target) == f"[{registry}/p/tiny@{store.image.digest}]\n"

    def test_plain_layers_are_compressed_on_the_way(self, store: Store, registry: str) -> None:
        store.pypod.ok("push", "-q", "--tls-verify=false", "plain:x", f"{registry}/p/plain:x")
        found = manifest_at(registry, "p/plain:x")
        assert found["config"]["digest"] == f"sha256:{store.plain.id}"
        (layer,) = found["layers"]
        assert layer["mediaType"].endswith("tar+gzip")
        assert gzip.decompress(blob_at(registry, "p/plain", layer["digest"])) == store.plain.layers[0]
        # the registry's digest is remembered: a second pull by digest fetches nothing
        assert store.pypod.ok("image", "inspect", "-f", "{{.Id}}", f"{registry}/p/plain@{found['digest']}") == (
            f"{store.plain.id}\n"
        )

    @pytest.mark.parametrize(
        ("flags", "media_type", "suffix"),
        [
            (("--format", "v2s2"), DOCKER_MANIFEST, "diff.tar.gzip"),
            (("--format", "oci"), OCI_MANIFEST, "tar+gzip"),
            (("--compression-format", "zstd"), OCI_MANIFEST, "tar+zstd"),
        ],
        ids=str,
    )
    def test_other_forms(
        self, store: Store, registry: str, flags: tuple[str, ...], media_type: str, suffix: str
    ) -> None:
        target = f"{registry}/p/forms:{flags[1]}"
        store.pypod.ok("push", "-q", "--tls-verify=false", *flags, "tiny:one", target)
        found = manifest_at(registry, f"p/forms:{flags[1]}")
        assert found["mediaType"] == media_type
        assert [layer["mediaType"].endswith(suffix) for layer in found["layers"]] == [True, True]
        assert found["config"]["digest"] == f"sha256:{store.image.id}"
        assert (found["config"]["mediaType"] == OCI_CONFIG) == (media_type == OCI_MANIFEST)
        assert store.other().ok("pull", "-q", "--tls-verify=false", target) == f"{store.image.id}\n"

    def test_levels(self, store: Store, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def sizes(*flags: str) -> list[int]:
            target = f"{registry}/p/levels:{abs(hash(flags))}"
            store.pypod.ok("push", "-q", "--tls-verify=false", *flags, "tiny:one", target)
            found = manifest_at(registry, target.partition("/")[2])
            assert store.other().ok("pull", "-q", "--tls-verify=false", target) == f"{store.image.id}\n"
            return [layer["size"] for layer in found["layers"]]

        least, most = sizes("--compression-level", "1"), sizes("--compression-level", "9", "--force-compression")
        assert sum(most) < sum(least)
        (tmp_path / "conf").write_text("[engine]\ncompression_level = 9\n")
        monkeypatch.setenv("CONTAINERS_CONF", str(tmp_path / "conf"))
        assert sizes() == most
        assert sizes("--compression-level", "1") == least
        assert sum(sizes("--compression-format", "zstd", "--compression-level", "20")) > 0

    def test_zstd_makes_oci_s_image_of_docker_s(self, store: Store, registry: str, tmp_path: Path) -> None:
        store.pypod.ok("save", "-q", "-o", str(tmp_path / "docker.tar"), "tiny:one")
        other = store.other()
        other.ok("load", "-q", "-i", str(tmp_path / "docker.tar"))
        assert other.ok("inspect", "-f", "{{.ManifestType}}", "tiny:one") == f"{DOCKER_MANIFEST}\n"
        other.ok("push", "-q", "--tls-verify=false", "--compression-format", "zstd", "tiny:one", f"{registry}/p/dz")
        assert manifest_at(registry, "p/dz:latest")["mediaType"] == OCI_MANIFEST

    def test_what_push_refuses(self, store: Store, registry: str) -> None:
        target = f"{registry}/p/x"
        for words, message in (
            (("nosuch",), "nosuch: image not known"),
            (("--authfile", "/nosuch", "tiny:one", target), "stat /nosuch: no such file or directory"),
            (("--format", "v1", "tiny:one", target), 'unknown format "v1"'),
            (("--compression-format", "xz", "tiny:one", target), 'cannot find compressor for "xz"'),
            (("-f", "v2s2", "--compression-format", "zstd", "tiny:one", target), "docker's schema 2 has no zstd"),
        ):
            done = store.pypod("push", *words)
            assert (done.returncode, done.stderr.splitlines()[-1][: 7 + len(message)]) == (125, f"Error: {message}")

    def test_a_large_layer_whose_upload_fails_is_sent_again(self, store: Store, tmp_path: Path) -> None:
        big = Tiny({"big": os.urandom(3 << 20)}, name="localhost/big:1")
        pypod = store.other()
        pypod.ok("load", "-q", "-i", str(big.save(tmp_path / "big.tar")))
        images = Images()
        failures = [(503, {}, b"")]

        def put(request: fake_registry.Request) -> Answer:
            if len(request.body) > 1 << 20 and failures:
                return failures.pop()
            images.blobs[digest(request.body)] = request.body
            return 201, {}, b""

        images.special = {
            "POST": (202, {"Location": "/v2/x/blobs/uploads/1"}, b""),
            "PUT .*uploads": put,
            "PUT .*manifests": (201, {}, b""),
        }
        with Server(images) as server:
            pypod.ok("push", "-q", "--tls-verify=false", "big:1", f"{server.host}/x:1")
            assert [len(one.body) > 1 << 20 for one in server.asked("PUT", "uploads")].count(True) == 2
        assert images.blobs[digest(big.layers[0])] == big.layers[0]

    @pytest.mark.parametrize(("times", "asked"), [("0", 1), ("2", 3)])
    def test_a_failing_registry_is_asked_again_as_often_as_told(self, store: Store, times: str, asked: int) -> None:
        images = Images()
        images.special = {"GET .*manifests": (503, {}, b"")}
        with Server(images) as server:
            how = ("--tls-verify=false", "--retry", times, "--retry-delay", "1ms")
            for words in (("pull",), ("create", "--pull", "always")):
                before = len(server.asked("GET", "manifests"))
                assert store.pypod(*words, *how, f"{server.host}/x:1").returncode == 125
                assert len(server.asked("GET", "manifests")) - before == asked

    def test_a_failing_registry_is_asked_once_where_nothing_depends_on_the_answer(self, store: Store) -> None:
        images = Images()
        images.special = {"(GET|HEAD) ": (503, {}, b"")}
        with Server(images) as server:
            store.pypod.ok("tag", "tiny:one", f"{server.host}/x:1")
            for code, words in (
                (125, ("login", "-u", "me", "-p", "secret", "--tls-verify=false", server.host)),
                (125, ("search", "--tls-verify=false", f"{server.host}/x")),
                (0, ("create", "--name", "newer", "--pull", "newer", "--tls-verify=false", f"{server.host}/x:1", "x")),
            ):
                before = len(server.requests)
                assert store.pypod(*words).returncode == code
                asked = [f"{one.method} {one.path}" for one in server.requests[before:]]
                assert len(asked) == len(set(asked)) > 0
            store.pypod.ok("rm", "newer")

    def test_what_retry_delay_refuses(self, store: Store) -> None:
        for word, message in (("x", 'time: invalid duration "x"'), ("-1s", "the delay -1s is negative")):
            done = store.pypod("pull", f"--retry-delay={word}", "localhost/nosuch")
            assert (done.returncode, done.stderr) == (125, f"Error: {message}\n")

    def test_encrypted_images_are_refused(self, store: Store, tmp_path: Path) -> None:
        out = f"dir:{tmp_path}/out"
        for words in (
            ("pull", "--decryption-key", "k", "tiny:one"),
            ("create", "--decryption-key", "k", "tiny:one"),
            ("push", "--encryption-key", "jwe:k", "tiny:one", out),
            ("push", "--encrypt-layer", "0", "tiny:one", out),
        ):
            done = store.pypod(*words)
            assert done.returncode == 125
            assert f"Error: {words[1]}: encrypted images are not available" in done.stderr
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("flag", "message"),
        [
            ("sign-by", "Cannot determine canonical Docker reference for destination dir:"),
            ("sign-by-sigstore-private-key", "Cannot determine canonical Docker reference for destination dir:"),
        ],
    )
    def test_nothing_is_sent_unsigned_that_was_to_be_signed(
        self, store: Store, tmp_path: Path, flag: str, message: str
    ) -> None:
        store.pypod.ok("manifest", "create", f"list-{flag}", "tiny:one")
        for words in (("push", f"--{flag}", "k", "tiny:one"), ("manifest", "push", f"--{flag}=k", f"list-{flag}")):
            done = store.pypod(*words, f"dir:{tmp_path}/out")
            assert done.returncode == 125
            assert f"Error: {message}" in done.stderr
            assert not (tmp_path / "out").exists()
        store.pypod.ok("push", "-q", f"--{flag}=", "tiny:one", f"dir:{tmp_path}/out")

    def test_push_to_files(self, store: Store, tmp_path: Path) -> None:
        for transport in ("oci-archive", "docker-archive", "dir", "oci"):
            store.pypod.ok("push", "-q", "tiny:one", f"{transport}:{tmp_path}/{transport}")
            found = store.other().ok("pull", "-q", f"{transport}:{tmp_path}/{transport}")
            assert found == f"{store.image.id}\n"

    def test_a_person_is_asked_which_registry_is_meant(
        self, store: Store, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.pypod.ok("push", "-q", "--tls-verify=false", "tiny:one", f"{registry}/asked")
        conf, aliases = tmp_path / "registries.conf", tmp_path / "aliases.conf"
        conf.write_text(
            f'unqualified-search-registries = ["127.0.0.1:1", "{registry}"]\nshort-name-mode = "enforcing"\n'
        )
        monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
        monkeypatch.setenv("CONTAINERS_SHORT_NAME_ALIASES_CONF", str(aliases))
        other = store.other()
        done = other("pull", "--tls-verify=false", "asked")
        assert "short-name resolution enforced but cannot prompt without a TTY" in done.stderr
        with other.terminal("pull", "-q", "--tls-verify=false", "asked") as terminal:
            terminal.expect("127.0.0.1:1/asked:latest")
            terminal.expect(f"2  {registry}/asked:latest")
            terminal.expect("1-2 [1]: ")
            terminal.type("3\n")
            terminal.expect("1-2 [1]: ")
            terminal.type("2\n")
            terminal.expect(store.image.id)
            assert terminal.wait() == 0
        assert aliases.read_text() == f'[aliases]\n  "asked" = "{registry}/asked"\n'
        assert other.ok("pull", "-q", "--tls-verify=false", "asked") == f"{store.image.id}\n"
        with other.terminal("pull", "--tls-verify=false", "nosuch") as terminal:  # failures are not remembered
            terminal.expect("1-2 [1]: ")
            terminal.type("2\n")
            assert terminal.wait() == 125
        assert "nosuch" not in aliases.read_text()

    def test_what_several_registries_say(self, store: Store, registry: str, tmp_path: Path, monkeypatch) -> None:
        conf = tmp_path / "registries.conf"
        again = registry.replace("127.0.0.1", "localhost")
        assert again != registry
        conf.write_text(f'unqualified-search-registries = ["{again}", "{registry}"]\n')
        monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
        done = store.other()("pull", "--tls-verify=false", "nosuch")
        said = done.stderr.splitlines()
        assert said[0] == f'Resolving "nosuch" using unqualified-search registries ({conf})'
        assert said[3] == "Error: 2 errors occurred while pulling:"
        assert [line.split("/nosuch")[0] for line in said[4:]] == [
            f" * initializing source docker://{host}" for host in (again, registry)
        ]

    def test_pull_says_what_it_does_and_what_is_not_there(self, store: Store, registry: str) -> None:
        store.pypod.ok("push", "-q", "--tls-verify=false", "tiny:one", f"{registry}/p/said:v1")
        store.pypod.ok("push", "-q", "--tls-verify=false", "plain:x", f"{registry}/p/said:v2")
        other = store.other()
        done = other("pull", "--tls-verify=false", f"{registry}/p/said:v1")
        assert (done.returncode, done.stdout) == (0, f"{store.image.id}\n")
        assert done.stderr.startswith(
            f"Trying to pull {registry}/p/said:v1...\nGetting image source signatures\nCopying blob sha256:"
        )
        done = other("pull", "--tls-verify=false", f"{registry}/p/said:v9")
        assert done.returncode == 125
        assert done.stderr == (
            f"Trying to pull {registry}/p/said:v9...\nError: initializing source docker://{registry}/p/said:v9: "
            f"reading manifest v9 in {registry}/p/said: manifest unknown: manifest unknown\n"
        )
        every = other("pull", "-q", "--tls-verify=false", "--all-tags", f"{registry}/p/said")
        assert sorted(every.stdout.split()) == sorted((store.image.id, store.plain.id))
        # the failing one does not keep the other from being pulled
        done = other("pull", "-q", "--tls-verify=false", f"{registry}/p/none", f"{registry}/p/said:v2")
        assert (done.returncode, done.stdout) == (125, f"{store.plain.id}\n")

    def test_mirrors_that_failed_are_told(self, store: Store, registry: str, tmp_path: Path, monkeypatch) -> None:
        (tmp_path / "registries.conf").write_text(
            f'[[registry]]\nprefix="a.example"\nlocation="{registry}/origin"\ninsecure=true\n'
            f'[[registry.mirror]]\nlocation="{registry}/mirror"\ninsecure=true\n'
        )
        monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
        done = store.other()("pull", "-q", "a.example/none")
        where, mirrors = done.stderr.splitlines()
        assert where.endswith(f"reading manifest latest in {registry}/origin/none: manifest unknown: manifest unknown")
        assert mirrors.startswith("mirrors also failed: ")
        assert f"{registry}/mirror/none" in mirrors

    def test_one_that_is_pulled_by_digest_does_not_dangle(self, store: Store, registry: str) -> None:
        store.pypod.ok("push", "-q", "--tls-verify=false", "tiny:one", f"{registry}/p/digest")
        other, name = store.other(), f"{registry}/p/digest@{store.image.digest}"
        other.ok("pull", "-q", "--tls-verify=false", name)
        shown = other.ok("images", "--format", "{{.Repository}} {{.Tag}} {{.Names}} {{.Dangling}}")
        assert shown == f"{registry}/p/digest <none> [{name}] false\n"
        assert other.ok("image", "prune", "-f") == ""
        other.ok("tag", name, "tagged")  # as in podman, a name without a tag is shown only if there is no other
        assert other.ok("images", "--format", "{{.Repository}}:{{.Tag}}") == "localhost/tagged:latest\n"
        other.ok("untag", name, "tagged")
        assert other.ok("rmi", name) == f"Untagged: {name}\nDeleted: {store.image.id}\n"

    def test_policies_of_run(self, store: Store, registry: str) -> None:
        other, name = store.other(), f"{registry}/p/policy"
        done = other("create", "--pull", "never", name, "x")
        assert (done.returncode, done.stderr) == (125, f"Error: {name}: image not known\n")
        done = other("create", "--pull", "perhaps", name, "x")
        assert (done.returncode, done.stderr.startswith("Error: unsupported pull policy ")) == (125, True)

    @pytest.mark.parametrize(("columns", "rows"), [(80, 24), (30, 3), (10, 2), (0, 0)])
    def test_a_terminal_of_any_size_shows_each_blob_once(
        self, store: Store, registry: str, columns: int, rows: int
    ) -> None:
        layers = [{f"f{number}": bytes([number]) * 3000} for number in range(9)]
        many = Tiny(*layers, name="localhost/many:x")
        store.pypod.ok("load", "-q", "-i", str(many.save(store.directory / "many.tar")))
        store.pypod.ok("push", "-q", "--tls-verify=false", "many:x", f"{registry}/p/many")
        with store.other().terminal(
            "pull", "--tls-verify=false", f"{registry}/p/many", columns=columns, rows=rows
        ) as terminal:
            terminal.expect(f"{many.id}\r\n")
            shown = screen(terminal.before, columns or 80, rows or 24)
        copied = [line for line in shown if line.startswith("Copying b"[: (columns or 80) - 1])]
        wanted = [f"Copying blob {digest(one)[7:19]} done"[: (columns or 80) - 1] for one in many.layers]
        assert sorted(line for line in copied if "config" not in line) == sorted(wanted)


MOVING = """
import pypod.cli.render.telling
from pypod.model.reports.progress import Progress

pypod.cli.render.telling._REDRAW_S = 0
with pypod.cli.render.telling.Telling() as telling:
    telling(Progress(state="trying", name="x"))
    for done in (0, 40, 100):
        for number in range(9):
            telling(Progress(digest="sha256:" + str(number) * 64, state="pulling", done_bytes=done, total_bytes=100))
    for number in range(9):
        telling(Progress(digest="sha256:" + str(number) * 64, state="done", done_bytes=100, total_bytes=100))
print("over")
"""


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (80, 5), (40, 5), (20, 3), (9, 2), (80, 1), (0, 0)])
def test_blobs_on_their_way_are_drawn_where_they_were(columns: int, rows: int) -> None:
    with Terminal([sys.executable, "-c", MOVING], columns, rows) as terminal:
        terminal.expect("over\r\n")
        assert terminal.wait() == 0
    width, height = columns or 80, rows or 24
    shown = screen(terminal.before, width, height)
    cut = width - 1
    heading = ["Trying to pull x..."[:width]] if width > 19 else None
    blobs = [line for line in shown if line.startswith("Copying"[:cut])]
    assert len(blobs) == 9
    assert not any("[" in line for line in shown)
    assert heading is None or shown[:1] == heading
    # in progress: as many as fit, never wider than the window
    drawn = terminal.before.decode().replace("\r", "")
    assert ("40B / 100B" in drawn) == (rows != 1 and width >= 67)


def screen(output: bytes, columns: int, rows: int) -> list[str]:
    """Return the visible and scrolled-off lines of a terminal that knows newline, cursor up and clear to end."""
    lines, at = [""], 0
    text = output.decode()
    while text:
        if text.startswith("\x1b["):
            end = next(n for n, char in enumerate(text) if char.isalpha())
            command, text = text[2 : end + 1], text[end + 1 :]
            if command.endswith("A"):
                at = max(at - int(command[:-1]), len(lines) - rows, 0)
            else:
                assert command == "J"
                lines[at:] = [""]
        elif text[0] == "\n":
            at += 1
            if at == len(lines):
                lines.append("")
            text = text[1:]
        elif text[0] == "\r":
            text = text[1:]
        else:
            lines[at] += text[0]
            if len(lines[at]) > columns:
                lines[at], rest = lines[at][:-1], text[0]
                at += 1
                lines.insert(at, rest)
            text = text[1:]
    return lines
