"""An interpreter for classic BPF as seccomp runs it, written from the kernel's rules and not from our compiler.

The checks are those of bpf_check_classic (net/core/filter.c) and seccomp_check_filter (kernel/seccomp.c): the kernel
would reject any program that this interpreter rejects.
"""

from __future__ import annotations

import struct

WORD = 0xFFFFFFFF

# linux/audit.h
X86_64 = 0xC000003E
I386 = 0x40000003
AARCH64 = 0xC00000B7
ARM = 0x40000028
X32_BIT = 0x40000000

LD_W_ABS = 0x20
RET_K = 0x06
ALU_AND = 0x54
JA = 0x05
JUMPS = {
    0x15: lambda a, k: a == k,
    0x25: lambda a, k: a > k,
    0x35: lambda a, k: a >= k,
    0x45: lambda a, k: bool(a & k),
}
# seccomp_data: nr, arch, instruction pointer, six arguments.
DATA = struct.Struct("<iIQ6Q")
ARGS_OFFSET = 16

Instruction = tuple[int, int, int, int]


def decode(program: bytes) -> list[Instruction]:
    """Return the instructions, checked as the kernel checks them when a filter is loaded."""
    assert len(program) % 8 == 0
    code = list(struct.iter_unpack("<HBBI", program))
    assert 0 < len(code) <= 4096
    for place, (opcode, jump_true, jump_false, k) in enumerate(code):
        if opcode in JUMPS:
            assert place + 1 + max(jump_true, jump_false) < len(code), f"jump out of the program at {place}"
        elif opcode == JA:
            assert place + 1 + k < len(code), f"jump out of the program at {place}"
        elif opcode == LD_W_ABS:
            assert k in range(0, DATA.size, 4), f"load of {k} at {place}"
        else:
            assert opcode in (RET_K, ALU_AND), f"unknown opcode {opcode:#x} at {place}"
    assert code[-1][0] == RET_K
    return code


def run(code: list[Instruction], nr: int, arch: int, args: tuple[int, ...] = (0,) * 6) -> tuple[int, int, bool]:
    """Return the action, the number of executed instructions, and whether a system call argument was read."""
    nr &= WORD
    data = DATA.pack(nr - (1 << 32) if nr >> 31 else nr, arch, 0x7FFF00001000, *args)
    accumulator = place = executed = 0
    looked = False
    while True:
        opcode, jump_true, jump_false, k = code[place]
        place += 1
        executed += 1
        if opcode == LD_W_ABS:
            (accumulator,) = struct.unpack_from("<I", data, k)
            looked |= k >= ARGS_OFFSET
        elif opcode == ALU_AND:
            accumulator &= k
        elif opcode == JA:
            place += k
        elif opcode == RET_K:
            return k, executed, looked
        else:
            place += jump_true if JUMPS[opcode](accumulator, k) else jump_false
