"""The registry client against test servers: authentication, broken transfers, errors, pages, uploads."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pypod.errors import InvalidImage, NotInRegistry, RegistryError, SystemFailure, Unauthorized, Unsupported
from pypod.images.config.registries import Registries
from pypod.images.config.registries_rules import Mirror, Rule
from pypod.images.registry.access import Access
from pypod.images.registry.catalogue import catalogue, check_login, search, tags
from pypod.images.registry.client import RegistryDestination, RegistrySource
from pypod.model.images.image import Descriptor, parse_manifest
from pypod.model.images.reference import Reference, parse
from tests.certificates import make_certificates
from tests.fake_registry import Answer, Images, Request, Server, digest_of, error
from tests.tunnel import Tunnel

BASIC = "Basic " + base64.b64encode(b"me:secret").decode()


class World:
    """The servers of one test, and the client's access to them: plain HTTP, no credentials, no waiting."""

    def __init__(self, stack: ExitStack, authfile: str) -> None:
        self._stack = stack
        self.slept: list[float] = []
        self.access = Access(
            tls_verify=False, authfile=authfile, sleep=self.slept.append, read_timeout_s=5, user_agent="pypod/1.2"
        )
        self.images = Images()
        self.server = self.serve(self.images)
        self.reference = Reference(domain=self.server.host, path="team/app", tag="latest")

    def serve(self, answer, context: ssl.SSLContext | None = None) -> Server:
        return self._stack.enter_context(Server(answer, context))

    def source(self, *rules: Rule, access: Access | None = None, **changes: str) -> RegistrySource:
        source = RegistrySource(self.reference.replace(**changes), access or self.access, Registries(rules=rules))
        return self._stack.enter_context(source)

    def destination(self, access: Access | None = None, **options) -> RegistryDestination:
        made = RegistryDestination(self.reference, access or self.access, Registries(), **options)
        return self._stack.enter_context(made)

    def layer(self, source: RegistrySource) -> Descriptor:
        media_type, body = source.manifest()
        found = parse_manifest(body, media_type)
        return found.layers[0]


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, str(tmp_path / "none.json"))


def with_credentials(access: Access) -> Access:
    return access.replace(credentials=("me", "secret"))


class TokenServer:
    """Issues numbered tokens; ``protect`` makes the registry accept only the last one."""

    def __init__(self, world: World, *, anonymous: bool = True) -> None:
        self.anonymous = anonymous
        self.given = 0
        self.server = world.serve(self.answer)
        world.images.special["^"] = self.protect

    def answer(self, request: Request) -> Answer:
        if not self.anonymous and request.authorization != BASIC:
            return error(401, "UNAUTHORIZED", "incorrect username or password")
        self.given += 1
        return 200, {}, json.dumps({"token": f"T{self.given}", "expires_in": 300}).encode()

    def protect(self, request: Request) -> Answer | None:
        if request.authorization == f"Bearer T{self.given}" and self.given:
            return None
        status, _, body = error(401, "UNAUTHORIZED", "authentication required")
        realm = f'Bearer realm="http://{self.server.host}/token",service="r",scope="everything"'
        return status, {"WWW-Authenticate": realm}, body


# --- reading


def test_an_image_is_read(world: World) -> None:
    source = world.source()
    media_type, body = source.manifest()
    assert (media_type, body) == ("application/vnd.oci.image.manifest.v1+json", world.images.manifest)
    assert b"".join(source.blob(world.layer(source))) == world.images.layer
    assert source.manifest(digest_of(body)) == (media_type, body)
    first = world.server.requests[0]
    assert (first.path, first.headers["user-agent"]) == ("/v2/", "pypod/1.2")
    assert len(world.server.asked("GET", "/manifests/latest")) == 1
    assert "application/vnd.oci.image.index.v1+json" in world.server.asked("GET", "/manifests/")[0].headers["accept"]


def test_a_tag_that_moves_meanwhile_changes_nothing(world: World) -> None:
    source = world.source()
    before = source.manifest()
    world.images.put("latest", b"{}")
    assert source.manifest() == before


def test_the_digest_of_a_tag_without_reading_it(world: World) -> None:
    assert world.source().digest() == digest_of(world.images.manifest)
    assert [one.method for one in world.server.asked("", "/manifests/")] == ["HEAD"]


