from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.capabilities import DEFAULT_CAPABILITIES
from pypod.runtime.seccomp import filter
from pypod.runtime.seccomp.abi import MULTIPLEXED, read_numbers
from pypod.runtime.seccomp.bpf import Program
from pypod.runtime.seccomp.filter import compile_profile, filter_and_flags, filter_for, load_profile
from tests.bpf_machine import AARCH64, ARM, I386, X32_BIT, X86_64, decode, run

ALLOW, LOG, KILL, KILL_PROCESS, TRAP = 0x7FFF0000, 0x7FFC0000, 0, 0x80000000, 0x00030000
ERRNO, TRACE = 0x00050000, 0x7FF00000
CAPS = frozenset(DEFAULT_CAPABILITIES)
NUMBERS = {column: read_numbers(column) for column in ("x86_64", "i386", "x32", "aarch64", "arm")}
UINT64 = 2**64 - 1


def profile(*syscalls: dict, **top: object) -> dict:
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(syscalls), **top}


def rule(called: str, action: str = "SCMP_ACT_ALLOW", *args: dict, **more: object) -> dict:
    return {"names": [called], "action": action, "args": list(args), **more}


def arg(index: int, op: str, value: int, second: int = 0) -> dict:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": second}


def compiled(given_profile: dict, architecture: str = "x86_64", caps: frozenset[str] = frozenset(), **more: str):
    return decode(compile_profile(given_profile, caps, architecture, **more))


def action(code: list, name: str, *args: int, column: str = "x86_64") -> int:
    arch = {"x86_64": X86_64, "x32": X86_64, "i386": I386, "aarch64": AARCH64, "arm": ARM}[column]
    number = NUMBERS[column][name] + (X32_BIT if column == "x32" else 0)
    return run(code, number, arch, (*args, *[0] * (6 - len(args))))[0]


# --- arbitrary profiles, compared with an interpreter of their rules

OPERATORS = {
    "NE": lambda x, a, _: x != a,
    "LT": lambda x, a, _: x < a,
    "LE": lambda x, a, _: x <= a,
    "EQ": lambda x, a, _: x == a,
    "GE": lambda x, a, _: x >= a,
    "GT": lambda x, a, _: x > a,
    "MASKED_EQ": lambda x, a, b: x & a == b & a,
}
PLAIN_ACTIONS = {
    "SCMP_ACT_ALLOW": ALLOW,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_KILL": KILL,
    "SCMP_ACT_KILL_THREAD": KILL,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": TRAP,
}
FAMILY = {
    "x86_64": [("x86_64", X86_64, 0), ("x32", X86_64, X32_BIT), ("i386", I386, 0)],
    "aarch64": [("aarch64", AARCH64, 0), ("arm", ARM, 0)],
}
ABI_NAME = {"x86_64": "X86_64", "x32": "X32", "i386": "X86", "aarch64": "AARCH64", "arm": "ARM"}


def action_value(entry: dict, key: str, errno_key: str) -> int:
    if entry[key] in PLAIN_ACTIONS:
        return PLAIN_ACTIONS[entry[key]]
    base = {"SCMP_ACT_ERRNO": ERRNO, "SCMP_ACT_TRACE": TRACE}[entry[key]]
    return base | entry.get(errno_key, errno.EPERM)


def applies(entry: dict, caps: frozenset[str], machine: str, kernel: tuple[int, int]) -> bool:
    includes, excludes = entry.get("includes", {}), entry.get("excludes", {})
    go_machine = {"x86_64": "amd64", "aarch64": "arm64"}[machine]
    if "arches" in includes and go_machine not in includes["arches"]:
        return False
    if go_machine in excludes.get("arches", ()):
        return False
    if not caps.issuperset(includes.get("caps", ())) or caps.intersection(excludes.get("caps", ())):
        return False
    if "minKernel" in includes and kernel < tuple(map(int, includes["minKernel"].split("."))):
        return False
    return not ("minKernel" in excludes and kernel >= tuple(map(int, excludes["minKernel"].split("."))))


