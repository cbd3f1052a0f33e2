"""The access of a container to devices, as a program for its cgroup (BPF_PROG_TYPE_CGROUP_DEVICE of bpf(2))."""

from __future__ import annotations

from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_INSTRUCTION = Struct("<BBhi")  # struct bpf_insn: code, registers, offset, immediate
_LOAD, _MOVE, _SHIFT, _AND, _SET, _EXIT, _UNLESS_EQUAL = 0x61, 0xBC, 0x74, 0x54, 0xB7, 0x95, 0x55
# struct bpf_cgroup_dev_ctx in linux/bpf.h: the access in the upper half of the first word, the type in the lower
_TYPES = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL = 7
_RESULT, _ARGUMENT, _TYPE, _ASKED, _MAJOR, _MINOR = range(6)  # registers


def device_filter(rules: Iterable[dict[str, Any]]) -> bytes:
    """Return the program for the ``linux.resources.devices`` of an OCI configuration.

    The last rule that fits decides, and nothing else is allowed. Rules for the same devices are merged, since an access
    may take what several of them allow: opening for reading and writing.
    """
    parts = [
        _instruction(_LOAD, _TYPE, _ARGUMENT, offset=0),
        _instruction(_MOVE, _ASKED, _TYPE),
        _instruction(_SHIFT, _ASKED, value=16),
        _instruction(_AND, _TYPE, value=0xFFFF),
        _instruction(_LOAD, _MAJOR, _ARGUMENT, offset=4),
        _instruction(_LOAD, _MINOR, _ARGUMENT, offset=8),
    ]
    for (allow, kind, major, minor), access in reversed(_merged(rules).items()):
        parts += _rule(allow, kind, major, minor, access)
        if (kind in _TYPES, major >= 0, minor >= 0, access == _ALL) == (False, False, False, True):
            return b"".join(parts)  # the kernel refuses a program with instructions that are never reached
    return b"".join([*parts, *_answer(False)])


def _merged(rules: Iterable[dict[str, Any]]) -> dict[tuple[bool, str, int, int], int]:
    found: dict[tuple[bool, str, int, int], int] = {}
    for rule in rules:
        key = (bool(rule["allow"]), rule.get("type", "a"), rule.get("major", -1), rule.get("minor", -1))
        access = sum(_ACCESS[letter] for letter in set(rule.get("access", "rwm")))
        found[key] = found.pop(key, 0) | access  # the last place counts
    return found


def _rule(allow: bool, kind: str, major: int, minor: int, access: int) -> list[bytes]:
    tests: list[tuple[int, ...]] = []
    if kind in _TYPES:
        tests.append((_TYPE, _TYPES[kind]))
    if major >= 0:
        tests.append((_MAJOR, major))
    if minor >= 0:
        tests.append((_MINOR, minor))
    body: list[bytes] = []
    rest = _answer(allow)
    if access != _ALL:  # all that is asked for must be in the rule
        rest = [_instruction(_UNLESS_EQUAL, _ARGUMENT, offset=len(rest), value=0), *rest]
        rest = [_instruction(_MOVE, _ARGUMENT, _ASKED), _instruction(_AND, _ARGUMENT, value=_ALL & ~access), *rest]
    for number, (register, value) in enumerate(tests):
        left = len(tests) - number - 1 + len(rest)
        body.append(_instruction(_UNLESS_EQUAL, register, offset=left, value=value))
    return [*body, *rest]


def _answer(allow: bool) -> list[bytes]:
    return [_instruction(_SET, _RESULT, value=int(allow)), _instruction(_EXIT)]


def _instruction(code: int, target: int = 0, source: int = 0, *, offset: int = 0, value: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, target | source << 4, offset, value)
