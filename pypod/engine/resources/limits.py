"""From the options of a call to limits, and from limits to what is written into a cgroup."""

from __future__ import annotations

import os
import stat

from pypod.errors import InvalidSpec
from pypod.kernel.proc import read_text
from pypod.model.limits import CPUS_PERIOD_US, DEFAULT_PIDS, Limits, parse_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypedDict

    from pypod.engine.core.context import Context
    from pypod.kernel.cgroups.settings import Setting

    class LimitOptions(TypedDict, total=False):
        """What may be asked of a cgroup. Sizes in bytes, times in microseconds; devices by path."""

        cpus: float
        cpu_shares: int
        cpu_period: int
        cpu_quota: int
        cpu_rt_period: int
        cpu_rt_runtime: int
        cpuset_cpus: str
        cpuset_mems: str
        memory: int
        memory_swap: int
        memory_reservation: int
        memory_swappiness: int
        oom_kill_disable: bool
        pids_limit: int
        blkio_weight: int
        blkio_weight_device: Mapping[str, int]
        device_read_bps: Mapping[str, int]
        device_write_bps: Mapping[str, int]
        device_read_iops: Mapping[str, int]
        device_write_iops: Mapping[str, int]


# option: field of Limits
_FIELDS = {
    "cpu_shares": "cpu_shares",
    "cpu_period": "cpu_period_us",
    "cpu_quota": "cpu_quota_us",
    "cpu_rt_period": "cpu_rt_period_us",
    "cpu_rt_runtime": "cpu_rt_runtime_us",
    "cpuset_cpus": "cpuset_cpus",
    "cpuset_mems": "cpuset_mems",
    "memory": "memory_bytes",
    "memory_swap": "memory_swap_bytes",
    "memory_reservation": "memory_reservation_bytes",
    "memory_swappiness": "memory_swappiness",
    "oom_kill_disable": "oom_kill_disable",
    "pids_limit": "pids",
    "blkio_weight": "blkio_weight",
}
_DEVICE_FIELDS = (
    "blkio_weight_device",
    "device_read_bps",
    "device_write_bps",
    "device_read_iops",
    "device_write_iops",
)
OPTIONS = frozenset((*_FIELDS, *_DEVICE_FIELDS, "cpus"))
DEVICE_OPTIONS = _DEVICE_FIELDS
# what nobody asked for and is left out where the host cannot
_DEFAULT_PIDS_FLAG = "--pids-limit"
_SWAP_FLAG = "--memory-swap"


def from_options(options: Mapping[str, Any]) -> Limits | None:
    """Return the limits among the options of a call, None when there are none. Raises InvalidSpec naming the flag."""
    found = {_FIELDS[name]: value for name, value in options.items() if name in _FIELDS}
    found |= {name: tuple(options[name].items()) for name in _DEVICE_FIELDS if options.get(name)}
    cpus = options.get("cpus", 0)
    if cpus:
        for name in ("cpu_period", "cpu_quota"):
            if options.get(name):
                flag = f"--{name.replace('_', '-')}"
                raise InvalidSpec(flag, f"{flag} and --cpus cannot be set together")
        if cpus < 0:
            raise InvalidSpec("--cpus", f"--cpus: {cpus:g} is negative")
        found |= {"cpu_period_us": CPUS_PERIOD_US, "cpu_quota_us": int(cpus * CPUS_PERIOD_US)}
    limits = Limits(**found) if found else None
    if limits is None or limits == Limits():
        return None
    _require_online(limits)
    numbers_of(limits)
    return limits


def _require_online(limits: Limits) -> None:
    """Raise InvalidSpec for processors and memory nodes that this host does not have."""
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
    """Return (major, minor) of the devices that limits name. Raises InvalidSpec for what is no block device."""
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
    """Return ``linux.resources`` of a container: what was asked for, and podman's defaults."""
    whole = limits or Limits()
    if whole.memory_bytes and not whole.memory_swap_bytes:
        whole = whole.replace(memory_swap_bytes=2 * whole.memory_bytes)
    if default_pids and whole.pids is None:
        whole = whole.replace(pids=DEFAULT_PIDS)
    return whole.resources(numbers_of(whole))


def settings_of(
    context: Context, limits: Limits | None, *, default_pids: bool = False, path: str = ""
) -> tuple[Setting, ...]:
    """Return what limits set in a cgroup, the one at ``path`` or a new one.

    Raises Unsupported, naming the flag, for what this host cannot limit.
    """
    resources = resources_of(limits, default_pids=default_pids)
    if not resources:
        return ()
    defaults = {_DEFAULT_PIDS_FLAG} if limits is None or limits.pids is None else set()
    defaults |= {_SWAP_FLAG} if limits is None or not limits.memory_swap_bytes else set()
    return context.cgroups.settings(resources, defaults, path)
