"""JSON with only the C half of Python's json package: the package imports re and enum, 4 ms of a command's 25.

Results and errors are those of ``json.loads`` and ``json.dumps`` without options; tests compare the two.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    # The stubs do not know the C half.
    def quoted(text: str, /) -> str: ...
    def make_scanner(context: object, /) -> Callable[[str, int], tuple[Any, int]]: ...
    def make_encoder(*options: object) -> Callable[[Any, int], Iterable[str]]: ...
else:
    from _json import encode_basestring_ascii as quoted
    from _json import make_encoder, make_scanner

__all__ = ["dumps", "loads", "quoted", "scan"]

_SPACE = " \t\n\r"


class _Plain:
    """The attributes that the scanner needs."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = parse_constant = float
    parse_int = int
    memo: dict[str, str] = {}  # noqa: RUF012


_scan = make_scanner(_Plain)


def _refuse(value: object) -> None:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def scan(text: str, at: int = 0) -> tuple[Any, int]:
    """Parse the value that begins at ``at``; return it and its end. Raises ValueError."""
    try:
        return _scan(text, at)
    except StopIteration as error:
        raise ValueError(f"no JSON value at character {error.value}") from None
    except SystemError:
        # the C half raises json.decoder's error, but does not import it itself (Modules/_json.c, raise_errmsg)
        import json.decoder  # noqa: F401

        return _scan(text, at)


def loads(data: str | bytes) -> Any:
    """Parse a string, or UTF-8, with a single value. Raises ValueError, RecursionError."""
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
    value, end = scan(text, len(text) - len(text.lstrip(_SPACE)))
    if text[end:].strip(_SPACE):
        raise ValueError(f"more than one JSON value: another begins at character {end}")
    return value


def dumps(value: Any) -> str:
    """Serialize a value without spaces, in ASCII. Raises TypeError, ValueError, RecursionError."""
    # a new dictionary, in which the encoder detects circular references
    encode = make_encoder({}, _refuse, quoted, None, ":", ",", False, False, True)
    return "".join(encode(value, 0))
