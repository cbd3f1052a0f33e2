"""The values of flags: one converter per kind, with the errors of Go's strconv and encoding/csv.

Podman's flags are pflag values, and scripts match on their messages. A converter raises ValueError with that message.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    FlagValue = bool | int | float | str | list[str]

__all__ = ["CONVERTERS", "TYPE_NAMES", "ZEROS", "split_csv"]


def split_csv(text: str) -> list[str]:
    """Split one line of comma-separated values as Go's encoding/csv does, quotes included.

    Raises ValueError with Go's message. Text after the first line is dropped, as in pflag.
    """
    if not text:
        return []
    if '"' not in text and "\n" not in text and "\r" not in text:
        return text.split(",")
    start = len(text) - len(text.lstrip("\r\n"))
    body = text[start:].removesuffix("\r").replace("\r\n", "\n")
    if not body:
        raise ValueError("EOF")
    fields: list[str] = []
    at = 0
    while True:
        field, at = _quoted(body, at) if body.startswith('"', at) else _bare(body, at)
        fields.append(field)
        if not body.startswith(",", at):
            return fields
        at += 1


def _bare(body: str, at: int) -> tuple[str, int]:
    ends = [end for end in (body.find(",", at), body.find("\n", at)) if end >= 0]
    end = min(ends, default=len(body))
    quote = body.find('"', at, end)
    if quote >= 0:
        raise _csv_error(body, quote, 'bare " in non-quoted-field')
    return body[at:end], end


def _quoted(body: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    at += 1
    while True:
        end = body.find('"', at)
        if end < 0:
            raise _csv_error(body, len(body), 'extraneous or missing " in quoted-field')
        parts.append(body[at:end])
        if not body.startswith('""', end):
            break
        parts.append('"')
        at = end + 2
    if end + 1 < len(body) and body[end + 1] not in ",\n":
        raise _csv_error(body, end, 'extraneous or missing " in quoted-field')
    return "".join(parts), end + 1


def _csv_error(body: str, at: int, problem: str) -> ValueError:
    line = body.count("\n", 0, at) + 1
    column = len(body[body.rfind("\n", 0, at) + 1 : at].encode("utf-8", "surrogateescape")) + 1
    record = "record on line 1; " if line > 1 else ""
    return ValueError(f"{record}parse error on line {line}, column {column}: {problem}")


def parse_ip(text: str) -> str:
    """Return an IPv4 or IPv6 address. Raises ValueError with podman's message."""
    import _socket

    from pypod.cli.go.strconv import quote

    try:
        _socket.inet_pton(_socket.AF_INET6 if ":" in text else _socket.AF_INET, text)
    except (OSError, ValueError):
        raise ValueError(f"failed to parse IP: {quote(text)}") from None
    return text


def _of_go(function: str) -> Callable[[str], FlagValue]:
    """Return a function of strconv.py, which is loaded when the first flag of its kind is given."""

    def convert(text: str) -> FlagValue:
        from pypod.cli.go import strconv

        value: FlagValue = getattr(strconv, function)(text)
        return value

    return convert


def parse_pairs(text: str) -> list[str]:
    """Return comma-separated KEY=VALUE words. Raises ValueError with pflag's message."""
    words = [text] if text.count("=") == 1 else split_csv(text)
    for word in words:
        if "=" not in word:
            raise ValueError(f"{word} must be formatted as key=value")
    return words


CONVERTERS: dict[str, Callable[[str], FlagValue]] = {
    "bool": _of_go("parse_bool"),
    "float": _of_go("parse_float"),
    "int": _of_go("parse_int"),
    "ip": parse_ip,
    "string": str,
    "stringArray": lambda text: [text],
    "stringToString": parse_pairs,
    "strings": split_csv,
    "uint": _of_go("parse_uint"),
}

# The value of an unset flag, which help does not show as "(default ...)".
ZEROS: dict[str, FlagValue] = {
    "bool": False,
    "float": 0.0,
    "int": 0,
    "ip": "",
    "string": "",
    "stringArray": [],
    "stringToString": [],
    "strings": [],
    "uint": 0,
}

TYPE_NAMES = {kind: "" if kind == "bool" else kind for kind in CONVERTERS}
