"""The files of registries.conf(5): where they are, what each says, and how later ones change earlier ones."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.model.reference import check_domain, is_short, parse
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_MODES = ("", "enforcing", "permissive", "disabled")
_FILE_BYTES_LIMIT = 4 << 20
_USUAL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_USUAL_LENGTH = 200
_MIRROR_KINDS = {"": (True, False), "all": (True, False), "digest-only": (True,), "tag-only": (False,)}


class Mirror(Value):
    """One ``[[registry.mirror]]``; ``kinds`` says whether pulls by digest (True), by tag (False) or both go there."""

    location: str
    insecure: bool = False
    kinds: tuple[bool, ...] = (True, False)

    def serves(self, *, by_digest: bool) -> bool:
        return by_digest in self.kinds


class Rule(Value):
    """One ``[[registry]]``: what holds for names that begin with ``prefix``, which ``*.`` may begin."""

    prefix: str
    location: str
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()

    def rank(self, text: str) -> tuple[int, int]:
        """Return how many characters of a name the prefix covers, and how exactly; (0, 0) when it does not match."""
        if self.prefix.startswith("*."):
            host = text.partition("/")[0]
            bare = host if host.endswith("]") else host.partition(":")[0]
            matches = bare.endswith(self.prefix[1:]) and len(bare) > len(self.prefix) - 1
            return (len(bare), len(self.prefix) - 2) if matches else (0, 0)
        # A colon after a host begins a port, which is part of the host; podman 4.3.1 takes it for a tag.
        after = text[len(self.prefix) : len(self.prefix) + 1]
        ends = after in ("", "/") or (after in (":", "@") and "/" in self.prefix)
        length = len(self.prefix)
        return (length, length) if ends and text.startswith(self.prefix) else (0, 0)


class Merged:
    """What the files read so far say; a later one replaces what it names."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.search: list[str] | None = None
        self.aliases: dict[str, tuple[str, str]] = {}  # what it stands for, and the file that says so
        self.mode = ""

    def add(self, found: Mapping[str, Any], path: str) -> None:
        """Take over what a parsed file says. Raises InvalidSpec, without the file's name."""
        found = _version_2(found)
        if "unqualified-search-registries" in found:
            self.search = [_searched(one) for one in _strings(found, "unqualified-search-registries")]
        mode = found.get("short-name-mode", "")
        if mode not in _MODES:
            raise _wrong(f'invalid short-name mode: "{mode}"')
        self.mode = mode or self.mode
        rules = [_rule(one) for one in _tables(found, "registry")]
        _check_conflicts(rules)
        self.rules.update({rule.prefix: rule for rule in rules})
        aliases = found.get("aliases", {})
        if not isinstance(aliases, dict):
            raise _wrong("aliases: expected a table")
        for name, target in aliases.items():
            _check_alias(name, target)
            self.aliases[name] = (target, path)


def locate(environment: Mapping[str, str], root: str = "") -> tuple[str, list[str]]:
    """Return the main file and the directories with further ones, in order.

    A user's own registries.conf replaces both of the system's. A file that the environment names replaces the main
    one only.
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
    """Read the main file, then ``*.conf`` of each directory by name."""
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
    """Return the file in which it is remembered what somebody who was asked said."""
    cache = f"{root}/var/cache"
    if os.geteuid() != 0:
        cache = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME') or os.path.expanduser('~')}/.cache"
    return environment.get("CONTAINERS_SHORT_NAME_ALIASES_CONF") or f"{cache}/containers/short-name-aliases.conf"


def remembered(path: str) -> dict[str, tuple[str, str]]:
    """Return the aliases of such a file, podman's too; they go before those of the other files."""
    merged = Merged()
    merged.add({"aliases": _parse(path).get("aliases", {})}, path)
    return merged.aliases


def remember(path: str, name: str, target: str) -> None:
    """Write down what a short name stands for. Raises OSError, and InvalidSpec for a file that makes no sense."""
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
        raise _wrong(f"{error.strerror}") from error
    except ValueError as error:
        raise _wrong(f"toml: {error}") from error
    return found