def evaluate(entry: dict, column: str, number: int, args: tuple[int, ...], selected: list[dict]) -> int:
    default = action_value(entry, "defaultAction", "defaultErrnoRet")
    mask = UINT64 if column in ("x86_64", "aarch64") else 0xFFFFFFFF
    first = None
    for one in selected:
        value = action_value(one, "action", "errnoRet")
        if value == default or not any(NUMBERS[column].get(name) == number for name in one["names"]):
            continue
        if not one["args"]:
            return value
        tests = [
            OPERATORS[arg["op"].removeprefix("SCMP_CMP_")](
                args[arg["index"]] & mask, arg["value"] & mask, arg["valueTwo"] & mask
            )
            for arg in one["args"]
        ]
        repeated = len({arg["index"] for arg in one["args"]}) < len(tests)
        if first is None and (any(tests) if repeated else all(tests)):
            first = value
    return default if first is None else first


SOME_NAMES = sorted({*NUMBERS["x86_64"], *NUMBERS["i386"], *NUMBERS["arm"], "nosuch"} - MULTIPLEXED.keys())
VALUES = (0, 1, 9, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, 1 << 63, UINT64)
WORDS = st.one_of(st.sampled_from(VALUES), st.integers(0, UINT64))
ARGS = st.builds(
    arg, st.integers(0, 5), st.sampled_from(sorted(OPERATORS)), st.sampled_from(VALUES), st.sampled_from(VALUES)
)
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "caps": st.lists(st.sampled_from(["CAP_KILL", "CAP_SYS_ADMIN"]), max_size=2),
        "arches": st.lists(st.sampled_from(["amd64", "arm64", "x32", "s390x"]), min_size=1, max_size=2),
        "minKernel": st.sampled_from(["3.17", "4.8", "6.10", "10.1"]),
    },
)
NAMES = st.lists(st.one_of(st.sampled_from(["read", "clone", "mmap2"]), st.sampled_from(SOME_NAMES)), max_size=60)
RULES = st.one_of(
    st.fixed_dictionaries(
        {
            "names": NAMES,
            "action": st.sampled_from(sorted(PLAIN_ACTIONS)),
            "args": st.lists(ARGS, max_size=3),
        },
        optional={"includes": CONDITIONS, "excludes": CONDITIONS},
    ),
    st.fixed_dictionaries(
        {
            "names": NAMES,
            "action": st.sampled_from(["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"]),
            "args": st.lists(ARGS, max_size=3),
        },
        optional={"errnoRet": st.integers(0, 4095)},
    ),
)
DEFAULTS = st.one_of(
    st.fixed_dictionaries({"defaultAction": st.sampled_from(sorted(PLAIN_ACTIONS))}),
    st.fixed_dictionaries({"defaultAction": st.just("SCMP_ACT_ERRNO"), "defaultErrnoRet": st.sampled_from([1, 38])}),
)


@given(
    top=DEFAULTS,
    rules=st.lists(RULES, max_size=8),
    subs=st.lists(st.sampled_from(["X32", "X86", "ARM"]), unique=True),
    host=st.tuples(st.sampled_from(sorted(FAMILY)), st.sampled_from([(4, 8), (6, 1), (6, 18)])),
    vectors=st.lists(st.tuples(*[WORDS] * 6), min_size=2, max_size=5),
)
@settings(max_examples=25, deadline=None, database=None)
def test_any_program_decides_as_its_profile_reads(
    top: dict, rules: list[dict], subs: list[str], host: tuple[str, tuple[int, int]], vectors: list[tuple[int, ...]]
) -> None:
    machine, kernel = host
    native = f"SCMP_ARCH_{ABI_NAME[machine]}"
    entry = {
        **top,
        "archMap": [{"architecture": native, "subArchitectures": [f"SCMP_ARCH_{sub}" for sub in subs]}],
        "syscalls": rules,
    }
    caps = frozenset(["CAP_KILL"])
    code = compiled(entry, machine, caps, kernel=f"{kernel[0]}.{kernel[1]}.0-generic")
    selected = [one for one in rules if applies(one, caps, machine, kernel)]
    named = {name for one in rules for name in one["names"]} | {"read", "exit"}
    for column, arch, base in FAMILY[machine]:
        present = column == machine or ABI_NAME[column] in subs
        near = {NUMBERS[column][name] for name in named if name in NUMBERS[column]}
        for number in sorted({max(0, number + step) for number in near for step in (-1, 0, 1)}):
            for args in vectors:
                expected = evaluate(entry, column, number, args, selected) if present else KILL
                assert (run(code, number + base, arch, args)[0], column, number) == (expected, column, number)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
