"""Values of Go that print one way and are another in JSON, and the template function ``json`` that knows them."""

from __future__ import annotations

from pypod.cli.go.template import Struct

__all__ = ["Moment", "NilList", "NilMap", "json_text"]


class NilMap(dict[str, str]):
    """A nil map: empty, and null in JSON."""


class NilList(list[str]):
    """A nil list: empty, and null in JSON."""


class Moment:
    """A time: printed as Go prints one, and RFC 3339 in JSON. ``ns`` since the epoch, 0 for Go's zero time."""

    __slots__ = ("ns", "rfc3339")

    def __init__(self, ns: int, rfc3339: str) -> None:
        self.ns = ns
        self.rfc3339 = rfc3339

    def __str__(self) -> str:
        from pypod.cli.render.output import go_time

        return go_time(self.ns) if self.ns else "0001-01-01 00:00:00 +0000 UTC"


def json_text(value: object) -> str:
    """Return ``value`` as JSON; empty for what JSON has no form for, as podman drops the encoder's error."""
    from pypod.cli.go.json import encode

    try:
        return encode(_plain(value))
    except ValueError:
        return ""


def _plain(value: object) -> object:
    if isinstance(value, NilMap | NilList):
        return None
    if isinstance(value, Moment):
        return str(value.rfc3339)
    if isinstance(value, Struct):
        return Struct((key, _plain(item)) for key, item in value.items())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
