"""policy.json: which images are accepted, by transport and scope (containers-policy.json(5)). Messages are podman's."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.images.trust.requirements import Requirement, Wrong, parse_requirements
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pypod.model.images.reference import Reference

DOCKER = "docker"
_BYTES_LIMIT = 4 << 20
_OF_PATHS = ("dir", "oci")  # scopes are absolute paths


class Policy(Value):
    """The requirements for images: by transport and scope (empty: of the whole transport), and the default ones."""

    path: str
    default: tuple[Requirement, ...]
    transports: tuple[tuple[str, tuple[tuple[str, tuple[Requirement, ...]], ...]], ...] = ()

    def requirements(self, transport: str, scopes: Iterable[str]) -> tuple[Requirement, ...]:
        """Return the requirements for an image: of the first of its scopes that the policy has."""
        found = dict(dict(self.transports).get(transport, ()))
        for scope in (*scopes, ""):
            if scope in found:
                return found[scope]
        return self.default


def locate(environment: Mapping[str, str], root: str = "") -> str:
    """Return the path of the caller's policy: the user's own, or the system's. ``root`` is for tests."""
    home = f"{environment.get('HOME') or os.path.expanduser('~')}/.config/containers/policy.json"
    return home if os.path.exists(home) else f"{root}/etc/containers/policy.json"


def read(path: str) -> Policy:
    """Return the policy in a file. Raises InvalidSpec, and FileNotFoundError."""
    try:
        with open(path, "rb") as file:
            return parse(file.read(_BYTES_LIMIT), path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidSpec("policy.json", f"open {path}: {(error.strerror or '').lower()}") from error


def parse(text: bytes, path: str) -> Policy:
    """Return the policy in a text. As in podman, any unknown or repeated key makes it invalid. Raises InvalidSpec."""
    import json

    try:
        found = json.loads(text, object_pairs_hook=_once)
        if not isinstance(found, dict):
            raise Wrong("a policy must be an object")
        for key in found:
            if key not in ("default", "transports"):
                raise Wrong(f'Unknown key "{key}"')
        if "default" not in found:
            raise Wrong("Default policy is missing")
        default = parse_requirements(found["default"])
        transports = _object(found.get("transports", {}))
        scopes = tuple((name, _scopes(name, _object(inner))) for name, inner in transports.items())
    except (ValueError, RecursionError) as error:  # Wrong is a ValueError
        raise InvalidSpec("policy.json", f'invalid policy in "{path}": {error}') from error
    return Policy(path=path, default=default, transports=scopes)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Wrong(f'Duplicate key "{twice}"')
    return found


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong("transports and their scopes must be objects")
    return value


def _scopes(transport: str, found: dict[str, Any]) -> tuple[tuple[str, tuple[Requirement, ...]], ...]:
    for scope in found if transport in _OF_PATHS else ():
        path = scope.partition(":")[0] if transport == "oci" else scope
        if scope and (not path.startswith("/") or path == "/" or path != os.path.normpath(path)):
            raise Wrong(f'Unknown key "{scope}"')
    return tuple((scope, parse_requirements(words)) for scope, words in found.items())


def scopes_of_name(reference: Reference) -> list[str]:
    """Return the scopes of an image in a registry, the most specific first.

    >>> from pypod.model.images.reference import parse
    >>> scopes_of_name(parse("reg.example.com:5000/a/b:c"))[:4]
    ['reg.example.com:5000/a/b:c', 'reg.example.com:5000/a/b', 'reg.example.com:5000/a', 'reg.example.com:5000']
    """
    name = reference.name
    whole = f"{name}@{reference.digest}" if reference.digest else f"{name}:{reference.tag}"
    parts = name.split("/")
    found = [whole, *("/".join(parts[:count]) for count in range(len(parts), 0, -1))]
    domain = parts[0].partition(":")[0]
    while "." in domain:
        domain = domain.partition(".")[2]
        found.append(f"*.{domain}")
    return found


def scopes_of_path(transport: str, path: str, image: str = "") -> list[str]:
    """Return the scopes of an image in a file or directory: its real path and the directories above it.

    A docker archive has none: only its transport's default counts.
    """
    if transport == "docker-archive":
        return []
    real = os.path.realpath(path)
    found = [] if transport == "dir" else [f"{real}:{image}"]
    while real not in ("/", ""):
        found.append(real)
        real = os.path.dirname(real)
    return found
