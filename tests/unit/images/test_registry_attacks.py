"""Hostile registries: credentials that would go elsewhere, wrong sizes and digests, endless answers."""

from __future__ import annotations

import base64
import gc
import json
import shutil
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pypod.errors import InvalidImage, InvalidSpec, NotInRegistry, PypodError, RegistryError, Unauthorized
from pypod.images.config.registries import Registries
from pypod.images.config.registries_rules import Mirror, Rule
from pypod.images.registry.access import Access
from pypod.images.registry.catalogue import check_login
from pypod.images.registry.client import RegistryDestination, RegistrySource
from pypod.model.images.image import Descriptor, parse_manifest
from pypod.model.images.reference import Reference
from tests.certificates import Certificates, make_certificates
from tests.fake_registry import Answer, Images, Request, Server, digest_of, error

SECRET = "s3cret"
BASIC = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
CHALLENGE = {"WWW-Authenticate": 'Basic realm="give"'}


class World:
    """A registry that requires a password, the user who has it, and other hosts that want it too."""

    def __init__(self, stack: ExitStack, authfile: str) -> None:
        self._stack = stack
        self.images = Images()
        self.images.special["^"] = self.protect
        self.registry = self.serve(self.answer)
        self.special: dict[str, Answer] = {}
        self.access = Access(
            tls_verify=False, authfile=authfile, credentials=("me", SECRET), retries=1, sleep=lambda _: None
        )

    def protect(self, request: Request) -> Answer | None:
        return None if request.authorization == BASIC else (401, CHALLENGE, b"")

    def answer(self, request: Request) -> Answer:
        for part, (status, headers, body) in self.special.items():
            if part in request.path and request.authorization == BASIC:
                return status, dict(headers), body
        return self.images(request)

    def serve(self, answer, context: ssl.SSLContext | None = None) -> Server:
        return self._stack.enter_context(Server(answer, context))

    def greedy(self) -> Server:
        """Start a host that asks every client for a password."""
        return self.serve(lambda _: (401, dict(CHALLENGE), b""))

    def source(self, server: Server | None = None, access: Access | None = None, tag: str = "latest") -> RegistrySource:
        reference = Reference(domain=(server or self.registry).host, path="team/app", tag=tag)
        return self._stack.enter_context(RegistrySource(reference, access or self.access, Registries()))

    def layer(self, source: RegistrySource) -> Descriptor:
        media_type, body = source.manifest()
        return parse_manifest(body, media_type).layers[0]


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, str(tmp_path / "none.json"))


def silent(server: Server) -> None:
    """Assert that a host received requests, but no credentials."""
    assert server.requests
    for one in server.requests:
        assert "authorization" not in one.headers
        assert SECRET not in str(one)
        assert BASIC[6:] not in str(one)


# --- credentials do not cross hosts


def test_a_redirect_to_another_host_gets_no_credentials(world: World) -> None:
    source = world.source()
    descriptor = world.layer(source)
    store = world.serve(lambda _: (200, {}, world.images.layer))
    world.special["/blobs/"] = (307, {"Location": f"http://{store.host}/signed?X-Signature=abc"}, b"")
    assert b"".join(source.blob(descriptor)) == world.images.layer
    silent(store)


def test_a_redirect_target_that_asks_for_a_password_gets_none(world: World) -> None:
    source = world.source()
    descriptor = world.layer(source)
    greedy = world.greedy()
    world.special["/blobs/"] = (302, {"Location": f"http://{greedy.host}/x?secret=signature"}, b"")
    with pytest.raises(Unauthorized) as caught:
        list(source.blob(descriptor))
    silent(greedy)
    assert len(greedy.requests) == 1
    assert "signature" not in str(caught.value)


def test_a_redirect_target_does_not_choose_the_token_server(world: World) -> None:
    """Its 401 names a token server of its own, which would receive the password."""
    source = world.source()
    descriptor = world.layer(source)
    greedy = world.serve(lambda _: (401, {"WWW-Authenticate": f'Bearer realm="{address}/token"'}, b""))
    address = f"http://{greedy.host}"
    world.special["/blobs/"] = (302, {"Location": f"{address}/x"}, b"")
    with pytest.raises(Unauthorized):
        list(source.blob(descriptor))
    silent(greedy)
    assert [one.path for one in greedy.requests] == ["/x"]


