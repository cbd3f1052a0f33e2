"""The v1 trees of cgroups in a container's root.

They are not in the OCI configuration: a mount of type cgroup there brings all trees at once in other runtimes.
"""

from __future__ import annotations

from pypod.model.value import Value
from pypod.runtime.ops import MOUNT_ATTRIBUTES, MS_PRIVATE, Op, shared

_QUIET = sum(MOUNT_ATTRIBUTES[word] for word in ("nosuid", "nodev", "noexec"))


class Tree(Value):
    """A tree at ``target``: mounted with ``options``, or without any bound from the group ``source``."""

    target: str
    options: tuple[str, ...]
    source: str
    writable: bool = False


def opening(trees: tuple[Tree, ...], first: int) -> list[Op]:
    """Return the operations that take groups from the host, into slots from ``first`` on."""
    return [shared("open_tree", slot, one.source, 0) for slot, one in enumerate(trees, first) if not one.options]


def mounting(trees: tuple[Tree, ...], first: int) -> list[Op]:
    """Return the operations that mount trees, and links for controllers that share one: cpu of ``cpu,cpuacct``."""
    ops = []
    for slot, one in enumerate(trees, first):
        attributes = _QUIET | (0 if one.writable else MOUNT_ATTRIBUTES["ro"])
        if one.options:
            ops.append(shared("mount", "cgroup", "cgroup", one.target, attributes, *one.options))
        else:
            ops.append(shared("bind", slot, one.target, attributes, MS_PRIVATE, 0))
        directory, _, name = one.target.rpartition("/")
        ops += [shared("symlink", name, f"{directory}/{part}") for part in name.split(",") if part != name]
    return ops
