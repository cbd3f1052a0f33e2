"""Credentials, tags and searches through the library."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod import Access, InvalidSpec, Registries, Unauthorized
from tests.fake_registry import Answer, Images, Request, Server


class Registry(Server):
    """A registry that accepts me:secret only, and has a catalogue and tags."""

    def __init__(self) -> None:
        images = Images()
        images.special = {
            "^": self.protect,
            "_catalog": (200, {}, json.dumps({"repositories": ["team/app", "team/web", "other"]}).encode()),
            "app/tags/list": (200, {}, json.dumps({"name": "team/app", "tags": ["v1", "v2"]}).encode()),
        }
        super().__init__(images)

    def protect(self, request: Request) -> Answer | None:
        if request.authorization == f"Basic {base64.b64encode(b'me:secret').decode()}":
            return None
        return 401, {"WWW-Authenticate": 'Basic realm="test"'}, b""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    with Registry() as server:
        yield server


@pytest.fixture
def registries(registry: Registry, tmp_path: Path) -> Registries:
    return Registries(Access(authfile=str(tmp_path / "auth.json"), tls_verify=False))


def test_only_what_a_registry_takes_is_stored(registry, registries, tmp_path) -> None:
    with pytest.raises(Unauthorized):
        registries.login(registry.host, "me", "wrong")
    assert registries.credentials(registry.host) is None
    assert registries.login(f"{registry.host}/team", "me", "secret") == str(tmp_path / "auth.json")
    stored = registries.credentials(f"{registry.host}/team/app")
    assert (stored.user, stored.password) == ("me", "secret")
    assert registries.credentials(f"{registry.host}/team/app", exact=True) is None


def test_logout_is_of_the_very_name(registry, registries) -> None:
    registries.login(registry.host, "me", "secret")
    assert not registries.logout(f"{registry.host}/team")
    assert registries.logout(registry.host)
    assert not registries.logout(registry.host)
    registries.login(registry.host, "me", "secret")
    registries.logout_all()
    assert registries.credentials(registry.host) is None


def test_what_is_there(registry, registries) -> None:
    registries.login(registry.host, "me", "secret")
    assert registries.tags(f"{registry.host}/team/app") == ["v1", "v2"]
    found = registries.search(registry.host, "team", limit=1)
    assert [(one.registry, one.name, one.stars) for one in found] == [(registry.host, f"{registry.host}/team/app", 0)]


def test_short_names_and_missing_files(registry, registries, tmp_path) -> None:
    (tmp_path / "registries.conf").write_text('unqualified-search-registries = ["a.example", "b.example"]\n')
    assert registries.unqualified == ("a.example", "b.example")
    assert registries.candidates("app") == ["a.example/app:latest", "b.example/app:latest"]
    with pytest.raises(InvalidSpec, match="no such file"):
        registries.require_authfile()
