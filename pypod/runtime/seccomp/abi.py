"""The ABIs that a seccomp filter distinguishes, and a profile's decision for each of their system call numbers.

Where several rules name one system call, the result is the one that crun and runc get from libseccomp:

- a rule with the profile's default action is skipped;
- the first rule without conditions decides, regardless of rules with conditions before or after it;
- otherwise the first rule whose conditions hold decides, in the order of the profile (libseccomp picks an order of its
  own where rules with different actions overlap).
"""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.runtime.seccomp.bpf import MAX_INSTRUCTIONS, extend_ranges

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.runtime.seccomp.bpf import Condition, Decision, Ranges, Rule
    from pypod.runtime.seccomp.profile import Profile

SYSCALL_TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "syscalls.tsv")

# Name in a profile -> column of the table, AUDIT_ARCH_* (linux/audit.h), first number (__X32_SYSCALL_BIT), whether
# arguments are compared as 64 bits: for x32, libseccomp compares 32 bits as well.
ABIS = {
    "SCMP_ARCH_X86_64": ("x86_64", 0xC000003E, 0, True),
    "SCMP_ARCH_X32": ("x32", 0xC000003E, 0x40000000, False),
    "SCMP_ARCH_X86": ("i386", 0x40000003, 0, False),
    "SCMP_ARCH_AARCH64": ("aarch64", 0xC00000B7, 0, True),
    "SCMP_ARCH_ARM": ("arm", 0x40000028, 0, False),
}

# Machine name of uname -> the ABIs its kernel runs: the native one first, and those that share an audit architecture
# in order of their numbers.
FAMILIES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}

# libseccomp's default for ABIs that are not in the profile, which crun keeps (SCMP_FLTATR_ACT_BADARCH): kill.
FOREIGN_ACTION = 0

# Calls that i386 can also make through a multiplexer, in order of their number there: linux/net.h, linux/ipc.h.
SOCKETCALLS = (
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
)
IPC_CALLS = {
    **dict(enumerate(("semop", "semget", "semctl", "semtimedop"), 1)),
    **dict(enumerate(("msgsnd", "msgrcv", "msgget", "msgctl"), 11)),
    **dict(enumerate(("shmat", "shmdt", "shmget", "shmctl"), 21)),
}
# Name -> the multiplexer, and the condition on its first argument. ipc(2) keeps a version in the high half of the
# number (ipc/syscall.c, ksys_ipc).
MULTIPLEXED: dict[str, tuple[str, Condition]] = {
    **{name: ("socketcall", (0, "EQ", call, 0)) for call, name in enumerate(SOCKETCALLS, 1)},
    **{name: ("ipc", (0, "MASKED_EQ", 0xFFFF, call)) for call, name in IPC_CALLS.items()},
}


def decide(profile: Profile, architecture: str) -> list[tuple[int, Ranges]]:
    """Return (audit architecture, ranges of numbers with their decisions) for each ABI, the native one first."""
    family = FAMILIES[architecture]
    ranges: dict[int, Ranges] = {}
    for abi in family:
        column, audit_arch, first, wide = ABIS[abi]
        if abi == family[0] or abi in profile.architectures:
            numbers = read_numbers(column)
            decisions = {first + number: rules for number, rules in _decide_abi(profile, column, numbers, wide).items()}
            extend_ranges(ranges.setdefault(audit_arch, []), decisions, first, profile.default)
        elif audit_arch in ranges:
            # Not an ABI of the profile: as foreign as another architecture, except for -1, which is not the number of a
            # call but results from a wrong number in syscall(2) or from a tracer. libseccomp does the same.
            extend_ranges(ranges[audit_arch], {0xFFFFFFFF: profile.default}, first, FOREIGN_ACTION)
    return list(ranges.items())


def read_numbers(column: str) -> dict[str, int]:
    """Return {system call: number} of one ABI."""
    with open(SYSCALL_TABLE, encoding="ascii") as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    index = lines[0].index(column)
    return {line[0]: int(line[index]) for line in lines[1:] if line[index] != "-"}


def _decide_abi(profile: Profile, column: str, numbers: dict[str, int], wide: bool) -> dict[int, Decision]:
    always: dict[int, Decision] = {}
    sometimes: dict[int, list[tuple[Rule, ...]]] = {}
    for names, rules in profile.rules:
        if rules[0][1] == profile.default:
            continue
        for name in names:
            if name in numbers:
                _add(always, sometimes, numbers[name], rules)
            if column == "i386" and name in MULTIPLEXED:
                entry, condition = MULTIPLEXED[name]
                if (multiplexed := _multiplex(condition, rules, profile.default)) is not None:
                    _add(always, sometimes, numbers[entry], (multiplexed,))
    return {**{number: (_join(blocks), wide) for number, blocks in sometimes.items()}, **always}


def _add(
    always: dict[int, Decision], sometimes: dict[int, list[tuple[Rule, ...]]], number: int, rules: tuple[Rule, ...]
) -> None:
    conditions, action = rules[0]
    if conditions:
        sometimes.setdefault(number, []).append(rules)
    else:
        always.setdefault(number, action)


def _join(blocks: list[tuple[Rule, ...]]) -> tuple[Rule, ...]:
    # Checked before it is built: a hostile profile can give thousands of rules to each of hundreds of calls.
    if sum(map(len, blocks)) > MAX_INSTRUCTIONS:
        raise InvalidSpec("seccomp", f"the profile has more than {MAX_INSTRUCTIONS} rules for one system call")
    return tuple(dict.fromkeys(rule for block in blocks for rule in block))


def _multiplex(condition: Condition, rules: tuple[Rule, ...], default: int) -> Rule | None:
    """Return the rule for the multiplexer, when ``condition`` holds there, that stands for ``rules`` of a call on i386.

    The actual arguments are in memory there, where no filter can look. So rules with conditions forbid the call
    whatever its arguments if they are stricter than the default, and permit nothing if they are milder. (libseccomp
    compares the conditions with the wrong values.)
    """
    conditions, action = rules[0]
    if conditions and _severity(action) > _severity(default):
        return None
    return (condition,), action


def _severity(action: int) -> int:
    """Return the rank of an action, lower for stricter: the kernel's own order (seccomp(2), "Return value")."""
    kind = action & 0xFFFF0000
    return kind - (1 << 32) if kind & 0x80000000 else kind
