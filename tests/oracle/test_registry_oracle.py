"""Registries: skopeo reads what we write and vice versa; names, files and messages are podman's."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec, RegistryError, Unauthorized
from pypod.images.config.registries import Registries, load
from pypod.images.registry.access import Access
from pypod.images.registry.catalogue import catalogue, check_login, tags
from pypod.images.registry.client import RegistryDestination, RegistrySource
from pypod.model.images.image import parse_manifest
from pypod.model.images.reference import Reference, parse
from tests.docker_registry import DockerRegistry, needs_docker_registry
from tests.fake_registry import Images, Server, digest_of
from tests.oracle.podman import is_later

pytestmark = [
    needs_docker_registry,
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
]
SHA = "sha256:" + "0123456789abcdef" * 4
INSECURE = Access(tls_verify=False, authfile="/nonexistent")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as found:
        yield found.host


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with DockerRegistry(tmp_path_factory.mktemp("private"), password=True) as found:
        yield found.host


def skopeo(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["skopeo", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, **environment},
    )


def push(reference: Reference, images: Images, access: Access = INSECURE) -> None:
    _, body = images.manifests["latest"]
    manifest = parse_manifest(body)
    with RegistryDestination(reference, access, Registries()) as destination:
        for descriptor in (manifest.config, *manifest.layers):
            if not destination.has_blob(descriptor):
                destination.put_blob(descriptor, [images.blobs[descriptor.digest]])
            assert destination.has_blob(descriptor)
        destination.put_manifest(manifest.media_type, body)


def pull(reference: Reference, access: Access = INSECURE) -> tuple[bytes, list[bytes]]:
    with RegistrySource(reference, access, Registries()) as source:
        media_type, body = source.manifest()
        manifest = parse_manifest(body, media_type)
        assert source.digest() == manifest.digest
        return body, [b"".join(source.blob(one)) for one in (manifest.config, *manifest.layers)]


def test_what_we_write_skopeo_reads_and_back(registry: str, tmp_path: Path) -> None:
    images = Images(os.urandom(5 << 20))
    ours = Reference(domain=registry, path="team/ours", tag="v1")
    push(ours, images)
    done = skopeo("copy", "--src-tls-verify=false", f"docker://{ours}", f"dir:{tmp_path}/dir")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "dir/manifest.json").read_bytes() == images.manifest
    assert (tmp_path / "dir" / digest_of(images.layer)[7:]).read_bytes() == images.layer
    theirs = f"{registry}/team/theirs:v2"
    done = skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", f"dir:{tmp_path}/dir", f"docker://{theirs}")
    assert done.returncode == 0, done.stderr
    assert pull(parse(theirs)) == (images.manifest, [images.config, images.layer])
    assert pull(parse(f"{registry}/team/theirs@{digest_of(images.manifest)}"))[0] == images.manifest


def test_a_blob_of_another_repository_is_taken_over(registry: str) -> None:
    images = Images(b"mounted" * 1000)
    source = Reference(domain=registry, path="mount/from", tag="latest")
    push(source, images)
    target = source.replace(path="mount/to")
    with RegistryDestination(target, INSECURE, Registries()) as destination:
        assert not destination.has_blob(parse_manifest(images.manifest).layers[0])
    with RegistryDestination(target, INSECURE, Registries(), mount_from=[source]) as destination:
        assert all(destination.has_blob(one) for one in parse_manifest(images.manifest).layers)


def test_a_blob_that_lies_is_refused_by_the_registry(registry: str) -> None:
    images = Images()
    descriptor = parse_manifest(images.manifest).layers[0]
    reference = Reference(domain=registry, path="lie", tag="latest")
    with RegistryDestination(reference, INSECURE, Registries()) as destination:
        with pytest.raises(RegistryError, match="digest invalid"):
            destination.put_blob(descriptor, [b"x" * descriptor.size])
        assert not destination.has_blob(descriptor)


def test_lists_are_skopeos(registry: str) -> None:
    reference = Reference(domain=registry, path="many/tags")
    for n in range(3):
        push(reference.replace(tag=f"v{n}"), Images(b"%d" % n))
    done = skopeo("list-tags", "--tls-verify=false", f"docker://{reference.name}")
    assert (
        sorted(tags(reference, INSECURE, Registries())) == sorted(json.loads(done.stdout)["Tags"]) == ["v0", "v1", "v2"]
    )
    assert "many/tags" in list(catalogue(registry, INSECURE, Registries()))


def test_a_registry_with_a_password(private: str, tmp_path: Path) -> None:
    reference = Reference(domain=private, path="team/app", tag="latest")
    images = Images()
    with pytest.raises(Unauthorized):
        push(reference, images)
    with pytest.raises(Unauthorized, match="invalid username/password"):
        check_login(private, "pypod", "wrong", INSECURE, Registries())
    check_login(private, "pypod", "secret", INSECURE, Registries())
    push(reference, images, INSECURE.replace(credentials=("pypod", "secret")))
    authfile = str(tmp_path / "auth.json")
    login = ("login", "--tls-verify=false", "--authfile", authfile, "-u", "pypod", "-p", "secret", private)
    assert skopeo(*login).returncode == 0
    assert pull(reference, INSECURE.replace(authfile=authfile))[0] == images.manifest


# --- login and logout, word for word

LOGIN = ["login", "--tls-verify=false"]
COMMANDS = [
    [*LOGIN, "-u", "pypod", "-p", "secret", "HOST"],
    [*LOGIN, "HOST"],
    ["login", "--get-login", "HOST"],
    ["login", "--get-login", "HOST/team/app"],
    ["login", "--get-login", "other.example"],
    [*LOGIN, "-u", "pypod", "-p", "wrong", "HOST"],
    [*LOGIN, "-u", "pypod", "-p", "secret", "HOST/team"],
    [*LOGIN, "-u", "pypod", "-p", "secret", "http://HOST/x:y"],
    [*LOGIN, "-v", "-u", "pypod", "--password-stdin", "HOST"],
    ["login", "--password-stdin", "HOST"],
    ["login", "-u", "a", "-p", "b", "--password-stdin", "HOST"],
    ["login", "a/b/C:c"],
    ["login", "a", "b"],
    ["logout", "HOST/team"],
    ["logout", "HOST/team/other"],
    ["logout", "HOST"],
    ["logout", "HOST"],
    ["logout", "--all", "HOST"],
    ["logout", "--all"],
    ["logout", "--all"],
]


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_login_and_logout_say_what_podman_says(private: str, tmp_path: Path) -> None:
    told: dict[str, list[object]] = {}
    for name, program in (("podman", ["podman"]), ("pypod", [sys.executable, "-m", "pypod"])):
        authfile = tmp_path / name / "auth.json"
        authfile.parent.mkdir()
        environment = {**os.environ, "REGISTRY_AUTH_FILE": str(authfile), "CONTAINERS_REGISTRIES_CONF": "/dev/null"}
        environment["PODMAN_IGNORE_CGROUPSV1_WARNING"] = "true"  # printed by podman 5
        told[name] = []
        for command in COMMANDS:
            words = [word.replace("HOST", private) for word in command]
            done = subprocess.run(
                [*program, *words], input="secret\n", capture_output=True, text=True, env=environment, check=False
            )
            stored = json.loads(authfile.read_text()) if authfile.exists() else None
            said = (done.stdout + done.stderr).replace(str(authfile), "FILE").replace("podman", "pypod")
            if is_later():
                said = said.replace("Error: must", "Error: Must").replace("Error: Can't", "Error: can't")
            told[name].append((words, done.returncode, said, stored))
    assert told["pypod"] == told["podman"]


# --- names

NAMES = """a a/b a//b A a: :a a:b a:b:c a@b a-b a--b a_b a__b a___b a.b a..b -a a- a.b/c a.b:5/c a:5/c a:x/c localhost/a
localhost:1/a Localhost/a A.b/c a.b/C a.b/c:D docker.io/a docker.io/a/b index.docker.io/a docker.io/A x/docker.io/y
a.b./c .a.b/c a-.b/c a.b:/c http://a/b a/b@SHA a:t@SHA a@SHA:t a@sha256:00 a@md5:00000000000000000000000000000000
a@sha512:SHA é a/é a%20b a?b a#b a\\b [::1]a/b""".replace("SHA", SHA).split()


