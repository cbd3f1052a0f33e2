"""Times and durations as users write them: Go durations, Unix timestamps and dates."""

from __future__ import annotations

__all__ = ["go_duration", "parse_duration_ns", "parse_moment_ns"]

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # the micro sign
    "μs": 1_000,  # the Greek letter, which Go also accepts
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_SECOND_NS = 1_000_000_000
_DIGITS = frozenset("0123456789")
_DATE, _CLOCK = "dddd-dd-dd", "dd:dd:dd"


def parse_duration_ns(text: str) -> int:
    """Parse a Go duration such as ``1h30m`` or ``300ms``. Raises ValueError with Go's message."""
    from pypod.cli.go.strconv import quote

    sign = -1 if text[:1] == "-" else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {quote(text)}")
    total = 0
    while rest:
        number = _leading(rest, _DIGITS | {"."})
        rest = rest[len(number) :]
        if not number.strip(".") or number.count(".") > 1:
            raise ValueError(f"time: invalid duration {quote(text)}")
        unit = rest[: next((at for at, char in enumerate(rest) if char in _DIGITS or char == "."), len(rest))]
        rest = rest[len(unit) :]
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        if unit not in _UNITS_NS:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        whole, _, fraction = number.partition(".")
        total += int(whole or 0) * _UNITS_NS[unit] + int(fraction or 0) * _UNITS_NS[unit] // 10 ** len(fraction)
    if total >= 2**63:
        raise ValueError(f"time: invalid duration {quote(text)}")
    return sign * total


def go_duration(ns: int) -> str:
    """Format a duration as Go does: ``1h2m3.5s``, ``2.897ms``, ``0s``."""
    if ns < _SECOND_NS:
        for unit, size in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if ns >= size:
                return f"{_fraction(ns, size)}{unit}"
        return "0s"
    minutes, rest = divmod(ns, 60 * _SECOND_NS)
    hours, minutes = divmod(minutes, 60)
    text = f"{_fraction(rest, _SECOND_NS)}s"
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}" if minutes else text


def _fraction(number: int, size: int) -> str:
    whole, rest = divmod(number, size)
    return f"{whole}.{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else str(whole)


def parse_moment_ns(text: str, now_ns: int, *, future: bool = False) -> int:
    """Parse a time as nanoseconds since the epoch: a Unix timestamp, a date, or a duration before now.

    With ``future`` a duration counts forward from now: podman's --until=1h ends in an hour.

    Dates are those of podman-logs(1), in local time unless they include a zone. Raises ValueError.
    """
    timestamp = _timestamp(text)
    if timestamp is not None:
        return timestamp
    if len(text) >= len(_DATE) and _fits(text[: len(_DATE)], _DATE):
        return _date(text)
    try:
        duration_ns = parse_duration_ns(text)
    except ValueError:
        raise ValueError("unable to interpret time value") from None
    return now_ns + duration_ns if future else now_ns - duration_ns


def _timestamp(text: str) -> int | None:
    whole, _, fraction = text.removeprefix("-").partition(".")
    if not whole or not _DIGITS.issuperset(whole + fraction):
        return None
    sign = -1 if text.startswith("-") else 1
    return sign * (int(whole) * _SECOND_NS + int(fraction[:9].ljust(9, "0")))


def _date(text: str) -> int:
    from time import mktime

    clock, fraction, zone = (0, 0, 0), 0, text[len(_DATE) :]
    if zone[:1] == "T":
        if not _fits(zone[1:9], _CLOCK):
            raise ValueError("unable to interpret time value")
        clock = (int(zone[1:3]), int(zone[4:6]), int(zone[7:9]))
        zone = zone[9:]
        if zone[:1] == ".":
            digits = _leading(zone[1:], _DIGITS)
            zone = zone[1 + len(digits) :]
            fraction = int(digits[:9].ljust(9, "0"))
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    if not (1 <= month <= 12 and 1 <= day <= 31 and clock < (24,) and max(clock[1:]) < 60):
        raise ValueError("unable to interpret time value")
    if not zone:
        seconds = int(mktime((year, month, day, *clock, 0, 0, -1)))
    else:
        seconds = _utc(year, month, day, clock) - _offset_s(zone)
    return seconds * _SECOND_NS + fraction


def _utc(year: int, month: int, day: int, clock: tuple[int, int, int]) -> int:
    from datetime import UTC, datetime

    return int(datetime(year, month, day, *clock, tzinfo=UTC).timestamp())


def _offset_s(zone: str) -> int:
    """Return the offset of a zone, Z or ±HH:MM, from UTC in seconds."""
    if zone == "Z":
        return 0
    if zone[:1] not in ("+", "-") or not _fits(zone[1:], "dd:dd"):
        raise ValueError("unable to interpret time value")
    seconds = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds


def _fits(text: str, shape: str) -> bool:
    return len(text) == len(shape) and all(
        char in _DIGITS if expected == "d" else char == expected for char, expected in zip(text, shape, strict=True)
    )


def _leading(text: str, allowed: frozenset[str] | set[str]) -> str:
    return text[: next((at for at, char in enumerate(text) if char not in allowed), len(text))]
