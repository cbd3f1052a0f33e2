"""User names and passwords for registries: podman's and docker's files, and the credential helpers they name.

Sources: containers-auth.json(5), podman-login(1), docker's config.json (docker/cli: cli/config). Files are read anew
each time, and nothing of them is kept in memory.
"""

from __future__ import annotations

import os
import stat

from pypod.errors import InvalidSpec
from pypod.images.config import credential_files, credential_programs
from pypod.model.credentials import Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

# Docker stores the credentials of its own registry under the address of version 1 of the protocol.
_DOCKER_NAMES = frozenset(("docker.io", "index.docker.io", "registry-1.docker.io"))


def primary_path(authfile: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Return the file that login writes: ``authfile``, $REGISTRY_AUTH_FILE, or the one in this user's run directory."""
    found = os.environ if environment is None else environment
    return authfile or found.get("REGISTRY_AUTH_FILE", "") or f"{_run_directory(found)}/auth.json"


def _run_directory(environment: Mapping[str, str]) -> str:
    """Return this user's per-session directory: $XDG_RUNTIME_DIR, else podman's default (GetRuntimeDir)."""
    runtime, user = environment.get("XDG_RUNTIME_DIR", ""), os.geteuid()
    if not runtime and user:
        own, made = f"/run/user/{user}", f"{environment.get('TMPDIR') or '/tmp'}/podman-run-{user}"  # noqa: S108
        runtime = own if _is_private(own, user) else made if _is_private(made, user, make=True) else ""
    return f"{runtime}/containers" if runtime else f"/run/containers/{user}"


def _is_private(directory: str, user: int, *, make: bool = False) -> bool:
    """Return whether a directory belongs to the user alone: in /tmp anybody could have created it first."""
    try:
        if make and not os.path.lexists(directory):
            os.mkdir(directory, 0o700)
        status = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == user and status.st_mode & 0o777 == 0o700


def check_authfile(authfile: str) -> None:
    """Raise InvalidSpec when the file named by a flag or $REGISTRY_AUTH_FILE does not exist, as podman does."""
    path = authfile or os.environ.get("REGISTRY_AUTH_FILE", "")
    if path and not os.path.exists(path):
        raise InvalidSpec("authfile", f"stat {path}: no such file or directory")


def get(
    name: str, authfile: str = "", environment: Mapping[str, str] | None = None, *, exact: bool = False
) -> Credentials | None:
    """Return the credentials for a registry (``host``) or the nearest namespace of a repository (``host/path``).

    The primary file comes first, then ~/.config/containers/auth.json and docker's, unless ``authfile`` or
    $REGISTRY_AUTH_FILE names the only file to read. With ``exact`` only the name itself counts. Raises InvalidSpec when
    a file is invalid, SystemFailure when a credential helper fails.
    """
    for path in _paths(authfile, environment):
        found = _load(path)
        credentials = _find(found, name, path, exact=exact)
        if credentials is not None:
            return credentials
    return None


def login(name: str, credentials: Credentials, authfile: str = "", *, docker_form: bool = False) -> str:
    """Store credentials for a registry or a namespace of one; return the file, or the helper, that holds them.

    ``docker_form``: under the name that docker has for it. Raises InvalidSpec for a namespace then.
    """
    path = primary_path(authfile)
    key = _docker_key(name) if docker_form else name
    with credential_files.Change(path) as change:
        program = _program(change.found, name)
        if program:
            if "/" in name:  # helpers know only hosts; the file would hold the password in plain text
                raise InvalidSpec("registry", f"namespaced key is not supported for credential helper {program}")
            credential_programs.store(program, _server(change.found, program, name), credentials)
            return f"docker-credential-{program}"
        entry = {"auth": _encode(f"{credentials.user}:{credentials.password}")}
        if credentials.identity_token:
            entry["identitytoken"] = credentials.identity_token
        change.section("auths")[key] = entry
        change.write()
    return path


def logout(name: str, authfile: str = "", *, docker_form: bool = False) -> bool:
    """Remove the credentials of exactly this name; return whether there were any.

    Raises InvalidSpec for a namespace in ``docker_form``.
    """
    path = primary_path(authfile)
    if docker_form:
        _docker_key(name)
    if not os.path.exists(path):
        return False
    with credential_files.Change(path) as change:
        program = "" if "/" in name else _program(change.found, name)
        erased = program != "" and credential_programs.erase(program, _server(change.found, program, name))
        auths = change.section("auths")
        keys = [key for key in auths if _normal(key) == _normal(name)]
        for key in keys:
            del auths[key]
        if keys:
            change.write()
    return erased or bool(keys)


def logout_all(authfile: str = "") -> None:
    """Remove all credentials from the primary file and from the helpers that it names."""
    path = primary_path(authfile)
    if not os.path.exists(path):
        return
    with credential_files.Change(path) as change:
        helpers = change.found.get("credHelpers")
        for name, program in (helpers if isinstance(helpers, dict) else {}).items():
            credential_programs.erase(str(program), name)
        store = change.found.get("credsStore")
        if isinstance(store, str) and store:
            for name in credential_programs.names(store):
                credential_programs.erase(store, name)
        change.found["auths"] = {}
        change.write()


def _paths(authfile: str, environment: Mapping[str, str] | None) -> Iterator[str]:
    found = os.environ if environment is None else environment
    yield primary_path(authfile, environment)
    if authfile or found.get("REGISTRY_AUTH_FILE"):
        return
    home = found.get("HOME") or os.path.expanduser("~")
    yield f"{found.get('XDG_CONFIG_HOME') or f'{home}/.config'}/containers/auth.json"
    yield f"{found.get('DOCKER_CONFIG') or f'{home}/.docker'}/config.json"
    yield f"{home}/.dockercfg"


def _load(path: str) -> dict[str, Any]:
    found = credential_files.load(path)
    # .dockercfg has no sections: it is the table of registries itself.
    return {"auths": found} if path.endswith("/.dockercfg") and found else found


def _find(found: dict[str, Any], name: str, path: str, *, exact: bool) -> Credentials | None:
    program = _program(found, name)
    if program:
        stored = credential_programs.get(program, _server(found, program, name))
        if stored is not None:
            return stored
    auths = found.get("auths")
    if not isinstance(auths, dict):
        return None
    for key in [name] if exact else _longest_first(name):
        if key in auths:
            return _entry(auths[key], key, path)
    # docker's keys: with a scheme, with /v1/, and its own registry under three names.
    wanted = _normal(name) if exact else _normal(name.partition("/")[0])
    for key, entry in auths.items():
        if _normal(key) == wanted:
            return _entry(entry, key, path)
    return None


def _longest_first(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition("/")[0]


def _normal(key: str) -> str:
    bare = key.removeprefix("https://").removeprefix("http://")
    if bare != key or bare.endswith(("/v1/", "/v1", "/v2/", "/v2")):
        bare = bare.partition("/")[0]
    host, slash, rest = bare.partition("/")
    return f"docker.io{slash}{rest}" if host in _DOCKER_NAMES else bare


def _program(found: dict[str, Any], name: str) -> str:
    """Return the suffix of the credential helper for a registry, or an empty string."""
    helpers = found.get("credHelpers")
    host = name.partition("/")[0]
    program = None
    if isinstance(helpers, dict):
        program = next((helpers[key] for key in helpers if _normal(key) in (name, _normal(host))), None)
    program = program or found.get("credsStore")
    return program if isinstance(program, str) else ""


def _server(found: dict[str, Any], program: str, name: str) -> str:
    """Return the name under which a helper stores a registry: docker's own is a version 1 address."""
    host = name.partition("/")[0]
    helpers = found.get("credHelpers")
    if isinstance(helpers, dict) and program in helpers.values():
        return next((key for key in helpers if _normal(key) == _normal(host)), host)
    return _docker_key(host)


def _docker_key(name: str) -> str:
    """Return the name under which docker stores the credentials of a registry. Raises InvalidSpec for a namespace."""
    if "/" in name:
        words = "Credentials cannot be recorded in Docker-compatible format with namespaced key"
        raise InvalidSpec("registry", f'{words} "{name}"')
    return "https://index.docker.io/v1/" if name in _DOCKER_NAMES else name


def _entry(entry: object, key: str, path: str) -> Credentials | None:
    if not isinstance(entry, dict):
        raise _wrong(path, f"{key}: expected an object")
    token, encoded = entry.get("identitytoken") or "", entry.get("auth") or ""
    if not isinstance(token, str) or not isinstance(encoded, str):
        raise _wrong(path, f"{key}: expected a string")
    if not encoded and not token:
        return None
    user, colon, password = _decode(encoded, key, path).partition(":")
    if encoded and not colon:
        raise _wrong(path, f"{key}: auth has no colon between user name and password")
    # docker pads what it decodes with NUL
    return Credentials(user=user, password=password.rstrip("\0"), identity_token=token)


def _encode(text: str) -> str:
    from base64 import b64encode

    return b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _decode(text: str, key: str, path: str) -> str:
    from base64 import b64decode

    try:
        return b64decode(text, validate=True).decode("utf-8", "surrogateescape")
    except ValueError as error:
        raise _wrong(path, f"{key}: auth is not base64") from error


def _wrong(path: str, reason: str) -> InvalidSpec:
    return InvalidSpec("authfile", f"{path}: {reason}")
