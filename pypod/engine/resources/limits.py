"""From the options of a call to limits, and from limits to cgroup settings."""

from __future__ import annotations

import os
import stat

from pypod.errors import InvalidSpec
from pypod.kernel.proc import read_text
from pypod.model.limits import DEFAULT_PIDS, Limits, parse_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.kernel.cgroups.settings import Setting
    from pypod.model.options.limits import LimitOptions

# defaults that are dropped where the host does not support them
_DEFAULT_PIDS_FLAG = "--pids-limit"
_SWAP_FLAG = "--memory-swap"


def from_options(options: LimitOptions) -> Limits | None:
    """Return the limits among the options of a call, None without any. Raises InvalidSpec naming the flag."""
    limits = options.limits()
    if limits is None:
        return None
    _require_online(limits)
    numbers_of(limits)
    return limits


def _require_online(limits: Limits) -> None:
    """Raise InvalidSpec for processors and memory nodes that are not online on this host."""
    for asked, flag, what, path in (
        (limits.cpuset_cpus, "--cpuset-cpus", "CPUs", "/sys/devices/system/cpu/online"),
        (limits.cpuset_mems, "--cpuset-mems", "memory nodes", "/sys/devices/system/node/online"),
    ):
        if asked:
            available = read_text(path).strip() if os.path.exists(path) else "0"
            if not parse_list(asked) <= parse_list(available):
                raise InvalidSpec(
                    flag, f"requested {what} are not available - requested {asked}, available: {available}"
                )


def numbers_of(limits: Limits) -> dict[str, tuple[int, int]]:
    """Return (major, minor) of the devices named in limits. Raises InvalidSpec for anything but a block device."""
    found = {}
    for path, flag in limits.devices:
        try:
            status = os.stat(path)
        except OSError as error:
            raise InvalidSpec(flag, f"could not parse throttle device at {path}: {error.strerror}") from error
        if not stat.S_ISBLK(status.st_mode):
            raise InvalidSpec(flag, f"{path} is not a block device", hint="lsblk lists them")
        found[path] = (os.major(status.st_rdev), os.minor(status.st_rdev))
    return found


def resources_of(limits: Limits | None, *, default_pids: bool = False) -> dict[str, Any]:
    """Return ``linux.resources`` of a container: the limits asked for, and podman's defaults."""
    if limits is None:  # nearly always, and twice in each start
        return {"pids": {"limit": DEFAULT_PIDS}} if default_pids else {}
    whole = limits
    if whole.memory_bytes and not whole.memory_swap_bytes:
        whole = whole.replace(memory_swap_bytes=2 * whole.memory_bytes)
    if default_pids and whole.pids is None:
        whole = whole.replace(pids=DEFAULT_PIDS)
    return whole.resources(numbers_of(whole))


def settings_of(
    context: Context, limits: Limits | None, *, default_pids: bool = False, path: str = ""
) -> tuple[Setting, ...]:
    """Return the settings that limits make in a cgroup: the existing one at ``path``, or a new one.

    Raises Unsupported, naming the flag, for a limit that this host does not support.
    """
    resources = resources_of(limits, default_pids=default_pids)
    if not resources:
        return ()
    defaults = {_DEFAULT_PIDS_FLAG} if limits is None or limits.pids is None else set()
    defaults |= {_SWAP_FLAG} if limits is None or not limits.memory_swap_bytes else set()
    return context.cgroups.settings(resources, defaults, path)