def test_a_redirect_with_a_password_in_it_is_refused(world: World) -> None:
    source = world.source()
    descriptor = world.layer(source)
    store = world.serve(lambda _: (200, {}, world.images.layer))
    world.special["/blobs/"] = (302, {"Location": f"http://me:pw@{store.host}/"}, b"")
    with pytest.raises(RegistryError, match="invalid URL"):
        list(source.blob(descriptor))
    assert store.requests == []


def test_a_redirect_there_and_back_does_not_bring_credentials_back(world: World) -> None:
    source = world.source()
    descriptor = world.layer(source)
    back = world.serve(lambda _: (307, {"Location": f"http://{world.registry.host}/v2/team/app/stolen"}, b""))
    world.special["/blobs/"] = (307, {"Location": f"http://{back.host}/"}, b"")
    with pytest.raises(Unauthorized):
        list(source.blob(descriptor))
    silent(back)
    assert [one.authorization for one in world.registry.asked("GET", "/stolen")] == [""]


def test_the_ping_is_not_answered_where_it_leads(world: World) -> None:
    greedy = world.greedy()
    registry = world.serve(lambda _: (302, {"Location": f"http://{greedy.host}/v2/"}, b""))
    with pytest.raises(RegistryError):
        world.source(registry).manifest()
    assert all("authorization" not in one.headers for one in (*greedy.requests, *registry.requests))


def test_a_foreign_layer_is_asked_of_the_registry_only(world: World) -> None:
    greedy = world.greedy()
    found = json.loads(world.images.manifest)
    found["layers"][0]["urls"] = [f"http://{greedy.host}/layer"]
    world.images.put("latest", json.dumps(found).encode())
    source = world.source()
    assert b"".join(source.blob(world.layer(source))) == world.images.layer
    assert greedy.requests == []


def test_an_upload_that_is_sent_elsewhere_goes_without_credentials(world: World) -> None:
    elsewhere = world.serve(lambda _: (201, {}, b""))
    world.special["/uploads/"] = (202, {"Location": f"http://{elsewhere.host}/put?here"}, b"")
    reference = Reference(domain=world.registry.host, path="team/app")
    with RegistryDestination(reference, world.access, Registries()) as destination:
        descriptor = Descriptor(media_type="x", digest=digest_of(b"body"), size=4)
        destination.put_blob(descriptor, [b"body"])
    silent(elsewhere)
    assert elsewhere.requests[0].body == b"body"


def test_a_token_is_for_the_registry_and_not_for_where_it_redirects(world: World) -> None:
    tokens = world.serve(lambda _: (200, {}, b'{"token": "TOKEN"}'))
    bearer = {"WWW-Authenticate": f'Bearer realm="http://{tokens.host}/t",service="s"'}
    store = world.serve(lambda _: (200, {}, world.images.layer))

    def answer(request: Request) -> Answer:
        if request.authorization != "Bearer TOKEN":
            return 401, dict(bearer), b""
        if "/blobs/" in request.path:
            return 307, {"Location": f"http://{store.host}/"}, b""
        return Images()(request)

    source = world.source(world.serve(answer))
    assert b"".join(source.blob(world.layer(source))) == world.images.layer
    silent(store)


def test_a_token_server_that_redirects_takes_nobody_along(world: World) -> None:
    greedy = world.greedy()
    tokens = world.serve(lambda _: (302, {"Location": f"http://{greedy.host}/token"}, b""))
    bearer = {"WWW-Authenticate": f'Bearer realm="http://{tokens.host}/t",service="s"'}
    registry = world.serve(lambda _: (401, dict(bearer), b""))
    with pytest.raises(Unauthorized):
        world.source(registry).manifest()
    silent(greedy)


def test_what_the_user_typed_is_not_for_mirrors(world: World) -> None:
    greedy = world.greedy()
    rule = Rule(
        prefix=world.registry.host,
        location=world.registry.host,
        insecure=True,
        mirrors=(Mirror(location=greedy.host, insecure=True),),
    )
    reference = Reference(domain=world.registry.host, path="team/app", tag="latest")
    with RegistrySource(reference, world.access, Registries(rules=(rule,))) as source:
        assert source.manifest()[1] == world.images.manifest
    silent(greedy)


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://h/x", "http://me:pw@h.invalid/", "http://[", "//", "http://", "gopher:x", "data:,x"],
)
def test_redirects_to_what_is_no_address(world: World, location: str) -> None:
    source = world.source()
    descriptor = world.layer(source)
    world.special["/blobs/"] = (302, {"Location": location}, b"")
    with pytest.raises(RegistryError):
        list(source.blob(descriptor))


