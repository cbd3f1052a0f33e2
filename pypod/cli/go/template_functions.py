"""The functions that templates can call: Go's own and those that podman adds (containers/common, pkg/report)."""

from __future__ import annotations

from pypod.cli.go.fmt import format_value, sprint, type_name
from pypod.cli.go.values import NO_VALUE, Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["FUNCTIONS", "Failed", "Function", "is_true"]


class Failed(ValueError):
    """A function does not accept its operands; the message is Go's."""


class Function:
    """A Python function with Go's signature: the types of its parameters, and of variadic ones (None: not variadic).

    The types are string, int, []string, ``interface {}``, and ``value``, which also accepts NO_VALUE.
    """

    __slots__ = ("body", "more", "parameters")

    def __init__(self, body: Callable[..., object], parameters: tuple[str, ...], more: str | None = None) -> None:
        self.body = body
        self.parameters = parameters
        self.more = more


def is_true(value: Any) -> bool:
    """Return whether ``value`` is true in an if: not false, zero, nil or empty; a struct always is."""
    return isinstance(value, Struct) or (value is not NO_VALUE and bool(value))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(_bytes(value))
    if isinstance(value, bytes | list | tuple) or (isinstance(value, dict) and not isinstance(value, Struct)):
        return len(value)
    if value is NO_VALUE or value is None:
        raise Failed("reflect: call of reflect.Value.Type on zero Value")
    raise Failed(f"len of type {type_name(value)}")


def _index(value: Any, *indexes: Any) -> object:
    if value is NO_VALUE or value is None:
        raise Failed("index of untyped nil")
    for index in indexes:
        if isinstance(value, dict) and not isinstance(value, Struct):
            value = _map_entry(value, index)
        elif isinstance(value, str | bytes | list | tuple):
            items = _bytes(value) if isinstance(value, str) else value
            at = _position(index, len(items))
            if at == len(items):
                raise Failed(f"reflect: {'string' if isinstance(value, str) else 'slice'} index out of range")
            value = items[at]
        else:
            raise Failed(f"can't index item of type {type_name(value)}")
    return value


def _position(index: Any, most: int) -> int:
    if index is NO_VALUE or index is None:
        raise Failed("cannot index slice/array with nil")
    if not isinstance(index, int) or isinstance(index, bool):
        raise Failed(f"cannot index slice/array with type {type_name(index)}")
    if not 0 <= index <= most:
        raise Failed(f"index out of range: {index}")
    return index


def _map_entry(mapping: dict[Any, object], key: Any) -> object:
    if mapping:
        wanted = type_name(next(iter(mapping)))
        if key is NO_VALUE or key is None:
            raise Failed(f"value is nil; should be of type {wanted}")
        if type_name(key) != wanted:
            raise Failed(f"value has type {type_name(key)}; should be {wanted}")
    if key in mapping:
        return mapping[key]
    # Go returns the zero value of the element type; most of podman's maps hold labels and options, which are strings.
    kinds = {type(value) for value in mapping.values()} or {str}
    zero = kinds.pop()
    return zero() if not kinds and zero in (str, int, float, bool) else NO_VALUE


def _slice(value: Any, *bounds: Any) -> object:
    if not isinstance(value, str | bytes | list | tuple):
        raise Failed(
            "slice of untyped nil" if value in (NO_VALUE, None) else f"can't slice item of type {type_name(value)}"
        )
    if len(bounds) > 3:
        raise Failed(f"too many slice indexes: {len(bounds)}")
    if len(bounds) == 3 and isinstance(value, str):
        raise Failed("cannot 3-index slice a string")
    items = _bytes(value) if isinstance(value, str) else value
    positions = [_position(bound, len(items)) for bound in bounds]
    start, end = (*positions, 0, len(items))[:2] if len(positions) != 1 else (positions[0], len(items))
    if start > end:
        raise Failed(f"invalid slice index: {start} > {end}")
    part = items[start:end]
    return _text(part) if isinstance(value, str) else part  # type: ignore[arg-type]


def _kind(value: object) -> str:
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind.__name__
    return ""


def _check_comparable(value: object) -> None:
    if isinstance(value, list | tuple | bytes) or (isinstance(value, dict) and not isinstance(value, Struct)):
        raise Failed(f"non-comparable type {format_value(value)}: {type_name(value)}")


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise Failed("missing argument for comparison")
    nothing = (NO_VALUE, None)
    for other in others:
        if _kind(first) != _kind(other):
            if first not in nothing and other not in nothing:
                raise Failed("incompatible types for comparison")
            continue
        _check_comparable(first)
        _check_comparable(other)
        if first == other or (first in nothing and other in nothing):
            return True
    return False


def _less(first: Any, other: Any) -> bool:
    kinds = _kind(first), _kind(other)
    if "" in kinds:
        raise Failed("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise Failed("incompatible types for comparison")
    if kinds[0] == "bool":
        raise Failed("invalid type for comparison")
    return bool(first < other)


def _less_or_equal(first: Any, other: Any) -> bool:
    return _less(first, other) or _equal(first, other)


def _printf(text: str, *values: object) -> str:
    from pypod.cli.go.printf import sprintf

    return sprintf(text, values)


def _json(value: object) -> str:
    from pypod.cli.go.json import encode

    try:
        return encode(value)
    except ValueError:
        return ""  # podman drops the encoder's error


def _title(text: str) -> str:
    out: list[str] = []
    in_word = False
    for char in text:
        out.append(char if in_word else char.upper())
        in_word = char.isalnum() or char == "_" or (not char.isascii() and not char.isspace())
    return "".join(out)


def _truncate(text: str, length: int) -> str:
    if length < 0:
        raise Failed(f"runtime error: slice bounds out of range [:{length}]")
    return _text(_bytes(text)[:length])


def _pad(text: str, before: int, after: int) -> str:
    if not text:
        return text
    if before < 0 or after < 0:
        raise Failed("strings: negative Repeat count")
    return " " * before + text + " " * after


def _join(words: Sequence[str], separator: str) -> str:
    return separator.join(words)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


_ANY = "interface {}"

FUNCTIONS = {
    # and, or: Call stops at the first argument that decides and never calls the body.
    "and": Function(is_true, ("value",), "value"),
    "eq": Function(_equal, ("value",), "value"),
    "ge": Function(lambda first, other: not _less(first, other), ("value", "value")),
    "gt": Function(lambda first, other: not _less_or_equal(first, other), ("value", "value")),
    "index": Function(_index, ("value",), "value"),
    "join": Function(_join, ("[]string", "string")),
    "json": Function(_json, (_ANY,)),
    "le": Function(_less_or_equal, ("value", "value")),
    "len": Function(_length, ("value",)),
    "lower": Function(str.lower, ("string",)),
    "lt": Function(_less, ("value", "value")),
    "ne": Function(lambda first, other: not _equal(first, other), ("value", "value")),
    "not": Function(lambda value: not is_true(value), ("value",)),
    "or": Function(is_true, ("value",), "value"),
    "pad": Function(_pad, ("string", "int", "int")),
    "print": Function(lambda *values: sprint(values), (), _ANY),
    "printf": Function(_printf, ("string",), _ANY),
    "println": Function(lambda *values: sprint(values, line=True), (), _ANY),
    "slice": Function(_slice, ("value",), "value"),
    "split": Function(_split, ("string", "string")),
    "title": Function(_title, ("string",)),
    "truncate": Function(_truncate, ("string", "int")),
    "upper": Function(str.upper, ("string",)),
}
