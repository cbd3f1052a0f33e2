"""Moments as images write them: RFC 3339 text."""

from __future__ import annotations

import time


def created_ns(text: str) -> int:
    """Return RFC 3339 text as nanoseconds since the epoch, 0 for what is none or does not fit in 64 bits.

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
    """Return this moment as images write it."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09}Z"