@pytest.mark.parametrize("wide", [True, False])
def test_comparisons_at_every_edge(operator: str, wide: bool) -> None:
    column = "x86_64" if wide else "i386"
    mask = UINT64 if wide else 0xFFFFFFFF
    edges = sorted({value + step & UINT64 for value in VALUES for step in (-1, 0, 1)})
    for value in VALUES:
        for second in VALUES if operator == "MASKED_EQ" else (0,):
            code = compiled(
                profile(
                    rule("read", "SCMP_ACT_ALLOW", arg(5, operator, value, second)), architectures=["SCMP_ARCH_X86"]
                )
            )
            for x in edges:
                holds = OPERATORS[operator](x & mask, value & mask, second & mask)
                assert (action(code, "read", 0, 0, 0, 0, 0, x, column=column) == ALLOW) is holds, (value, second, x)


def test_jumps_further_than_255_instructions() -> None:
    # Every call has its own rule and errno: no leaves can be shared, and the tree's root has thousands of instructions
    # below it.
    names = sorted(NUMBERS["x86_64"])
    rules = [rule(name, "SCMP_ACT_ERRNO", arg(0, "EQ", index), errnoRet=index + 2) for index, name in enumerate(names)]
    code = compiled(profile(*rules, defaultAction="SCMP_ACT_ALLOW"))
    assert len(code) > 2000
    for index, name in enumerate(names):
        assert action(code, name, index) == ERRNO | index + 2
        assert action(code, name, index + 1) == ALLOW
        assert action(code, name, index | 1 << 32) == ALLOW


@pytest.mark.parametrize("distance", [*range(250, 262), 600])
def test_a_branch_reaches_both_ends_at_any_distance(distance: int) -> None:
    program = Program()
    yes = program.load(16, program.ret(1))
    no = program.load(20, program.ret(2))
    for _ in range(distance):
        program.load(0, len(program) - 1)
    program.load(0, program.branch(0x15, 7, yes, no))
    code = decode(program.encode())
    assert run(code, 7, X86_64)[0] == 1
    assert run(code, 8, X86_64)[0] == 2


def test_an_instruction_that_cannot_jump_falls_into_what_it_asked_for() -> None:
    program = Program()
    wanted = program.ret(1)
    program.ret(2)
    program.load(0, wanted, mask=0xFF)
    assert run(decode(program.encode()), 7, X86_64)[0] == 1


# --- architectures


def test_bundled_profile_on_both_machines() -> None:
    bundled = load_profile(filter.BUNDLED_PROFILE)
    for machine, columns in (("x86_64", ("x86_64", "i386", "x32")), ("aarch64", ("aarch64", "arm"))):
        code = compiled(bundled, machine, CAPS)
        assert len(code) < 400
        for column in columns:
            assert action(code, "read", column=column) == ALLOW
            assert action(code, "add_key", column=column) == ERRNO | errno.ENOSYS
            assert action(code, "bpf", column=column) == ERRNO | errno.EPERM
            assert action(code, "mseal", column=column) == ERRNO | errno.ENOSYS
            assert action(code, "chroot", column=column) == ALLOW
            assert action(code, "personality", 0x40000, column=column) == ERRNO | errno.ENOSYS
            assert action(code, "personality", 8, column=column) == ALLOW
    assert action(compiled(bundled, "x86_64", CAPS | {"CAP_SYS_ADMIN"}), "bpf") == ALLOW
    assert action(compiled(bundled, "x86_64", CAPS - {"CAP_SYS_CHROOT"}), "chroot") == ERRNO | errno.EPERM


