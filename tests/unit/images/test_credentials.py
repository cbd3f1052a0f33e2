"""User names and passwords for registries: where they are stored, found, changed and removed."""

from __future__ import annotations

import base64
import json
import os
import threading
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec, SystemFailure
from pypod.images.config import credentials
from pypod.model.credentials import Credentials

PROGRAM = """#!/bin/sh
# Keeps what it is given in a directory, a file for each server.
cd "$(dirname "$0")/kept" || exit 1
case $1 in
store) cat > question; name=$(sed 's/.*"ServerURL": "\\([^"]*\\)".*/\\1/' question | tr / _); mv question "$name" ;;
get) name=$(tr / _); cat "$name" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm "$(tr / _)" ;;
list)
    echo '{'
    for one in *; do [ -e "$one" ] && echo "$comma\\"$one\\": \\"user\\"" && comma=,; done
    echo '}' ;;
esac
"""


def encoded(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a primary file of the test's own, so that root's real file is not touched."""
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path / "home"


def write(path: Path, value: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put docker-credential-box into PATH; return the directory where it stores credentials."""
    directory = tmp_path / "bin"
    (directory / "kept").mkdir(parents=True)
    (directory / "docker-credential-box").write_text(PROGRAM)
    (directory / "docker-credential-box").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory / "kept"


def test_the_place_of_the_primary_file(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials.primary_path() == f"{tmp_path}/run/containers/auth.json"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert credentials.primary_path("", {}) == "/run/containers/0/auth.json"
    assert credentials.primary_path("", {"XDG_RUNTIME_DIR": "/elsewhere"}) == "/elsewhere/containers/auth.json"
    assert credentials.primary_path("", {"REGISTRY_AUTH_FILE": "/env"}) == "/env"
    assert credentials.primary_path("/said", {"REGISTRY_AUTH_FILE": "/env"}) == "/said"


def test_its_place_without_a_run_directory(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in podman: in the temporary directory, unless another user could have created it."""
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    if os.getuid():
        pytest.skip("needs root: it gives a directory to another user")
    user = 54321
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    made = tmp_path / f"podman-run-{user}"
    made.mkdir(mode=0o700)
    os.chown(made, user, -1)
    assert credentials.primary_path() == f"{made}/containers/auth.json"
    made.chmod(0o755)
    assert credentials.primary_path() == f"/run/containers/{user}/auth.json"
    made.rename(tmp_path / "theirs")
    made.symlink_to(tmp_path / "theirs")
    assert credentials.primary_path() == f"/run/containers/{user}/auth.json"


def test_the_nearest_namespace_counts(tmp_path: Path) -> None:
    table = {name: encoded(name, "p") for name in ("r.io", "r.io/a", "r.io/a/b")}
    path = write(tmp_path / "auth.json", {"auths": table})
    for name, user in (
        ("r.io/a/b", "r.io/a/b"),
        ("r.io/a/b/c", "r.io/a/b"),
        ("r.io/a/bc", "r.io/a"),
        ("r.io/x", "r.io"),
        ("r.io", "r.io"),
    ):
        found = credentials.get(name, path)
        assert found is not None
        assert found.user == user
    assert credentials.get("r.io:5000/a", path) is None
    assert credentials.get("other.io/r.io/a", path) is None
    assert credentials.get("r.io/a/b/c", path, exact=True) is None


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io", "index.docker.io"])
def test_docker_io_has_several_names(tmp_path: Path, key: str) -> None:
    path = write(tmp_path / "config.json", {"auths": {key: encoded("me", "secret:with:colons")}})
    assert credentials.get("docker.io/library/busybox", path) == Credentials(user="me", password="secret:with:colons")


def test_keys_with_a_scheme_are_dockers(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", {"auths": {"https://r.io/v1/": encoded("me", "p")}})
    assert credentials.get("r.io/x", path) == Credentials(user="me", password="p")


def test_files_in_their_order(home: Path, tmp_path: Path) -> None:
    write(home / ".dockercfg", {name: encoded("dockercfg", "p") for name in ("a.io", "b.io", "c.io", "d.io")})
    write(home / ".docker/config.json", {"auths": {n: encoded("docker", "p") for n in ("a.io", "b.io", "c.io")}})
    write(home / ".config/containers/auth.json", {"auths": {n: encoded("config", "p") for n in ("a.io", "b.io")}})
    write(tmp_path / "run/containers/auth.json", {"auths": {"a.io": encoded("run", "p")}})
    users = [found.user if found else "" for n in "abcde" if (found := credentials.get(f"{n}.io")) or True]
    assert users == ["run", "config", "docker", "dockercfg", ""]
    only = write(tmp_path / "only.json", {})
    assert credentials.get("a.io", only) is None
    other = write(tmp_path / "docker/config.json", {"auths": {"c.io": encoded("elsewhere", "p")}})
    found = credentials.get("c.io", "", {**os.environ, "DOCKER_CONFIG": os.path.dirname(other)})
    assert found is not None
    assert found.user == "elsewhere"


def test_identity_tokens(tmp_path: Path) -> None:
    path = write(tmp_path / "a", {"auths": {"r.io": {"auth": "", "identitytoken": "TOKEN"}, "e.io": {}}})
    assert credentials.get("r.io", path) == Credentials(identity_token="TOKEN")
    assert credentials.get("e.io", path) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "expected an object"),
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ('{"auths": {"r.io": {"auth": "!!!"}}}', "auth is not base64"),
        ('{"auths": {"r.io": {"auth": "YWJj"}}}', "no colon"),
        ('{"auths": {"r.io": 5}}', "expected an object"),
        ('{"auths": {"r.io": {"auth": 5}}}', "expected a string"),
    ],
)
def test_files_that_make_no_sense(tmp_path: Path, body: str, message: str) -> None:
    path = write(tmp_path / "auth.json", body)
    with pytest.raises(InvalidSpec, match=message):
        credentials.get("r.io", path)


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert credentials.get("r.io", str(tmp_path / "fifo")) is None


def test_login_writes_what_podman_writes_and_keeps_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "auth.json", {"HttpHeaders": {"X": "y"}, "auths": {"old.io": encoded("o", "p")}})
    Path(path).chmod(0o644)
    assert credentials.login("r.io/team", Credentials(user="me", password="pä:ss"), path) == path
    found = json.loads(Path(path).read_text())
    assert found == {
        "HttpHeaders": {"X": "y"},
        "auths": {"old.io": encoded("o", "p"), "r.io/team": encoded("me", "pä:ss")},
    }
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["auth.json"]
    assert credentials.get("r.io/team/x", path) == Credentials(user="me", password="pä:ss")


def test_login_in_the_form_of_docker(tmp_path: Path) -> None:
    path = str(tmp_path / "config.json")
    for name in ("docker.io", "r.io:5000"):
        credentials.login(name, Credentials(user="me", password="p"), path, docker_form=True)
    assert json.loads(Path(path).read_text()) == {
        "auths": {"https://index.docker.io/v1/": encoded("me", "p"), "r.io:5000": encoded("me", "p")}
    }
    assert credentials.get("docker.io/library/x", path) == Credentials(user="me", password="p")
    for call in (
        lambda: credentials.login("r.io/team", Credentials(user="me", password="p"), path, docker_form=True),
        lambda: credentials.logout("r.io/team", path, docker_form=True),
    ):
        with pytest.raises(InvalidSpec, match=r'namespaced key "r\.io/team"'):
            call()
    assert credentials.logout("docker.io", path, docker_form=True)
    assert list(json.loads(Path(path).read_text())["auths"]) == ["r.io:5000"]


def test_login_makes_the_directory_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "containers/auth.json"
    credentials.login("r.io", Credentials(user="me", password="p"), str(path))
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("{}")
    (tmp_path / "auth.json").symlink_to(victim)
    with pytest.raises(InvalidSpec, match="is a symbolic link"):
        credentials.login("r.io", Credentials(user="me", password="p"), str(tmp_path / "auth.json"))
    assert victim.read_text() == "{}"


def test_a_write_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "auth.json", {"auths": {"old.io": encoded("o", "p")}})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemFailure, match="No space left"):
        credentials.login("r.io", Credentials(user="me", password="p"), path)
    assert json.loads(Path(path).read_text()) == {"auths": {"old.io": encoded("o", "p")}}
    assert os.listdir(tmp_path) == ["auth.json"]


def test_logins_at_once_lose_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "auth.json")
    threads = [
        threading.Thread(target=credentials.login, args=(f"r{n}.io", Credentials(user="me", password="p"), path))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(Path(path).read_text())["auths"]) == 20


def test_logout_of_nothing_makes_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "none/auth.json")
    assert not credentials.logout("r.io", path)
    credentials.logout_all(path)
    assert list(tmp_path.iterdir()) == []


def test_logout_forgets_one_name_and_logout_all_everything(tmp_path: Path) -> None:
    table = {name: encoded("me", "p") for name in ("r.io", "r.io/a", "x.io")}
    path = write(tmp_path / "auth.json", {"auths": table, "psFormat": "x"})
    assert credentials.logout("r.io", path)
    assert not credentials.logout("r.io", path)
    assert list(json.loads(Path(path).read_text())["auths"]) == ["r.io/a", "x.io"]
    credentials.logout_all(path)
    assert json.loads(Path(path).read_text()) == {"auths": {}, "psFormat": "x"}


@pytest.mark.parametrize("settings", [{"credsStore": "box"}, {"credHelpers": {"r.io": "box"}}])
def test_a_program_keeps_them(tmp_path: Path, program: Path, settings: dict[str, object]) -> None:
    path = write(tmp_path / "auth.json", settings)
    assert credentials.get("r.io/team", path) is None
    assert credentials.login("r.io", Credentials(user="me", password="s3cret"), path) == "docker-credential-box"
    assert "s3cret" not in Path(path).read_text()
    assert json.loads((program / "r.io").read_text()) == {"ServerURL": "r.io", "Username": "me", "Secret": "s3cret"}
    assert credentials.get("r.io/team", path) == Credentials(user="me", password="s3cret")
    assert credentials.logout("r.io", path)
    assert not (program / "r.io").exists()
    assert not credentials.logout("r.io", path)
    credentials.login("r.io", Credentials(user="me", password="s3cret"), path)
    credentials.logout_all(path)
    assert list(program.iterdir()) == []


def test_a_program_for_another_registry_is_not_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "a", {"credHelpers": {"other.io": "no-such"}, "auths": {"r.io": encoded("me", "p")}})
    assert credentials.get("r.io", path) == Credentials(user="me", password="p")
    with pytest.raises(SystemFailure, match="docker-credential-no-such: No such file"):
        credentials.get("other.io", path)


def test_a_token_of_a_program(tmp_path: Path, program: Path) -> None:
    path = write(tmp_path / "auth.json", {"credsStore": "box"})
    (program / "r.io").write_text('{"Username": "<token>", "Secret": "T"}')
    assert credentials.get("r.io", path) == Credentials(identity_token="T")
    (program / "r.io").write_text("no JSON")
    with pytest.raises(SystemFailure, match="its answer is not JSON"):
        credentials.get("r.io", path)


@pytest.mark.parametrize("name", ["../evil", "/bin/sh", "a/b", "x\0y"])
def test_the_name_of_a_program_is_no_path(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "auth.json", {"credsStore": name})
    with pytest.raises(InvalidSpec, match="invalid name of a credential helper"):
        credentials.get("r.io", path)


def test_a_password_is_not_shown() -> None:
    assert "s3cret" not in repr(Credentials(user="me", password="s3cret", identity_token="s3cret"))


def test_a_program_knows_docker_io_by_its_old_address(tmp_path: Path, program: Path) -> None:
    path = write(tmp_path / "auth.json", {"credsStore": "box"})
    me = Credentials(user="me", password="p")
    credentials.login("docker.io", me, path)
    assert [one.name for one in program.iterdir()] == ["https:__index.docker.io_v1_"]
    assert credentials.get("docker.io/library/busybox", path) == me
    assert credentials.logout("docker.io", path)
    assert list(program.iterdir()) == []


def test_a_program_is_given_no_namespace(tmp_path: Path, program: Path) -> None:
    path = write(tmp_path / "auth.json", {"credsStore": "box", "auths": {"r.io/team": encoded("me", "p")}})
    with pytest.raises(InvalidSpec, match="namespaced key is not supported for credential helper box"):
        credentials.login("r.io/team", Credentials(user="me", password="p"), path)
    assert credentials.logout("r.io/team", path)
    assert list(program.iterdir()) == []
