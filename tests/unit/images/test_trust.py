"""policy.json and registries.d: what is valid, which requirements apply, which identities fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec
from pypod.images.trust import lookaside
from pypod.images.trust.policy import locate, parse, read, scopes_of_name, scopes_of_path
from pypod.images.trust.requirements import Requirement
from pypod.model.images.reference import parse as name_of

ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
SHA = "sha256:" + "0123456789abcdef" * 4


def policy(**found: object):
    return parse(json.dumps(found).encode(), "p")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "Default policy is missing"),
        ('{"default":[]}', "List of verification policy requirements must not be empty"),
        ('{"default":[{"type":"x"}]}', 'Unknown policy requirement type "x"'),
        ('{"default":[{"type":"reject","a":1}]}', 'Unknown key "a"'),
        ('{"default":[{"type":"reject"}],"x":1}', 'Unknown key "x"'),
        ('{"default":[{"type":"reject"}],"default":[{"type":"reject"}]}', 'Duplicate key "default"'),
        ('{"default":[{"type":"reject"}],"transports":{"oci":{"/":[{"type":"reject"}]}}}', 'Unknown key "/"'),
        ('{"default":[{"type":"reject"}],"transports":{"dir":{"tmp":[{"type":"reject"}]}}}', 'Unknown key "tmp"'),
        ('{"default":[{"type":"signedBy","keyPath":"/x"}]}', 'invalid keyType ""'),
        (
            '{"default":[{"type":"signedBy","keyType":"GPGKeys"}]}',
            "Exactly one of keyPath, keyPaths and keyData must be specified, none of them present",
        ),
        (
            '{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/x","keyData":""}]}',
            "Exactly one of keyPath, keyPaths and keyData must be specified, more than one present",
        ),
        ("nonsense", "Expecting value"),
        ("[" * 100_000, ""),
    ],
)
def test_invalid(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(text.encode(), "/p.json")
    assert str(caught.value).startswith(f'invalid policy in "/p.json": {message}')


def test_the_most_specific_scope_counts() -> None:
    found = policy(
        default=REJECT,
        transports={
            "docker": {
                "docker.io": REJECT,
                "docker.io/library": ACCEPT,
                "docker.io/library/busybox:bad": REJECT,
                "*.example.com": ACCEPT,
            },
            "dir": {"": ACCEPT, "/tmp": REJECT},
            "atomic": {"x": REJECT},
        },
    )

    def of(name: str) -> str:
        (one,) = found.requirements("docker", scopes_of_name(name_of(name).tagged()))
        return one.type

    assert [of(name) for name in ("busybox", "busybox:bad", "docker.io/a/b", "quay.io/a")] == [
        *("insecureAcceptAnything", "reject", "reject", "reject")
    ]
    assert of("a.b.example.com:5000/x") == "insecureAcceptAnything"
    assert of("example.com/x") == "reject"
    assert found.requirements("dir", ["/tmp/a", "/tmp"])[0].type == "reject"
    assert found.requirements("dir", ["/a"])[0].type == "insecureAcceptAnything"
    assert found.requirements("oci", ["/a"])[0].type == "reject"


def test_scopes() -> None:
    assert scopes_of_name(name_of(f"quay.io/a/b@{SHA}")) == [
        *(f"quay.io/a/b@{SHA}", "quay.io/a/b", "quay.io/a", "quay.io", "*.io")
    ]
    assert scopes_of_path("docker-archive", "/x.tar") == []


def test_paths_are_real(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert scopes_of_path("dir", f"{tmp_path}/link")[0] == str(tmp_path)
    assert scopes_of_path("oci", f"{tmp_path}/link", "v1")[:2] == [f"{tmp_path}:v1", str(tmp_path)]


@pytest.mark.parametrize(
    ("identity", "claimed", "actual", "fits"),
    [
        ({"type": "matchExact"}, "a.io/b:1", "a.io/b:1", True),
        ({"type": "matchExact"}, "a.io/b:1", "a.io/b:2", False),
        ({"type": "matchExact"}, "a.io/b:1", f"a.io/b@{SHA}", False),
        ({"type": "matchRepoDigestOrExact"}, "a.io/b:1", f"a.io/b@{SHA}", True),
        ({"type": "matchRepoDigestOrExact"}, "a.io/b:1", "a.io/b:2", False),
        ({"type": "matchRepository"}, "a.io/b:1", "a.io/b:2", True),
        ({"type": "matchRepository"}, "a.io/b:1", "a.io/c:1", False),
        ({"type": "exactReference", "dockerReference": "a.io/b:1"}, "a.io/b:1", "x.io/y:2", True),
        ({"type": "exactRepository", "dockerRepository": "a.io/b"}, "a.io/b:1", "x.io/y:2", True),
        ({"type": "exactRepository", "dockerRepository": "a.io/b"}, "a.io/c:1", "x.io/y:2", False),
        ({"type": "remapIdentity", "prefix": "m.io/v", "signedPrefix": "a.io"}, "a.io/p/b:1", "m.io/v/p/b:1", True),
        ({"type": "remapIdentity", "prefix": "m.io/v", "signedPrefix": "a.io"}, "a.io/b:1", "m.io/vv/b:1", False),
    ],
)
def test_identities(identity: dict[str, str], claimed: str, actual: str, fits: bool) -> None:
    signed = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/x", "signedIdentity": identity}
    (one,) = policy(default=[signed]).default
    assert one.accepts(name_of(claimed), name_of(actual)) == fits
    if identity["type"].startswith(("match", "remap")):
        assert not one.accepts(name_of(claimed), None)


def test_without_an_identity() -> None:
    assert Requirement(type="signedBy").accepts(name_of("a.io/b:1"), name_of("a.io/b:1"))


def test_where_the_policy_is(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path / "home")}
    assert locate(environment, str(tmp_path)) == f"{tmp_path}/etc/containers/policy.json"
    own = tmp_path / "home/.config/containers/policy.json"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"default": REJECT}))
    assert locate(environment, str(tmp_path)) == str(own)
    assert read(str(own)).default[0].type == "reject"


class TestLookaside:
    def test_files(self, tmp_path: Path) -> None:
        directory = tmp_path / "etc/containers/registries.d"
        directory.mkdir(parents=True)
        (directory / "a.yaml").write_text(
            "# a comment\ndefault-docker:\n  lookaside: https://x.example/sigs # another\n  lookaside-staging: file:///w\n"
        )
        (directory / "b.yaml").write_text('docker:\n    "reg.example:5000":\n        sigstore: "file:///y"\n')
        (directory / "c.txt").write_text("nonsense")
        found = lookaside.load({"HOME": "/no"}, str(tmp_path))
        assert lookaside.location(found, ["reg.example:5000/a", "reg.example:5000"]) == "file:///y"
        assert lookaside.location(found, ["quay.io"]) == "https://x.example/sigs"
        assert lookaside.location(found, ["quay.io"], written=True) == "file:///w"
        (directory / "d.yaml").write_text('docker:\n  "reg.example:5000":\n    sigstore: file:///z\n')
        with pytest.raises(InvalidSpec, match="twice"):
            lookaside.load({"HOME": "/no"}, str(tmp_path))

    @pytest.mark.parametrize("text", ["docker: [a]", "- a", "docker:\n  a: b", "a: b", "docker:\n  a:\n    b: {c: d}"])
    def test_what_is_not_understood(self, text: str) -> None:
        with pytest.raises(InvalidSpec):
            lookaside.parse(text, "f.yaml")

    def test_signatures(self, tmp_path: Path) -> None:
        reference, base = name_of("quay.io/a/b:1"), f"file://{tmp_path}"
        assert list(lookaside.signatures(base, reference, SHA)) == []
        paths = [lookaside.store(base, reference, SHA, one) for one in (b"x", b"y")]
        assert paths == [f"{tmp_path}/a/b@{SHA.replace(':', '=')}/signature-{number}" for number in (1, 2)]
        assert list(lookaside.signatures(base, reference, SHA)) == [b"x", b"y"]
        with pytest.raises(InvalidSpec, match="can only be written to file:"):
            lookaside.store("https://x", reference, SHA, b"x")

    def test_attachments(self) -> None:
        """The most specific scope that says something counts."""
        sections = {"": {"use-sigstore-attachments": "true"}, "a.io/b": {"use-sigstore-attachments": "false"}, "c": {}}
        assert lookaside.has_attachments(sections, ["c"])
        assert not lookaside.has_attachments(sections, ["a.io/b/c", "a.io/b", "a.io"])
        assert not lookaside.has_attachments({}, ["c"])
        with pytest.raises(InvalidSpec, match="neither true nor false"):
            lookaside.has_attachments({"": {"use-sigstore-attachments": "yes"}}, [])
