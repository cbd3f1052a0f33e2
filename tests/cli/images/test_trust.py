"""image trust show and set, image sign, and policies at pull and load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.images.made import Made, layer
from tests.integration.images.test_images import bring

ACCEPT = [{"type": "insecureAcceptAnything"}]
REJECT = {"default": [{"type": "reject"}]}


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write the user's own policy.json, which replaces the system's."""
    path = tmp_path / "home/.config/containers/policy.json"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def write(found: object) -> Path:
        path.write_text(json.dumps(found))
        return path

    return write


def test_show(pypod, policy) -> None:
    path = policy(
        {
            **REJECT,
            "transports": {
                "docker": {
                    "docker.io/library": ACCEPT,
                    "docker.io": [{"type": "reject"}],
                },
                "docker-daemon": {"": ACCEPT},
            },
        }
    )
    lines = [line.split() for line in pypod.ok("image", "trust", "show").splitlines()]
    assert lines == [
        ["TRANSPORT", "NAME", "TYPE", "ID", "STORE"],
        ["all", "default", "reject"],
        ["repository", "docker.io", "reject"],
        ["repository", "docker.io/library", "accept"],
        ["docker-daemon", "accept"],
    ]
    assert json.loads(pypod.ok("image", "trust", "show", "--json"))[0] == {
        "transport": "all",
        "name": "* (default)",
        "repo_name": "default",
        "type": "reject",
    }
    assert pypod.ok("image", "trust", "show", "--raw") == path.read_text() + "\n"
    assert pypod.ok("image", "trust", "show", "-n").startswith("all ")


def test_set(pypod, policy, tmp_path) -> None:
    path = policy(REJECT)
    (tmp_path / "key").write_text("x")
    pypod.ok("image", "trust", "set", "-t", "accept", "quay.io")
    pypod.ok("image", "trust", "set", "-f", str(tmp_path / "key"), "reg.example/a")
    pypod.ok("image", "trust", "set", "--type=accept", "default")
    assert json.loads(path.read_text()) == {
        "default": ACCEPT,
        "transports": {
            "docker": {
                "quay.io": ACCEPT,
                "reg.example/a": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(tmp_path / "key")}],
            }
        },
    }
    before = path.read_text()
    for words, message in (
        (("-t", "bogus", "x"), "invalid choice: bogus (choose from 'accept', 'reject', 'signedBy', 'sigstoreSigned')"),
        (("x",), "at least one public key must be defined for type 'signedBy'"),
        (("-t", "accept", "a b"), "invalid image uri: a b"),
        (("-t", "accept"), "accepts 1 arg(s), received 0"),
    ):
        done = pypod("image", "trust", "set", *words)
        assert (done.returncode, done.stderr.splitlines()[0]) == (125, f"Error: {message}")
    assert path.read_text() == before


def test_the_group(pypod) -> None:
    done = pypod("image", "trust")
    assert (done.returncode, done.stderr) == (125, "Error: missing command 'pypod image trust COMMAND'\n")
    assert pypod("image", "trust", "x").stderr.startswith("Error: unrecognized command `pypod image trust x`\n")
    assert "--pubkeysfile" in pypod.ok("image", "trust", "set", "--help")


def test_what_the_policy_rejects(pypod, engine, policy, tmp_path) -> None:
    bring(engine, Made(layer({"a": b"x"})))
    archives = {form: str(tmp_path / form) for form in ("oci-archive", "docker-archive", "oci-dir", "docker-dir")}
    for form, path in archives.items():
        engine.images.get("made").save(path, format=form)
    policy(REJECT)
    shown = {
        "oci-archive": f"oci-archive:{archives['oci-archive']}:",
        "docker-archive": f"docker-archive:{archives['docker-archive']}:localhost/made:latest",
        "oci-dir": f"oci:{archives['oci-dir']}:",
        "docker-dir": f"dir:{archives['docker-dir']}",
    }
    for form, path in archives.items():
        done = pypod("load", "-i", path)
        message = f"Error: Source image rejected: Running image {shown[form]} is rejected by policy.\n"
        assert (done.returncode, done.stderr) == (125, message)
    accepting = policy({**REJECT, "transports": {"dir": {archives["docker-dir"]: ACCEPT}}})
    assert pypod("load", "-i", archives["docker-dir"]).returncode == 0
    assert pypod("pull", f"dir:{archives['docker-dir']}").returncode == 0
    other = tmp_path / "other.json"
    other.write_text(json.dumps(REJECT))
    assert pypod("pull", "--signature-policy", str(other), f"dir:{archives['docker-dir']}").returncode == 125
    accepting.write_text("nonsense")
    assert f'Error: invalid policy in "{accepting}": ' in pypod("load", "-i", archives["docker-dir"]).stderr


def test_what_sign_refuses(pypod) -> None:
    for words, message in (
        (("busybox",), "please provide an identity"),
        (("--sign-by=x", "busybox"), 'Invalid image name "busybox", expected colon-separated transport:reference'),
        (("--sign-by=x", "docker://busybox"), "image not known"),
    ):
        done = pypod("image", "sign", *words)
        assert done.returncode == 125
        assert message in done.stderr
