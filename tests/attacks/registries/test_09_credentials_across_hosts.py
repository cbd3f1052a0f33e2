"""A redirect, a foreign layer, a token server or an upload on another host asks for credentials.

GHSA-742w-89gc-8m9c, CVE-2020-15157. tests/unit/images/test_registry_attacks.py covers the client's rules individually.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.pulled import Storage
from tests.fake_registry import Answer, Images, Request, Server, images_of
from tests.images.forms import digest
from tests.images.made import Made, layer

pytestmark = pytest.mark.root

SECRET = "s3cret"
BASIC = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
CHALLENGE = {"WWW-Authenticate": 'Basic realm="give"'}
MADE = Made(layer({"f": b"1"}), config={"Cmd": ["x"]})
LAYER, CONFIG = digest(MADE.layers[0]), digest(MADE.config_body)


class World:
    """A registry that the user has logged in to, and another host that wants the user's credentials."""

    def __init__(self, storage: Storage, directory: Path) -> None:
        self.storage = storage
        self.images = images_of(MADE)
        self.images.special["^"] = self.protect
        self.registry = storage.serve(self.images)
        self.stranger = storage.serve(Images())
        self.stranger.answer = lambda _: (401, dict(CHALLENGE), b"")
        self.authfile = directory / "auth.json"
        entry = {"auth": BASIC.removeprefix("Basic ")}
        self.authfile.write_text(json.dumps({"auths": {self.registry.host: entry}}))

    def protect(self, request: Request) -> Answer | None:
        return None if request.authorization == BASIC else (401, CHALLENGE, b"")

    def answers(self, part: str, answer: Answer) -> None:
        """Set the registry's answer to logged-in clients for paths that contain ``part``."""
        self.images.special[part] = answer

    def pull(self) -> int:
        return self.storage.pull(self.registry, f"--authfile={self.authfile}").code

    def stranger_knows_nothing(self) -> None:
        for one in self.stranger.requests:
            assert "authorization" not in one.headers
            assert not any(secret in str(one) for secret in (SECRET, BASIC.removeprefix("Basic ")))


@pytest.fixture
def world(storage: Storage, tmp_path: Path) -> World:
    return World(storage, tmp_path)


def to(stranger: Server, status: int = 307) -> Answer:
    return status, {"Location": f"http://{stranger.host}/x?signature=1"}, b""


def test_the_registry_itself_gets_them(world: World) -> None:
    assert world.pull() == 0
    assert {one.authorization for one in world.registry.asked("GET", "/blobs/")} == {BASIC}


def test_a_redirect_to_another_host(world: World) -> None:
    world.answers(f"/blobs/{LAYER}", to(world.stranger))
    world.stranger.answer = lambda _: (200, {}, MADE.layers[0])
    assert world.pull() == 0
    assert len(world.stranger.requests) == 1
    world.stranger_knows_nothing()


ASKING: dict[str, Callable[[World], None]] = {
    "a blob's place asks": lambda world: world.answers(f"/blobs/{LAYER}", to(world.stranger)),
    "a manifest's place asks": lambda world: world.answers("/manifests/", to(world.stranger)),
    "a configuration's place asks": lambda world: world.answers(
        f"/blobs/{digest(MADE.config_body)}", to(world.stranger)
    ),
}


@pytest.mark.parametrize("spoil", ASKING.values(), ids=ASKING.keys())
@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_another_host_asks(world: World, spoil: Callable[[World], None], scheme: str) -> None:
    spoil(world)
    header = {"WWW-Authenticate": f'{scheme} realm="http://{world.stranger.host}/token",service="s"'}
    world.stranger.answer = lambda _: (401, dict(header), b"")
    assert world.pull() == 125
    assert len(world.stranger.requests) == 1  # it is not asked for a token
    world.stranger_knows_nothing()


def test_a_foreign_layer(world: World) -> None:
    found = json.loads(MADE.manifest_body())
    found["layers"][0]["urls"] = [f"http://{world.stranger.host}/layer"]
    world.images.put("latest", json.dumps(found).encode())
    assert world.pull() == 0
    assert world.stranger.requests == []


def test_a_redirect_there_and_back(world: World) -> None:
    world.answers(f"/blobs/{LAYER}", to(world.stranger))
    world.stranger.answer = lambda _: (307, {"Location": f"http://{world.registry.host}/v2/team/app/stolen"}, b"")
    assert world.pull() == 125
    world.stranger_knows_nothing()
    assert {one.authorization for one in world.registry.asked("GET", "/stolen")} == {""}


def test_a_registry_that_nobody_logged_in_to(world: World) -> None:
    """The file holds another registry's credentials, which are not sent whatever the answer names."""
    realm = {"WWW-Authenticate": f'Bearer realm="http://{world.stranger.host}/t",service="{world.registry.host}"'}
    world.stranger.answer = lambda _: (401, dict(realm), b"")
    assert world.storage.pull(world.stranger, f"--authfile={world.authfile}").code == 125
    assert world.stranger.requests != []
    world.stranger_knows_nothing()


def test_a_push_that_is_sent_elsewhere(world: World) -> None:
    assert world.pull() == 0
    world.images.blobs.clear()
    world.stranger.answer = lambda _: (201, {}, b"")
    world.answers("/uploads/", (202, {"Location": f"http://{world.stranger.host}/put?here"}, b""))
    name = f"{world.registry.host}/team/app:latest"
    world.storage.run("push", "-q", "--tls-verify=false", f"--authfile={world.authfile}", name)
    assert any(one.body for one in world.stranger.asked("PUT"))
    world.stranger_knows_nothing()