def test_redirects_in_a_circle(world: World) -> None:
    source = world.source()
    descriptor = world.layer(source)
    world.special["/blobs/"] = (302, {"Location": f"/v2/team/app/blobs/{descriptor.digest}"}, b"")
    with pytest.raises(RegistryError, match="more than 10 redirects"):
        list(source.blob(descriptor))
    assert len(world.registry.asked("GET", "/blobs/")) == 11


@pytest.mark.parametrize("realm", ["", "file:///etc/passwd", "http://", "http://u:p@h.invalid/", "nonsense", "\x7f"])
def test_token_servers_that_are_no_address(world: World, realm: str) -> None:
    registry = world.serve(lambda _: (401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}, b""))
    with pytest.raises(RegistryError):
        world.source(registry).manifest()
    assert all("authorization" not in one.headers for one in registry.requests)


# --- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_a_certificate_of_an_unknown_authority(world: World, certificates: Certificates) -> None:
    registry = world.serve(world.images, certificates.context())
    strict = world.access.replace(tls_verify=None)
    with pytest.raises(RegistryError, match=r"certificate verify failed.*--cert-dir"):
        world.source(registry, strict).manifest()
    assert registry.requests == []
    known = strict.replace(cert_dir=certificates.directory_with("ca.crt"))
    assert world.source(registry, known).manifest()[1] == world.images.manifest
    assert world.source(registry, world.access).manifest()[1] == world.images.manifest


def test_an_authority_below_another_is_enough(world: World, certificates: Certificates) -> None:
    """As in Go, and so in podman: a trusted intermediate authority needs no trusted issuer."""
    registry = world.serve(world.images, certificates.context("inner"))
    known = world.access.replace(tls_verify=True, cert_dir=certificates.directory_with("below.crt"))
    assert world.source(registry, known).manifest()[1] == world.images.manifest
    above = known.replace(cert_dir=certificates.directory_with("ca.crt"))
    with pytest.raises(RegistryError, match="certificate verify failed"):
        world.source(registry, above).manifest()


def test_a_certificate_for_another_name(world: World, certificates: Certificates) -> None:
    registry = world.serve(world.images, certificates.context())
    access = world.access.replace(tls_verify=True, cert_dir=certificates.directory_with("ca.crt"))
    reference = Reference(domain=f"localhost:{registry.port}", path="team/app")
    with RegistrySource(reference, access, Registries()) as source, pytest.raises(RegistryError, match="certificate"):
        source.manifest()


def test_a_client_certificate_is_shown_to_the_registry_only(world: World, certificates: Certificates) -> None:
    asked: list[object] = []
    store = world.serve(lambda _: (200, {}, world.images.layer), certificates.context(client=True))
    registry = world.serve(world.answer, certificates.context(client=True))
    directory = certificates.directory_with("ca.crt", "client.cert", "client.key")
    access = world.access.replace(tls_verify=True, cert_dir=directory)
    source = world.source(registry, access)
    descriptor = world.layer(source)
    world.special["/blobs/"] = (307, {"Location": f"https://{store.host}/"}, b"")
    with pytest.raises(RegistryError):  # the store requires a certificate as well, and gets none
        list(source.blob(descriptor))
    assert store.requests == asked


@pytest.mark.parametrize(
    ("names", "message"),
    [(("ca.crt", "client.cert"), "missing key client.key"), (("ca.crt", "client.key"), "missing client certificate")],
)
def test_half_a_pair(world: World, certificates: Certificates, names: tuple[str, ...], message: str) -> None:
    registry = world.serve(world.images, certificates.context())
    access = world.access.replace(tls_verify=True, cert_dir=certificates.directory_with(*names))
    with pytest.raises(InvalidSpec, match=message):
        world.source(registry, access).manifest()


def test_from_https_no_way_leads_down_to_http(world: World, certificates: Certificates) -> None:
    plain = world.serve(lambda _: (200, {}, world.images.layer))
    registry = world.serve(world.answer, certificates.context())
    access = world.access.replace(tls_verify=True, cert_dir=certificates.directory_with("ca.crt"))
    source = world.source(registry, access)
    descriptor = world.layer(source)
    world.special["/blobs/"] = (307, {"Location": f"http://{plain.host}/"}, b"")
    with pytest.raises(RegistryError, match=r"it leads from https to http://.*: refused"):
        list(source.blob(descriptor))
    assert plain.requests == []