@pytest.mark.parametrize("answer", [(404, {}, b""), (405, {}, b""), (200, {}, b"")])
def test_registries_that_do_not_answer_head_are_asked_otherwise(world: World, answer: Answer) -> None:
    world.images.special["^HEAD"] = answer
    assert world.source().digest() == digest_of(world.images.manifest)


def test_several_threads_read_at_once(world: World) -> None:
    source = world.source()
    descriptor = world.layer(source)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(b"".join(source.blob(descriptor)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [world.images.layer] * 8


def test_what_is_not_there(world: World) -> None:
    with pytest.raises(
        NotInRegistry, match=r"reading manifest nope in .*: manifest unknown: manifest unknown"
    ) as caught:
        world.source(tag="nope").manifest()
    assert caught.value.status == 404


def test_no_answer_is_tried_again_each_time_after_longer(world: World) -> None:
    dead = world.reference.replace(domain="127.0.0.1:1")
    with pytest.raises(RegistryError, match=r'Get ".*/v2/": dial tcp 127.0.0.1:1: connect: connection refused'):
        RegistrySource(dead, world.access, Registries()).manifest()
    assert world.slept == [1, 2, 4]


def test_a_busy_registry_is_asked_again(world: World) -> None:
    answers = iter([(429, {"Retry-After": "7"}, b""), (503, {}, b""), (500, {"Retry-After": "999999"}, b"")])
    world.images.special["manifests/latest"] = lambda _: next(answers, None)
    assert world.source().manifest()[1] == world.images.manifest
    assert world.slept == [7, 2, 60]


def test_it_gives_up_after_as_many_times_as_it_was_told(world: World) -> None:
    world.images.special["manifests/latest"] = error(503, "UNAVAILABLE", "later")
    with pytest.raises(RegistryError, match="unavailable: later") as caught:
        world.source(access=world.access.replace(retries=1)).manifest()
    assert caught.value.status == 503
    assert len(world.server.asked("GET", "manifests")) == 2


# --- broken transfers


def test_a_blob_is_taken_up_where_it_was_cut(world: World) -> None:
    layer = bytes(range(256)) * 20000  # 5 MB
    world.images.put("latest", manifest_of(world.images, layer))
    source = world.source()
    descriptor = world.layer(source)
    cuts = iter([1 << 20, 3 << 20])

    def cut(request: Request) -> Answer | None:
        at = next(cuts, None)
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        if at is None or at <= start:
            return None
        headers = {"X-Cut": str(at - start)}
        if not start:
            return 200, headers, layer
        return 206, {**headers, "Content-Range": f"bytes {start}-{len(layer) - 1}/{len(layer)}"}, layer[start:]

    world.images.special[f"GET .*{digest_of(layer)}"] = cut
    assert b"".join(source.blob(descriptor)) == layer
    assert [one.headers.get("range") for one in world.server.asked("GET", digest_of(layer))] == [
        None,
        f"bytes={1 << 20}-",
        f"bytes={3 << 20}-",
    ]


def test_a_server_without_ranges_is_skipped_forward(world: World) -> None:
    layer = bytes(range(256)) * 20000
    world.images.put("latest", manifest_of(world.images, layer))
    source = world.source()
    answers = iter([(200, {"X-Cut": str(2 << 20)}, layer), (200, {}, layer)])
    world.images.special[f"GET .*{digest_of(layer)}"] = lambda _: next(answers)
    assert b"".join(source.blob(world.layer(source))) == layer


@pytest.mark.parametrize("offset", [1, 4999, 5000])
def test_a_blob_from_the_middle(world: World, offset: int) -> None:
    source = world.source()
    assert b"".join(source.blob(world.layer(source), offset)) == world.images.layer[offset:]


def test_a_blob_that_is_cut_again_and_again(world: World) -> None:
    source = world.source()
    descriptor = world.layer(source)
    world.images.special["/blobs/"] = (200, {"X-Cut": "0"}, world.images.layer)
    with pytest.raises(RegistryError, match="cut off after 0 of 5000 bytes"):
        list(source.blob(descriptor))
    assert len(world.server.asked("GET", "/blobs/")) == 4


def test_a_manifest_that_was_cut_is_asked_for_again(world: World) -> None:
    answers = iter([(200, {"X-Cut": "5"}, world.images.manifest)])
    world.images.special["manifests/latest"] = lambda _: next(answers, None)
    assert world.source().manifest()[1] == world.images.manifest


def test_a_reader_that_stops_leaves_no_connection_open(world: World) -> None:
    layer = b"x" * (8 << 20)
    world.images.put("latest", manifest_of(world.images, layer))
    source = world.source()
    pieces = source.blob(world.layer(source))
    assert len(next(pieces)) <= 1 << 20
    pieces.close()
    assert source.manifest()[1]


def test_a_stalled_server_is_given_up(world: World) -> None:
    release = threading.Event()

    def stall(_: Request) -> Answer:
        release.wait(10)
        return 200, {}, b""

    world.images.special["manifests/latest"] = stall
    with pytest.raises(RegistryError, match=r"the beginning of an answer took longer than 0\.05 s"):
        world.source(access=world.access.replace(read_timeout_s=0.05, retries=0)).manifest()
    release.set()


def impatient(world: World, **changes: float) -> Access:
    """Return access that expects 1,000 bytes a second, so 500 per half-second check; servers drip a tenth of that."""
    return world.access.replace(slow_after_s=0.5, **changes)


def test_a_blob_that_comes_too_slowly_is_asked_for_again(world: World) -> None:
    source = world.source(access=impatient(world))
    descriptor = world.layer(source)
    answers = iter([(200, {"X-Drip": "1"}, world.images.layer)])
    world.images.special["/blobs/"] = lambda _: next(answers, None)
    assert b"".join(source.blob(descriptor)) == world.images.layer
    assert len(world.server.asked("GET", "/blobs/")) == 2
    assert world.slept == [1]


def test_a_registry_that_is_always_slow_is_given_up(world: World) -> None:
    source = world.source(access=impatient(world, retries=0))
    descriptor = world.layer(source)
    world.images.special["/blobs/"] = (200, {"X-Drip": "1"}, world.images.layer)
    with pytest.raises(RegistryError, match=r"cut off after 0 of 5000 bytes: too slow to go on: \d+ bytes"):
        list(source.blob(descriptor))


def test_what_comes_fast_enough_is_waited_for(world: World) -> None:
    source = world.source(access=impatient(world, lowest_rate=50, retries=0))
    descriptor = world.layer(source)
    body = world.images.layer
    world.images.special["/blobs/"] = (200, {"X-Drip": str(len(body) // 100)}, body)  # takes one second
    assert b"".join(source.blob(descriptor)) == body


def test_a_slow_mirror_is_left_for_the_registry(world: World) -> None:
    mirror = world.serve(lambda _: (200, {"X-Drip": "1"}, b"{}" * 1000))
    rule = Rule(
        prefix=world.server.host,
        location=world.server.host,
        insecure=True,
        mirrors=(Mirror(location=mirror.host, insecure=True),),
    )
    access = impatient(world, retries=0).replace(tls_verify=None)
    assert world.source(rule, access=access).manifest()[1] == world.images.manifest
    assert mirror.asked("GET", "/manifests/latest")


def manifest_of(images: Images, layer: bytes) -> bytes:
    found = json.loads(images.manifest)
    found["layers"] = [images.descriptor(layer, "application/vnd.oci.image.layer.v1.tar")]
    return json.dumps(found).encode()


# --- authentication


def test_basic(world: World) -> None:
    def protect(request: Request) -> Answer | None:
        if request.authorization == BASIC:
            return None
        status, _, body = error(401, "UNAUTHORIZED", "authentication required")
        return status, {"WWW-Authenticate": 'Basic realm="r"'}, body

    world.images.special["^"] = protect
    with pytest.raises(Unauthorized, match="authentication required: log in with: pypod login 127") as caught:
        world.source().manifest()
    assert caught.value.status == 401
    assert world.source(access=with_credentials(world.access)).manifest()[1] == world.images.manifest
    with pytest.raises(Unauthorized, match="invalid username/password"):
        world.source(access=world.access.replace(credentials=("me", "wrong"))).manifest()
    assert check_login(world.server.host, "me", "secret", world.access, Registries()) is None  # type: ignore[func-returns-value]
    with pytest.raises(Unauthorized):
        check_login(world.server.host, "me", "wrong", world.access, Registries())


def test_tokens_are_asked_for_once_per_scope(world: World) -> None:
    tokens = TokenServer(world)
    source = world.source(access=with_credentials(world.access))
    assert b"".join(source.blob(world.layer(source))) == world.images.layer
    (asked,) = tokens.server.requests
    assert asked.path == "/token?service=r&scope=repository%3Ateam%2Fapp%3Apull&account=me"
    assert asked.authorization == BASIC


def test_anonymous_tokens(world: World) -> None:
    tokens = TokenServer(world)
    assert world.source().manifest()[1] == world.images.manifest
    assert tokens.server.requests[0].authorization == ""


def test_a_token_that_expired_is_renewed_once(world: World) -> None:
    tokens = TokenServer(world)
    source = world.source()
    descriptor = world.layer(source)
    tokens.given = 7  # from now on another token is required
    assert b"".join(source.blob(descriptor)) == world.images.layer
    assert len(tokens.server.requests) == 2


def test_a_registry_that_takes_no_token_is_not_asked_for_ever(world: World) -> None:
    tokens = TokenServer(world)
    world.images.special = {"^": lambda request: tokens.protect(request._replace(headers={}))}
    with pytest.raises(Unauthorized):
        world.source().manifest()
    assert len(tokens.server.requests) == 2


def test_wrong_credentials_at_the_token_server(world: World) -> None:
    TokenServer(world, anonymous=False)
    with pytest.raises(Unauthorized, match="invalid username/password: unauthorized: incorrect username or password"):
        world.source(access=world.access.replace(credentials=("me", "wrong"))).manifest()


def test_an_identity_token_is_posted(world: World, tmp_path) -> None:
    tokens = TokenServer(world)
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {world.server.host: {"identitytoken": "IDENTITY"}}}))
    assert world.source(access=world.access.replace(authfile=str(path))).manifest()[1]
    (asked,) = tokens.server.requests
    assert (asked.method, asked.path) == ("POST", "/token")
    assert b"refresh_token=IDENTITY" in asked.body
    assert b"scope=repository%3Ateam%2Fapp%3Apull" in asked.body


def test_stored_credentials_of_the_nearest_namespace(world: World, tmp_path) -> None:
    tokens = TokenServer(world, anonymous=False)
    path = tmp_path / "auth.json"
    auths = {f"{world.server.host}/team": {"auth": BASIC[6:]}, world.server.host: {"auth": "bm86bm8="}}
    path.write_text(json.dumps({"auths": auths}))
    assert world.source(access=world.access.replace(authfile=str(path))).manifest()[1]
    assert [one.authorization for one in tokens.server.requests] == [BASIC]


def test_credentials_are_looked_up_only_when_a_registry_wants_some(world: World, tmp_path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"credsStore": "there-is-no-such-program"}))
    access = world.access.replace(authfile=str(path))
    assert world.source(access=access).manifest()[1] == world.images.manifest
    TokenServer(world)
    with pytest.raises(SystemFailure, match="docker-credential-there-is-no-such-program"):
        world.source(access=access).manifest()


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"token": 5}', b'{"token": "a\\r\\nX-Evil: 1"}', b"no JSON"])
def test_a_token_server_that_talks_nonsense(world: World, answer: bytes) -> None:
    tokens = TokenServer(world)
    tokens.server.answer = lambda _: (200, {}, answer)
    with pytest.raises(Unauthorized, match="the token server's answer has no token"):
        world.source().manifest()


