"""Sigstore signatures: skopeo and podman accept ours, and we accept theirs, under the policies that allow it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pypod.images.trust import sigstore
from tests.cli.program import Program
from tests.docker_registry import DockerRegistry, needs_docker_registry
from tests.images.made import Made, layer

nacl = pytest.importorskip("nacl.secret", reason="PyNaCl is not installed")
pytestmark = [
    needs_docker_registry,
    pytest.mark.skipif(
        shutil.which("skopeo") is None or shutil.which("openssl") is None, reason="skopeo and openssl are not installed"
    ),
]
NOT_THERE = b"sigstore disabled"  # in the message of Debian 12's skopeo
PASSPHRASE = "secret"


def run(*words: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(word) for word in words], input=data, capture_output=True, check=False, timeout=60)


def key(directory: Path, name: str, passphrase: str = PASSPHRASE) -> tuple[Path, Path]:
    """Make a pair of keys as ``cosign generate-key-pair`` does; return the files of the private and the public one."""
    private, public = directory / f"{name}.key", directory / f"{name}.pub"
    pem = run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").stdout
    public.write_bytes(run("openssl", "pkey", "-pubout", data=pem).stdout)
    der = run("openssl", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER", data=pem).stdout
    salt, nonce = os.urandom(32), os.urandom(24)
    secret = hashlib.scrypt(passphrase.encode(), salt=salt, n=32768, r=8, p=1, maxmem=1 << 26, dklen=32)
    sealed = {
        "kdf": {"name": "scrypt", "params": {"N": 32768, "r": 8, "p": 1}, "salt": base64.b64encode(salt).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(nacl.SecretBox(secret).encrypt(der, nonce).ciphertext).decode(),
    }
    text = base64.encodebytes(json.dumps(sealed).encode()).decode()
    kind = "ENCRYPTED COSIGN PRIVATE KEY"
    private.write_text(f"-----BEGIN {kind}-----\n{text}-----END {kind}-----\n")
    return private, public


class World:
    """A registry whose images must be signed with sigstore, and a storage with an image."""

    def __init__(self, home: Path, registry: str) -> None:
        self.home, self.registry = home, registry
        self.private, self.public = key(home, "one")
        (home / "passphrase").write_text(f"{PASSPHRASE}\nmore")
        (home / ".config/containers/registries.d").mkdir(parents=True)
        self.attachments("true")
        self.policy()
        Made(layer({"a": b"x"})).archive(home / "image", "made:latest")
        self.pypod = Program(str(home / "storage"))
        self.pypod.ok("load", "-q", "-i", str(home / "image"))
        self.image = self.pypod.ok("images", "-q").strip()

    def attachments(self, value: str) -> None:
        text = f"docker:\n  {self.registry}:\n    use-sigstore-attachments: {value}\n"
        (self.home / ".config/containers/registries.d/all.yaml").write_text(text)

    def policy(self, **requirement: object) -> None:
        signed = {"type": "sigstoreSigned", "keyPath": str(self.public), **requirement}
        found = {"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {self.registry: [signed]}}}
        (self.home / ".config/containers/policy.json").write_text(json.dumps(found))

    def push(self, name: str, private: Path | None = None) -> subprocess.CompletedProcess[str]:
        signing = ("--sign-by-sigstore-private-key", private or self.private)
        words = (*signing, "--sign-passphrase-file", self.home / "passphrase", self.image, f"{self.registry}/{name}")
        return self.pypod("push", "-q", "--tls-verify=false", *map(str, words))

    def skopeo_signs(self, source: str, name: str) -> None:
        signing = ("--sign-by-sigstore-private-key", self.private, "--sign-passphrase-file", self.home / "passphrase")
        tls = ("--src-tls-verify=false", "--dest-tls-verify=false")
        accepting = self.home / "accepting.json"
        accepting.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        words = ("skopeo", "--policy", accepting, "copy", *tls, *signing)
        done = run(*words, f"docker://{self.registry}/{source}", f"docker://{self.registry}/{name}")
        if NOT_THERE in done.stderr:
            pytest.skip("skopeo is built without sigstore, as in Debian 12")
        assert done.returncode == 0, done

    def refusal(self, name: str) -> str:
        """Return why pypod does not take an image, empty if it does; skopeo must agree, where it can."""
        full = f"{self.registry}/{name}"
        shutil.rmtree(self.home / "copied", ignore_errors=True)
        copied = run("skopeo", "copy", "--src-tls-verify=false", f"docker://{full}", f"dir:{self.home}/copied")
        pulled = Program(str(self.home / "other"))("pull", "--tls-verify=false", full)
        if NOT_THERE not in copied.stderr:
            assert (copied.returncode == 0) is (pulled.returncode == 0), (copied, pulled)
        return "" if pulled.returncode == 0 else pulled.stderr

    def is_there(self, name: str) -> bool:
        return run("skopeo", "inspect", "--tls-verify=false", f"docker://{self.registry}/{name}").returncode == 0


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "registry").mkdir()
    with DockerRegistry(tmp_path / "registry") as registry:
        yield World(tmp_path, registry.host)


def test_skopeo_accepts_ours(world: World) -> None:
    world.pypod.ok("push", "-q", "--tls-verify=false", world.image, f"{world.registry}/a:plain")
    assert "A signature was required, but no signature exists" in world.refusal("a:plain")
    done = world.push("b:signed")
    assert done.returncode == 0, done.stderr
    assert world.refusal("b:signed") == ""


def test_we_accept_skopeos_beside_ours(world: World) -> None:
    other, _ = key(world.home, "two")
    assert world.push("a:v1", other).returncode == 0
    assert "cryptographic signature verification failed" in world.refusal("a:v1")
    world.skopeo_signs("a:v1", "a:v1")  # a second signature of the same manifest
    assert world.refusal("a:v1") == ""
    assert world.push("b:v1").returncode == 0
    world.skopeo_signs("b:v1", "b:v2")
    assert world.push("b:v2", other).returncode == 0  # one of several is enough
    assert world.refusal("b:v2") == ""


def test_a_list_with_its_images(world: World) -> None:
    world.pypod.ok("manifest", "create", "both", world.image)
    signing = ("--sign-by-sigstore-private-key", world.private, "--sign-passphrase-file", world.home / "passphrase")
    words = map(str, ("-q", "--all", "--tls-verify=false", *signing, "both", f"{world.registry}/both:v1"))
    world.pypod.ok("manifest", "push", *words)
    assert world.refusal("both:v1") == ""


def test_the_identity_counts(world: World) -> None:
    assert world.push("a:v1").returncode == 0
    accepting = ("--src-tls-verify=false", "--dest-tls-verify=false", "--insecure-policy")
    there = f"docker://{world.registry}/a"
    run("skopeo", accepting[-1], "copy", *accepting[:2], f"{there}:v1", f"{there}:v2")
    assert f"Signature for identity {world.registry}/a:v1 is not accepted" in world.refusal("a:v2")
    world.policy(signedIdentity={"type": "matchRepository"})
    assert world.refusal("a:v2") == ""


def test_keys_in_the_policy_itself(world: World) -> None:
    assert world.push("a:v1").returncode == 0
    data = base64.b64encode(world.public.read_bytes()).decode()
    found = json.loads((world.home / ".config/containers/policy.json").read_text())
    signed = found["transports"]["docker"][world.registry][0]
    signed["keyData"] = data
    del signed["keyPath"]
    (world.home / ".config/containers/policy.json").write_text(json.dumps(found))
    assert world.refusal("a:v1") == ""


class TestWhatIsRefused:
    def test_signatures_where_none_may_be_written(self, world: World) -> None:
        world.attachments("false")
        done = world.push("a:v1")
        assert (done.returncode, "writing sigstore attachments is disabled by configuration" in done.stderr) == (
            125,
            True,
        )
        assert not world.is_there("a:v1")

    def test_signatures_where_none_are_read(self, world: World) -> None:
        assert world.push("a:v1").returncode == 0
        world.attachments("false")
        assert "A signature was required, but no signature exists" in world.refusal("a:v1")

    def test_keys_that_cannot_be_used(self, world: World) -> None:
        (world.home / "garbage").write_text("nonsense")
        rsa = run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").stdout
        (world.home / "plain").write_bytes(rsa)
        cut = world.private.read_text()
        (world.home / "cut").write_text(cut[: len(cut) // 2])
        for path, reason in (
            ("/no/such", "reading private key from /no/such: No such file or directory"),
            ("garbage", "invalid pem block"),
            ("plain", "unsupported pem type: PRIVATE KEY"),
            ("cut", "invalid pem block"),
        ):
            done = world.push("a:v1", world.home / path)
            assert (done.returncode, reason in done.stderr) == (125, True), done.stderr
        (world.home / "passphrase").write_text("wrong")
        done = world.push("a:v1")
        assert "decrypt: encrypted: decryption failed" in done.stderr
        assert not world.is_there("a:v1")

    def test_costs_that_would_take_all_memory(self, world: World) -> None:
        lines = world.private.read_text().splitlines()
        sealed = json.loads(base64.b64decode("".join(lines[1:-1])))
        sealed["kdf"]["params"]["N"] = 1 << 30
        text = base64.b64encode(json.dumps(sealed).encode()).decode()
        world.private.write_text(f"{lines[0]}\n{text}\n{lines[-1]}\n")
        assert "too costly" in world.push("a:v1").stderr

    def test_one_of_another_manifest(self, world: World) -> None:
        """Its tag may say anything: what counts is the digest that was signed."""
        assert world.push("a:v1").returncode == 0
        Made(layer({"b": b"y"})).archive(world.home / "second", "second:latest")
        world.pypod.ok("load", "-q", "-i", str(world.home / "second"))
        second = world.pypod.ok("inspect", "--format", "{{.Id}}", "second").strip()
        world.pypod.ok("push", "-q", "--tls-verify=false", second, f"{world.registry}/a:v2")
        digests = {}
        for tag in ("v1", "v2"):
            raw = run("skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{world.registry}/a:{tag}").stdout
            digests[tag] = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        tags = {tag: f"docker://{world.registry}/a:{sigstore.tag_of(digest)}" for tag, digest in digests.items()}
        tls = ("--src-tls-verify=false", "--dest-tls-verify=false")
        done = run("skopeo", "--insecure-policy", "copy", *tls, tags["v1"], tags["v2"])
        assert done.returncode == 0, done
        assert f"{digests['v2']} does not match the signed {digests['v1']}" in world.refusal("a:v2")
