"""The files of registries.conf(5): their locations, and how they are read and written."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.images.config.registries_rules import Merged, wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_FILE_BYTES_LIMIT = 4 << 20


def locate(environment: Mapping[str, str], root: str = "") -> tuple[str, list[str]]:
    """Return the main file and the directories with further ones, in order.

    A user's own registries.conf replaces both of the system's. A file from the environment replaces only the main
    one.
    """
    home = f"{environment.get('HOME') or os.path.expanduser('~')}/.config/containers"
    system = f"{root}/etc/containers"
    chosen = environment.get("CONTAINERS_REGISTRIES_CONF") or environment.get("REGISTRIES_CONFIG_PATH")
    directories = [f"{system}/registries.conf.d", f"{home}/registries.conf.d"]
    if chosen:
        return chosen, directories
    if os.path.exists(f"{home}/registries.conf"):
        return f"{home}/registries.conf", directories[1:]
    return f"{system}/registries.conf", directories


def read(main: str, directories: list[str]) -> Merged:
    """Read the main file, then ``*.conf`` of each directory, sorted by name."""
    merged = Merged()
    paths = [main]
    for directory in directories:
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        paths += [f"{directory}/{name}" for name in names if name.endswith(".conf")]
    for path in paths:
        if path != main and os.path.isdir(path):
            continue
        try:
            merged.add(_parse(path), path)
        except InvalidSpec as error:
            message = f'loading registries configuration "{path}": {error.message}'
            raise InvalidSpec("registries.conf", message) from error
    return merged


def alias_path(environment: Mapping[str, str], root: str = "") -> str:
    """Return the path of the file that remembers prompted choices."""
    cache = f"{root}/var/cache"
    if os.geteuid() != 0:
        cache = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME') or os.path.expanduser('~')}/.cache"
    return environment.get("CONTAINERS_SHORT_NAME_ALIASES_CONF") or f"{cache}/containers/short-name-aliases.conf"


def remembered(path: str) -> dict[str, tuple[str, str]]:
    """Return the aliases of a file of remembered choices, also podman's; they take precedence over the other files'."""
    merged = Merged()
    merged.add({"aliases": _parse(path).get("aliases", {})}, path)
    return merged.aliases


def remember(path: str, name: str, target: str) -> None:
    """Record the target of a short name. Raises OSError, and InvalidSpec for an invalid file."""
    import fcntl

    from pypod.images.new_file import write_file

    directory, _, base = path.rpartition("/")
    os.makedirs(directory or ".", mode=0o755, exist_ok=True)
    fd = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        aliases = {short: found[0] for short, found in remembered(path).items()} | {name: target}
        lines = ["[aliases]", *(f'  "{short}" = "{found}"' for short, found in sorted(aliases.items()))]
        write_file(fd, base, [f"{line}\n".encode() for line in lines])
    finally:
        os.close(fd)


def _parse(path: str) -> dict[str, Any]:
    from pypod.images.config.plain_toml import parse_plain

    try:
        with open(path, "rb") as file:
            text = file.read(_FILE_BYTES_LIMIT).decode()
        found = parse_plain(text)
        if found is None:
            import tomllib

            found = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise wrong(f"{error.strerror}") from error
    except ValueError as error:
        raise wrong(f"toml: {error}") from error
    return found
