"""List and change the named services of containers.conf(5): ``engine.service_destinations``.

pypod connects to none of them: they are for podman's remote client, which reads the same files
(podman-system-connection(1)).
"""

from __future__ import annotations

import fcntl
import os
import re
import tomllib
from collections.abc import Callable
from json.encoder import encode_basestring
from urllib.parse import urlsplit

from pypod.engine.configuration import current, files
from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec, Unsupported
from pypod.images.new_file import NewFile
from pypod.kernel.descriptors import write_all
from pypod.kernel.idmap import in_user_namespace
from pypod.model.destination import Destination
from pypod.model.plain_json import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Tables = dict[str, dict[str, Any]]
    Edit = Callable[[Tables, str], str]

_TABLE, _ACTIVE = "service_destinations", "active_service"
_SSH_PORT = 22
_KNOWN = ("ssh", "unix", "tcp")
# the options that a kind of address does not have
_REFUSED = {"unix": ("--identity",), "tcp": ("--socket-path", "--identity")}


def _undefined(name: str) -> InvalidSpec:
    words = f'{quoted(name)} destination is not defined. See "pypod system connection add ..." to create a connection'
    return InvalidSpec("NAME", words)


def listed() -> list[Destination]:
    """Return the services in all files that count, by name."""
    settings = current.read()
    active = settings.get("engine", _ACTIVE)
    found = settings.get("engine", _TABLE) or {}
    return [
        Destination(
            name=name,
            uri=str(one.get("uri", "")),
            identity=str(one.get("identity", "")),
            default=name == active,
        )
        for name, one in sorted(found.items())
        if isinstance(one, dict)
    ]


def address(destination: str, *, identity: str = "", port: int | None = None, socket_path: str = "") -> str:
    """Return the URI of a service as it is stored. Raises InvalidSpec, Unsupported for one that must be asked first."""
    text = destination if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", destination) else f"ssh://{destination}"
    try:
        found = urlsplit(text)
        given = found.port
    except ValueError as error:
        raise InvalidSpec("DESTINATION", f"{destination}: {error}") from error
    scheme = found.scheme
    given_flags = {"--socket-path": socket_path, "--identity": identity}
    for flag in _REFUSED.get(scheme, ()):
        if given_flags[flag]:
            raise InvalidSpec(flag, f"{flag} option not supported for {scheme} scheme")
    if scheme == "unix":
        return f"unix://{socket_path or found.path}"
    if scheme == "tcp":
        if not given and not port:
            raise InvalidSpec("DESTINATION", "tcp scheme requires a port either via --port or in destination URL")
        return text if given else found._replace(netloc=f"{found.netloc.rstrip(':')}:{port}").geturl()
    if scheme != "ssh":
        return text
    if not found.hostname:
        raise InvalidSpec("DESTINATION", f"{destination}: it names no host")
    path = socket_path or found.path
    if not path:
        message = "pypod does not connect to the host to ask for the place of its socket"
        raise Unsupported("system connection add", message, hint="give it with --socket-path")
    place = found.netloc if given else f"{found.netloc.rstrip(':')}:{port or _SSH_PORT}"
    return found._replace(netloc=place, path=path).geturl()


def warning_about(uri: str) -> str:
    """Return podman's warning about an address, which is stored nevertheless; empty for one that looks right."""
    found = urlsplit(uri)
    if found.scheme == "unix" and not os.path.exists(found.path):
        return f"{quoted(found.path)} does not exists"
    return "" if found.scheme in _KNOWN else f"{quoted(found.scheme)} unknown scheme, no validation provided"


def add(name: str, uri: str, *, identity: str = "", default: bool = False) -> None:
    """Store a service, in place of one of the same name. The first one becomes the default."""

    def edit(tables: Tables, active: str) -> str:
        first = not tables
        tables[name] = {"uri": uri, **({"identity": identity} if identity else {})}
        return name if default or first else active

    _change(edit)


def make_default(name: str) -> None:
    """Make a service the one that is used without a name. Raises InvalidSpec when there is none."""

    def edit(tables: Tables, _: str) -> str:
        if name not in tables:
            raise _undefined(name)
        return name

    _change(edit)