def test_netlink_audit_needs_its_capability() -> None:
    bundled = load_profile(filter.BUNDLED_PROFILE)
    code = compiled(bundled, "x86_64", CAPS)
    assert action(code, "socket", 16, 3, 9) == ERRNO | errno.EINVAL
    assert action(code, "socket", 16, 3, 0) == ALLOW
    assert action(code, "socket", 2, 1, 9) == ALLOW
    assert action(compiled(bundled, "x86_64", CAPS | {"CAP_AUDIT_WRITE"}), "socket", 16, 3, 9) == ALLOW


@pytest.mark.parametrize(
    ("top", "i386", "x32"),
    [
        ({}, KILL, KILL),
        ({"architectures": ["SCMP_ARCH_X86"]}, ALLOW, KILL),
        ({"architectures": ["SCMP_ARCH_X32", "SCMP_ARCH_NATIVE", "SCMP_ARCH_S390"]}, KILL, ALLOW),
        ({"archMap": [{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_X86"]}]}, KILL, KILL),
        ({"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}]}, ALLOW, KILL),
        ({"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": None}]}, KILL, KILL),
        # Only the first entry for the machine counts.
        (
            {
                "archMap": [
                    {"architecture": "SCMP_ARCH_X86_64"},
                    {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                ]
            },
            KILL,
            KILL,
        ),
    ],
)
def test_only_the_abis_of_the_profile_get_in(top: dict, i386: int, x32: int) -> None:
    code = compiled(profile(rule("read"), **top))
    assert action(code, "read") == ALLOW
    assert action(code, "read", column="i386") == i386
    assert action(code, "read", column="x32") == x32
    assert run(code, NUMBERS["aarch64"]["read"], AARCH64)[0] == KILL
    # -1 is not a call of any ABI: a tracer sets it to have a call skipped.
    assert run(code, -1, X86_64)[0] == ERRNO | errno.EPERM


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(Unsupported):
        compile_profile(profile(), frozenset(), "riscv64")


@pytest.mark.parametrize(("name", "entry", "call"), [("socket", "socketcall", 1), ("shmat", "ipc", 21)])
def test_i386_cannot_escape_through_a_multiplexer(name: str, entry: str, call: int) -> None:
    deny = profile(rule(name, "SCMP_ACT_ERRNO"), defaultAction="SCMP_ACT_ALLOW", architectures=["SCMP_ARCH_X86"])
    code = compiled(deny)
    assert action(code, entry, call, column="i386") == ERRNO | errno.EPERM
    assert action(code, entry, call + 1, column="i386") == ALLOW
    if entry == "ipc":
        assert action(code, entry, call | 1 << 16, column="i386") == ERRNO | errno.EPERM


def test_arguments_behind_a_multiplexer_count_as_the_worst_they_can_be() -> None:
    not_vsock = arg(0, "NE", 40)
    milder = compiled(profile(rule("socket", "SCMP_ACT_ALLOW", not_vsock), architectures=["SCMP_ARCH_X86"]))
    assert action(milder, "socket", 2, column="i386") == ALLOW
    assert action(milder, "socketcall", 1, column="i386") == ERRNO | errno.EPERM
    stricter = compiled(
        profile(
            rule("socket", "SCMP_ACT_KILL_PROCESS", arg(0, "EQ", 40)),
            defaultAction="SCMP_ACT_ALLOW",
            architectures=["SCMP_ARCH_X86"],
        )
    )
    assert action(stricter, "socket", 2, column="i386") == ALLOW
    assert action(stricter, "socketcall", 1, column="i386") == KILL_PROCESS


# --- rules


def test_rules_with_the_default_action_are_skipped() -> None:
    same = rule("read", "SCMP_ACT_ERRNO", arg(0, "EQ", 1))
    code = compiled(profile(same, rule("read", "SCMP_ACT_ALLOW", arg(0, "LE", 5))))
    assert action(code, "read", 1) == ALLOW


def test_an_unconditional_rule_wins_wherever_it_stands() -> None:
    conditional, allow = rule("read", "SCMP_ACT_TRAP", arg(0, "EQ", 1)), rule("read")
    for rules in ((conditional, allow), (allow, conditional)):
        assert action(compiled(profile(*rules)), "read", 1) == ALLOW


def test_an_argument_named_twice_means_alternatives() -> None:
    code = compiled(profile(rule("read", "SCMP_ACT_ALLOW", arg(0, "EQ", 3), arg(1, "EQ", 4), arg(0, "EQ", 5))))
    assert [action(code, "read", *args) for args in ((3, 0), (5, 0), (0, 4))] == [ALLOW] * 3
    assert action(code, "read", 0, 0) == ERRNO | errno.EPERM


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"action": "SCMP_ACT_ERRNO", "errnoRet": 22}, ERRNO | 22),
        ({"action": "SCMP_ACT_ERRNO", "errno": "ENOSYS", "errnoRet": 22}, ERRNO | 38),
        ({"action": "SCMP_ACT_ERRNO", "errno": "110"}, ERRNO | 110),
        ({"action": "SCMP_ACT_ERRNO", "errno": "", "errnoRet": None}, ERRNO | 1),
        ({"action": "SCMP_ACT_TRACE"}, TRACE | 1),
        ({"action": "SCMP_ACT_TRACE", "errnoRet": 65535}, TRACE | 65535),
        ({"action": "SCMP_ACT_KILL_PROCESS"}, KILL_PROCESS),
        ({"action": "SCMP_ACT_LOG", "errno": ""}, LOG),
    ],
)
def test_actions(entry: dict, expected: int) -> None:
    code = compiled({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], **entry}]})
    assert action(code, "read") == expected
    code = compiled({f"default{key[0].upper()}{key[1:]}": value for key, value in entry.items()})
    assert action(code, "read") == expected