# --- mirrors


def test_a_mirror_serves_what_it_has_and_the_registry_the_rest(world: World) -> None:
    mirror = world.serve(Images())
    rule = Rule(
        prefix="example.com",
        location=world.server.host,
        insecure=True,
        mirrors=(Mirror(location="127.0.0.1:1"), Mirror(location=f"{mirror.host}/m", insecure=True)),
    )
    access = world.access.replace(tls_verify=None, retries=0)
    source = world.source(rule, access=access, domain="example.com")
    assert source.manifest()[1] == world.images.manifest
    assert mirror.asked("GET", "/v2/m/team/app/manifests/latest")
    assert not world.server.requests
    mirror.answer = lambda _: error(404, "NAME_UNKNOWN", "not here")
    assert world.source(rule, access=access, domain="example.com").manifest()[1] == world.images.manifest
    assert world.server.asked("GET", "/manifests/latest")


def test_when_all_fail_the_registrys_error_is_told_and_the_mirrors_are_noted(world: World) -> None:
    rule = Rule(
        prefix=world.server.host, location=world.server.host, insecure=True, mirrors=(Mirror(location="127.0.0.1:1"),)
    )
    access = world.access.replace(tls_verify=None, retries=0)
    with pytest.raises(NotInRegistry) as caught:
        world.source(rule, access=access, tag="nope").manifest()
    assert "127.0.0.1:1" in caught.value.__notes__[0]