def rename(old: str, new: str) -> None:
    """Give a service another name, in place of a service of that name. Raises InvalidSpec when there is none."""

    def edit(tables: Tables, active: str) -> str:
        if old not in tables:
            raise _undefined(old)
        tables[new] = tables.pop(old)
        return new if active == old else active

    _change(edit)


def remove(name: str) -> None:
    """Remove a service; it is no error if there is none."""

    def edit(tables: Tables, active: str) -> str:
        tables.pop(name, None)
        return "" if active == name else active

    _change(edit)


def remove_all() -> None:
    """Remove every service."""

    def edit(tables: Tables, _: str) -> str:
        tables.clear()
        return ""

    _change(edit)


def _change(edit: Edit) -> None:
    """Change the services in the file that podman changes. Its other lines stay as they are."""
    path = os.path.realpath(files.changeable(os.environ, rootless=in_user_namespace()))  # a link stays one
    directory = os.path.dirname(path)
    with Boundary("change containers.conf"):
        os.makedirs(directory, exist_ok=True)
        directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory_fd, fcntl.LOCK_EX)
            text, mode = _content(path)
            new = _edited(path, text, edit)
            if new != text:
                _replace(directory_fd, os.path.basename(path), new, mode)
        finally:
            os.close(directory_fd)


def _content(path: str) -> tuple[str, int]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read(), os.fstat(file.fileno()).st_mode & 0o777
    except FileNotFoundError:
        return "", 0o644


def _replace(directory_fd: int, name: str, text: str, mode: int) -> None:
    new = NewFile(directory_fd)
    try:
        write_all(new.fd, text.encode())
        os.fchmod(new.fd, mode)
        new.commit(name)
    finally:
        new.close()


def _edited(path: str, text: str, edit: Edit) -> str:
    """Return the text of a file with changed services. Raises InvalidSpec for one that only a person can change."""
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSpec("containers.conf", f"{path}: {error}") from error
    wanted = dict(before.get("engine", {}))
    tables: Tables = dict(wanted.pop(_TABLE, {}))
    active = edit(tables, str(wanted.pop(_ACTIVE, "")))
    new = _written(text, tables, active)
    wanted |= ({_ACTIVE: active} if active else {}) | ({_TABLE: tables} if tables else {})
    try:
        found = tomllib.loads(new)
    except tomllib.TOMLDecodeError:
        found = {}
    if found.pop("engine", {}) != wanted or found != {key: value for key, value in before.items() if key != "engine"}:
        hint = "write [engine.service_destinations.NAME] as a table"
        raise InvalidSpec("containers.conf", f"{path}: its form of {_TABLE} cannot be changed", hint=hint)
    return new


def _written(text: str, tables: Tables, active: str) -> str:
    """Return a file without its services and their default, and with these ones instead."""
    kept = _without_services(text)
    if active:
        at = next((at for at, line in enumerate(kept) if re.match(r"\s*\[\s*engine\s*\]", line)), -1)
        if at < 0:
            kept += [*(["\n"] if kept else []), "[engine]\n"]
            at = len(kept) - 1
        kept.insert(at + 1, f"{_ACTIVE} = {_text(active)}\n")
    for name, one in tables.items():
        kept.append(f"\n[engine.{_TABLE}.{_text(name)}]\n")
        kept += [f"{key} = {_text(str(value))}\n" for key, value in one.items()]
    return "".join(kept)


def _without_services(text: str) -> list[str]:
    kept: list[str] = []
    unclear: list[str] = []  # blank lines and comments behind a service: they may belong to what follows
    table = ""
    for line in text.splitlines(keepends=True):
        if header := re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line):
            table = header[1].strip()
        is_service = table == f"engine.{_TABLE}" or table.startswith(f"engine.{_TABLE}.")
        if is_service and (not line.strip() or line.lstrip().startswith("#")):
            unclear.append(line)
        elif is_service:
            unclear = []
        elif table != "engine" or not re.match(rf"\s*{_ACTIVE}\s*=", line):
            kept += [*unclear, line if line.endswith("\n") else f"{line}\n"]
            unclear = []
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


def _text(value: str) -> str:
    """Return a TOML string: one of JSON, in which nothing but quotes and control characters is escaped."""
    return encode_basestring(value).replace("\x7f", "\\u007f")
