"""Plans as bytes, the input of pause/common/plan.c, with any arguments."""

from __future__ import annotations

import os
import re
import signal
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.runtime import ops as ops_module
from pypod.runtime.operations import OPERATIONS
from pypod.runtime.ops import Op, Plan, shared
from tests.unit.plan_cases import records

# the possible words of a command line: text, and bytes that are not text, as lone surrogates
words = st.text() | st.binary().map(os.fsdecode)
arguments = st.lists(words, min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Op("log", ""), b"\0\0\0\0" b"\0"),
        (Op("log", "a"), b"\x01\0\0\0" b"a\0"),
        (Op("log", "é"), b"\x02\0\0\0" b"\xc3\xa9\0"),
        (Op("log", "\udcff"), b"\x01\0\0\0" b"\xff\0"),
        (Op("log", "a\nb"), b"\x03\0\0\0" b"a\nb\0"),
        (Op("log", "x" * 127), b"\x7f\0\0\0" + b"x" * 127 + b"\0"),
        (Op("log", "x" * 128), b"\x80\0\0\0" + b"x" * 128 + b"\0"),
        (Op("log", "x" * 70_000), b"\x70\x11\x01\0" + b"x" * 70_000 + b"\0"),
        (Op("execute", "a"), b"\x01\0\0\0" b"a\0"),
        (Op("umask", "077"), b"\x03\0\0\0" b"077\0"),
        (Op("unshare", 0), b"\x01\0\0\0" b"0\0"),
        (Op("unshare", 2**64 - 1), b"\x14\0\0\0" b"18446744073709551615\0"),
        (Op("unshare", True), b"\x01\0\0\0" b"1\0"),
        (Op("unshare", signal.SIGTERM), b"\x02\0\0\0" b"15\0"),
        (Op("oom_score", -1), b"\x02\0\0\0" b"-1\0"),
        (Op("seccomp", b"", 0), b"\0\0\0\0" b"\0" b"\x01\0\0\0" b"0\0"),
        (Op("seccomp", b"\0\xff\0", 0), b"\x03\0\0\0" b"\0\xff\0\0" b"\x01\0\0\0" b"0\0"),
    ],
    ids=lambda value: repr(value)[:32],
)  # fmt: skip
def test_an_argument_is_its_length_its_bytes_and_a_nul(op: Op, expected: bytes) -> None:
    head = struct.pack("<II", OPERATIONS[op.name][0], len(op.arguments))
    assert op.encode() == head + expected


def test_without_arguments_there_is_only_a_head() -> None:
    assert Op("pivot").encode() == b"\x35\0\0\0" b"\0\0\0\0"  # fmt: skip
    assert Plan(()).encode() == b""


@given(st.lists(arguments, max_size=4))
def test_everything_can_be_read_again(several: list[list[str]]) -> None:
    encoded = Plan(Op("execute", *each) for each in several).encode()
    assert list(records(encoded)) == [(69, [os.fsencode(one) for one in each]) for each in several]


@given(st.binary(), st.lists(st.integers(0, 2**64 - 1), max_size=200))
def test_bytes_and_numbers_can_be_read_again(messages: bytes, offsets: list[int]) -> None:
    (read,) = records(Op("netlink", "eth0", 0, messages, *offsets).encode())
    assert read == (31, [b"eth0", b"0", messages, *(str(offset).encode() for offset in offsets)])