# --- lists


def test_tags_in_pages(world: World) -> None:
    pages = {
        "/v2/team/app/tags/list": ({"Link": '</v2/team/app/tags/list?last=b&n=2>; rel="next"'}, ["a", "b"]),
        "/v2/team/app/tags/list?last=b&n=2": ({"Link": '<list?last=c>; rel="next"'}, ["c"]),
        "/v2/team/app/tags/list?last=c": ({}, None),
    }

    def page(request: Request) -> Answer:
        headers, names = pages[request.path]
        return 200, headers, json.dumps({"name": "team/app", "tags": names}).encode()

    world.images.special["/tags/list"] = page
    assert tags(world.reference, world.access, Registries()) == ["a", "b", "c"]


def test_the_next_page_is_not_on_another_host(world: World) -> None:
    other = world.serve(lambda _: (200, {}, b'{"tags": ["x"]}'))
    link = {"Link": f'<http://{other.host}/v2/team/app/tags/list>; rel="next"'}
    world.images.special["/tags/list"] = (200, link, b'{"tags": ["a"]}')
    with pytest.raises(RegistryError, match="the next page is on another host: refused"):
        tags(world.reference, world.access, Registries())
    assert other.requests == []


def test_pages_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypod.images.registry.catalogue._PAGES_LIMIT", 5)
    world.images.special["/_catalog"] = (200, {"Link": '</v2/_catalog>; rel="next"'}, b'{"repositories": ["a"]}')
    with pytest.raises(RegistryError, match="more than 5 pages"):
        list(catalogue(world.server.host, world.access, Registries()))