def _version_2(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a file of the deprecated first form as one of the second."""
    old = found.get("registries")
    if not isinstance(old, dict) or not old:
        return found
    if any(key in found for key in ("registry", "unqualified-search-registries", "aliases")):
        raise _wrong("mixing sysregistry v1/v2 is not supported")
    search, insecure, block = (
        _strings(old[key], "registries") if isinstance(old.get(key), dict) else []
        for key in ("search", "insecure", "block")
    )
    names = dict.fromkeys((*insecure, *block))
    tables = [{"location": name, "insecure": name in insecure, "blocked": name in block} for name in names]
    return {"unqualified-search-registries": search, "registry": tables}


def _rule(table: dict[str, Any]) -> Rule:
    location, prefix = (_location(table.get(key, "")) for key in ("location", "prefix"))
    if not location and not prefix:
        raise _wrong("invalid condition: both location and prefix are unset")
    if not location and not prefix.startswith("*."):
        raise _wrong("invalid condition: location is unset and prefix is not in the format: *.example.com")
    if prefix.startswith("*.") and any(sign in prefix for sign in "/@:"):
        raise _wrong(
            "Wildcarded prefix should be in the format: *.example.com. "
            f'Current prefix "{prefix}" is incorrectly formatted'
        )
    digest_only = table.get("mirror-by-digest-only") is True
    return Rule(
        prefix=prefix or location,
        location=location,
        insecure=table.get("insecure") is True,
        blocked=table.get("blocked") is True,
        mirrors=tuple(_mirror(one, digest_only=digest_only) for one in _tables(table, "mirror")),
    )


def _check_conflicts(rules: list[Rule]) -> None:
    """Refuse, within a file, tables of one place that do not agree on how safe it is; a mirror has no say there."""
    first: dict[str, Rule] = {}
    for rule in rules:
        other = first.setdefault(rule.location or rule.prefix, rule)
        for name in ("insecure", "blocked"):
            if getattr(rule, name) != getattr(other, name):
                raise _wrong(f"registry '{rule.location}' is defined multiple times with conflicting '{name}' setting")


def _mirror(table: dict[str, Any], *, digest_only: bool) -> Mirror:
    location, kind = _location(table.get("location", "")), table.get("pull-from-mirror", "")
    if not location:
        raise _wrong("invalid condition: mirror location is unset")
    if kind not in _MIRROR_KINDS:
        raise _wrong(f'unsupported pull-from-mirror value "{kind}" for mirror "{location}"')
    if kind and digest_only:
        raise _wrong(
            f'cannot set mirror usage mirror-by-digest-only for the registry ("{location}") '
            "and pull-from-mirror for per-mirror at the same time"
        )
    return Mirror(
        location=location,
        insecure=table.get("insecure") is True,
        kinds=_MIRROR_KINDS["digest-only" if digest_only else kind],
    )


def _searched(text: str) -> str:
    """Return the domain of a registry that short names are looked for in: no path below one."""
    location = _location(text)
    if "/" not in location and _is_usual_path(location.replace(".", "/")):
        return location
    try:
        return check_domain(location)
    except InvalidSpec as error:
        raise _wrong(f'Invalid unqualified-search-registries entry "{location}"') from error


def _location(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(f"invalid location {value!r}")
    if value.startswith(("http://", "https://")):
        raise _wrong(f"invalid location '{value}': URI schemes are not supported")
    return value.rstrip("/")


def _check_alias(name: str, target: object) -> None:
    if isinstance(target, str) and _is_usual_alias(name, target):
        return
    prefix = "validating short-name aliases: invalid"
    if not isinstance(target, str):
        raise _wrong(f'{prefix} alias "{target}": expected text')
    for text, kind in ((name, "short name"), (target, "alias")):
        if not text:
            continue
        try:
            reference = parse(text)
        except InvalidSpec as error:
            raise _wrong(f'{prefix} {kind} "{text}": {error.message}') from error
        if reference.tag or reference.digest:
            raise _wrong(f'{prefix} {kind} "{text}": must not contain {"tag" if reference.tag else "digest"}')
        if is_short(text) != (text is name):
            wanted = "must not contain registry" if text is name else "must contain registry and repository"
            raise _wrong(f'{prefix} {kind} "{text}": {wanted}')


def _is_usual_alias(name: str, target: str) -> bool:
    """Return whether an alias is right at first sight. Debian has 120, and parsing them takes 3 ms of every pull."""
    domain, _, path = target.partition("/")
    usual = len(target) < _USUAL_LENGTH and "." in domain and not name.startswith("localhost")
    return usual and all(map(_is_usual_path, (name, path, domain.replace(".", "/"))))


def _is_usual_path(text: str) -> bool:
    return all(
        _USUAL.issuperset(part.replace("-", "x")) and part[0] != "-" != part[-1] if part else False
        for part in text.split("/")
    )


def _strings(table: Mapping[str, Any], key: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong(f"{key}: expected an array of strings")
    return value


def _tables(table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _wrong(f"{key}: expected an array of tables")
    return value


def _wrong(reason: str) -> InvalidSpec:
    return InvalidSpec("registries.conf", reason)