def test_credentials_of_a_registry_with_https_are_not_sent_over_http(world: World, certificates: Certificates) -> None:
    tokens = world.serve(lambda _: (200, {}, b'{"token": "T"}'))
    bearer = {"WWW-Authenticate": f'Bearer realm="http://{tokens.host}/token",service="s"'}
    registry = world.serve(lambda _: (401, dict(bearer), b""), certificates.context())
    strict = world.access.replace(tls_verify=True, cert_dir=certificates.directory_with("ca.crt"))
    for access in (strict, world.access):  # refused even if certificates are not verified
        with pytest.raises(RegistryError, match="unencrypted: refused"):
            world.source(registry, access).manifest()
    assert tokens.requests == []


def test_a_registry_that_must_be_verified_is_not_asked_over_http(world: World) -> None:
    with pytest.raises(RegistryError, match="the server speaks http, not https: --tls-verify=false"):
        world.source(access=world.access.replace(tls_verify=None)).manifest()
    assert world.registry.requests == []


# --- content that does not match its description


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "md5:" + "0" * 32, "sha256:" + "G" * 64, "latest"])
def test_a_digest_that_is_none_is_not_asked_for(world: World, digest: str) -> None:
    source = world.source()
    source.manifest()
    before = len(world.registry.requests)
    with pytest.raises(InvalidImage, match="invalid digest"):
        source.manifest(digest)
    with pytest.raises(InvalidImage, match="invalid digest"):
        source.blob(Descriptor(media_type="x", digest=digest, size=1))
    assert len(world.registry.requests) == before


def test_a_manifest_with_another_digest(world: World) -> None:
    wanted = digest_of(b"what was asked for")
    world.images.manifests[wanted] = world.images.manifests["latest"]
    source = world.source()
    with pytest.raises(InvalidImage, match=f"its digest is not {wanted}"):
        source.manifest(wanted)


@pytest.mark.parametrize("stated", [digest_of(b"other"), "sha256:../../x", "nonsense"])
def test_a_registry_that_contradicts_itself(world: World, stated: str) -> None:
    headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json", "Docker-Content-Digest": stated}
    world.special["/manifests/"] = (200, headers, world.images.manifest)
    with pytest.raises(InvalidImage):
        world.source().manifest()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"layer" * 1000 + b"!"),
        ({"Transfer-Encoding": "chunked"}, b"1389\r\n" + b"l" * 5001 + b"\r\n0\r\n\r\n"),
    ],
    ids=["stated", "not stated"],
)
def test_a_blob_that_is_larger_than_its_descriptor(world: World, headers: dict[str, str], body: bytes) -> None:
    source = world.source()
    descriptor = world.layer(source)
    world.special["/blobs/"] = (200, headers, body)
    got: list[bytes] = []
    with pytest.raises(InvalidImage):
        got.extend(source.blob(descriptor))
    assert sum(map(len, got)) <= descriptor.size


def test_a_blob_without_end(world: World) -> None:
    """Reading stops at the descriptor's size, even if the server sends more or never stops."""
    source = world.source()
    descriptor = world.layer(source).replace(size=3000)
    world.special["/blobs/"] = (200, {"Content-Length": "3000"}, b"x" * 1_000_000)
    assert b"".join(source.blob(descriptor)) == b"x" * 3000


@pytest.mark.parametrize("body", [b"", b"short"])
def test_a_blob_that_is_smaller_than_its_descriptor(world: World, body: bytes) -> None:
    source = world.source()
    descriptor = world.layer(source)
    world.special["/blobs/"] = (200, {}, body)
    with pytest.raises(InvalidImage, match="its descriptor says 5000"):
        list(source.blob(descriptor))


RANGES = ["", "bytes 0-4999/5000", "bytes 11-4999/5000", "bytes 10-4999/6000", "bytes 10-9/5000", "bytes 10-5000/*"]
RANGES += ["lines 10-4999/5000", "bytes x-y/z", "bytes 10-" + "9" * 5000 + "/*"]


@pytest.mark.parametrize("stated", RANGES)
def test_a_range_that_was_not_asked_for(world: World, stated: str) -> None:
    source = world.source()
    descriptor = world.layer(source)
    world.special["/blobs/"] = (206, {"Content-Range": stated}, world.images.layer[10:])
    with pytest.raises(RegistryError, match="got the range"):
        list(source.blob(descriptor, 10))