@pytest.mark.parametrize("body", [b"[]", b"no", b'{"tags": 5}', b'{"tags": [5]}'])
def test_lists_that_are_none(world: World, body: bytes) -> None:
    world.images.special["/tags/list"] = (200, {}, body)
    with pytest.raises(RegistryError):
        tags(world.reference, world.access, Registries())


# --- writing


class Uploads:
    """The half of a registry that accepts uploads."""

    def __init__(self, world: World) -> None:
        self.images = world.images
        self.failures: list[Answer] = []
        world.images.special = {
            "^POST .*/blobs/uploads/": self.start,
            "^PUT .*/uploads/": self.finish,
            "^PUT .*/manifests/": self.manifest,
            "^DELETE": (204, {}, b""),
        }
        self.mountable = False

    def start(self, request: Request) -> Answer:
        if "mount=" in request.path and self.mountable:
            return 201, {}, b""
        return 202, {"Location": "/v2/team/app/blobs/uploads/ID?state=S"}, b""

    def finish(self, request: Request) -> Answer:
        if self.failures:
            return self.failures.pop()
        digest = request.path.rpartition("digest=")[2]
        if digest_of(request.body) != digest:
            return error(400, "DIGEST_INVALID", "no")
        self.images.blobs[digest] = request.body
        return 201, {}, b""

    def manifest(self, request: Request) -> Answer:
        self.images.put(request.path.rpartition("/")[2], request.body, request.headers["content-type"])
        return 201, {"Docker-Content-Digest": digest_of(request.body)}, b""


def blob(body: bytes) -> Descriptor:
    return Descriptor(media_type="application/octet-stream", digest=digest_of(body), size=len(body))


def test_an_image_is_written(world: World) -> None:
    Uploads(world)
    destination = world.destination()
    body, big = b"small", b"x" * (3 << 20)
    for one in (body, big):
        assert not destination.has_blob(blob(one))
        destination.put_blob(blob(one), (one[n : n + 100_000] for n in range(0, len(one), 100_000)))
        assert destination.has_blob(blob(one))
        assert world.images.blobs[digest_of(one)] == one
    put = world.server.asked("PUT", "uploads/ID")[0]
    assert put.path == f"/v2/team/app/blobs/uploads/ID?state=S&digest={digest_of(body)}"
    assert put.headers["content-length"] == "5"
    destination.put_manifest("application/x", b"index")
    destination.put_manifest("application/y", b"one", digest=digest_of(b"one"))
    assert world.images.manifests["latest"] == ("application/x", b"index")
    assert world.images.manifests[digest_of(b"one")] == ("application/y", b"one")