@pytest.mark.parametrize(
    ("conditions", "selected"),
    [
        ({"includes": {"caps": ["CAP_KILL", "CAP_CHOWN"]}}, True),
        ({"includes": {"caps": ["CAP_KILL", "CAP_BPF"]}}, False),
        ({"includes": {"arches": ["arm64", "amd64"]}}, True),
        ({"includes": {"arches": ["arm64", "x32"]}}, False),
        ({"includes": {"minKernel": "6.1"}}, True),
        ({"includes": {"minKernel": "6.2"}}, False),
        ({"includes": {"minKernel": "5.10"}}, True),
        ({"includes": {"caps": ["CAP_KILL"], "arches": ["arm64"]}}, False),
        ({"includes": {"caps": ["CAP_BPF"], "arches": ["amd64"], "minKernel": "6.1"}}, False),
        ({"excludes": {"caps": ["CAP_BPF"]}}, True),
        ({"excludes": {"caps": ["CAP_BPF", "CAP_KILL"]}}, False),
        ({"excludes": {"arches": ["amd64"], "caps": ["CAP_BPF"]}}, False),
        ({"excludes": {"arches": ["arm64"]}}, True),
        ({"excludes": {"minKernel": "6.1"}}, False),
        ({"excludes": {"minKernel": "6.2"}}, True),
        ({"includes": {"caps": ["CAP_KILL"]}, "excludes": {"caps": ["CAP_CHOWN"]}}, False),
        ({"includes": {}, "excludes": None}, True),
        ({"includes": {"caps": None, "arches": [], "minKernel": ""}}, True),
    ],
)
def test_includes_and_excludes(conditions: dict, selected: bool) -> None:
    caps = frozenset(["CAP_KILL", "CAP_CHOWN"])
    code = compiled(profile(rule("read", **conditions)), "x86_64", caps, kernel="6.1.0-18-amd64")
    assert (action(code, "read") == ALLOW) is selected


def test_keys_are_read_as_go_reads_them() -> None:
    code = compiled({"DefaultAction": "SCMP_ACT_ERRNO", "SYSCALLS": [{"Name": "read", "ACTION": "SCMP_ACT_ALLOW"}]})
    assert action(code, "read") == ALLOW
    assert action(code, "write") == ERRNO | errno.EPERM


