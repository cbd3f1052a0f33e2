"""Times and durations as users write them; the expected values come from Go (time.ParseDuration) and date(1)."""

from __future__ import annotations

import time

import pytest

from pypod.cli.flags.times import parse_duration_ns, parse_moment_ns

S = 1_000_000_000
NOW = 1_800_000_000 * S


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("300ms", 300_000_000),
        ("1h30m", 5400 * S),
        ("-1.5h", -5400 * S),
        ("+2s", 2 * S),
        (".5s", S // 2),
        ("1.s", S),
        ("1µs", 1000),
        ("1us2ns", 1002),
    ],
)
def test_durations(text, expected) -> None:
    assert parse_duration_ns(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("1.5.5s", 'time: invalid duration "1.5.5s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1h1", 'time: missing unit in duration "1h1"'),
        ("1x", 'time: unknown unit "x" in duration "1x"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_what_is_no_duration(text, message) -> None:
    with pytest.raises(ValueError, match=r"^time: ") as caught:
        parse_duration_ns(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", NOW - 600 * S),
        ("1700000000", 1_700_000_000 * S),
        ("1700000000.000000001", 1_700_000_000 * S + 1),
        ("2026-11-24T18:44:25.767148724+00:00", 1_795_545_865 * S + 767_148_724),
        ("2026-11-24T18:44:25Z", 1_795_545_865 * S),
        ("2026-11-24T20:44:25+02:00", 1_795_545_865 * S),
        ("2026-11-24Z", 1_795_478_400 * S),
        ("2026-11-24-01:00", 1_795_482_000 * S),
    ],
)
def test_moments(text, expected) -> None:
    assert parse_moment_ns(text, NOW) == expected


def test_a_date_without_a_zone_is_local(monkeypatch) -> None:
    monkeypatch.setenv("TZ", "XXX-3")  # three hours ahead of UTC
    time.tzset()
    try:
        assert parse_moment_ns("2026-11-24T21:44:25", NOW) == 1_795_545_865 * S
        assert parse_moment_ns("2026-11-24", NOW) == 1_795_478_400 * S - 3 * 3600 * S
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text", ["foo", "2026-13-01", "2026-11-24T18:44", "2026-11-24T25:00:00", "2026-11-24Zx", "5x", ""]
)
def test_what_is_no_moment(text) -> None:
    with pytest.raises(ValueError, match="unable to interpret time value"):
        parse_moment_ns(text, NOW)
