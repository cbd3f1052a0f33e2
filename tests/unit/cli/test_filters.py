"""Filters of listings: the rows that a value of --filter accepts."""

from __future__ import annotations

import pytest

from pypod.cli.flags.filters import compile_filters, has_labels, matcher, one_of, split
from pypod.errors import InvalidSpec

LABELS = {"app": "web", "tier": "", "com.example/x": "y=z"}


def test_words_are_gathered_by_name() -> None:
    assert split(["a=1", "b=2", "a=3", "c=x=y", "d="]) == {"a": ["1", "3"], "b": ["2"], "c": ["x=y"], "d": [""]}
    with pytest.raises(InvalidSpec, match='invalid filter "word"'):
        split(["word"])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], True),
        (["app"], True),
        (["app=web"], True),
        (["app=we"], False),
        (["tier="], True),
        (["app", "tier"], True),
        (["app", "nosuch"], False),
        (["com.example/x=y=z"], True),
        (["ap*"], True),
        (["*.example*=y=z"], True),
        (["*.example*=no"], False),
        ([""], False),
    ],
)
def test_labels_must_all_be_there(wanted, expected) -> None:
    assert has_labels(wanted, LABELS) is expected


@pytest.mark.parametrize(
    ("patterns", "text", "expected"),
    [
        (["eb"], "web", True),
        (["^eb"], "web", False),
        (["x", "w.b$"], "web", True),
        (["["], "[", False),
        (["[", "web"], "web", True),
        ([""], "web", True),
        (["a.c"], "abc", True),
        (["a-c"], "abc", False),
    ],
)
def test_patterns_are_searched_for(patterns, text, expected) -> None:
    assert matcher(patterns)(text) is expected


def test_different_filters_must_all_hold() -> None:
    table = {
        "least": lambda values: lambda row: any(row >= int(value) for value in values),
        "even": lambda _: lambda row: row % 2 == 0,
    }
    test = compile_filters({"least": ["8", "4"], "even": [""]}, table)
    assert [row for row in range(10) if test(row)] == [4, 6, 8]
    with pytest.raises(InvalidSpec, match=r"^odd is an invalid filter$"):
        compile_filters({"odd": [""]}, table)


def test_one_of() -> None:
    assert one_of(["a", "b"], ("a", "b", "c"), "{} is wrong") == {"a", "b"}
    with pytest.raises(InvalidSpec, match=r"^d is wrong$"):
        one_of(["a", "d"], ("a", "b", "c"), "{} is wrong")
