"""Listings: columns, ``--format``, and durations, sizes and times in words."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypod.cli.go.values import Struct, TemplateError, go_time
from pypod.cli.render.output import (
    Column,
    align,
    compile_format,
    header_map,
    human_ago,
    human_duration,
    human_size,
    is_json,
    split_table,
    write_format,
    write_table,
)
from pypod.model.moment import rfc3339

FEW = settings(max_examples=60, deadline=None, database=None)

COLUMNS = (
    Column(key="ID", title="CONTAINER ID", getter=lambda row: row["ID"][:12]),
    Column(key="Image", title="IMAGE"),
    Column(key="Size", title="SIZE"),
)
ROWS = [Struct(ID="0123456789abcdef", Image="docker.io/busybox", Size=1), Struct(ID="f", Image="", Size=None)]


def test_a_table_is_padded_as_podmans() -> None:
    stream = io.StringIO()
    write_table(ROWS, COLUMNS, stream=stream)
    assert stream.getvalue() == (
        "CONTAINER ID  IMAGE              SIZE\n"
        "0123456789ab  docker.io/busybox  1\n"
        "f                                <nil>\n"
    )  # fmt: skip


def test_a_table_may_have_no_heading_and_no_rows() -> None:
    stream = io.StringIO()
    write_table(ROWS[1:], COLUMNS, stream=stream, noheading=True)
    assert stream.getvalue() == "f                       <nil>\n"
    empty = io.StringIO()
    write_table([], COLUMNS, stream=empty, noheading=True)
    assert empty.getvalue() == ""
    write_table([], COLUMNS, stream=empty)
    assert empty.getvalue() == "CONTAINER ID  IMAGE       SIZE\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a", "a"),
        ("a\tb\n", "a           b\n"),
        ("a\t\n", "a           \n"),
        ("123456789012\tb\n", "123456789012  b\n"),
        ("12345678901\tb\n", "12345678901  b\n"),
        ("é\tb\nab\tc\n", "é           b\nab          c\n"),
        # A line without the cell ends the column: the widths above and below it are independent.
        ("a\tb\nplain\nlonger than twelve\tc\n", "a           b\nplain\nlonger than twelve  c\n"),
        ("a\tlonger than twelve\tx\nb\ty\n", "a           longer than twelve  x\nb           y\n"),
        ("\t\tx\n", " " * 24 + "x\n"),
    ],
)
def test_tabs_become_columns(text: str, expected: str) -> None:
    assert expected == align(text)


@FEW
@given(st.lists(st.lists(st.text("ab cé"), min_size=1, max_size=4), max_size=6))
def test_columns_stand_under_one_another(lines: list[list[str]]) -> None:
    width = max(map(len, lines), default=0)
    full = [cells + [""] * (width - len(cells)) for cells in lines]
    aligned = align("\n".join("\t".join(cells) for cells in full)).split("\n")
    starts = [0]
    for column in range(width - 1):
        starts.append(starts[-1] + max(12, 2 + max(len(cells[column]) for cells in full)))
    for line, cells in zip(aligned, full, strict=False):
        assert [line[start : start + len(cell)] for start, cell in zip(starts, cells, strict=True)] == cells


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("json", True),
        (" json\n", True),
        ("{{json .}}", True),
        ("{{ json . }}", True),
        ("{{json}}", True),
        ("{{\tjson.}}", True),
        ("{{json .ID}}", False),
        ("{{json .}}x", False),
        ("{{jsonx}}", False),
        ("{json}", False),
        ("JSON", False),
        ("{{}}", False),
        ("{{.}}", False),
        ("", False),
        ("}}{{", False),
    ],
)
def test_json_is_asked_for_in_four_ways(text: str, expected: bool) -> None:
    assert is_json(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{.ID}}", (False, "{{.ID}}\n")),
        ("{{.ID}}\n", (False, "{{.ID}}\n")),
        (r"{{.ID}}\n", (False, "{{.ID}}\n")),
        (r"{{.ID}}\t{{.A}} x", (False, "{{.ID}}\t{{.A}} x\n")),
        (r"table {{.ID}}\t{{.A}} {{.B}}", (True, "{{.ID}}\t{{.A}}\t{{.B}}\n")),
        (r"table \t{{.ID}}", (True, "\t{{.ID}}\n")),
        ("table", (False, "table\n")),
        ("table{{.ID}}", (False, "table{{.ID}}\n")),
        ("table\t{{.ID}}", (False, "table\t{{.ID}}\n")),
        ("  table {{.ID}}", (False, "  table {{.ID}}\n")),
        ("TABLE {{.ID}}", (False, "TABLE {{.ID}}\n")),
        ("", (False, "\n")),
    ],
)
def test_table_is_a_prefix_and_escapes_are_resolved(text: str, expected: tuple[bool, str]) -> None:
    assert expected == split_table(text)


def formatted(text: str, rows: list[object], *, noheading: bool = False) -> str:
    stream = io.StringIO()
    headers = header_map(["ID", "CreatedAt"], {"ID": "container id"})
    write_format(text, rows, name="ps", headers=headers, stream=stream, noheading=noheading)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{.ID}}", "a\nb\n"),
        ("table {{.ID}} {{.CreatedAt}}", "CONTAINER ID  CREATED AT\na             1\nb             2\n"),
        (r"table {{.ID}}|{{.CreatedAt}}\n{{.ID}}", "CONTAINER ID|CREATED AT\nCONTAINER ID\na|1\na\nb|2\nb\n"),
        ("{{range .}}{{.ID}};{{end}}", "a;b;\n"),
        ("{{range.}}{{.ID}};{{end -}} {{len .}}", "a;b;2\n"),
        ("{{range $x := .}}{{end}}", None),
        ('{{printf "%s\\n" .ID}}', "a\nb\n"),
        ('{{printf "%s\\n" .ID}}x', "a\nxb\nx"),
        ("{{if .ID}}{{upper .ID}}{{end}}", "A\nB\n"),
        ("x", "x\nx\n"),
    ],
)
def test_rows_are_written_as_format_says(text: str, expected: str | None) -> None:
    rows = [Struct(ID="a", CreatedAt=1), Struct(ID="b", CreatedAt=2)]
    if expected is None:
        with pytest.raises(TemplateError, match="range can't iterate"):
            formatted(text, ["row"])
        return
    assert expected == formatted(text, rows)


def test_a_table_may_lack_its_heading_or_its_rows() -> None:
    assert formatted("table {{.ID}}", [Struct(ID="a")], noheading=True) == "a\n"
    assert formatted("table {{.ID}} {{.Nope}}", []) == "CONTAINER ID  <no value>\n"
    assert formatted("{{.ID}}", []) == ""


def test_a_wrong_field_writes_nothing() -> None:
    stream = io.StringIO()
    with pytest.raises(TemplateError) as caught:
        write_format("table {{.ID}}{{.Nope}}", [ROWS[0]], name="ps", headers={}, stream=stream)
    assert stream.getvalue() == ""
    assert str(caught.value) == (
        'template: ps:1:20: executing "ps" at <.Nope>: can\'t evaluate field Nope in type Struct'
    )


def test_one_object_is_no_list() -> None:
    table, template = compile_format("{{.ID}} {{len .ID}}", name="inspect", each=False)
    assert (table, template.render(Struct(ID="abc"))) == (False, "abc 3\n")


@pytest.mark.parametrize(
    ("field", "title"),
    [
        ("ID", "ID"),
        ("CreatedAt", "CREATED AT"),
        ("NumberOfContainers", "NUMBER OF CONTAINERS"),
        ("InfraID", "INFRA ID"),
        ("IDMappings", "ID MAPPINGS"),
        ("AString", "A STRING"),
        ("lower", "LOWER"),
        ("IPv6", "I PV 6"),
        ("GL11Version", "GL 11 VERSION"),
        ("a_b", "A _ B"),
    ],
)
def test_a_heading_is_the_fields_name_in_words(field: str, title: str) -> None:
    assert header_map([field]) == {field: title}


def test_a_heading_can_be_given() -> None:
    assert header_map(["ID", "CreatedAt"], {"ID": "Pod Id", "More": "x"}) == {
        "ID": "POD ID",
        "CreatedAt": "CREATED AT",
        "More": "X",
    }


MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "Less than a second"),
        (0.45, "Less than a second"),
        (1, "1 second"),
        (45.9, "45 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (45 * MINUTE + 45, "45 minutes"),
        (59 * MINUTE + 59, "59 minutes"),
        (HOUR, "About an hour"),
        (HOUR + 29 * MINUTE, "About an hour"),
        (HOUR + 30 * MINUTE, "2 hours"),
        (2 * HOUR, "2 hours"),
        (47 * HOUR, "47 hours"),
        (48 * HOUR, "2 days"),
        (2 * DAY, "2 days"),
        (13 * DAY + 23 * HOUR, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (365 * DAY, "12 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
        (1000 * DAY, "2 years"),
        (3 * 365 * DAY, "3 years"),
    ],
)
def test_durations_are_in_words(seconds: float, expected: str) -> None:
    assert expected == human_duration(seconds)
    assert f"{expected} ago" == human_ago(seconds)


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        (0, {}, "0B"),
        (999, {}, "999B"),
        (1000, {}, "1kB"),
        (1024, {}, "1.024kB"),
        (1500000, {}, "1.5MB"),
        (7651234, {}, "7.651MB"),
        (7651234, {"precision": 3}, "7.65MB"),
        (999999, {"precision": 3}, "1e+03kB"),
        (3.42e12, {}, "3.42TB"),
        (1e27, {}, "1000YB"),
        (1024, {"binary": True}, "1KiB"),
        (1023, {"binary": True}, "1023B"),
        (5.5 * 2**30, {"binary": True}, "5.5GiB"),
    ],
)
def test_sizes_are_in_words(size: float, options: dict[str, int], expected: str) -> None:
    assert expected == human_size(size, **options)  # type: ignore[arg-type]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


MOMENT = 1669310217 * 10**9


@pytest.mark.parametrize(
    ("zone", "time_ns", "utc", "go", "rfc"),
    [
        ("UTC", MOMENT + 123456789, False, "2022-11-24 17:16:57.123456789 +0000 UTC", "2022-11-24T17:16:57.123456789Z"),
        ("UTC", MOMENT + 120000000, False, "2022-11-24 17:16:57.12 +0000 UTC", "2022-11-24T17:16:57.12Z"),
        ("UTC", MOMENT + 1, False, "2022-11-24 17:16:57.000000001 +0000 UTC", "2022-11-24T17:16:57.000000001Z"),
        ("UTC", MOMENT, False, "2022-11-24 17:16:57 +0000 UTC", "2022-11-24T17:16:57Z"),
        ("UTC", 0, False, "1970-01-01 00:00:00 +0000 UTC", "1970-01-01T00:00:00Z"),
        ("UTC", -1, False, "1969-12-31 23:59:59.999999999 +0000 UTC", "1969-12-31T23:59:59.999999999Z"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", MOMENT, False, "2022-11-24 18:16:57 +0100 CET", "2022-11-24T18:16:57+01:00"),
        ("NST3:30", MOMENT, False, "2022-11-24 13:46:57 -0330 NST", "2022-11-24T13:46:57-03:30"),
        ("NST3:30", MOMENT, True, "2022-11-24 17:16:57 +0000 UTC", "2022-11-24T17:16:57Z"),
    ],
    indirect=["zone"],
)
@pytest.mark.usefixtures("zone")
def test_times_are_gos(time_ns: int, utc: bool, go: str, rfc: str) -> None:
    assert (go, rfc) == (go_time(time_ns, utc=utc), rfc3339(time_ns, utc=utc))
