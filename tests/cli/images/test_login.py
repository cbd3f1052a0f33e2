"""login, logout and search, interactively and from a script."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod.api.images.registries import FoundRepository
from pypod.cli.images.search import _filter, _row
from tests.cli.program import Program
from tests.fake_registry import Answer, Images, Request, Server, error

TAGS = {"name": "team/app", "tags": ["v1", "v2", "\x1b[31mred"]}


class Registry(Server):
    """A registry that requires a password, which can be changed, and has a catalogue and tags."""

    def __init__(self) -> None:
        self.password = "secret"
        images = Images()
        images.special = {
            "^": self.protect,
            "_catalog": (200, {}, json.dumps({"repositories": ["team/app", "team/web", "other"]}).encode()),
            "app/tags/list": (200, {}, json.dumps(TAGS).encode()),
            "tags/list": error(404, "NAME_UNKNOWN", "repository name not known to registry"),
        }
        super().__init__(images)

    def protect(self, request: Request) -> Answer | None:
        wanted = base64.b64encode(f"me:{self.password}".encode()).decode()
        if request.authorization == f"Basic {wanted}":
            return None
        return 401, {"WWW-Authenticate": 'Basic realm="test"'}, b""


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as server:
        yield server


@pytest.fixture
def authfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "auth.json"


@pytest.fixture
def pypod(tmp_path: Path, authfile: Path) -> Program:
    return Program(str(tmp_path / "storage"))


def stored(authfile: Path, host: str) -> str:
    return base64.b64decode(json.loads(authfile.read_text())["auths"][host]["auth"]).decode()


def test_a_person_logs_in(pypod: Program, registry: Registry, authfile: Path) -> None:
    with pypod.terminal("login", "--tls-verify=false", registry.host) as user:
        user.expect("Username: ")
        user.type("me\n")
        user.expect("Password: ")
        user.type("secret\n")
        user.expect("Login Succeeded!")
        assert user.wait() == 0
    assert stored(authfile, registry.host) == "me:secret"
    assert authfile.stat().st_mode & 0o777 == 0o600


def test_a_wrong_password_leaves_the_terminal_as_it_was(pypod: Program, registry: Registry) -> None:
    with pypod.terminal("login", "--tls-verify=false", "-u", "me", registry.host) as user:
        user.expect("Password: ")
        user.type("wrong-pass\n")
        user.expect(f'Error: logging into "{registry.host}": invalid username/password')
        assert user.wait() == 125
        assert termios.tcgetattr(user.slave)[3] & termios.ECHO


def test_nothing_typed_is_echoed(pypod: Program, registry: Registry) -> None:
    with pypod.terminal("login", "--tls-verify=false", "-u", "me", registry.host) as user:
        user.expect("Password")
        user.type("secret\n")
        user.expect(": \r\nLogin Succeeded!")


def test_control_c_at_the_password(pypod: Program, registry: Registry, authfile: Path) -> None:
    with pypod.terminal("login", "--tls-verify=false", "-u", "me", registry.host) as user:
        user.expect("Password: ")
        assert not termios.tcgetattr(user.slave)[3] & termios.ECHO
        user._process.send_signal(2)
        assert user.wait() == 130
        assert termios.tcgetattr(user.slave)[3] & termios.ECHO
    assert not authfile.exists()


def test_stored_credentials_that_no_longer_hold_are_asked_for(
    pypod: Program, registry: Registry, authfile: Path
) -> None:
    login = ("login", "--tls-verify=false", registry.host)
    assert pypod.ok(*login, "-u", "me", "-p", "secret") == "Login Succeeded!\n"
    assert pypod.ok(*login) == (
        f"Authenticating with existing credentials for {registry.host}\n"
        f"Existing credentials are valid. Already logged in to {registry.host}\n"
    )
    registry.password = "changed"
    with pypod.terminal(*login) as user:
        user.expect("Existing credentials are invalid, please enter valid username and password")
        user.expect("Username (me): ")
        user.type("\n")
        user.expect("Password: ")
        user.type("changed\n")
        user.expect("Login Succeeded!")
        assert user.wait() == 0
    assert stored(authfile, registry.host) == "me:changed"


def test_the_password_of_creds_is_asked_for_once(pypod: Program, registry: Registry, authfile: Path) -> None:
    """A name alone, or not even that; the pull fails afterwards because the registry of this test has no images."""
    authfile.write_text("{}")
    names = [f"{registry.host}/team/{name}" for name in ("a", "b")]
    for creds, shows_name in (("me", False), (":", True)):
        with pypod.terminal("pull", "--creds", creds, "--tls-verify=false", *names) as user:
            if shows_name:
                user.expect("Username: ")
                user.type("me\n")
            user.expect("Password: ")
            user.type("secret\n")
            user.expect("Trying to pull")
            assert b"secret" not in user.before
            user.expect(f"Trying to pull {names[1]}")
            assert b"Password" not in user.before
            assert user.wait() == 125
    told = {base64.b64decode(one.authorization.removeprefix("Basic ")) for one in registry.requests}
    assert told == {b"", b"me:secret"}


@pytest.mark.parametrize("words", [("pull", "x"), ("push", "x", "y"), ("run", "x"), ("manifest", "create", "l", "x")])
def test_creds_without_a_password_and_without_a_terminal(
    pypod: Program, authfile: Path, words: tuple[str, ...]
) -> None:
    authfile.write_text("{}")
    done = pypod(*words[:-1], "--creds", "me", words[-1], stdin=b"secret\n")
    assert done.returncode == 125
    assert done.stderr == "Error: could not read password from terminal: inappropriate ioctl for device\n"


def test_without_a_terminal_nothing_is_asked(pypod: Program, registry: Registry) -> None:
    done = pypod("login", "--tls-verify=false", registry.host, stdin=b"")
    assert (done.returncode, done.stderr) == (125, "Error: getting username and password: reading username: EOF\n")
    done = pypod("login", "--tls-verify=false", "-u", "me", registry.host, stdin=b"secret\n")
    assert done.returncode == 125
    assert "reading password: inappropriate ioctl for device" in done.stderr


def test_a_registry_without_tls_needs_to_be_allowed(pypod: Program, registry: Registry) -> None:
    done = pypod("login", "-u", "me", "-p", "secret", registry.host)
    assert done.returncode == 125
    assert f'authenticating creds for "{registry.host}"' in done.stderr
    assert "--tls-verify=false" in done.stderr
    assert registry.requests == []


def test_the_first_search_registry_is_the_default(pypod: Program, registry: Registry, tmp_path: Path) -> None:
    text = f'unqualified-search-registries = ["{registry.host}"]\n[[registry]]\nlocation = "{registry.host}"\n'
    (tmp_path / "registries.conf").write_text(f"{text}insecure = true\n")
    assert pypod.ok("login", "-u", "me", "-p", "secret") == "Login Succeeded!\n"
    assert pypod.ok("login", "--get-login") == "me\n"
    assert pypod.ok("logout") == f"Removed login credentials for {registry.host}\n"


@pytest.fixture
def logged_in(pypod: Program, registry: Registry) -> Program:
    pypod.ok("login", "--tls-verify=false", "-u", "me", "-p", "secret", registry.host)
    return pypod


SEARCH = ("search", "--tls-verify=false")
FILTERS = {"stars=4": [9], "stars=3": [3, 9], "is-official": [9], "is-official=false": [3], "is-automated=true": []}


def test_search(logged_in: Program, registry: Registry) -> None:
    host = registry.host
    table = logged_in.ok(*SEARCH, f"{host}/team").splitlines()
    assert [line.split() for line in table] == [["NAME", "DESCRIPTION"], [f"{host}/team/app"], [f"{host}/team/web"]]
    assert logged_in.ok(*SEARCH, "--limit", "1", "--format", "{{.Index}} {{.Name}}", f"{host}/") == (
        f"{host} {host}/team/app\n"
    )
    assert logged_in.ok(*SEARCH, f"{host}/nothing") == ""
    found = json.loads(logged_in.ok(*SEARCH, "--format", "json", f"{host}/oth"))
    assert [one["Name"] for one in found] == [f"{host}/other"]
    for words, variables in (("--authfile", "/nonexistent"), {}), ((), {"REGISTRY_AUTH_FILE": "/nonexistent"}):
        done = logged_in("pull", *words, f"{host}/team/app", env={**os.environ, **variables})
        assert (done.returncode, done.stderr) == (125, "Error: stat /nonexistent: no such file or directory\n")
    done = logged_in(*SEARCH, "--authfile", "/nonexistent", f"{host}/team")
    assert (done.returncode, done.stderr) == (125, "Error: stat /nonexistent: no such file or directory\n")
    done = logged_in(*SEARCH, "term")
    assert done.returncode == 125
    assert "no unqualified-search registries are defined" in done.stderr


def test_search_filters() -> None:
    found = [FoundRepository(registry="h", name="a", stars=stars, official=stars > 5) for stars in (3, 9)]
    rows = [_row(one, no_trunc=True) for one in found]
    kept = {text: [row["Stars"] for row in rows if _filter(text)(row)] for text in FILTERS}
    assert kept == FILTERS


def test_tags_are_listed_without_what_a_terminal_would_obey(logged_in: Program, registry: Registry) -> None:
    host = registry.host
    table = logged_in.ok(*SEARCH, "--list-tags", f"{host}/team/app").splitlines()
    assert [line.split()[1] for line in table] == ["TAG", "v1", "v2", "\\x1b[31mred"]
    found = json.loads(logged_in.ok(*SEARCH, "--list-tags", "--limit", "2", "--format", "json", f"{host}/team/app"))
    assert found == [{"Name": f"{host}/team/app", "Tags": ["v1", "v2"]}]
    done = logged_in(*SEARCH, "--list-tags", f"{host}/team/none")
    assert done.returncode == 125
    assert "name unknown: repository name not known to registry" in done.stderr


def test_tags_of_a_short_name_are_those_of_all_registries(
    logged_in: Program, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "registries.conf").write_text(f'unqualified-search-registries = ["127.0.0.1:1", "{registry.host}"]\n')
    done = logged_in(*SEARCH, "--list-tags", "--format", "json", "team/app")
    assert [(one["Name"], one["Tags"][:2]) for one in json.loads(done.stdout)] == [
        (f"{registry.host}/team/app", ["v1", "v2"])
    ]
    assert done.stderr.startswith("Warning: pinging container registry 127.0.0.1:1: Get")
    (tmp_path / "registries.conf").write_text(f'unqualified-search-registries = ["{registry.host}"]\n')
    assert logged_in(*SEARCH, "--list-tags", "team/none").returncode == 125


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_search_prints_what_podman_prints(logged_in: Program, registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "registries.conf").touch()  # podman fails without this file
    for words in (
        ["--compatible", f"{registry.host}/team"],
        ["--limit", "1", f"{registry.host}/"],
        ["--format", "json", f"{registry.host}/team"],
        ["--format", "table {{.Index}} {{.Name}}", f"{registry.host}/team"],
        [f"{registry.host}/none"],
        ["--format", "{{.Nope}}", f"{registry.host}/team"],
        *(
            ["--filter", text, f"{registry.host}/team"]
            for text in ("stars=0", "stars=1", "stars=x", "is-official", "is-automated=false", "x=1")
        ),
        ["--list-tags", "--filter", "stars=0", f"{registry.host}/team/app"],
    ):
        theirs = subprocess.run(["podman", *SEARCH, *words], capture_output=True, text=True, check=False)
        ours = logged_in(*SEARCH, *words)
        assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), words


def test_a_password_from_a_secret(pypod: Program, registry: Registry, authfile: Path) -> None:
    pypod.ok("secret", "create", "me", "-", stdin=b"secret")
    login = ("login", "--tls-verify=false", "--secret", "me")
    assert pypod.ok(*login, registry.host) == "Login Succeeded!\n"
    assert stored(authfile, registry.host) == "me:secret"
    assert pypod(*login, "-u", "other", registry.host).returncode == 125
    for words, message in (
        (("-p", "x"), "--password can not be used with --secret options"),
        (("--secret", "nosuch"), 'no secret with name or id "nosuch": no such secret'),
    ):
        done = pypod(*login, *words, registry.host)
        assert (done.returncode, done.stderr.splitlines()[0]) == (125, f"Error: {message}")


def test_a_password_from_stdin(pypod: Program, registry: Registry, authfile: Path) -> None:
    words = ("login", "--tls-verify=false", "-u", "me", "--password-stdin", registry.host)
    assert pypod.ok(*words, stdin=b"secret\r\n") == "Login Succeeded!\n"
    assert stored(authfile, registry.host) == "me:secret"


def test_a_file_of_docker(pypod: Program, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """podman 5's --compat-auth-file."""
    monkeypatch.delenv("REGISTRY_AUTH_FILE")
    file = tmp_path / "docker.json"
    words = ("--compat-auth-file", str(file))
    login = ("login", "--tls-verify=false", "-u", "me", "-p", "secret")
    refused = pypod(*login, *words, f"{registry.host}/team")
    assert refused.returncode == 125
    assert f'with namespaced key "{registry.host}/team"' in refused.stderr
    assert not file.exists()
    assert pypod.ok(*login, *words, registry.host) == "Login Succeeded!\n"
    assert list(json.loads(file.read_text())["auths"]) == [registry.host]
    assert pypod("logout", *words, "--authfile", str(file), registry.host).stderr == (
        "Error: options for paths to the credential file and to the Docker-compatible credential file "
        "can not be set simultaneously\n"
    )
    assert pypod("logout", *words, f"{registry.host}/team").returncode == 125
    assert pypod.ok("logout", *words, registry.host) == f"Removed login credentials for {registry.host}\n"
    assert json.loads(file.read_text()) == {"auths": {}}
