"""Where signatures are kept: containers-registries.d(5), whose files are YAML of a simple kind."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec, RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pypod.model.images.reference import Reference

_BYTES_LIMIT = 1 << 20
_SIGNATURES_LIMIT = 128  # podman's
_SIGNATURE_BYTES_LIMIT = 4 << 20
_FILE = "file://"
_NOT_FOUND = 404
_READ = ("lookaside", "sigstore")  # the second is the older name
_WRITTEN = ("lookaside-staging", "sigstore-staging", *_READ)

_ATTACHMENTS = "use-sigstore-attachments"
_BOOLEANS = {"true": True, "false": False}

Sections = dict[str, dict[str, str]]


def load(environment: Mapping[str, str], root: str = "") -> Sections:
    """Return the sections of all files, by scope; the default one has the scope "". Raises InvalidSpec."""
    home = f"{environment.get('HOME') or os.path.expanduser('~')}/.config/containers/registries.d"
    directory = home if os.path.isdir(home) else f"{root}/etc/containers/registries.d"
    found: Sections = {}
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return found
    for name in names:
        if name.endswith(".yaml"):
            path = f"{directory}/{name}"
            for scope, section in _read(path).items():
                if scope in found:
                    raise InvalidSpec("registries.d", f'Error parsing signature storage configuration: "{scope}" twice')
                found[scope] = section
    return found


def _read(path: str) -> Sections:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_BYTES_LIMIT)
    except (OSError, ValueError) as error:
        raise InvalidSpec("registries.d", f"{path}: {error}") from error
    return parse(text, path)


def parse(text: str, path: str) -> Sections:
    """Return the sections of a file. Raises InvalidSpec for anything but nested keys with plain values.

    >>> parse("docker:\\n  reg:5000:\\n    lookaside: file:///x\\ndefault-docker:\\n  sigstore: file:///y", "")
    {'reg:5000': {'lookaside': 'file:///x'}, '': {'sigstore': 'file:///y'}}
    """
    found: Sections = {}
    outer: list[tuple[int, str]] = []
    for raw in text.splitlines():
        line = raw.partition(" #")[0].rstrip()
        if not line.strip() or line.lstrip().startswith("#") or line == "---":
            continue
        depth = len(line) - len(line.lstrip(" "))
        key, value = _pair(line.strip(), path)
        outer = [one for one in outer if one[0] < depth]
        place = [*(name for _, name in outer), key]
        outer.append((depth, key))
        if value and len(place) == 2 and place[0] == "default-docker":
            found.setdefault("", {})[key] = value
        elif value and len(place) == 3 and place[0] == "docker":
            found.setdefault(place[1], {})[key] = value
        elif value:
            raise InvalidSpec("registries.d", f"{path}: unexpected key {key}")
    return found


def _pair(line: str, path: str) -> tuple[str, str]:
    if line.endswith(":"):
        return line[:-1].strip("\"'"), ""
    key, separator, value = line.partition(": ")
    if not separator or value[:1] in "[{|>&*!":
        raise InvalidSpec("registries.d", f"{path}: {line!r} is not understood: write KEY: VALUE")
    return key.strip("\"'"), value.strip().strip("\"'")


def location(sections: Sections, scopes: Sequence[str], *, written: bool = False) -> str:
    """Return the URL of the signatures of an image with these scopes, the most specific first; empty for none."""
    section = next((sections[scope] for scope in (*scopes, "") if scope in sections), None)
    if section is None:
        user = os.path.expanduser("~/.local/share/containers/sigstore")
        return _FILE + ("/var/lib/containers/sigstore" if os.geteuid() == 0 else user)
    return next((section[name] for name in (_WRITTEN if written else _READ) if section.get(name)), "")


def has_attachments(sections: Sections, scopes: Sequence[str]) -> bool:
    """Return whether sigstore signatures of an image with these scopes are in its repository.

    Raises InvalidSpec.
    """
    for scope in (*scopes, ""):
        value = sections.get(scope, {}).get(_ATTACHMENTS)
        if value is not None:
            if value not in _BOOLEANS:
                raise InvalidSpec("registries.d", f"{_ATTACHMENTS}: {value!r} is neither true nor false")
            return _BOOLEANS[value]
    return False


def signatures(base: str, reference: Reference, digest: str) -> Iterator[bytes]:
    """Yield the signatures of a manifest. Raises RegistryError."""
    for number in range(1, _SIGNATURES_LIMIT + 1) if base else ():
        url = f"{base.rstrip('/')}/{reference.path}@{digest.replace(':', '=')}/signature-{number}"
        found = _local(url.removeprefix(_FILE)) if url.startswith(_FILE) else _remote(url)
        if found is None:
            return
        yield found


def beside(directory: str) -> list[bytes]:
    """Return the signatures in a ``dir:`` directory."""
    found: list[bytes] = []
    while (one := _local(f"{directory}/signature-{len(found) + 1}")) is not None and len(found) < _SIGNATURES_LIMIT:
        found.append(one)
    return found


def _local(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(_SIGNATURE_BYTES_LIMIT)
    except OSError:
        return None


def _remote(url: str) -> bytes | None:
    from pypod.images.registry.fetch import fetched

    found = b""
    try:
        for piece in fetched(url):
            found += piece
            if len(found) > _SIGNATURE_BYTES_LIMIT:  # no signature at all
                return b""
    except RegistryError as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    return found


def store(base: str, reference: Reference, digest: str, signature: bytes) -> str:
    """Write one more signature of a manifest below a ``file://`` URL; return its path. Raises InvalidSpec, OSError."""
    if not base.startswith(_FILE):
        raise InvalidSpec("lookaside", f"signatures can only be written to file:///DIRECTORY, not to {base}")
    directory = f"{base.removeprefix(_FILE).rstrip('/')}/{reference.path}@{digest.replace(':', '=')}"
    os.makedirs(directory, mode=0o755, exist_ok=True)
    for number in range(1, _SIGNATURES_LIMIT + 1):
        path = f"{directory}/signature-{number}"
        try:
            with open(path, "xb") as file:
                file.write(signature)
        except FileExistsError:
            continue
        return path
    raise InvalidSpec("lookaside", f"{directory} has {_SIGNATURES_LIMIT} signatures")
