"""A parser for the plain lines that registries.conf(5) and containers.conf(5) mostly have.

tomllib would add 11 ms to every pull and every run. Only unambiguous input is parsed here; for anything else the result
is None, and tomllib must be used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_WORDS = {"true": True, "false": False}
_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_DIGITS = frozenset("0123456789")
_LONGEST = 18  # digits of a number that 64 bits hold


def parse_plain(text: str) -> dict[str, Any] | None:
    """Parse TOML that has only tables, arrays of tables, strings, arrays of strings, whole numbers and booleans.

    Each must be on its own line, without escapes and trailing comments; an array may have a line for each string.
    Returns None for anything else.

    >>> parse_plain('[[registry]]\\nlocation = "quay.io"\\ninsecure = true')
    {'registry': [{'location': 'quay.io', 'insecure': True}]}
    >>> parse_plain('location = "quay.io" # a comment')
    """
    found: dict[str, Any] = {}
    table = found
    lines = _lines(text)
    for line in lines:
        if line[0] == "[":
            opened = _opened(found, line)
            if opened is None:
                return None
            table = opened
            continue
        name, equals, rest = line.partition("=")
        key, shown = _key(name.strip(" \t")), rest.strip(" \t")
        value = _array(lines) if shown == "[" else _value(shown)
        if not equals or not key or value is None or key in table:
            return None
        table[key] = value
    return found


def _lines(text: str) -> Iterator[str]:
    """Yield the lines that are neither empty nor comments."""
    text = text.replace("\r\n", "\n")
    is_printable = text.replace("\n", "").replace("\t", "").isprintable()  # then every comment is valid
    for raw in text.split("\n"):
        if is_printable and raw[:1] == "#":
            continue
        line = raw.strip(" \t")
        if line and not (line[0] == "#" and line.replace("\t", "").isprintable()):
            yield line


def _array(lines: Iterator[str]) -> list[str] | None:
    """Return the strings on the next lines, each followed by a comma but perhaps the last."""
    found: list[str] = []
    is_last = False
    for line in lines:
        if line == "]":
            return found
        string = _string(line.removesuffix(",").rstrip(" \t"))
        if string is None or is_last:
            return None
        found.append(string)
        is_last = not line.endswith(",")
    return None


def _opened(found: dict[str, Any], line: str) -> dict[str, Any] | None:
    """Return the table that a header opens."""
    several = line.startswith("[[") and line.endswith("]]")
    if not several and not line.endswith("]"):
        return None
    name = line[2:-2] if several else line[1:-1]
    outer, dot, inner = name.partition(".")
    if dot and not several:
        within = found.setdefault(outer, {}) if outer and _BARE.issuperset(outer) else None
        if not isinstance(within, dict):
            return None
        found, name = within, inner
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


def _value(text: str) -> str | bool | int | list[str] | None:
    if text in _WORDS:
        return _WORDS[text]
    digits = text.removeprefix("-")
    if digits and _DIGITS.issuperset(digits):
        return int(text) if len(digits) <= _LONGEST and (digits[0] != "0" or digits == "0") else None
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
