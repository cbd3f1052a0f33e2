"""Parsing of --userns and id maps, and the arithmetic of ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.engine.session.auto_ids import _fill, _without
from pypod.engine.session.id_maps import _keeping
from pypod.errors import InvalidSpec
from pypod.kernel import idmap
from pypod.kernel.idmap import ALL_IDS
from pypod.model.namespace import Mode
from pypod.model.user_namespace import check_map, parse_mapping, parse_mappings, parse_userns

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


SESSION = ((0, 1000, 1), (1, 100_000, 65_536))
ROOT = ((0, 0, ALL_IDS),)


@pytest.mark.parametrize(
    ("texts", "kind", "parent", "expected"),
    [
        (["0:1:1000"], "uid", SESSION, ((0, 1, 1000),)),
        (["5:7"], "uid", SESSION, ((5, 7, 1),)),
        (["0:1:2:7:9:1"], "gid", SESSION, ((0, 1, 2), (7, 9, 1))),
        (["0:@100000:10"], "uid", SESSION, ((0, 1, 10),)),
        (["0:@100000:10"], "uid", ROOT, ((0, 100_000, 10),)),
        (["0:@1000:1", "1:@100000:5"], "gid", SESSION, ((0, 0, 1), (1, 1, 5))),
        (["u0:1:10", "g0:100:10"], "uid", SESSION, ((0, 1, 10),)),
        (["u0:1:10", "g0:100:10"], "gid", SESSION, ((0, 100, 10),)),
        (["ug0:1:10"], "gid", SESSION, ((0, 1, 10),)),
        (["+100:@1000"], "uid", SESSION, ((100, 0, 1), (0, 1, 100), (101, 101, 65_436))),
        (["+u100:@1000"], "gid", SESSION, ((0, 0, 65_537),)),
        (["u100:@1000"], "gid", SESSION, ((0, 0, 65_537),)),
        (
            ["0:0:10", "+5:20:1"],
            "uid",
            ((0, 0, 30),),
            ((0, 0, 5), (6, 6, 4), (5, 20, 1), (10, 5, 1), (11, 10, 10), (21, 21, 9)),
        ),
    ],
)
def test_maps(texts: list[str], kind: str, parent: tuple, expected: tuple) -> None:
    assert parse_mappings(texts, kind, parent) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0:1:2:3",
        "a:1:1",
        "0:-1:1",
        "0:1:0",
        "0: 1:1",
        "0:1:4294967295",
        "٣:1:1",
        "x0:1:1",
        "@0:1:1",
        "0:@:1",
        "+",
    ],
)
def test_malformed_maps(text: str) -> None:
    with pytest.raises(InvalidSpec, match="UID setting is malformed"):
        parse_mappings([text], "uid", SESSION)


def test_ids_of_others() -> None:
    with pytest.raises(InvalidSpec, match="not all of the 10 ids from @1000 on are yours"):
        parse_mappings(["0:@1000:10"], "uid", SESSION)


MAPPING = st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(1, 100))


@given(st.lists(MAPPING, min_size=1, max_size=6))
def test_extended_maps_use_every_id_once(mappings: list[tuple[int, int, int]]) -> None:
    parent = ((0, 5000, 100), (100, 9000, 900))
    found = parse_mappings([f"+{inside}:{outside}:{count}" for inside, outside, count in mappings], "uid", parent)
    check_map(found, "--uidmap")
    assert sum(count for _, _, count in found) == 1000
    inside, outside, count = mappings[-1]
    assert [idmap.outside(found, inside + n) for n in range(count)] == [outside + n for n in range(count)]


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
