"""Tables in util-linux's format: cells that lsns never has; tests/oracle compares the others with lsns itself."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.cli.render.smartcols import Column, Line, Style, write

NAME, TEXT = Column(name="NAME", hint=6, right=True, number=True), Column(name="TEXT", cut=True)


def shown(roots: list[Line], columns=(NAME, TEXT), **style: object) -> str:
    stream = io.StringIO()
    write(roots, columns, Style(name="things", **style), stream)
    return stream.getvalue()


def one(text: str | None, name: str = "1") -> Line:
    return Line({"NAME": name, "TEXT": text})


def test_a_hint_counts_for_what_is_wider_than_its_heading() -> None:
    assert shown([one("x")]) == "NAME TEXT\n   1 x\n"
    assert shown([one("x", "12345")]) == "  NAME TEXT\n 12345 x\n"


@pytest.mark.parametrize(
    ("text", "plain", "raw"),
    [
        ("a b", "a b", r"a\x20b"),
        ("a\x1b[31mb", r"a\x1b[31mb", r"a\x1b[31mb"),
        ("a\tb", r"a\x09b", r"a\x09b"),
        ("é", "é", r"\xc3\xa9"),
        ("\u202ex", r"\xe2\x80\xaex", r"\xe2\x80\xaex"),
        ("bad\udcff", r"bad\xff", r"bad\xff"),
        ("back\\slash", "back\\slash", r"back\x5cslash"),
        ("", "", ""),
        (None, "", ""),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str | None, plain: str, raw: str) -> None:
    assert shown([one(text)], headings=False) == f"   1 {plain}\n"
    assert shown([one(text)], raw=True, headings=False) == f"1 {raw}\n"


def test_several_lines_in_one_cell() -> None:
    last = Column(name="LAST")
    line = Line({"TEXT": "a\nbc", "LAST": "z"})
    assert shown([line], (TEXT, last), headings=False) == "a    z\nbc   \n"


def test_a_terminal_s_width_cuts_what_may_be_cut() -> None:
    assert shown([one("x" * 50)], width=20, headings=False) == "   1 " + "x" * 15 + "\n"
    assert shown([one("x" * 50)], width=6, headings=False) == "   1 xxxx\n"


def test_trees() -> None:
    root = one("a", "1")
    child = Line({"NAME": "2", "TEXT": "b"}, root)
    Line({"NAME": "3", "TEXT": "c"}, child)
    Line({"NAME": "4", "TEXT": "d"}, root)
    assert shown([root, one("e", "5")], headings=False, tree="TEXT") == (
        "   1 a\n   2 ├─b\n   3 │ └─c\n   4 └─d\n   5 e\n"
    )
    assert shown([root], headings=False, tree="TEXT", ascii=True) == "   1 a\n   2 |-b\n   3 | `-c\n   4 `-d\n"
    assert json.loads(shown([root], json=True)) == {
        "things": [
            {"name": 1, "text": "a", "children": [
                {"name": 2, "text": "b", "children": [{"name": 3, "text": "c"}]}, {"name": 4, "text": "d"}]}
        ]
    }  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 10**12), st.text()), max_size=5))
def test_json_brings_every_text_back(rows: list[tuple[int, str]]) -> None:
    lines = [Line({"NAME": str(number), "TEXT": text}) for number, text in rows]
    found = json.loads(shown(lines, json=True))["things"]
    assert [(row["name"], row["text"] or "") for row in found if row] == rows
