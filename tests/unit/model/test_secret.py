"""The notation of --secret, and the names of secrets: podman's rules and messages."""

from __future__ import annotations

import pytest

from pypod.errors import InvalidSpec
from pypod.model.secret import SecretSpec, SecretUse, check_content, check_name, parse_use


def test_notation() -> None:
    assert parse_use("s1") == SecretUse(name="s1")
    assert parse_use("s1,type=mount,target=x,uid=5,GID=6,mode=400") == SecretUse(
        name="s1", target="/run/secrets/x", uid=5, gid=6, mode=0o400
    )
    assert parse_use("source=s1,target=a/./b") == SecretUse(name="s1", target="/run/secrets/a/b")
    assert parse_use("s1,target=/etc//x/") == SecretUse(name="s1", target="/etc/x")
    assert parse_use("s1,target=../x") == SecretUse(name="s1", target="/run/x")
    assert parse_use("s1,type=env") == SecretUse(name="s1", type="env", target="s1")
    assert parse_use("s1,type=env,target=A") == SecretUse(name="s1", type="env", target="A")
    assert parse_use("type=mount") == SecretUse(name="type=mount")  # a single word is a name, as in podman


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s1,type=foo", "type foo is invalid: parsing secret"),
        ("s1,type=env,type=env", "cannot set more than one secret type: parsing secret"),
        ("s1,uid=foo", "UID foo invalid: parsing secret"),
        ("s1,gid=-1", "GID -1 invalid: parsing secret"),
        ("s1,uid=4294967296", "UID 4294967296 invalid: parsing secret"),
        ("s1,mode=999", "mode 999 invalid: parsing secret"),
        ("s1,mode=", "mode  invalid: parsing secret"),
        ("s1,bar=foo", "option bar=foo invalid: parsing secret"),
        ("s1,bar", "option bar must be in form option=value: parsing secret"),
        ("", "no source found : parsing secret"),
        ("s1,type=env,uid=5", "UID, GID, Mode options cannot be set with secret type env: parsing secret"),
        ("s1,type=env,target=A\0B", "target A\0B invalid: parsing secret"),
        ("s1,target=/", "target / invalid: parsing secret"),
        ("s1,target=.", "target . invalid: parsing secret"),
    ],
)
def test_wrong_notation(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"parsing secret") as caught:
        parse_use(text)
    assert str(caught.value) == message


def test_the_name_of_the_secret_is_the_default_target() -> None:
    spec = SecretSpec(id="a" * 25, name="password", created_ns=1, updated_ns=1)
    assert parse_use("aaaa").of(spec) == SecretUse(name="password", secret_id="a" * 25, target="/run/secrets/password")
    assert parse_use("aaaa,type=env").of(spec).target == "aaaa"


@pytest.mark.parametrize("name", ["a", "a..b", "A-1_b", "a" * 64])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", ".a", "a/b", "a=b", "a,b", "a b", "é", "a\n", "a" * 65])
def test_wrong_names(name: str) -> None:
    with pytest.raises(InvalidSpec, match="only 64"):
        check_name(name)


def test_sizes() -> None:
    check_content(b"x" * 511_999)
    for size in (0, 512_000):
        with pytest.raises(InvalidSpec, match="larger than 0 and less than 512000 bytes"):
            check_content(b"x" * size)
