"""Signatures: skopeo accepts ours, and we accept skopeo's, under the policies that allow it and no others."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pypod.engine.images import trusting
from pypod.errors import InvalidSpec, PermissionDenied
from pypod.images.trust import lookaside, openpgp
from pypod.model.images.image import digest_of
from pypod.model.images.reference import parse
from tests.cli.program import Program
from tests.docker_registry import DockerRegistry, needs_docker_registry
from tests.images.made import Made, layer

pytestmark = pytest.mark.skipif(
    shutil.which("skopeo") is None or shutil.which("gpg") is None, reason="skopeo and gpg are not both installed"
)
NAME = "reg.example/team/web:v1"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{'0' * 64}", "size": 2},
        "layers": [],
    }
).encode()
DIGEST = digest_of(MANIFEST)


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=60)


def key(home: Path, owner: str, passphrase: str = "") -> tuple[str, Path]:
    """Make a key in the keyring of GNUPGHOME; return its fingerprint and the file of its public half."""
    home.mkdir(mode=0o700, exist_ok=True)
    protected = ("--pinentry-mode", "loopback", "--passphrase", passphrase)
    made = run("gpg", "--batch", *protected, "--quick-generate-key", f"T <{owner}>", "rsa2048", "sign", "never")
    assert made.returncode == 0, made.stderr
    listed = run("gpg", "--batch", "--with-colons", "--list-keys", owner).stdout
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
    public = home / f"{owner}.asc"
    public.write_text(run("gpg", "--batch", "--armor", "--export", owner).stdout)
    return fingerprint, public


class World:
    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        # the socket of gpg's agent must have a short path
        self.ring = Path(f"/tmp/pypod-gpg-{os.getpid()}")
        monkeypatch.setenv("GNUPGHOME", str(self.ring))
        monkeypatch.setenv("HOME", str(home))
        self.fingerprint, self.public = key(self.ring, "one@example.com")
        self.signatures = home / "signatures"
        (home / ".config/containers/registries.d").mkdir(parents=True)
        (home / ".config/containers/registries.d/all.yaml").write_text(
            f"default-docker:\n  lookaside: file://{self.signatures}\n"
        )

    def policy(self, **requirement: object) -> None:
        signed = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(self.public), **requirement}
        found = {"default": [{"type": "reject"}], "transports": {"docker": {"reg.example": [signed]}}}
        (self.home / ".config/containers/policy.json").write_text(json.dumps(found))

    def require(self, name: str = NAME, digest: str = DIGEST) -> None:
        trusting.require(trusting.of_registry(parse(name)), digest)

    def put(self, signature: bytes) -> None:
        lookaside.store(f"file://{self.signatures}", parse(NAME), DIGEST, signature)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = World(tmp_path, monkeypatch)
    yield made
    run("gpgconf", "--kill", "gpg-agent")
    while made.ring.exists():
        # the agent answers before it removes its sockets
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(made.ring)


def test_skopeo_accepts_ours(world: World, tmp_path: Path) -> None:
    (tmp_path / "manifest").write_bytes(MANIFEST)
    (tmp_path / "signature").write_bytes(openpgp.sign(DIGEST, NAME, "one@example.com"))
    words = ("standalone-verify", tmp_path / "manifest", NAME, world.fingerprint, tmp_path / "signature")
    done = run("skopeo", *words)
    assert (done.returncode, "Signature verified" in done.stdout + done.stderr) == (0, True), done


def test_we_accept_skopeos(world: World, tmp_path: Path) -> None:
    (tmp_path / "manifest").write_bytes(MANIFEST)
    words = ("standalone-sign", tmp_path / "manifest", NAME, world.fingerprint, "-o", tmp_path / "signature")
    done = run("skopeo", *words)
    assert done.returncode == 0, done.stderr
    world.policy()
    with pytest.raises(PermissionDenied, match="A signature was required, but no signature exists"):
        world.require()
    world.put((tmp_path / "signature").read_bytes())
    world.require()


class TestWhatIsRefused:
    @pytest.fixture(autouse=True)
    def signed(self, world: World) -> None:
        world.put(openpgp.sign(DIGEST, NAME, "one@example.com"))
        world.policy()
        world.require()  # sanity check

    def test_another_tag(self, world: World) -> None:
        lookaside.store(f"file://{world.signatures}", parse("reg.example/team/web"), DIGEST, b"")
        with pytest.raises(PermissionDenied, match=r"Signature for identity reg\.example/team/web:v1 is not accepted"):
            world.require("reg.example/team/web:v2")
        world.policy(signedIdentity={"type": "matchRepository"})
        world.require("reg.example/team/web:v2")

    def test_another_manifest(self, world: World) -> None:
        other = "sha256:" + "1" * 64
        lookaside.store(f"file://{world.signatures}", parse(NAME), other, openpgp.sign(DIGEST, NAME, "one@example.com"))
        with pytest.raises(PermissionDenied, match="does not match the signed"):
            world.require(digest=other)

    def test_another_key(self, world: World) -> None:
        _, other = key(world.ring, "two@example.com")
        world.policy(keyPath=str(other))
        with pytest.raises(PermissionDenied, match="Invalid GPG signature"):
            world.require()

    def test_no_signature_at_all(self, world: World) -> None:
        shutil.rmtree(world.signatures)
        world.put(b"nonsense")
        with pytest.raises(PermissionDenied, match="Invalid GPG signature"):
            world.require()

    def test_a_signed_text_of_another_kind(self, world: World) -> None:
        shutil.rmtree(world.signatures)
        text = json.dumps({"critical": {"type": "x", "image": {"docker-manifest-digest": DIGEST}, "identity": {}}})
        done = subprocess.run(
            ["gpg", "--batch", "--sign", "--local-user", "one@example.com"],
            input=text.encode(),
            capture_output=True,
            check=True,
        )
        world.put(done.stdout)
        with pytest.raises(PermissionDenied, match="not a claim about an image"):
            world.require()

    def test_one_of_several_is_enough(self, world: World) -> None:
        world.put(b"nonsense")
        world.require()

    def test_an_unknown_signer(self) -> None:
        with pytest.raises(InvalidSpec, match="creating new signature"):
            openpgp.sign(DIGEST, NAME, "nobody@example.com")


@needs_docker_registry
class TestPush:
    @pytest.fixture
    def registry(self, world: World, tmp_path: Path):
        (tmp_path / "registry").mkdir()
        with DockerRegistry(tmp_path / "registry") as found:
            signed = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(world.public)}
            policy = {"default": [{"type": "reject"}], "transports": {"docker": {found.host: [signed]}}}
            (tmp_path / "signed.json").write_text(json.dumps(policy))
            yield found.host

    @pytest.fixture
    def pypod(self, tmp_path: Path) -> Program:
        made = Program(str(tmp_path / "storage"))
        Made(layer({"a": b"x"})).archive(tmp_path / "image", "made:latest")
        made.ok("load", "-q", "-i", str(tmp_path / "image"))
        return made

    def accepted(self, name: str, directory: Path) -> bool:
        """Return whether skopeo and pypod take an image, under a policy that wants signatures."""
        policy, shown = str(directory / "signed.json"), f"docker://{name}"
        copied = run("skopeo", "--policy", policy, "copy", "--src-tls-verify=false", shown, f"dir:{directory}/copied")
        pulled = Program(str(directory / "other"))("pull", "--signature-policy", policy, "--tls-verify=false", name)
        assert (copied.returncode == 0) is (pulled.returncode == 0), (copied, pulled)
        return copied.returncode == 0

    def test_an_image(self, registry: str, pypod: Program, tmp_path: Path) -> None:
        image = pypod.ok("images", "-q").strip()
        pypod.ok("push", "-q", "--tls-verify=false", image, f"{registry}/a:plain")
        assert not self.accepted(f"{registry}/a:plain", tmp_path)
        pypod.ok("push", "-q", "--tls-verify=false", "--sign-by", "one@example.com", image, f"{registry}/b:signed")
        assert self.accepted(f"{registry}/b:signed", tmp_path)

    def test_a_list_with_its_images(self, registry: str, pypod: Program, tmp_path: Path, world: World) -> None:
        pypod.ok("manifest", "create", "both", pypod.ok("images", "-q").strip())
        words = ("-q", "--all", "--tls-verify=false", "--sign-by", world.fingerprint, "both", f"{registry}/both:v1")
        pypod.ok("manifest", "push", *words)
        assert len(list(world.signatures.rglob("signature-1"))) == 2
        assert self.accepted(f"{registry}/both:v1", tmp_path)

    def test_a_key_with_a_passphrase(self, registry: str, pypod: Program, tmp_path: Path, world: World) -> None:
        _, public = key(world.ring, "two@example.com", "secret")
        run("gpgconf", "--kill", "gpg-agent")  # it has the passphrase
        policy = tmp_path / "signed.json"
        policy.write_text(policy.read_text().replace(str(world.public), str(public)))
        image, name = pypod.ok("images", "-q").strip(), f"{registry}/c:v1"
        for text, code in (("wrong", 125), ("secret\nmore", 0)):
            (tmp_path / "passphrase").write_text(text)
            signing = ("--sign-by", "two@example.com", "--sign-passphrase-file", str(tmp_path / "passphrase"))
            done = pypod("push", "--tls-verify=false", *signing, image, name)
            assert done.returncode == code, done.stderr
            found = run("skopeo", "inspect", "--tls-verify=false", f"docker://{name}").returncode
            assert (found == 0) is (code == 0)  # nothing has the name without the signature
        assert self.accepted(name, tmp_path)

    def test_a_key_that_is_not_there(self, registry: str, pypod: Program) -> None:
        image, name = pypod.ok("images", "-q").strip(), f"{registry}/d:v1"
        done = pypod("push", "--tls-verify=false", "--sign-by", "nobody@example.com", image, name)
        assert done.returncode == 125
        assert "creating new signature" in done.stderr
        assert run("skopeo", "inspect", "--tls-verify=false", f"docker://{name}").returncode != 0
