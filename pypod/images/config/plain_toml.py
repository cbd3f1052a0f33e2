"""A parser for the plain lines that registries.conf(5) mostly has, without tomllib, which adds 11 ms to every pull.

Only unambiguous input is parsed here; for anything else the result is None, and tomllib must be used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WORDS = {"true": True, "false": False}
_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def parse_plain(text: str) -> dict[str, Any] | None:
    """Parse TOML that has only tables, arrays of tables, strings, arrays of strings and booleans, or return None.

    Each must be on its own line, without escapes and trailing comments.

    >>> parse_plain('[[registry]]\\nlocation = "quay.io"\\ninsecure = true')
    {'registry': [{'location': 'quay.io', 'insecure': True}]}
    >>> parse_plain('location = "quay.io" # a comment')
    """
    found: dict[str, Any] = {}
    table = found
    for line in (one.strip(" \t") for one in text.replace("\r\n", "\n").split("\n")):
        if not line or (line[0] == "#" and line.replace("\t", "").isprintable()):
            continue
        if line[0] == "[":
            opened = _opened(found, line)
            if opened is None:
                return None
            table = opened
            continue
        name, equals, rest = line.partition("=")
        key, value = _key(name.strip(" \t")), _value(rest.strip(" \t"))
        if not equals or not key or value is None or key in table:
            return None
        table[key] = value
    return found


def _opened(found: dict[str, Any], line: str) -> dict[str, Any] | None:
    """Return the table that a header opens."""
    several = line.startswith("[[") and line.endswith("]]")
    if not several and not line.endswith("]"):
        return None
    name = line[2:-2] if several else line[1:-1]
    if not name or not _BARE.issuperset(name):
        return None
    table: dict[str, Any] = {}
    if not several:
        return table if found.setdefault(name, table) is table else None
    tables = found.setdefault(name, [table])
    # an array written as a value is not an array of tables (TOML, "Array of Tables")
    if not isinstance(tables, list) or not tables or not isinstance(tables[0], dict):
        return None
    if tables[-1] is not table:
        tables.append(table)
    return table


def _key(text: str) -> str | None:
    return text if _BARE.issuperset(text) else _string(text)


def _value(text: str) -> str | bool | list[str] | None:
    if text in _WORDS:
        return _WORDS[text]
    if not (text.startswith("[") and text.endswith("]")):
        return _string(text)
    inner = text[1:-1].strip(" \t")
    found = [_string(one.strip(" \t")) for one in inner.split(",")] if inner else []
    return None if None in found else found  # type: ignore[return-value]


def _string(text: str) -> str | None:
    """Return the content of a quoted string, or None if the text is not exactly that."""
    bare = text[1:-1]
    plain = len(text) > 1 and text[0] == text[-1] == '"' and bare.isprintable() and not set('"\\').intersection(bare)
    return bare if plain else None
