"""A seccomp profile in the form of the OCI runtime specification (config-linux.md): the part for one container."""

from __future__ import annotations

import os

from pypod.kernel.release import version_of
from pypod.runtime.seccomp.filter import BUNDLED_PROFILE, load_profile, parse_profile
from pypod.runtime.seccomp.profile import (
    ACTIONS,
    DEFAULT_FLAGS,
    FLAGS,
    LARGEST_NUMBER,
    MACHINES,
    Target,
    read_profile,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.runtime.seccomp.bpf import Rule
    from pypod.runtime.seccomp.profile import Profile

_NATIVE = "SCMP_ARCH_NATIVE"  # libseccomp's name, not one of the specification's


def seccomp_of(path: str | None, capabilities: frozenset[str], content: str = "") -> dict[str, Any]:
    """Return ``linux.seccomp`` for the profile at ``path``, or for podman's default one, on this host.

    ``content`` is that of a profile which is in no file; ``path`` then says where it is from.

    Raises as filter.load_profile and filter.compile_profile do.
    """
    where = path or BUNDLED_PROFILE
    uname = os.uname()
    target = Target(architecture=uname.machine, capabilities=capabilities, kernel=version_of(uname.release) or (0, 0))
    profile = parse_profile(content.encode(), where) if content else load_profile(where)
    return written(read_profile(profile, target, f"loading seccomp profile ({where}) failed"), uname.machine)


def written(profile: Profile, machine: str) -> dict[str, Any]:
    """Return a profile in the specification's form; reading it back gives the same profile."""
    action, number = _action(profile.default)
    native = MACHINES[machine][1]
    flags = [name for name, bit in FLAGS.items() if profile.flags & bit]
    return {
        "defaultAction": action,
        **({"defaultErrnoRet": number} if action in LARGEST_NUMBER else {}),
        "architectures": sorted({native if one == _NATIVE else one for one in profile.architectures}),
        **({"flags": flags} if profile.flags != DEFAULT_FLAGS else {}),  # older runtimes reject the default ones
        "syscalls": [_rule(names, rule) for names, rules in profile.rules if names for rule in rules],
    }


def _rule(names: tuple[str, ...], rule: Rule) -> dict[str, Any]:
    conditions, result = rule
    action, number = _action(result)
    arguments = [
        {"index": index, "value": value, "valueTwo": value_two, "op": f"SCMP_CMP_{name}"}
        for index, name, value, value_two in conditions
    ]
    return {
        "names": list(names),
        "action": action,
        **({"errnoRet": number} if action in LARGEST_NUMBER else {}),
        **({"args": arguments} if arguments else {}),
    }


def _action(result: int) -> tuple[str, int]:
    """Return the name of a filter's return value, and the number in it."""
    named = {value: name for name, value in reversed(ACTIONS.items())}
    return named[result & 0xFFFF0000], result & 0xFFFF