def random_names(count: int) -> list[str]:
    chosen = random.Random(5)  # noqa: S311
    pieces = ["a", "b0", "A", ".", "-", "_", "__", "/", ":", "@", "localhost", "x.io", "5000", SHA, "latest", "library"]
    return ["".join(chosen.choices(pieces, k=chosen.randint(1, 7))) for _ in range(count)]


def test_names_are_what_skopeo_takes_for_names() -> None:
    names = sorted({*NAMES, *random_names(90)})
    # skopeo accepts a tag or a digest but not both, and no ids
    names = [name for name in names if not (parsed := _parsed(name)) or not (parsed.tag and parsed.digest)]

    def theirs(name: str) -> bool:
        done = skopeo("copy", "dir:/nonexistent", f"docker://{name}")
        return "Invalid destination name" not in done.stderr

    with ThreadPoolExecutor(4) as pool:
        accepted = dict(zip(names, pool.map(theirs, names), strict=True))
    assert {name: _parsed(name) is not None for name in names} == accepted
    assert 30 < sum(accepted.values()) < len(names)


def _parsed(name: str) -> Reference | None:
    try:
        return parse(name)
    except InvalidSpec:
        return None


# --- registries.conf

CONFIGURATIONS = [
    "",
    "[[registry]]",
    '[[registry]]\nprefix="a.io"',
    '[[registry]]\nprefix="*.a.io"',
    '[[registry]]\nprefix="*.a.io/b"\nlocation="c.io"',
    '[[registry]]\nprefix="*.a.io:5000"\nlocation="c.io"',
    '[[registry]]\nlocation="http://a.io"',
    '[[registry]]\nlocation="a.io/"',
    '[[registry]]\nlocation="a.io"\nblocked=true',
    '[[registry]]\nlocation="a.io"\n[[registry.mirror]]\ninsecure=true',
    '[[registry]]\nlocation="a.io"\n[[registry.mirror]]\nlocation="m.io"\npull-from-mirror="digest-only"',
    '[[registry]]\nlocation="a.io"\n[[registry.mirror]]\nlocation="m.io"\npull-from-mirror="some"',
    'short-name-mode="permissive"',
    'short-name-mode="maybe"',
    '[aliases]\na="b.io/c"',
    '[aliases]\na="b.io/c:d"',
    '[aliases]\n"a:b"="b.io/c"',
    '[aliases]\n"a.io/b"="b.io/c"',
    '[aliases]\n"localhost/b"="b.io/c"',
    '[aliases]\na=""',
    '[aliases]\na="localhost/x"',
    'unqualified-search-registries=["a.io","b.io"]',
    'unqualified-search-registries="a.io"',
    '[registries.search]\nregistries=["a.io"]',
    '[registries.search]\nregistries=["a.io"]\n[[registry]]\nlocation="b.io"',
    "unknown=5",
    "a==b",
]


