"""The files of containers.conf(5): where they are, how they are read, and how a later one overrides an earlier one."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Stamp = tuple[tuple[str, int, int, int], ...]

MODULES_VARIABLE = "PYPOD_MODULES"  # names separated by newlines: what --module gives
_ONE_FILE, _LAST_FILE = "CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE"
_NAME = "containers.conf"
_BYTES_LIMIT = 4 << 20
_SYSTEM, _ADDITIONAL = "system", "additional"


class Settings:
    """The merged tables of all files that counted.

    ``values`` are by table and key, ``origins`` have the file that gave each; ``unknown`` are the keys, by file, that
    neither podman nor pypod knows.
    """

    def __init__(self) -> None:
        self.files: list[str] = []
        self.values: dict[tuple[str, str], Any] = {}
        self.origins: dict[tuple[str, str], str] = {}
        self.unknown: dict[str, list[str]] = {}
        self._appending: set[tuple[str, str]] = set()

    def get(self, table: str, key: str) -> Any:
        """Return the value of a key, None when no file has it."""
        return self.values.get((table, key))

    def wrong(self, table: str, key: str, problem: str) -> InvalidSpec:
        """Return the error for a value that cannot be used."""
        where = self.origins.get((table, key), _NAME)
        return InvalidSpec(_NAME, f'{where}: "{table}.{key}": {problem}')

    def refused(self, table: str, key: str, message: str) -> InvalidSpec:
        """Return the error for a value that podman refuses, too, in its words."""
        return InvalidSpec(_NAME, message, hint=f"it is {table}.{key} of {self.origins.get((table, key), _NAME)}")

    def add(self, path: str, found: Mapping[str, Any]) -> None:
        """Merge a parsed file. Raises ValueError, without the file's name, for a value of a wrong type."""
        from pypod.engine.configuration.keys import FOREIGN, KEYS

        self.files.append(path)
        unknown: list[str] = []
        for table, content in found.items():
            if table in FOREIGN:
                continue
            if table not in KEYS or not isinstance(content, dict):
                inner = content if isinstance(content, dict) else ()
                unknown += [table, *(f"{table}.{key}" for key in inner)]
                continue
            for key, value in content.items():
                if key not in KEYS[table]:
                    unknown.append(f"{table}.{key}")
                    continue
                self._set((table, key), value, KEYS[table][key])
                self.origins[table, key] = path
        if unknown:
            self.unknown[path] = unknown

    def _set(self, place: tuple[str, str], value: Any, kind: str) -> None:
        from pypod.engine.configuration.keys import TEXTS, checked

        found = checked(".".join(place), value, kind)
        if kind != TEXTS:
            self.values[place] = found
            return
        own = self._texts(place, found)
        self.values[place] = (*self.values.get(place, ()), *own) if place in self._appending else own

    def _texts(self, place: tuple[str, str], value: list[Any]) -> tuple[str, ...]:
        """Return the strings of an array; ``{append=true}`` in it has this and later files add to the earlier ones."""
        from pypod.engine.configuration.keys import TEXT, incompatible

        found = []
        for item in value:
            if isinstance(item, str):
                found.append(item)
            elif isinstance(item, dict) and item.keys() == {"append"} and isinstance(item["append"], bool):
                (self._appending.add if item["append"] else self._appending.discard)(place)
            else:
                raise ValueError(incompatible(".".join(place), item, TEXT))
        return tuple(found)


def locate(environment: Mapping[str, str], root: str = "", *, rootless: bool) -> list[tuple[str, str]]:
    """Return the files that exist, in the order in which they are merged, each with podman's word for it.

    ``root`` is for tests. Raises InvalidSpec for one that was named and does not exist.
    """
    found = [(_SYSTEM, path) for path in _system(environment, root, rootless=rootless)]
    modules = environment.get(MODULES_VARIABLE, "")
    found += [(_ADDITIONAL, _module(name, environment, root, rootless=rootless)) for name in modules.splitlines()]
    last = environment.get(_LAST_FILE, "")
    if last:
        _require(last, _LAST_FILE)
        found.append((_ADDITIONAL, last))
    return found


def changeable(environment: Mapping[str, str], *, rootless: bool) -> str:
    """Return the file that podman changes: $CONTAINERS_CONF, or the caller's own, root's in /etc."""
    own = f"{_home(environment)}/{_NAME}" if rootless else f"/etc/containers/{_NAME}"
    return environment.get(_ONE_FILE, "") or own


