"""Seccomp profiles: read a user's JSON, and select the rules that apply to one container.

Reads the form of containers/common and docker (archMap, includes, excludes, errno by name) and that of the OCI runtime
spec (architectures, flags). Nothing in a profile is trusted: each value is checked where it is read, and an error
gives its path. As in Go's decoder, null is the same as absent and the case of keys does not matter: a misspelt
"Syscalls" must not leave a profile without its rules.
"""

from __future__ import annotations

import errno

from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.release import version_of
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pypod.runtime.seccomp.bpf import Condition, Rule

# linux/seccomp.h, SECCOMP_RET_*.
ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
# Actions that carry a number, and its maximum: the kernel caps errno values at MAX_ERRNO.
LARGEST_NUMBER = {"SCMP_ACT_ERRNO": 4095, "SCMP_ACT_TRACE": 0xFFFF}

COMPARISONS = frozenset(("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))
ARGUMENTS = 6
UINT64_MAX = 2**64 - 1

# linux/seccomp.h. SPEC_ALLOW alone is the default of crun and runc for a profile without flags.
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
}
DEFAULT_FLAGS = FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]

# The names libseccomp knows; crun refuses others.
ARCHITECTURES = frozenset(
    (
        "SCMP_ARCH_NATIVE",
        "SCMP_ARCH_X86",
        "SCMP_ARCH_X86_64",
        "SCMP_ARCH_X32",
        "SCMP_ARCH_ARM",
        "SCMP_ARCH_AARCH64",
        "SCMP_ARCH_LOONGARCH64",
        "SCMP_ARCH_M68K",
        "SCMP_ARCH_MIPS",
        "SCMP_ARCH_MIPS64",
        "SCMP_ARCH_MIPS64N32",
        "SCMP_ARCH_MIPSEL",
        "SCMP_ARCH_MIPSEL64",
        "SCMP_ARCH_MIPSEL64N32",
        "SCMP_ARCH_PARISC",
        "SCMP_ARCH_PARISC64",
        "SCMP_ARCH_PPC",
        "SCMP_ARCH_PPC64",
        "SCMP_ARCH_PPC64LE",
        "SCMP_ARCH_RISCV64",
        "SCMP_ARCH_S390",
        "SCMP_ARCH_S390X",
        "SCMP_ARCH_SH",
        "SCMP_ARCH_SHEB",
    )
)

# Machine name of uname -> its names in includes and excludes (Go's) and in archMap.
MACHINES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}

JSON_TYPES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


class Field:
    """A value of the profile together with its path. ``source`` is the beginning of every error message."""

    __slots__ = ("path", "source", "value")

    def __init__(self, source: str, path: str, value: Any) -> None:
        self.source = source
        self.path = path
        self.value = value

    def error(self, problem: str) -> InvalidSpec:
        return InvalidSpec(
            "seccomp", f"{self.source}: {self.path}: {problem}" if self.path else f"{self.source}: {problem}"
        )

    def _expect(self, kind: type) -> Any:
        # type() and not isinstance(): true is an int in Python.
        if self.value is None:
            return kind()
        if type(self.value) is not kind:
            found = JSON_TYPES.get(type(self.value), "something else")
            raise self.error(f"expected {JSON_TYPES[kind]}, found {found}")
        return self.value

    def get(self, key: str) -> Field:
        fields = self._expect(dict)
        value = fields.get(key)
        if value is None:
            lower = key.lower()
            value = next((fields[other] for other in fields if isinstance(other, str) and other.lower() == lower), None)
        return Field(self.source, f"{self.path}.{key}" if self.path else key, value)

    def items(self) -> Iterator[Field]:
        for index, value in enumerate(self._expect(list)):
            yield Field(self.source, f"{self.path}[{index}]", value)

    def text(self) -> str:
        text: str = self._expect(str)
        return text

    def texts(self) -> list[str]:
        return [item.text() for item in self.items()]

    def number(self, largest: int) -> int:
        number: int = self._expect(int)
        if not 0 <= number <= largest:
            raise self.error(f"expected a number from 0 to {largest}")
        return number

    def choice(self, choices: frozenset[str] | dict[str, int], what: str) -> str:
        text = self.text()
        if text not in choices:
            raise self.error(f"unknown {what} {text[:64]!r}")
        return text


class Profile(Value):
    """A profile as it applies to one machine, kernel and set of capabilities.

    A rule is (names of system calls, alternatives): an alternative without conditions always holds.
    """

    default: int
    rules: tuple[tuple[tuple[str, ...], tuple[Rule, ...]], ...]
    architectures: frozenset[str]
    flags: int


