"""Classic BPF programs for seccomp: compile decisions per system call number to instructions.

A program is written from its last instruction to its first. Jumps of classic BPF only go forward, so all jump targets
of an instruction already have their place when it is written, and offsets need no second pass.
"""

from __future__ import annotations

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    # Argument index, comparison (SCMP_CMP_* without the prefix), value, second value (of MASKED_EQ).
    Condition = tuple[int, str, int, int]
    # Conditions that must all hold, and the action if they do.
    Rule = tuple[tuple[Condition, ...], int]
    # An action; or rules, of which the first that holds decides (otherwise the default), and whether arguments have
    # 64 bits. For a 32-bit ABI the kernel passes 32 bits, and the high words of a profile's values (mostly those of -1)
    # mean nothing.
    Decision = int | tuple[tuple[Rule, ...], bool]
    # (first number, decision) in rising order; each holds up to the next one.
    Ranges = list[tuple[int, Decision]]

# linux/bpf_common.h
LD_W_ABS = 0x20
ALU_AND_K = 0x54
JMP_JA = 0x05
JMP_JEQ_K = 0x15
JMP_JGT_K = 0x25
JMP_JGE_K = 0x35
RET_K = 0x06

# linux/bpf_common.h: BPF_MAXINSNS.
MAX_INSTRUCTIONS = 4096
MAX_JUMP = 255
WORD = 0xFFFFFFFF

# struct seccomp_data of linux/seccomp.h; args are 64 bits each, low word first: our machines are little-endian.
OFFSET_NR = 0
OFFSET_ARCH = 4
OFFSET_ARGS = 16

# Comparisons that are the inverse of another one.
INVERSE = {"NE": "EQ", "LT": "GE", "LE": "GT"}
JUMPS = {"GT": JMP_JGT_K, "GE": JMP_JGE_K}


