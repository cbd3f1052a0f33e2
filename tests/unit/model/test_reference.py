"""Image names: valid ones, their meaning, and podman's errors for invalid ones."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.errors import InvalidSpec
from pypod.model.images.reference import DOCKER_IO, Reference, full_name, is_short, parse, split_transport

SHA = "sha256:" + "0123456789abcdef" * 4
FULL = [
    ("busybox", "docker.io/library/busybox", True),
    ("docker.io/busybox", "docker.io/library/busybox", False),
    ("index.docker.io/busybox:1", "docker.io/library/busybox:1", False),
    ("user/app", "docker.io/user/app", True),
    ("a.b/c", "a.b/c", False),
    ("a.b", "docker.io/library/a.b", True),
    ("localhost/x", "localhost/x", False),
    ("localhost:5000/x/y/z:v1", "localhost:5000/x/y/z:v1", False),
    ("localhost:5000", "docker.io/library/localhost:5000", True),  # a tag, as in docker
    ("quay.io/a__b/c--d.e_f:T.a-g_1", "quay.io/a__b/c--d.e_f:T.a-g_1", False),
    ("EXAMPLE.com/x", "EXAMPLE.com/x", False),
    ("[::1]:5000/x", "[::1]:5000/x", False),
    (f"x@{SHA}", f"docker.io/library/x@{SHA}", True),
    (f"h.io/x:tag@{SHA}", f"h.io/x:tag@{SHA}", False),
    ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128, True),
    ("h.io/" + "a" * 250, "h.io/" + "a" * 250, False),
]
WRONG = [
    ("", "repository name must have at least one component"),
    ("Foo", "repository name must be lowercase"),
    ("docker.io/Foo", "repository name must be lowercase"),
    ("foo/Bar:Tag", "repository name must be lowercase"),
    ("UPPER/x", "repository name must be lowercase"),
    ("localhost:5000/FOO", "repository name must be lowercase"),
    ("foo:", "invalid reference format"),
    (":tag", "invalid reference format"),
    ("a//b", "invalid reference format"),
    ("/a", "invalid reference format"),
    ("a/", "invalid reference format"),
    ("-a", "invalid reference format"),
    ("a-", "invalid reference format"),
    ("a___b", "invalid reference format"),
    ("a..b", "invalid reference format"),
    ("../etc/passwd", "invalid reference format"),
    ("h.io/../../etc", "invalid reference format"),
    ("h.io/x:../../y", "invalid reference format"),
    ("a b", "invalid reference format"),
    ("a\n", "invalid reference format"),
    ("a\0b", "invalid reference format"),
    ("é", "invalid reference format"),
    ("x:tag:tag", "invalid reference format"),
    ("https://h.io/x", "invalid reference format"),
    ("h.io:port/x", "invalid reference format"),
    ("user@h.io/x", "invalid reference format"),
    ("h.io/x?y=z", "invalid reference format"),
    ("x:" + "t" * 129, "invalid reference format"),
    ("x@sha256:abc", "invalid reference format"),
    (f"x@{SHA}:tag", "invalid reference format"),
    ("x@md5:" + "0" * 32, "unsupported digest algorithm"),
    ("x@" + SHA[:-1], "invalid checksum digest length"),
    ("x@" + SHA.upper().replace("SHA", "sha"), "invalid checksum digest format"),
    ("a" * 256, "repository name must not be more than 255 characters"),
    ("h.io/" + "a" * 251, "repository name must not be more than 255 characters"),
    (SHA[7:], f"invalid repository name ({SHA[7:]}), cannot specify 64-byte hexadecimal strings"),
]


@pytest.mark.parametrize(("text", "full", "short"), FULL)
def test_a_name_and_what_it_stands_for(text: str, full: str, short: bool) -> None:
    reference = parse(text)
    assert str(reference) == full
    assert parse(full) == reference
    assert is_short(text) is short


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_no_name(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(text)
    assert caught.value.message == message
    with pytest.raises(InvalidSpec):
        is_short(text)


def test_the_parts() -> None:
    reference = parse(f"quay.io:443/a/b:t@{SHA}")
    assert reference == Reference(domain="quay.io:443", path="a/b", tag="t", digest=SHA)
    assert (reference.name, reference.version) == ("quay.io:443/a/b", SHA)
    assert str(parse("x").tagged()) == "docker.io/library/x:latest"
    assert str(parse(f"x@{SHA}").tagged()) == f"docker.io/library/x@{SHA}"
    assert parse("x").version == "latest"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("docker://quay.io/a:b", ("docker", "quay.io/a:b")),
        ("oci:/tmp/dir:tag", ("oci", "/tmp/dir:tag")),
        ("oci-archive:a.tar", ("oci-archive", "a.tar")),
        ("docker-archive:a.tar:x:y", ("docker-archive", "a.tar:x:y")),
        ("dir:/tmp/x", ("dir", "/tmp/x")),
        ("busybox", ("", "busybox")),
        ("docker:dind", ("", "docker:dind")),
        ("localhost:5000/x", ("", "localhost:5000/x")),
        ("ftp://x", ("", "ftp://x")),
    ],
)
def test_transports(text: str, parts: tuple[str, str]) -> None:
    assert split_transport(text) == parts


WORD = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
PATH = st.lists(WORD, min_size=1, max_size=4).map("/".join)
TAG = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}\Z")


@given(
    st.sampled_from(["docker.io", "quay.io", "localhost", "h:5"]), PATH, st.just("") | TAG, st.sampled_from(["", SHA])
)
def test_a_full_name_is_what_it_says(domain: str, path: str, tag: str, digest: str) -> None:
    text = f"{domain}/{path}{tag and ':' + tag}{digest and '@' + digest}"
    reference = parse(text)
    assert (reference.domain, reference.tag, reference.digest) == (domain, tag, digest)
    assert reference.path in (path, f"library/{path}")
    assert parse(str(reference)) == reference


@given(st.text(string.ascii_letters + string.digits + "./:@_-[] \n\0é", max_size=60))
def test_any_text_is_a_name_or_a_typed_error(text: str) -> None:
    try:
        reference = parse(text)
    except InvalidSpec:
        return
    assert parse(str(reference)) == reference
    assert ".." not in reference.path.split("/")
    assert not set(str(reference)) & set(" \n\0?#%\\")


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000 + "!", "a-" * 500_000, "a/" * 500_000, "x@" + "a+" * 500_000, "A" * 99999]
)
def test_a_long_text_is_refused_quickly(text: str) -> None:
    start = time.process_time()
    with pytest.raises(InvalidSpec):
        parse(text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("text", "registry", "full"),
    [
        ("busybox", DOCKER_IO, "docker.io/library/busybox:latest"),
        ("me/x:1", DOCKER_IO, "docker.io/me/x:1"),
        ("busybox", "localhost", "localhost/busybox:latest"),
        ("me/x:1", "localhost", "localhost/me/x:1"),
        ("localhost/x", DOCKER_IO, "localhost/x:latest"),
        ("host:5000/x", "localhost", "host:5000/x:latest"),
    ],
)
def test_full_names(text: str, registry: str, full: str) -> None:
    assert full_name(text, registry) == full


@pytest.mark.parametrize("text", ["", "Upper", f"x@{SHA}", f"quay.io/x:1@{SHA}"])
def test_names_that_nobody_can_give(text: str) -> None:
    with pytest.raises(InvalidSpec):
        full_name(text)
