"""The values that Go templates are applied to (structs, nil lists and maps, times), and the error of a template."""

from __future__ import annotations

from pypod.errors import PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    _Fields = dict[str, Any]
else:
    _Fields = dict

__all__ = ["NO_VALUE", "Duration", "Moment", "NilList", "NilMap", "NoValue", "Struct", "TemplateError", "go_time"]


class TemplateError(PypodError):
    """The template ``name`` cannot be parsed, or cannot be applied to the value. The message is Go's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"template: {message}")
        self.name = name
        self.written = ""  # the output up to the error


class Struct(_Fields):
    """A record with known fields, in the order in which Go would print them.

    A subclass may define ``__missing__`` to compute a field on demand; KeyError means there is no such field.
    ``type_name`` is the type in error messages and ``%T``, by default the name of the class.
    """

    type_name = ""


class NoValue:
    """The value of a key that a map does not have."""

    def __str__(self) -> str:
        return "<no value>"


NO_VALUE = NoValue()


class NilMap(dict[str, str]):
    """A nil map: empty, and null in JSON."""


class NilList(list[str]):
    """A nil list: empty, and null in JSON."""


_UNITS = ((1, "ns"), (1_000, "µs"), (1_000_000, "ms"))
_SECOND_NS = 1_000_000_000


class Duration(int):
    """Nanoseconds, printed like Go's time.Duration (``1h0m0.5s``), and as a number in JSON."""

    def __str__(self) -> str:
        sign, ns = "-" if self < 0 else "", abs(int(self))
        if 0 < ns < _SECOND_NS:
            size, unit = next(row for row in reversed(_UNITS) if ns >= row[0])
            return f"{sign}{_decimal(ns, size)}{unit}"
        minutes, left_ns = divmod(ns, 60 * _SECOND_NS)
        hours, minutes = divmod(minutes, 60)
        words = [f"{hours}h"] if hours else []
        words += [f"{minutes}m"] if hours or minutes else []
        return f"{sign}{''.join(words)}{_decimal(left_ns, _SECOND_NS)}s"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = len(str(size)) - 1
    return f"{whole}.{rest:0{digits}}".rstrip("0").rstrip(".") if rest else str(whole)


class Moment:
    """A time, printed like a Go time, and as RFC 3339 in JSON. ``ns`` is since the epoch, 0 for Go's zero time."""

    __slots__ = ("ns", "rfc3339")

    def __init__(self, ns: int, rfc3339: str) -> None:
        self.ns = ns
        self.rfc3339 = rfc3339

    def __str__(self) -> str:
        return go_time(self.ns) if self.ns else "0001-01-01 00:00:00 +0000 UTC"


def go_time(time_ns: int, *, utc: bool = False) -> str:
    """Format a time since the epoch as Go does: ``2022-11-24 17:16:57.1 +0000 UTC``; local time unless ``utc``."""
    from pypod.model.moment import words  # ps shows no times

    date, clock, offset, zone = words(time_ns, utc=utc)
    return f"{date} {clock} {offset.replace(':', '')} {zone}"
