"""Sigstore signatures: what skopeo 1.18 made, and keys that cannot be used."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec
from pypod.images.trust import sigstore
from pypod.images.trust.claims import BadSignature

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

PRIVATE = """\
-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJ2Yy92a0I0ZDNGZzR1UkoyOEl1NktlQUhlRGlMWmR5
a0twSDBEL2xMaW00PSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJZK0JIZjc5N1dZeVRqdlFlb0llbFNCR1puV01wNXhkRSJ9LCJj
aXBoZXJ0ZXh0IjoiK3JzSk1LSHhnVzF6TlNBVy9nUEtTbUNDbUJvempwSWl4K0Jv
M0R1ODVpNURNbGxvVDhvTTZtdWM2MjVQaTh5L2FSaDl4RFAydXA1UDkzY0NtaDNs
R2JVSkZjaXNWWVZpVGJCYXRiQm9EYXBrS00yaUJIUVVRd2tRREVORXlLMjhHQUFt
ZHFuRnliQlZQL0RuQ25OOHBKdzFra2ZwOWtkL0xEVko4VmxPYzZqRFdIQ1g0aCtF
QUVDTWRBMnMyVEorL1FqSFpoMmZ4OGFIWGc9PSJ9
-----END ENCRYPTED COSIGN PRIVATE KEY-----
"""
PUBLIC = b"""\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEU6MO6buhi5/aQ/+akaM1PtNtBN8y
1Evnlfd8hQE+EEIjzuVBHLyfVNna9P8ydrf0pMMJjLi4dRg1BvjATCEwjg==
-----END PUBLIC KEY-----
"""
NAME, DIGEST = "reg.example/team/web:v1", "sha256:29abde64c7594c431e5f697c054e1627f5b9b61f586b904fa65a3cf48918d7b7"
SIGNED = sigstore.Attached(
    claim=(
        b'{"critical":{"identity":{"docker-reference":"reg.example/team/web:v1"},"image":{"docker-manifest-digest":'
        b'"sha256:29abde64c7594c431e5f697c054e1627f5b9b61f586b904fa65a3cf48918d7b7"},"type":"cosign container image '
        b'signature"},"optional":{"creator":"containers/image 5.34.2","timestamp":1796277655}}'
    ),
    signature=("MEQCIAH/CzVlIPDnsqDULJFdHw7FFZrUIJz1xM/3rqS2KwwCAiBANtA1SwXMiSTQMYFNtei0pgDBe9y6/JtSYvXMblpk1w=="),
)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(PRIVATE)
    return path


def sealed() -> dict[str, dict[str, object]]:
    return json.loads(base64.b64decode("".join(PRIVATE.splitlines()[1:-1])))


def test_what_skopeo_signed() -> None:
    assert sigstore.claim_of(SIGNED, [PUBLIC]) == (DIGEST, NAME)
    assert sigstore.claim_of(SIGNED, [b"nonsense", PUBLIC]) == (DIGEST, NAME)


def test_a_key_that_skopeo_made(private: Path) -> None:
    made = sigstore.sign("sha256:0", "a.io/b:1", sigstore.private_key(str(private), b"secret"))
    assert sigstore.claim_of(made, [PUBLIC]) == ("sha256:0", "a.io/b:1")


@pytest.mark.parametrize(
    ("claim", "signature", "reason"),
    [
        (SIGNED.claim.replace(b":v1", b":v2"), SIGNED.signature, "verification failed"),
        (SIGNED.claim, "", "missing dev.cosignproject.cosign/signature annotation"),
        (SIGNED.claim, "?", "is not base64"),
        (SIGNED.claim, "AAAA", "verification failed"),
    ],
)
def test_what_is_not_accepted(claim: bytes, signature: str, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        sigstore.claim_of(sigstore.Attached(claim=claim, signature=signature), [PUBLIC])


def test_no_key_accepts_nothing() -> None:
    for keys in ([], [b""], [PUBLIC[:80]]):
        with pytest.raises(BadSignature):
            sigstore.claim_of(SIGNED, keys)


def test_a_claim_of_another_kind(private: Path) -> None:
    """The same key may sign other things: gpg's kind of claim does not count as sigstore's."""
    key = sigstore.private_key(str(private), b"secret")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sigstore, "_TYPE", "atomic container signature")
        made = sigstore.sign(DIGEST, NAME, key)
    with pytest.raises(BadSignature, match="Unrecognized signature type atomic"):
        sigstore.claim_of(made, [PUBLIC])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "invalid pem block"),
        ("nonsense", "invalid pem block"),
        (PUBLIC.decode(), "unsupported pem type: PUBLIC KEY"),
        (PRIVATE[:200], "invalid pem block"),
        (PRIVATE.replace("eyJrZGYi", "eyJrZGYj"), "invalid pem block"),
    ],
)
def test_files_that_are_no_keys(private: Path, content: str, reason: str) -> None:
    private.write_text(content)
    with pytest.raises(InvalidSpec, match=reason):
        sigstore.private_key(str(private), b"secret")


@pytest.mark.parametrize(
    ("section", "name", "value", "reason"),
    [
        ("kdf", "params", {"N": 1 << 30, "r": 8, "p": 1}, "too costly"),
        ("kdf", "params", {"N": True, "r": 8, "p": 1}, "too costly"),
        ("kdf", "params", {"N": 1000, "r": 8, "p": 1}, "initializing private key"),
        ("kdf", "params", {"N": 1024}, "incomplete"),
        ("kdf", "params", None, "incomplete"),
        ("kdf", "name", "argon2", "unknown encryption argon2 and nacl/secretbox"),
        ("cipher", "nonce", "AAAA", "unknown encryption"),
        ("cipher", "nonce", 5, "incomplete"),
    ],
)
def test_parameters_that_are_not_taken(private: Path, section: str, name: str, value: object, reason: str) -> None:
    found = sealed()
    found[section][name] = value
    kind = "ENCRYPTED SIGSTORE PRIVATE KEY"
    body = base64.b64encode(json.dumps(found).encode()).decode()
    private.write_text(f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n")
    with pytest.raises(InvalidSpec, match=reason):
        sigstore.private_key(str(private), b"secret")


def test_a_wrong_passphrase(private: Path) -> None:
    with pytest.raises(InvalidSpec, match="decryption failed"):
        sigstore.private_key(str(private), b"wrong")