def test_flags(tmp_path) -> None:
    def flags_of(**top: object) -> int:
        path = tmp_path / "flags.json"
        path.write_text(json.dumps(profile(**top)))
        fresh = filter_and_flags(str(path), CAPS, str(tmp_path))
        assert filter_and_flags(str(path), CAPS, str(tmp_path)) == fresh
        return fresh[1]

    assert flags_of() == flags_of(flags=[]) == 4
    assert flags_of(flags=["SECCOMP_FILTER_FLAG_LOG"]) == 2
    assert flags_of(flags=["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]) == 6


# --- hostile input

BAD_ARG = {"index": 0, "op": "SCMP_CMP_EQ", "value": 0}


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({}, "defaultAction: unknown action ''"),
        ({"defaultAction": "SCMP_ACT_ALOW"}, "defaultAction: unknown action 'SCMP_ACT_ALOW'"),
        ({"defaultAction": ["SCMP_ACT_ALLOW"]}, "defaultAction: expected a string, found a list"),
        (profile(defaultErrno="EWHAT"), "defaultErrno: unknown errno 'EWHAT'"),
        (profile(defaultErrno="errorcode"), "defaultErrno: unknown errno"),
        (profile(defaultErrnoRet=4096), "defaultErrnoRet: expected a number from 0 to 4095"),
        (profile(defaultErrnoRet=True), "defaultErrnoRet: expected a number, found a boolean"),
        (profile(syscalls={}), "syscalls: expected a list, found an object"),
        (profile(7), "syscalls[0]: expected an object, found a number"),
        (profile(rule("read", "SCMP_ACT_WHAT")), "syscalls[0].action: unknown action 'SCMP_ACT_WHAT'"),
        (profile(rule("read"), {"names": "read", "action": "SCMP_ACT_ALLOW"}), "syscalls[1].names: expected a list"),
        (profile({"names": ["a", None, 3], "action": "SCMP_ACT_ALLOW"}), "syscalls[0].names[2]: expected a string"),
        (profile(rule("read", name="write")), "syscalls[0]: 'name' and 'names' were specified"),
        (profile(rule("read", errnoRet=1)), "syscalls[0].errnoRet: errno value specified for action SCMP_ACT_ALLOW"),
        (profile(rule("read", "SCMP_ACT_ALLOW", {**BAD_ARG, "index": 6})), "syscalls[0].args[0].index: expected"),
        (profile(rule("read", "SCMP_ACT_ALLOW", {**BAD_ARG, "value": -1})), "syscalls[0].args[0].value: expected"),
        (profile(rule("read", "SCMP_ACT_ALLOW", {**BAD_ARG, "value": 2**64})), "syscalls[0].args[0].value: expected"),
        (profile(rule("read", "SCMP_ACT_ALLOW", {**BAD_ARG, "value": 1.0})), "syscalls[0].args[0].value: expected"),
        (profile(rule("read", "SCMP_ACT_ALLOW", {**BAD_ARG, "op": "EQ"})), "syscalls[0].args[0].op: unknown operator"),
        (profile(rule("read", "SCMP_ACT_ALLOW", {**BAD_ARG, "op": "xSCMP_CMP_EQ"})), "op: unknown operator"),
        (profile(rule("read", includes={"caps": "CAP_KILL"})), "syscalls[0].includes.caps: expected a list"),
        (profile(rule("read", excludes={"arches": [1]})), "syscalls[0].excludes.arches[0]: expected a string"),
        (profile(rule("read", includes={"minKernel": "four"})), "syscalls[0].includes.minKernel: not a kernel version"),
        # Rules that do not apply are checked as well.
        (profile(rule("read", "x", includes={"caps": ["CAP_BPF"]})), "syscalls[0].action: unknown action 'x'"),
        (profile(architectures=["SCMP_ARCH_VAX"]), "architectures[0]: unknown architecture"),
        (profile(archMap=[{"architecture": "amd64"}]), "archMap[0].architecture: unknown architecture 'amd64'"),
        (
            profile(architectures=["SCMP_ARCH_X86"], archMap=[{"architecture": "SCMP_ARCH_X86_64"}]),
            "'architectures' and 'archMap' were specified in the seccomp profile, use either",
        ),
        (profile(flags=["SECCOMP_FILTER_FLAG_NEW_LISTENER"]), "flags[0]: unknown flag"),
        (None, "expected an object, found null"),
        ([], "expected an object, found a list"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(bad: object, place: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        compile_profile(bad, frozenset(), "x86_64", source="web.json")
    assert str(caught.value).startswith("web.json: ")
    assert place in str(caught.value)


def test_notify_is_refused_for_want_of_a_listener() -> None:
    with pytest.raises(Unsupported):
        compiled(profile(rule("mount", "SCMP_ACT_NOTIFY")))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"defaultAction": NaN}',
        b'{"defaultAction": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"defaultErrnoRet": ' + b"9" * 100_000 + b"}",
        b'{"defaultAction": "SCMP_ACT_ALLOW"}'.ljust((1 << 20) + 1),
    ],
    ids=range(11),
)
def test_a_file_that_is_no_profile_is_refused_by_name(tmp_path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InvalidSpec, match=r"loading seccomp profile \(.*bad\.json\) failed: "):
        load_profile(str(path))
    with pytest.raises(InvalidSpec, match=r"bad\.json"):
        filter_for(str(path), CAPS, str(tmp_path))
    assert os.listdir(tmp_path) == ["bad.json"]


def test_only_a_regular_file_is_read(tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "missing", "/dev/zero", "nul\0"):
        with pytest.raises(InvalidSpec, match="opening seccomp profile"):
            load_profile(str(path))


def test_an_error_in_a_file_names_file_and_field(tmp_path) -> None:
    path = tmp_path / "web.json"
    path.write_text(json.dumps(profile(rule("read", "SCMP_ACT_WHAT"))))
    with pytest.raises(InvalidSpec) as caught:
        filter_for(str(path), CAPS, str(tmp_path))
    assert str(caught.value) == (
        f"loading seccomp profile ({path}) failed: syscalls[0].action: unknown action 'SCMP_ACT_WHAT'"
    )


def test_a_filter_too_long_for_the_kernel_is_refused_quickly() -> None:
    many = [rule("read", "SCMP_ACT_ALLOW", arg(0, "EQ", value)) for value in range(2000)]
    start = time.monotonic()
    with pytest.raises(InvalidSpec, match="4096 instructions"):
        compiled(profile(*many))
    everything = {"names": sorted(NUMBERS["x86_64"]), "action": "SCMP_ACT_ALLOW"}
    with pytest.raises(InvalidSpec, match="4096 rules for one system call"):
        compiled(profile({**everything, "args": [arg(0, "EQ", value) for value in range(9000)]}))
    assert time.monotonic() - start < 5


# --- the cache


def fail(number: int):
    def call(*args: object, **more: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the architectures compiled for, one entry per compilation."""
    seen: list[str] = []
    compile_one = filter._compile

    def count(profile, architecture: str) -> bytes:
        seen.append(architecture)
        return compile_one(profile, architecture)

    monkeypatch.setattr(filter, "_compile", count)
    return seen


def test_a_filter_is_compiled_once_for_each_input(tmp_path, compilations: list[str]) -> None:
    cache = str(tmp_path / "cache")
    os.mkdir(cache)
    first = filter_for(None, CAPS, cache)
    assert filter_for(None, CAPS, cache) == first
    assert first == compile_profile(load_profile(filter.BUNDLED_PROFILE), CAPS, os.uname().machine)
    assert len(compilations) == 2
    assert filter_for(None, CAPS | {"CAP_SYS_ADMIN"}, cache) != first
    own = tmp_path / "own.json"
    own.write_text(json.dumps(profile(rule("read"))))
    allow_read = filter_for(str(own), CAPS, cache)
    own.write_text(json.dumps(profile(rule("brk"))))
    assert filter_for(str(own), CAPS, cache) != allow_read
    assert len(compilations) == 5
    assert len(os.listdir(cache)) == 4
    assert {os.stat(os.path.join(cache, name)).st_mode & 0o777 for name in os.listdir(cache)} == {0o600}


@pytest.mark.parametrize("what", ["COMPILER_VERSION", "release", "machine", "table"])
def test_an_entry_of_another_compiler_kernel_or_table_is_not_used(
    tmp_path, monkeypatch: pytest.MonkeyPatch, compilations: list[str], what: str
) -> None:
    filter_for(None, CAPS, str(tmp_path))
    if what == "COMPILER_VERSION":
        monkeypatch.setattr(filter, "COMPILER_VERSION", b"next")
    elif what == "table":
        (tmp_path / "table").write_text("")
        monkeypatch.setattr(filter, "_COMPILER_FILES", (*filter._COMPILER_FILES[1:], str(tmp_path / "table")))
    else:
        now = os.uname()
        other = {"release": "4.4.0", "machine": "aarch64" if now.machine == "x86_64" else "x86_64"}[what]
        fields = [
            other if name == what else getattr(now, name)
            for name in ("sysname", "nodename", "release", "version", "machine")
        ]
        monkeypatch.setattr(os, "uname", lambda: os.uname_result(fields))
    filter_for(None, CAPS, str(tmp_path))
    assert len(compilations) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: data[:-1],
        lambda data: data[:-8],
        lambda data: data[8:],
        lambda data: data + b"\0" * 8,
        lambda data: data * 100,
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda _: b"\0" * 24,
    ],
    ids=range(10),
)
def test_a_damaged_entry_is_made_anew(tmp_path, compilations: list[str], damage) -> None:
    good = filter_and_flags(None, CAPS, str(tmp_path))
    (name,) = os.listdir(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(damage(content))
    assert filter_and_flags(None, CAPS, str(tmp_path)) == good
    assert len(compilations) == 2
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == content


def test_an_entry_under_another_name_or_behind_a_link_does_not_count(tmp_path, compilations: list[str]) -> None:
    filter_for(None, CAPS, str(tmp_path))
    (name,) = os.listdir(tmp_path)
    more = filter_for(None, CAPS | {"CAP_SYS_ADMIN"}, str(tmp_path))
    (other,) = set(os.listdir(tmp_path)) - {name}
    os.replace(tmp_path / name, tmp_path / other)
    assert filter_for(None, CAPS | {"CAP_SYS_ADMIN"}, str(tmp_path)) == more
    os.rename(tmp_path / other, tmp_path / "elsewhere")
    os.symlink("elsewhere", tmp_path / other)
    assert filter_for(None, CAPS | {"CAP_SYS_ADMIN"}, str(tmp_path)) == more
    assert len(compilations) == 4
    assert not os.path.islink(tmp_path / other)


@pytest.mark.parametrize("call", ["open", "write", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    good = filter_for(None, CAPS, str(tmp_path / "missing"))
    real_open = os.open
    if call == "open":
        monkeypatch.setattr(
            os,
            "open",
            lambda path, flags, *mode, **more: (
                fail(number)() if flags & os.O_CREAT else real_open(path, flags, *mode, **more)
            ),
        )
    else:
        monkeypatch.setattr(os, call, fail(number))
    assert filter_for(None, CAPS, str(tmp_path)) == good
    assert os.listdir(tmp_path) == []


def test_a_short_write_leaves_no_entry(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, data[:100]))
    filter_for(None, CAPS, str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_cache_hit_imports_nothing_heavy_and_is_quick(tmp_path) -> None:
    filter_for(None, CAPS, str(tmp_path))
    script = f"""
import sys, time
before = set(sys.modules)
from pypod.runtime.seccomp.filter import filter_for
caps = frozenset({sorted(CAPS)!r})
times = []
end = time.monotonic() + 10
while min(times[1:], default=1) > 100e-6 and time.monotonic() < end:
    start = time.perf_counter()
    filter_for(None, caps, {str(tmp_path)!r})
    times.append(time.perf_counter() - start)
print(min(times[1:]) * 1e6, *sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=os.getcwd())
    best_us, *modules = done.stdout.split()
    assert float(best_us) < 100
    assert {name for name in modules if not name.startswith("pypod")} <= {"__future__", "_blake2"}
    assert {name for name in modules if name.startswith("pypod.runtime.")} == {
        "pypod.runtime.seccomp",
        "pypod.runtime.seccomp.filter",
    }
