"""Parsing of --userns and id maps, and the arithmetic of ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.engine.session.auto_ids import _fill, _without
from pypod.engine.session.id_maps import _keeping
from pypod.errors import InvalidSpec
from pypod.kernel import idmap
from pypod.model.namespace import Mode
from pypod.model.user_namespace import check_map, parse_mapping, parse_userns

IDS = st.integers(min_value=0, max_value=70_000)


@pytest.mark.parametrize(
    ("text", "mode", "options"),
    [
        ("host", Mode(mode="host"), {}),
        ("keep-id", Mode(mode="keep-id"), {}),
        ("keep-id:uid=5,gid=6", Mode(mode="keep-id", target="uid=5,gid=6"), {"uid": ["5"], "gid": ["6"]}),
        ("auto:size=9,uidmapping=1:2:3,uidmapping=4:5:6", None, {"size": ["9"], "uidmapping": ["1:2:3", "4:5:6"]}),
        ("container:web", Mode(mode="container", target="web"), {}),
    ],
)
def test_good_modes(text: str, mode: Mode | None, options: dict[str, list[str]]) -> None:
    found, read = parse_userns(text)
    assert read == options
    assert mode is None or found == mode
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bogus",
        "keep-id:uid",
        "keep-id:uid=",
        "keep-id:uid=-1",
        "keep-id:size=3",
        "nomap:x=1",
        "auto:size=1k",
        "ns:",
    ],
)
def test_bad_modes(text: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_userns(text)
    assert caught.value.argument == "--userns"


@pytest.mark.parametrize(
    "text", ["", "0:1", "0:1:2:3", "a:1:1", "0:-1:1", "0:1:0", "0: 1:1", "0:1:4294967295", "٣:1:1"]
)
def test_bad_mappings(text: str) -> None:
    with pytest.raises(InvalidSpec, match="UID setting is malformed"):
        parse_mapping(text, "uid")


def test_a_map_with_too_many_ranges() -> None:
    check_map([(n, n, 1) for n in range(340)], "--uidmap")
    with pytest.raises(InvalidSpec, match="340 ranges"):
        check_map([(n, n, 1) for n in range(341)], "--uidmap")


@given(IDS, st.integers(min_value=1, max_value=70_000))
def test_keep_id_leaves_no_id_out_and_gives_none_twice(wanted: int, count: int) -> None:
    ranges = _keeping(wanted, count)
    check_map(ranges, "--uidmap")
    assert idmap.outside(ranges, wanted) == 0
    assert idmap.inside(ranges, 0) == wanted
    assert sum(length for _, _, length in ranges) == count
    assert all(outside + length <= count for _, outside, length in ranges)


@given(st.lists(st.tuples(IDS, st.integers(min_value=1, max_value=500)), max_size=8), IDS)
def test_what_is_left_of_a_range(taken: list[tuple[int, int]], one: int) -> None:
    left = _without([(100, 60_000)], [taken])
    is_left = any(first <= one < first + count for first, count in left)
    was_taken = any(first <= one < first + count for first, count in taken)
    assert is_left == (100 <= one < 60_100 and not was_taken)


def test_ids_are_given_where_they_fit() -> None:
    assert _fill([(0, 10), (20, 5)], [(1000, 4), (2000, 12), (3000, 5)], "uid") == ((0, 2000, 10), (20, 3000, 5))
    with pytest.raises(InvalidSpec, match="could not find enough available IDs"):
        _fill([(0, 10)], [(1000, 9)], "gid")


@given(IDS, IDS, st.integers(min_value=1, max_value=5000))
def test_each_line_lies_within_one_of_the_namespace_around(inside: int, outside: int, count: int) -> None:
    around = [(0, 1000, 1), (1, 100_000, 65_536)]
    pieces = idmap.within([(inside, outside, count)], around)
    lines = [(first, first + length) for first, _, length in around]
    assert all(any(low <= begin and begin + length <= high for low, high in lines) for _, begin, length in pieces)
    for one in (outside, outside + count - 1):
        at = idmap.inside(pieces, one)
        assert at == (inside + one - outside if one < 65_537 else None)


@pytest.mark.parametrize(
    ("texts", "first"), [(["", ""], 100_000), (["a:100000:65536\n", "a:165536:10\n"], 165_546), (["x:y:z\n"], 100_000)]
)
def test_first_free_id(texts: list[str], first: int) -> None:
    assert idmap.first_free(texts) == first
