"""Plans as bytes: what pause/common/plan.c is given, whatever the arguments hold."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.runtime.ops import Op, Plan
from tests.unit.plan_cases import records

# what a command line can hold: text, and as lone surrogates bytes that are none
words = st.text() | st.binary().map(os.fsdecode)
arguments = st.lists(words | st.integers() | st.binary(), max_size=6)


def as_bytes(argument: str | int | bytes) -> bytes:
    return argument if isinstance(argument, bytes) else os.fsencode(str(argument))


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("", b"\0\0\0\0" b"\0"),
        ("a", b"\x01\0\0\0" b"a\0"),
        ("é", b"\x02\0\0\0" b"\xc3\xa9\0"),
        ("\udcff", b"\x01\0\0\0" b"\xff\0"),
        ("a\nb", b"\x03\0\0\0" b"a\nb\0"),
        (0, b"\x01\0\0\0" b"0\0"),
        (-1, b"\x02\0\0\0" b"-1\0"),
        (2**64 - 1, b"\x14\0\0\0" b"18446744073709551615\0"),
        (b"", b"\0\0\0\0" b"\0"),
        (b"\0\xff\0", b"\x03\0\0\0" b"\0\xff\0\0"),
        ("x" * 70_000, b"\x70\x11\x01\0" + b"x" * 70_000 + b"\0"),
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_an_argument_is_its_length_its_bytes_and_a_nul(argument: str | int | bytes, expected: bytes) -> None:
    assert Op("execute", argument).encode() == b"\x45\0\0\0" b"\x01\0\0\0" + expected  # fmt: skip


def test_without_arguments_there_is_only_a_head() -> None:
    assert Op("pivot").encode() == b"\x35\0\0\0" b"\0\0\0\0"  # fmt: skip
    assert Plan(()).encode() == b""


@given(st.lists(arguments, max_size=4))
def test_everything_can_be_read_again(several: list[list[str | int | bytes]]) -> None:
    encoded = Plan(Op("execute", *each) for each in several).encode()
    assert list(records(encoded)) == [(69, [as_bytes(one) for one in each]) for each in several]


def test_what_is_no_text_at_all_is_an_error_and_not_other_bytes() -> None:
    with pytest.raises(UnicodeEncodeError):
        Op("execute", "\ud800").encode()


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (Op("execute", "a", "b c"), "run a b c"),
        (Op("execute"), "run "),
        (Op("seccomp", b"\0" * 8, 0), "filter system calls"),
        (Op("clone", 0x60020000, "/g"), "make the process with new namespaces mnt, pid, net in cgroup /g"),
        (Op("clone", 0, ""), "make the process"),
        (Op("mount", "proc", "proc", "/proc", 15), "mount proc on /proc (ro,nosuid,nodev,noexec)"),
        (Op("mount", "proc", "proc", "/proc", 0), "mount proc on /proc"),
        (Op("bind", 3, "/a", 1, 1 << 18, 0), "mount number 3 on /a (ro)"),
        (Op("propagation", 0x4000 | 1 << 19), "make the mounts of the new mount namespace slave: nothing of it shows"),
        (Op("propagation", 0x4000 | 1 << 18), "make the mounts of the new mount namespace private: nothing of it"),
        (Op("resource_limit", 7, 1, 2), "limit resource NOFILE to 1, at most 2"),
        (Op("resource_limit", 99, 1, 2), "limit resource 99 to 1, at most 2"),
        (Op("capabilities", "21", "20", "0", "0", "0"), "become the user with the capabilities KILL out of CHOWN,KILL"),
        (Op("capabilities", "0", "0", "0", "0", "0"), "become the user with the capabilities none out of none"),
        (Op("idmap", "0 1000 1\n1 5 9\n", "0 7 1\n", ""), "map user ids 0 1000 1, 1 5 9 and group ids 0 7 1"),
        (Op("hold", "tcp", "", 80), "hold port 80/tcp on all addresses"),
        (Op("hold", "tcp", "::1", 80), "hold port 80/tcp on ::1"),
        (Op("mask", "/a{0}"), "hide /a{0}, if it is there"),
        (Op("clone", "x", ""), "make the process with new namespaces x"),  # of a plan that is wrong, all the same
    ],
)
def test_an_operation_in_words(op: Op, words: str) -> None:
    assert op.describe().startswith(words)


def test_words_and_bytes_are_in_one_order() -> None:
    plan = Plan([Op("pivot"), Op("execute", "a")])
    assert [number for number, _ in records(plan.encode())] == [53, 69]
    assert plan.describe() == [
        "make it the root and let the host's go  [pivot_root(2)]",
        "run a  [execve(2)]",
    ]


def test_a_plan_is_a_value() -> None:
    assert Op("mask", "/a") == Op("mask", "/a") != Op("mask", "/b")
    assert Op("mask", "/a") != Op("read_only", "/a")
    assert len({Op("mask", "/a"), Op("mask", "/a"), Op("mask", "/b")}) == 2
    assert eval(repr(Op("mask", "/a", 1, b"b")), {"Op": Op}) == Op("mask", "/a", 1, b"b")  # noqa: S307