def test_a_blob_of_another_repository_is_taken_over(world: World) -> None:
    uploads = Uploads(world)
    uploads.mountable = True
    other = world.reference.replace(path="other/app")
    destination = world.destination(mount_from=[other, parse("elsewhere.io/x")])
    assert destination.has_blob(blob(b"new"))
    (asked,) = world.server.asked("POST")
    assert world.slept == []
    assert asked.path == f"/v2/team/app/blobs/uploads/?mount={digest_of(b'new')}&from=other/app"
    uploads.mountable = False
    assert not destination.has_blob(blob(b"new"))
    assert world.server.asked("DELETE", "/uploads/ID")


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_an_upload_that_failed_is_sent_again_from_the_start(world: World, size: int) -> None:
    uploads = Uploads(world)
    body = b"x" * size
    uploads.failures = [(503, {}, b""), (500, {}, b"")]
    world.destination().put_blob(blob(body), [body[: size // 2], body[size // 2 :]])
    assert world.images.blobs[digest_of(body)] == body
    assert len(world.server.asked("POST")) == 3


def test_what_can_be_read_once_only_is_sent_once(world: World) -> None:
    uploads = Uploads(world)
    body = b"x" * (3 << 20)
    uploads.failures = [(503, {}, b"")]
    with pytest.raises(RegistryError):
        world.destination().put_blob(blob(body), iter([body]))
    assert len(world.server.asked("PUT")) == 1


@pytest.mark.parametrize("size", [10, 3 << 20])
@pytest.mark.parametrize("more", [-1, 1])
def test_content_of_another_size_is_not_sent_whole(world: World, size: int, more: int) -> None:
    Uploads(world)
    descriptor = blob(b"x" * size)
    with pytest.raises(InvalidImage, match="its content does not have the size"):
        world.destination().put_blob(descriptor, [b"x" * (size + more)])
    assert descriptor.digest not in world.images.blobs


def test_writing_asks_for_more_than_reading(world: World) -> None:
    uploads = Uploads(world)
    tokens = TokenServer(world)
    world.images.special = {"^": tokens.protect, **{k: v for k, v in world.images.special.items() if k != "^"}}
    uploads.mountable = True
    destination = world.destination(mount_from=[world.reference.replace(path="other")])
    assert destination.has_blob(blob(b"new"))
    assert "repository%3Ateam%2Fapp%3Apull%2Cpush" in tokens.server.requests[0].path
    assert "scope=repository%3Aother%3Apull" in tokens.server.requests[-1].path


# --- proxies


def test_a_proxy_is_used_for_what_is_not_here(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def proxy(request: Request) -> Answer:
        if request.method == "CONNECT":
            return 403, {}, b""
        path = request.path.removeprefix("http://registry.invalid")
        return world.images(request._replace(path=path))

    server = world.serve(proxy)
    monkeypatch.setenv("HTTP_PROXY", f"http://user:pw@{server.host}")
    monkeypatch.setenv("HTTPS_PROXY", f"http://{server.host}")
    assert world.source(domain="registry.invalid").manifest()[1] == world.images.manifest
    assert server.asked("CONNECT", "registry.invalid:443")
    asked = server.asked("GET", "http://registry.invalid/v2/team/app/manifests/latest")
    assert asked[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"user:pw").decode()
    assert world.server.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_tls_through_a_proxy_that_may_speak_tls_itself(
    world: World, tmp_path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    certificates = make_certificates(tmp_path)
    world.images.put("latest", manifest_of(world.images, b"layer" * 1_000_000))
    registry = world.serve(world.images, certificates.context())
    with Tunnel(registry.port, certificates.context() if scheme == "https" else None) as proxy, ExitStack() as stack:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:p%20w@{proxy.host}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.directory / "ca.crt"))
        reference = world.reference.replace(domain="registry.test")
        access = world.access.replace(tls_verify=True)
        source = stack.enter_context(RegistrySource(reference, access, Registries()))
        assert b"".join(source.blob(world.layer(source))) == b"layer" * 1_000_000
        elsewhere = reference.replace(domain="registry.elsewhere")  # the server's certificate is for another name
        with pytest.raises(RegistryError, match="certificate verify failed"):
            stack.enter_context(RegistrySource(elsewhere, access, Registries())).manifest()
        assert [head.split(b"\r\n")[0] for head in proxy.heads] == [
            b"CONNECT registry.test:443 HTTP/1.1",
            b"CONNECT registry.elsewhere:443 HTTP/1.1",
        ]
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"user:p w") in proxy.heads[0]
    assert {one.headers["host"] for one in registry.requests} == {"registry.test"}
    assert not any("proxy-authorization" in one.headers for one in registry.requests)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://", "http://[", "user:secret@h:1:2"])
def test_proxies_that_are_none(world: World, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(Unsupported, match="only http and https proxies") as caught:
        world.source(domain="registry.invalid").manifest()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "waited_s"),
    [
        ("Wed, 21 Oct 2099 07:28:00 GMT", 60),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
        ("soon", 1),
        ("-5", 1),
        ("9" * 400, 1),
        ("Wed, 99 Oct 99999999999999 07:28:00 GMT", 1),
    ],
)
def test_how_long_to_wait(world: World, header: str, waited_s: float) -> None:
    answers = iter([(429, {"Retry-After": header}, b"")])
    world.images.special["manifests/latest"] = lambda _: next(answers, None)
    world.source().manifest()
    assert world.slept == [waited_s]


def test_a_blob_that_may_not_be_taken_over_is_sent(world: World) -> None:
    Uploads(world)
    world.images.special = {"mount=": error(403, "DENIED", "no"), **world.images.special}
    destination = world.destination(mount_from=[world.reference.replace(path="secret")])
    assert not destination.has_blob(blob(b"new"))
    destination.put_blob(blob(b"new"), [b"new"])
    assert destination.has_blob(blob(b"new"))


def test_a_registry_that_does_not_say_where_to_send(world: World) -> None:
    Uploads(world)
    world.images.special = {"^POST": (202, {}, b""), **world.images.special}
    with pytest.raises(RegistryError, match="does not say where to send the blob"):
        world.destination().put_blob(blob(b"new"), [b"new"])


def test_a_registry_that_stored_another_manifest(world: World) -> None:
    world.images.special["^PUT"] = (201, {"Docker-Content-Digest": digest_of(b"other")}, b"")
    with pytest.raises(RegistryError, match="stored something else"):
        world.destination().put_manifest("application/x", b"body")


def test_a_mirror_tells_the_digest_too(world: World) -> None:
    mirror = world.serve(lambda _: error(404, "NAME_UNKNOWN", "not here"))
    rule = Rule(
        prefix=world.server.host,
        location=world.server.host,
        insecure=True,
        mirrors=(Mirror(location=mirror.host, insecure=True), Mirror(location="127.0.0.1:1")),
    )
    access = world.access.replace(tls_verify=None, retries=0)
    assert world.source(rule, access=access).digest() == digest_of(world.images.manifest)
    assert mirror.requests


def test_a_mirror_that_has_gone_since(world: World) -> None:
    mirror = world.serve(Images())
    rule = Rule(
        prefix=world.server.host,
        location=world.server.host,
        insecure=True,
        mirrors=(Mirror(location=mirror.host, insecure=True),),
    )
    source = world.source(rule, access=world.access.replace(tls_verify=None, retries=0))
    source.manifest()
    mirror.answer = lambda _: error(404, "NAME_UNKNOWN", "gone")
    assert source.digest() == digest_of(world.images.manifest)
    mirror.answer = lambda _: error(500, "UNKNOWN", "broken")
    with pytest.raises(RegistryError, match="status 500"):
        source.digest()


# --- search


def test_search_in_a_catalogue(world: World) -> None:
    world.images.special["/_catalog"] = (200, {}, b'{"repositories": ["a/x", "b/x", "c/y", "d/x"]}')
    found = search(world.server.host, "x", world.access, Registries(), limit=2)
    assert found == [{"name": f"{world.server.host}/a/x"}, {"name": f"{world.server.host}/b/x"}]


def test_search_at_docker_io(world: World, tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_certificates(tmp_path_factory.mktemp("certificates")).context()
    results = [{"name": "library/web", "star_count": 3, "is_official": True}, {"no": "name"}, {"name": "me/web"}]
    answer: dict[str, object] = {"results": results}
    server = world.serve(lambda _: (200, {}, json.dumps(answer).encode()), context)
    monkeypatch.setattr("pypod.images.registry.catalogue._SEARCH_HOST", server.host)
    found = search("docker.io", "web & more", world.access, Registries(), limit=5)
    assert [one["name"] for one in found] == ["docker.io/library/web", "docker.io/me/web"]
    assert server.requests[0].path == "/v1/search?q=web+%26+more&n=5"
    answer["results"] = 5
    with pytest.raises(RegistryError, match="no list of results"):
        search("docker.io", "web", world.access, Registries())