def test_a_range_behind_the_end(world: World) -> None:
    source = world.source()
    descriptor = world.layer(source).replace(size=6000)
    with pytest.raises(InvalidImage, match="it has no more than 5500 bytes"):
        list(source.blob(descriptor, 5500))


def test_a_part_is_no_whole(world: World) -> None:
    """206 is not a valid answer to a request without a range."""
    source = world.source()
    descriptor = world.layer(source)
    world.special["/blobs/"] = (206, {"Content-Range": "bytes 0-4999/5000"}, world.images.layer)
    with pytest.raises(RegistryError):
        list(source.blob(descriptor))


def test_a_manifest_that_is_too_large(world: World) -> None:
    headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    world.special["/manifests/"] = (200, headers, b" " * (4 << 20) + b"{}")
    with pytest.raises(RegistryError, match="larger than 4194304 bytes"):
        world.source().manifest()


def test_schema_1_is_refused(world: World) -> None:
    headers = {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}
    world.special["/manifests/"] = (200, {**headers, "Docker-Content-Digest": digest_of(b"signed part")}, b"{}")
    with pytest.raises(InvalidImage, match="schema version 1 is not supported"):
        world.source().manifest()


# --- error messages


def test_an_error_is_cut_and_says_nothing_to_the_terminal(world: World) -> None:
    message = "\x1b]0;owned\x07\u202etext\n" + "x" * 10_000
    world.special["/manifests/"] = error(404, "NAME_UNKNOWN", message)
    with pytest.raises(NotInRegistry) as caught:
        world.source().manifest()
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 1000
    assert SECRET not in text


NO_ERRORS = [b"", b"<html>", b"[" * 100_000, b'{"errors": 5}', b'{"errors": [5, null]}', b"\xff\xfe"]


@pytest.mark.parametrize("body", [*NO_ERRORS, b'{"errors": [{"code": {}}]}'])
def test_errors_that_are_no_errors(world: World, body: bytes) -> None:
    world.special["/manifests/"] = (404, {}, body)
    with pytest.raises(NotInRegistry):
        world.source().manifest()


# --- answers that are not HTTP


def raw(stack: ExitStack, answer: bytes) -> str:
    """Serve these bytes to every client; return host and port."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(answer)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(listener.shutdown, socket.SHUT_RDWR)
    return f"127.0.0.1:{listener.getsockname()[1]}"


ENDLESS = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n"
WEIRD = {
    "nothing": b"",
    "garbage": b"\x00\xff" * 1000,
    "no status": b"HTTP/1.1\r\n\r\n",
    "huge status": b"HTTP/1.1 99999999999 OK\r\n\r\n",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
    "many headers": ENDLESS,
    "long header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
    "huge chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nhello",
    "no name": b"HTTP/1.1 200 OK\r\n: value\r\n\r\n{}",
    "weird challenge": b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="\r\nContent-Length: 0\r\n\r\n',
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("answer", WEIRD.values(), ids=WEIRD.keys())
def test_answers_that_make_no_sense_are_typed_errors(world: World, answer: bytes) -> None:
    with ExitStack() as stack:
        reference = Reference(domain=raw(stack, answer), path="team/app")
        source = stack.enter_context(RegistrySource(reference, world.access.replace(retries=0), Registries()))
        with pytest.raises(PypodError):
            parse_manifest(source.manifest()[1])
        with suppress(PypodError):
            check_login(reference.domain, "me", SECRET, world.access.replace(retries=0), Registries())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


# --- locations of certificates


def test_the_directory_of_a_registry_has_its_port_in_its_name(
    world: World, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = world.serve(world.images, certificates.context())
    monkeypatch.setenv("HOME", str(tmp_path))
    strict = world.access.replace(tls_verify=None, retries=0)
    place = tmp_path / ".config/containers/certs.d"
    (place / "127.0.0.1").mkdir(parents=True)
    shutil.copy(certificates.directory / "ca.crt", place / "127.0.0.1")
    with pytest.raises(RegistryError, match="certificate verify failed"):
        world.source(registry, strict).manifest()
    (place / "127.0.0.1").rename(place / registry.host)
    assert world.source(registry, strict).manifest()[1] == world.images.manifest