class Target(Value):
    """The target of a profile: ``architecture`` in uname's spelling, the bounding set, the kernel's version."""

    architecture: str
    capabilities: frozenset[str]
    kernel: tuple[int, int]

    def check(self) -> None:
        if self.architecture not in MACHINES:
            raise Unsupported("seccomp", f"seccomp filters for {self.architecture} are not supported")

    def selects(self, rule: Field) -> bool:
        """Return whether a rule applies; every entry is read, so that an invalid one is found wherever it is."""
        includes = list(self._matches(rule.get("includes")))
        excludes = list(self._matches(rule.get("excludes")))
        # All of includes.caps must be present; any one of excludes.caps rules it out.
        return all(map(all, includes)) and not any(map(any, excludes))

    def _matches(self, condition: Field) -> Iterator[list[bool]]:
        if arches := condition.get("arches").texts():
            yield [MACHINES[self.architecture][0] in arches]
        yield [capability in self.capabilities for capability in condition.get("caps").texts()]
        minimum = condition.get("minKernel")
        if text := minimum.text():
            version = version_of(text)
            if version is None:
                raise minimum.error(f"not a kernel version: {text[:64]!r}")
            yield [self.kernel >= version]


def read_profile(profile: Any, target: Target, source: str) -> Profile:
    """Return ``profile`` as it applies to ``target``.

    Raises:
        InvalidSpec: a value is of the wrong type or unknown; the message gives its path.
        Unsupported: the profile wants SCMP_ACT_NOTIFY.
    """
    top = Field(source, "", profile)
    if top.value is None:
        raise top.error("expected an object, found null")
    default = _read_action(top, "defaultAction", "defaultErrno", "defaultErrnoRet")
    rules = [(_read_rule(rule), target.selects(rule)) for rule in top.get("syscalls").items()]
    return Profile(
        default=default,
        rules=tuple(rule for rule, selected in rules if selected),
        architectures=_read_architectures(top, MACHINES[target.architecture][1]),
        flags=_read_flags(top),
    )


def _read_action(rule: Field, key: str, errno_key: str, number_key: str) -> int:
    field = rule.get(key)
    if field.text() == "SCMP_ACT_NOTIFY":
        raise Unsupported("SCMP_ACT_NOTIFY", f"{field.source}: {field.path}: SCMP_ACT_NOTIFY needs a listener")
    action = field.choice(ACTIONS, "action")
    name, number = rule.get(errno_key), rule.get(number_key)
    # The name takes precedence over the number, and may itself be a number (containers/common, getErrno).
    given = name if name.text() else number
    if given.value is None:
        return ACTIONS[action] | (errno.EPERM if action in LARGEST_NUMBER else 0)
    if action not in LARGEST_NUMBER:
        raise given.error(f"errno value specified for action {action}")
    if given is number:
        return ACTIONS[action] | number.number(LARGEST_NUMBER[action])
    text = name.text()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return ACTIONS[action] | Field(name.source, name.path, int(text)).number(LARGEST_NUMBER[action])
    value = getattr(errno, text, None)
    if not isinstance(value, int):
        raise name.error(f"unknown errno {text[:64]!r}")
    return ACTIONS[action] | value


def _read_rule(rule: Field) -> tuple[tuple[str, ...], tuple[Rule, ...]]:
    name, names = rule.get("name").text(), rule.get("names").texts()
    if name and names:
        raise rule.error("'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'")
    action = _read_action(rule, "action", "errno", "errnoRet")
    conditions = tuple(map(_read_condition, rule.get("args").items()))
    alternatives: tuple[Rule, ...] = ((conditions, action),)
    if len({argument for argument, *_ in conditions}) < len(conditions):
        # A range of one argument is therefore not a range; runc and crun keep this for compatibility with old profiles.
        alternatives = tuple(((condition,), action) for condition in conditions)
    return tuple(dict.fromkeys([name] if name else names)), alternatives


def _read_condition(argument: Field) -> Condition:
    comparison = argument.get("op")
    prefix, _, name = comparison.text().partition("SCMP_CMP_")
    if prefix or name not in COMPARISONS:
        raise comparison.error(f"unknown operator {comparison.text()[:64]!r}")
    return (
        argument.get("index").number(ARGUMENTS - 1),
        name,
        argument.get("value").number(UINT64_MAX),
        argument.get("valueTwo").number(UINT64_MAX),
    )


def _read_architectures(top: Field, native: str) -> frozenset[str]:
    listed = [item.choice(ARCHITECTURES, "architecture") for item in top.get("architectures").items()]
    mapped = [
        [
            entry.get("architecture").choice(ARCHITECTURES, "architecture"),
            *(item.choice(ARCHITECTURES, "architecture") for item in entry.get("subArchitectures").items()),
        ]
        for entry in top.get("archMap").items()
    ]
    if listed and mapped:
        raise top.error(
            "'architectures' and 'archMap' were specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    # Only the first entry for the machine counts.
    return frozenset(listed or next((entry for entry in mapped if entry[0] == native), []))


def _read_flags(top: Field) -> int:
    flags = [FLAGS[item.choice(FLAGS, "flag")] for item in top.get("flags").items()]
    return sum(set(flags)) if flags else DEFAULT_FLAGS
