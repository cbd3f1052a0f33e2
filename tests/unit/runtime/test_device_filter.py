"""The BPF program for access to devices, run by an interpreter of a few lines."""

from __future__ import annotations

import struct

import pytest

from pypod.model.device import DEFAULT_RULES
from pypod.runtime.device_filter import device_filter
from pypod.runtime.oci import oci_rules

M, R, W = 1, 2, 4
BLOCK, CHARACTER = 1, 2


def allows(program: bytes, kind: int, major: int, minor: int, access: int) -> bool:
    """Run the instructions that the compiler uses, as Documentation/bpf/standardization has them."""
    code = list(struct.iter_unpack("<BBhi", program))
    context = struct.pack("<III", access << 16 | kind, major, minor)
    registers = [0] * 11
    at = 0
    while True:
        operation, numbers, offset, value = code[at]
        target, source = numbers & 15, numbers >> 4
        at += 1
        if operation == 0x61:  # the context is behind register 1
            assert source == 1
            registers[target] = struct.unpack_from("<I", context, offset)[0]
        elif operation == 0xBC:
            registers[target] = registers[source] & 0xFFFFFFFF
        elif operation == 0x74:
            registers[target] = (registers[target] & 0xFFFFFFFF) >> value
        elif operation == 0x54:
            registers[target] &= value & 0xFFFFFFFF
        elif operation == 0x55:
            at += offset if registers[target] != value else 0
        elif operation == 0xB7:
            registers[target] = value
        else:
            assert operation == 0x95
            return bool(registers[0])


def program(*rules: str) -> bytes:
    return device_filter(oci_rules(rules))


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        ((CHARACTER, 1, 3, R | W), True),
        ((CHARACTER, 1, 3, M), True),
        ((BLOCK, 1, 3, R), False),
        ((BLOCK, 8, 0, M), True),
        ((BLOCK, 8, 0, M | R), False),
        ((CHARACTER, 136, 7, R | W), True),
        ((CHARACTER, 10, 229, R), False),
        ((CHARACTER, 5, 1, W), False),
    ],
)
def test_the_default(access: tuple[int, int, int, int], *, expected: bool) -> None:
    assert allows(program(*DEFAULT_RULES), *access) is expected


def test_several_rules_together_allow_an_access() -> None:
    both = program("c 10:* r", "c 10:* w")
    assert allows(both, CHARACTER, 10, 229, R | W)
    assert not allows(both, CHARACTER, 10, 229, R | M)
    assert not allows(program("c 10:* r", "c 10:229 w"), CHARACTER, 10, 229, R | W)


def test_everything_and_nothing() -> None:
    assert allows(program("a *:* rwm"), BLOCK, 8, 0, R | W | M)
    assert allows(program("a *:* r"), BLOCK, 8, 0, R)
    assert not allows(program("a *:* r"), BLOCK, 8, 0, W)
    assert not allows(program(), CHARACTER, 1, 3, R)


def test_the_last_rule_decides() -> None:
    rules = [{"allow": True, "access": "rwm"}, {"allow": False, "type": "c", "major": 1, "access": "rwm"}]
    for order, expected in ((rules, False), (rules[::-1], True)):
        assert allows(device_filter(order), CHARACTER, 1, 3, R) is expected
    assert not allows(device_filter([]), CHARACTER, 1, 3, R)


def test_no_instruction_is_out_of_reach() -> None:
    """The kernel refuses a program with one."""
    for rules in ((), DEFAULT_RULES, ("a *:* rwm",), ("a *:* rwm", "c 1:3 r"), ("a *:* r",)):
        code = list(struct.iter_unpack("<BBhi", program(*rules)))
        reached, waiting = set(), [0]
        while waiting:
            at = waiting.pop()
            if at in reached:
                continue
            reached.add(at)
            operation, _, offset, _ = code[at]
            waiting += [] if operation == 0x95 else [at + 1] if operation != 0x55 else [at + 1, at + 1 + offset]
        assert reached == set(range(len(code)))