def test_files_are_refused_that_skopeo_refuses(tmp_path: Path) -> None:
    theirs, ours = [], []
    for text in CONFIGURATIONS:
        path = tmp_path / "registries.conf"
        path.write_text(text)
        done = skopeo("--registries-conf", str(path), "inspect", "docker://127.0.0.1:1/x")
        theirs.append((text, "loading registries configuration" in done.stderr))
        try:
            load({"HOME": str(tmp_path), "CONTAINERS_REGISTRIES_CONF": str(path)}, root=str(tmp_path))
        except InvalidSpec:
            ours.append((text, True))
        else:
            ours.append((text, False))
    assert ours == theirs


@pytest.mark.parametrize(
    "rule",
    [
        'prefix="r.io"\nlocation="HOST"',
        'prefix="r.io"\nlocation="HOST/ns"',
        'prefix="r.io/team"\nlocation="HOST/x/y"',
        'prefix="r.io/team/app"\nlocation="HOST/other"',
        'prefix="*.io"\nlocation="HOST/wild"',
        'prefix="r.io"\nlocation="HOST/main"\n[[registry.mirror]]\nlocation="HOST/m1"\ninsecure=true\n'
        '[[registry.mirror]]\nlocation="HOST/m2"\ninsecure=true\npull-from-mirror="digest-only"',
    ],
)
def test_an_image_is_asked_for_where_skopeo_asks(rule: str, tmp_path: Path) -> None:
    paths: dict[str, list[str]] = {}
    for name in ("skopeo", "pypod"):
        images = Images()
        with Server(images) as server:
            # the mirrors are empty
            images.special["/v2/m[12]/"] = (404, {}, b'{"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]}')
            text = "[[registry]]\ninsecure=true\n" + rule.replace("HOST", server.host)
            path = tmp_path / f"{name}.conf"
            path.write_text(text)
            if name == "skopeo":
                done = skopeo("--registries-conf", str(path), "inspect", "--raw", "docker://r.io/team/app:latest")
                assert done.stdout.encode() == images.manifest, done.stderr
            else:
                registries = load({"HOME": str(tmp_path), "CONTAINERS_REGISTRIES_CONF": str(path)})
                access = Access(authfile="/nonexistent")
                with RegistrySource(parse("r.io/team/app:latest"), access, registries) as source:
                    assert source.manifest()[1] == images.manifest
            paths[name] = [one.path for one in server.asked("GET", "/manifests/")]
    assert paths["pypod"] == paths["skopeo"]