class Program:
    """A program under construction. A label is the index of an instruction, counted from the end of the program."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._returns: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._code)

    def encode(self) -> bytes:
        """Return the instructions as an array of struct sock_filter."""
        from struct import pack

        return b"".join(pack("<HBBI", *instruction) for instruction in reversed(self._code))

    def ret(self, action: int) -> int:
        """End with ``action``. All users of an action share one instruction."""
        if action not in self._returns:
            self._returns[action] = self._write(RET_K, 0, 0, action)
        return self._returns[action]

    def load(self, offset: int, then: int, mask: int = WORD) -> int:
        """Load the word at ``offset`` of struct seccomp_data, keep the bits of ``mask``, continue at ``then``."""
        if mask != WORD:
            self._fall_into(then)
            then = self._write(ALU_AND_K, 0, 0, mask)
        self._fall_into(then)
        return self._write(LD_W_ABS, 0, 0, offset)

    def branch(self, jump: int, value: int, yes: int, no: int) -> int:
        """Compare the loaded word with ``value``: continue at ``yes`` or ``no``."""
        if yes == no:
            return yes
        # Bringing `no` into reach may add one instruction between here and `yes`.
        yes = self._near(yes, MAX_JUMP - 1)
        no = self._near(no, MAX_JUMP)
        here = len(self._code)
        return self._write(jump, here - 1 - yes, here - 1 - no, value)

    def _write(self, code: int, jump_true: int, jump_false: int, k: int) -> int:
        if len(self._code) == MAX_INSTRUCTIONS:
            raise InvalidSpec(
                "seccomp",
                f"the profile needs a filter of more than {MAX_INSTRUCTIONS} instructions, the kernel's limit",
            )
        self._code.append((code, jump_true, jump_false, k))
        return len(self._code) - 1

    def _near(self, label: int, limit: int) -> int:
        """Return a label equivalent to ``label`` that the next instruction reaches by a jump of at most ``limit``."""
        if len(self._code) - 1 - label <= limit:
            return label
        code, _, _, k = self._code[label]
        if code == RET_K:
            self._returns[k] = self._write(RET_K, 0, 0, k)
            return self._returns[k]
        return self._write(JMP_JA, 0, 0, len(self._code) - 1 - label)

    def _fall_into(self, label: int) -> None:
        """Place ``label`` right after the next instruction, which cannot jump."""
        self._near(label, 0)


def extend_ranges(ranges: Ranges, decisions: Mapping[int, Decision], first: int, default: int) -> None:
    """Add the ranges of numbers that share a decision, from ``first`` on; a number not listed has ``default``."""

    def start(number: int, decision: Decision) -> None:
        if not ranges or ranges[-1][1] != decision:
            ranges.append((number, decision))

    following = first
    for number in sorted(decisions):
        if number > following:
            start(following, default)
        start(number, decisions[number])
        following = number + 1
    if following <= WORD:
        start(following, default)


def compile_filter(abis: Sequence[tuple[int, Ranges]], default: int, foreign: int) -> bytes:
    """Return the filter for the ABIs, given by audit architecture and tested in this order.

    ``default`` is the action when no rule of a decision holds, ``foreign`` the one for all other architectures.

    Raises:
        InvalidSpec: the kernel would refuse the filter for its length.
    """
    program = Program()
    test = program.ret(foreign)
    # The first ABI is written last, which puts it nearest to the start.
    for audit_arch, ranges in reversed(abis):
        tree = _Tree(program, ranges, default).write()
        test = program.branch(JMP_JEQ_K, audit_arch, program.load(OFFSET_NR, tree), test)
    program.load(OFFSET_ARCH, test)
    return program.encode()


class _Tree:
    """A balanced tree over the ranges of one ABI, with a leaf for each different decision."""

    def __init__(self, program: Program, ranges: Ranges, default: int) -> None:
        self._program = program
        self._ranges = ranges
        self._default = default
        self._leaves: dict[Decision, int] = {}

    def write(self) -> int:
        return self._write_ranges(0, len(self._ranges))

    def _write_ranges(self, start: int, end: int) -> int:
        count = end - start
        if count == 1:
            return self._write_leaf(self._ranges[start][1])
        number, decision = self._ranges[start + 1]
        if count == 3 and self._ranges[start + 2] == (number + 1, self._ranges[start][1]):
            # One number with the same decision on both sides: one test instead of two.
            around = self._write_leaf(self._ranges[start][1])
            return self._program.branch(JMP_JEQ_K, number, self._write_leaf(decision), around)
        middle = start + count // 2
        above = self._write_ranges(middle, end)
        below = self._write_ranges(start, middle)
        return self._program.branch(JMP_JGE_K, self._ranges[middle][0], above, below)

    def _write_leaf(self, decision: Decision) -> int:
        if isinstance(decision, int):
            return self._program.ret(decision)
        if decision not in self._leaves:
            rules, wide = decision
            otherwise = self._program.ret(self._default)
            for conditions, action in reversed(rules):
                holds = self._program.ret(action)
                for condition in reversed(conditions):
                    holds = write_condition(self._program, condition, holds, otherwise, wide=wide)
                otherwise = holds
            self._leaves[decision] = otherwise
        return self._leaves[decision]


def write_condition(program: Program, condition: Condition, yes: int, no: int, *, wide: bool) -> int:
    """Test one argument, all 64 bits or the low 32; continue at ``yes`` or ``no``."""
    argument, comparison, value, second = condition
    if comparison in INVERSE:
        comparison, yes, no = INVERSE[comparison], no, yes
    low = OFFSET_ARGS + 8 * argument
    high = low + 4
    if comparison in JUMPS:
        label = program.load(low, program.branch(JUMPS[comparison], value & WORD, yes, no))
        if wide:
            label = program.branch(JMP_JEQ_K, value >> 32, label, no)
            label = program.load(high, program.branch(JMP_JGT_K, value >> 32, yes, label))
        return label
    # MASKED_EQ has the mask first; libseccomp ignores the bits of the second value that are outside it.
    mask, wanted = (value, second & value) if comparison == "MASKED_EQ" else (WORD << 32 | WORD, value)
    label = yes
    for offset, shift in ((low, 0), (high, 32)) if wide else ((low, 0),):
        if mask >> shift & WORD:
            test = program.branch(JMP_JEQ_K, wanted >> shift & WORD, label, no)
            label = program.load(offset, test, mask >> shift & WORD)
    return label
