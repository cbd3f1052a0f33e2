"""Timestamps as RFC 3339 text: as images write them, and as podman shows them."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

NEVER = "0001-01-01T00:00:00Z"  # Go's zero time


def created_ns(text: str) -> int:
    """Return RFC 3339 text as nanoseconds since the epoch, 0 when it is invalid or does not fit in 64 bits.

    >>> created_ns("1970-01-01T00:00:01.000000002Z"), created_ns("0001-01-01T00:00:00Z")
    (1000000002, 0)
    """
    import datetime

    whole, rest = text[:19], text[19:]
    zone = rest[1:].lstrip("0123456789") if rest[:1] == "." else rest
    fraction = rest[1 : len(rest) - len(zone)]
    try:
        moment = datetime.datetime.fromisoformat(whole + zone)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    found = int(moment.timestamp()) * 10**9 + int(fraction[:9].ljust(9, "0"))
    return found if abs(found) < 1 << 63 else 0


def now_text() -> str:
    """Return the current time in the format of image configurations."""
    return rfc3339(time.time_ns(), utc=True, padded=True)


def rfc3339(time_ns: int, *, utc: bool = False, padded: bool = False) -> str:
    """Return a time since the epoch as text; local unless ``utc``, with a nine-digit fraction if ``padded``.

    Otherwise trailing zeros are dropped, as by Go's time.RFC3339Nano.

    >>> rfc3339(1_100_000_000, utc=True), rfc3339(1_100_000_000, utc=True, padded=True)
    ('1970-01-01T00:00:01.1Z', '1970-01-01T00:00:01.100000000Z')
    """
    date, clock, offset, _ = words(time_ns, utc=utc, padded=padded)
    return f"{date}T{clock}{'Z' if offset == '+00:00' else offset}"


def words(time_ns: int, *, utc: bool = False, padded: bool = False) -> tuple[str, str, str, str]:
    """Return a time's date, time of day with fraction, offset from UTC, and the name of its time zone.

    >>> words(1_100_000_000, utc=True)
    ('1970-01-01', '00:00:01.1', '+00:00', 'UTC')
    """
    seconds, nanoseconds = divmod(time_ns, 10**9)
    moment = (time.gmtime if utc else time.localtime)(seconds)
    fraction = f".{nanoseconds:09d}"
    if not padded:
        fraction = fraction.rstrip("0").rstrip(".")
    date = f"{moment.tm_year:04d}-{moment.tm_mon:02d}-{moment.tm_mday:02d}"
    clock = f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d}{fraction}"
    hours, minutes = divmod(abs(moment.tm_gmtoff) // 60, 60)
    offset = f"{'-' if moment.tm_gmtoff < 0 else '+'}{hours:02d}:{minutes:02d}"
    return date, clock, offset, "UTC" if utc else moment.tm_zone


class Timestamp(str):
    """A timestamp as RFC 3339 text in local time, or as written; ``ns`` is since the epoch, 0 for Go's zero time."""

    __slots__ = ("ns",)
    ns: int

    def __new__(cls, ns: int, text: str = "") -> Self:
        made = super().__new__(cls, text or (rfc3339(ns) if ns else NEVER))
        made.ns = ns
        return made
