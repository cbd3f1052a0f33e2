"""The content of registries.conf(5) files, and how later files override earlier ones."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.images.reference import check_domain, is_short, parse
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_MODES = ("", "enforcing", "permissive", "disabled")
_USUAL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_USUAL_LENGTH = 200
_MIRROR_KINDS = {"": (True, False), "all": (True, False), "digest-only": (True,), "tag-only": (False,)}


class Mirror(Value):
    """One ``[[registry.mirror]]``; ``kinds``: whether it serves pulls by digest (True), by tag (False) or both."""

    location: str
    insecure: bool = False
    kinds: tuple[bool, ...] = (True, False)

    def serves(self, *, by_digest: bool) -> bool:
        return by_digest in self.kinds


class Rule(Value):
    """One ``[[registry]]``: the rule for names that begin with ``prefix``, which may start with ``*.``."""

    prefix: str
    location: str
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()

    def rank(self, text: str) -> tuple[int, int]:
        """Return how many characters of a name the prefix covers, and how specifically; (0, 0) without a match."""
        if self.prefix.startswith("*."):
            host = text.partition("/")[0]
            bare = host if host.endswith("]") else host.partition(":")[0]
            matches = bare.endswith(self.prefix[1:]) and len(bare) > len(self.prefix) - 1
            return (len(bare), len(self.prefix) - 2) if matches else (0, 0)
        # A colon after a host starts a port, which is part of the host; podman 4.3.1 takes it for a tag.
        after = text[len(self.prefix) : len(self.prefix) + 1]
        ends = after in ("", "/") or (after in (":", "@") and "/" in self.prefix)
        length = len(self.prefix)
        return (length, length) if ends and text.startswith(self.prefix) else (0, 0)


class Merged:
    """The merged files read so far; a later file replaces the entries it names."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.search: list[str] | None = None
        self.aliases: dict[str, tuple[str, str]] = {}  # the target, and the file that defines it
        self.mode = ""

    def add(self, found: Mapping[str, Any], path: str) -> None:
        """Merge a parsed file. Raises InvalidSpec, without the file's name."""
        found = _version_2(found)
        if "unqualified-search-registries" in found:
            self.search = [_searched(one) for one in _strings(found, "unqualified-search-registries")]
        mode = found.get("short-name-mode", "")
        if mode not in _MODES:
            raise wrong(f'invalid short-name mode: "{mode}"')
        self.mode = mode or self.mode
        rules = [_rule(one) for one in _tables(found, "registry")]
        _check_conflicts(rules)
        self.rules.update({rule.prefix: rule for rule in rules})
        aliases = found.get("aliases", {})
        if not isinstance(aliases, dict):
            raise wrong("aliases: expected a table")
        for name, target in aliases.items():
            _check_alias(name, target)
            self.aliases[name] = (target, path)


def _version_2(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a file in the deprecated version 1 format converted to version 2."""
    old = found.get("registries")
    if not isinstance(old, dict) or not old:
        return found
    if any(key in found for key in ("registry", "unqualified-search-registries", "aliases")):
        raise wrong("mixing sysregistry v1/v2 is not supported")
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
        raise wrong("invalid condition: both location and prefix are unset")
    if not location and not prefix.startswith("*."):
        raise wrong("invalid condition: location is unset and prefix is not in the format: *.example.com")
    if prefix.startswith("*.") and any(sign in prefix for sign in "/@:"):
        raise wrong(
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
    """Refuse, within a file, tables of one location that disagree on its security; mirrors are not considered."""
    first: dict[str, Rule] = {}
    for rule in rules:
        other = first.setdefault(rule.location or rule.prefix, rule)
        for name in ("insecure", "blocked"):
            if getattr(rule, name) != getattr(other, name):
                raise wrong(f"registry '{rule.location}' is defined multiple times with conflicting '{name}' setting")


def _mirror(table: dict[str, Any], *, digest_only: bool) -> Mirror:
    location, kind = _location(table.get("location", "")), table.get("pull-from-mirror", "")
    if not location:
        raise wrong("invalid condition: mirror location is unset")
    if kind not in _MIRROR_KINDS:
        raise wrong(f'unsupported pull-from-mirror value "{kind}" for mirror "{location}"')
    if kind and digest_only:
        raise wrong(
            f'cannot set mirror usage mirror-by-digest-only for the registry ("{location}") '
            "and pull-from-mirror for per-mirror at the same time"
        )
    return Mirror(
        location=location,
        insecure=table.get("insecure") is True,
        kinds=_MIRROR_KINDS["digest-only" if digest_only else kind],
    )


def _searched(text: str) -> str:
    """Return the domain of a search registry, which must not have a path."""
    location = _location(text)
    if "/" not in location and _is_usual_path(location.replace(".", "/")):
        return location
    try:
        return check_domain(location)
    except InvalidSpec as error:
        raise wrong(f'Invalid unqualified-search-registries entry "{location}"') from error


def _location(value: object) -> str:
    if not isinstance(value, str):
        raise wrong(f"invalid location {value!r}")
    if value.startswith(("http://", "https://")):
        raise wrong(f"invalid location '{value}': URI schemes are not supported")
    return value.rstrip("/")


def _check_alias(name: str, target: object) -> None:
    if isinstance(target, str) and _is_usual_alias(name, target):
        return
    prefix = "validating short-name aliases: invalid"
    if not isinstance(target, str):
        raise wrong(f'{prefix} alias "{target}": expected a string')
    for text, kind in ((name, "short name"), (target, "alias")):
        if not text:
            continue
        try:
            reference = parse(text)
        except InvalidSpec as error:
            raise wrong(f'{prefix} {kind} "{text}": {error.message}') from error
        if reference.tag or reference.digest:
            raise wrong(f'{prefix} {kind} "{text}": must not contain {"tag" if reference.tag else "digest"}')
        if is_short(text) != (text is name):
            wanted = "must not contain registry" if text is name else "must contain registry and repository"
            raise wrong(f'{prefix} {kind} "{text}": {wanted}')


def _is_usual_alias(name: str, target: str) -> bool:
    """Return whether an alias is evidently valid. Debian has 120, and parsing them adds 3 ms to every pull."""
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
        raise wrong(f"{key}: expected an array of strings")
    return value


def _tables(table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise wrong(f"{key}: expected an array of tables")
    return value


def wrong(reason: str) -> InvalidSpec:
    """Return the error for an invalid file."""
    return InvalidSpec("registries.conf", reason)