def _system(environment: Mapping[str, str], root: str, *, rootless: bool) -> list[str]:
    only = environment.get(_ONE_FILE, "")
    if only:
        _require(only, _ONE_FILE)
        return [only]
    places = [f"{root}/usr/share/containers/{_NAME}", *_with_more(f"{root}/etc/containers/{_NAME}")]
    if rootless:
        places += _with_more(f"{_home(environment)}/{_NAME}")
    return [path for path in places if os.path.exists(path)]


def _with_more(path: str) -> list[str]:
    """Return a file and those in the directory beside it, sorted by name."""
    try:
        names = sorted(os.listdir(f"{path}.d"))
    except OSError:
        names = []
    more = [f"{path}.d/{name}" for name in names if name.endswith(".conf")]
    return [path, *(one for one in more if not os.path.isdir(one))]


def _home(environment: Mapping[str, str]) -> str:
    own = environment.get("XDG_CONFIG_HOME", "")
    return f"{own or (environment.get('HOME') or os.path.expanduser('~')) + '/.config'}/containers"


def _module(name: str, environment: Mapping[str, str], root: str, *, rootless: bool) -> str:
    """Return the file of a module: an absolute path, or a name in the first directory of modules that has it."""
    directories = [f"{_home(environment)}/{_NAME}.modules"] if rootless else []
    directories += [f"{root}/etc/containers/{_NAME}.modules", f"{root}/usr/share/containers/{_NAME}.modules"]
    places = [name] if name.startswith("/") else [f"{directory}/{name}" for directory in directories]
    for path in places:
        if os.path.exists(path):
            return path
    missing = ", ".join([f"stat {path}: no such file or directory" for path in places])
    raise InvalidSpec("--module", f'could not resolve module "{name}": {missing}')


def _require(path: str, variable: str) -> None:
    if not os.path.exists(path):
        message = f"finding config on system: {variable} file: stat {path}: no such file or directory"
        raise InvalidSpec(variable, message)


def stamp(paths: list[tuple[str, str]]) -> Stamp:
    """Return what changes when a file is changed or replaced."""
    found = []
    for _, path in paths:
        try:
            status = os.stat(path)
        except OSError:  # deleted just now: reading it says so
            continue
        found.append((path, status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def read(paths: list[tuple[str, str]]) -> Settings:
    """Return the merged files. Raises InvalidSpec, naming file, table and key."""
    settings = Settings()
    for kind, path in paths:
        try:
            settings.add(path, _parsed(path))
        except FileNotFoundError:  # deleted just now
            continue
        except (OSError, ValueError) as error:
            reason = (
                f"read {path}: {(error.strerror or '').lower()}"
                if isinstance(error, OSError)
                else f"toml: {_line(path, f'{error}')}{error}"
            )
            message = f'reading {kind} config "{path}": decode configuration {path}: {reason}'
            raise InvalidSpec(_NAME, message) from error
    if settings.values:
        from pypod.engine.configuration.values import check

        check(settings)
    return settings


def mention(paths: list[tuple[str, str]], key: str) -> bool:
    """Return whether any of the files may have a key, at a fraction of the cost of reading them."""
    name = key.encode()
    for _, path in paths:
        try:
            with open(path, "rb") as file:
                text = file.read(_BYTES_LIMIT)
        except OSError:  # reading it says why
            return True
        if name in text and any(name in line.partition(b"#")[0] for line in text.splitlines()):
            return True
    return False


def _line(path: str, problem: str) -> str:
    """Return podman's words for the line of the key that an error is about, nothing if it is not found."""
    import re

    found = re.match(r'\(last key "(\w+)\.(\w+)"\)', problem)
    table = ""
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file if found else (), 1):
            if header := re.match(r"\s*\[\s*([\w.]+)\s*\]", line):
                table = header[1]
            elif found and table == found[1] and re.match(rf"\s*{found[2]}\s*=", line):
                return f"line {number} "
    return ""


def _parsed(path: str) -> dict[str, Any]:
    from pypod.images.config.plain_toml import parse_plain

    with open(path, "rb") as file:
        text = file.read(_BYTES_LIMIT).decode()
    found = parse_plain(text)
    if found is None:
        import tomllib

        found = tomllib.loads(text)
    return found