def test_what_is_no_text_at_all_is_an_error_and_not_other_bytes() -> None:
    with pytest.raises(UnicodeEncodeError):
        Op("execute", "\ud800").encode()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("pivot", "x"), "operation pivot: 'x' is one argument too many; it takes none"),
        (("finally",), "operation finally: ARGV is missing; it takes ARGV..."),
        (("log",), "operation log: PATH is missing; it takes PATH"),
        (("join", 1, 2), "operation join: FLAGS is missing; it takes PID START_TIME FLAGS"),
        (("join", 1, 2, 3, 4), "operation join: 4 is one argument too many; it takes PID START_TIME FLAGS"),
        (("idmap_by", "newuidmap"), "operation idmap_by: RANGE is missing; it takes PROGRAM RANGE..."),
        (("mount", "a", "b", "c"), "operation mount: ATTRIBUTES is missing; it takes TYPE SOURCE TARGET ATTRIBUTES"),
        (("user",), r"operation user: USER is missing; it takes USER \[GROUP_ADD...\]"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_missing_or_further_argument_is_an_error_at_once(words: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Op(*words)


def test_there_is_no_operation_of_another_name() -> None:
    with pytest.raises(KeyError):
        Op("unmount", "/a")


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (Op("log", 5), "operation log: PATH must be str, not 5"),
        (Op("log", b"/a"), "operation log: PATH must be str, not b'/a'"),
        (Op("join", 1, "2", 3), "operation join: START_TIME must be int, not '2'"),
        (Op("umask", 0o77), "operation umask: MASK must be str, not 63"),
        (Op("oom_score", "5"), "operation oom_score: ADJUSTMENT must be int, not '5'"),
        (Op("seccomp", "filter", 0), "operation seccomp: FILTER must be bytes, not 'filter'"),
        (Op("seccomp", 5, 0), "operation seccomp: FILTER must be bytes, not 5"),
        (Op("capabilities", 1, "0", "0", "0", "0"), "operation capabilities: BOUNDING must be str, not 1"),
        (Op("execute", "a", "b", 3, "d"), "operation execute: ARGV must be str, not 3"),
        (Op("netlink", "a", 0, b"", 1, 2, "3"), "operation netlink: OFFSET must be int, not '3'"),
    ],
    ids=lambda value: value.name if isinstance(value, Op) else "",
)
def test_an_argument_of_another_kind_has_no_bytes(op: Op, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        op.encode()
    with pytest.raises(TypeError, match=re.escape(message)):
        Plan([Op("pivot"), op]).encode()


def test_arguments_have_names() -> None:
    assert Op("bind", 3, "/a", 1, 2, 0).named() == {
        "SLOT": 3, "TARGET": "/a", "ATTRIBUTES": 1, "PROPAGATION": 2, "RECURSIVE": 0,
    }  # fmt: skip
    assert Op("user", "alice").named() == {"USER": "alice", "GROUP_ADD": ()}
    assert Op("user", "alice", "a", "b").named() == {"USER": "alice", "GROUP_ADD": ("a", "b")}
    assert Op("pivot").named() == {}


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (Op("execute", "a", "b c"), "run a b c"),
        (Op("finally", "a", "b c"), "at the very end run a b c"),
        (Op("idmap_by", "newuidmap", 0, 1000, 1), "map its ids with newuidmap 0 1000 1"),
        (
            Op("session", "still to be made", 0),
            "continue in the user namespace of process still to be made, as root there",
        ),
        (Op("seccomp", b"\0" * 8, 0), "filter system calls"),
        (Op("clone", 0x60020000, "/g"), "create the process with new namespaces mnt, pid, net in cgroup /g"),
        (Op("clone", 0, ""), "create the process"),
        (Op("mount", "proc", "proc", "/proc", 15), "mount proc on /proc (ro,nosuid,nodev,noexec)"),
        (Op("mount", "proc", "proc", "/proc", 0), "mount proc on /proc"),
        (Op("bind", 3, "/a", 1, 1 << 18, 0), "mount number 3 on /a (ro)"),
        (Op("propagation", 0x4000 | 1 << 19), "make the mounts of the new mount namespace slave: its changes"),
        (Op("propagation", 0x4000 | 1 << 18), "make the mounts of the new mount namespace private: its changes"),
        (Op("resource_limit", 7, 1, 2), "limit resource NOFILE to 1, at most 2"),
        (Op("resource_limit", 99, 1, 2), "limit resource 99 to 1, at most 2"),
        (Op("capabilities", "21", "20", "0", "0", "0"), "become the user with the capabilities KILL out of CHOWN,KILL"),
        (Op("capabilities", "0", "0", "0", "0", "0"), "become the user with the capabilities none out of none"),
        (Op("idmap", "0 1000 1\n1 5 9\n", "0 7 1\n", ""), "map user ids 0 1000 1, 1 5 9 and group ids 0 7 1"),
        (Op("hold", "tcp", "", 80), "hold port 80/tcp on all addresses"),
        (Op("hold", "tcp", "::1", 80), "hold port 80/tcp on ::1"),
        (Op("mask", "/a{0}"), "hide /a{0}, if it exists"),
        (Op("clone", "x", ""), "create the process with new namespaces x"),  # even in an invalid plan
    ],
)
def test_an_operation_in_words(op: Op, words: str) -> None:
    assert op.describe().startswith(words)


def test_words_and_bytes_are_in_one_order() -> None:
    plan = Plan([Op("pivot"), Op("execute", "a")])
    assert [number for number, _ in records(plan.encode())] == [53, 69]
    assert plan.describe() == [
        "make it the root and detach the host's  [pivot_root(2)]",
        "run a  [execve(2)]",
    ]


def test_a_plan_is_a_value() -> None:
    assert Op("mask", "/a") == Op("mask", "/a") != Op("mask", "/b")
    assert Op("mask", "/a") != Op("read_only", "/a")
    assert len({Op("mask", "/a"), Op("mask", "/a"), Op("mask", "/b")}) == 2
    assert eval(repr(Op("seccomp", b"b", 1)), {"Op": Op}) == Op("seccomp", b"b", 1)  # noqa: S307


def test_a_shared_operation_is_made_once_and_has_the_bytes_of_any_other() -> None:
    words: tuple[Any, ...] = ("bind", 3, "/a", 1, 2, 0)
    assert shared(*words) is shared(*words)
    assert Plan([shared(*words), Op("pivot")]).encode() == Plan([Op(*words), Op("pivot")]).encode()


def test_the_memory_of_shared_operations_is_bounded() -> None:
    for number in range(3 * ops_module._MANY):
        shared("mask", f"/{number}")
    assert len(ops_module._shared) <= ops_module._MANY


def test_numbers_and_truth_values_that_are_equal_have_equal_bytes() -> None:
    assert shared("bind", 1, "/b", 0, 0, 1).encode() == shared("bind", True, "/b", 0, 0, True).encode()
