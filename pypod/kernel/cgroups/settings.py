"""Resource limits as writes to control files: translated from ``linux.resources`` of an OCI configuration.

Pure functions. Weights, which in OCI are those of v1, are converted as in crun and runc (opencontainers/runtime-spec,
config-linux.md; crun.1.md, "CGROUP v2"). What a cgroup version does not support raises Unsupported: no requested limit
is dropped.
"""

from __future__ import annotations

from pypod.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import Any

NO_LIMIT = "max"


class Setting:
    """One value for a group in the tree of ``controller``, requested by the command line's ``flag``.

    ``choices`` are (file, text): kernels differ in which files they have, and the first that exists is written. An
    ``optional`` one is a default rather than a request, and may be dropped.
    """

    __slots__ = ("choices", "controller", "flag", "optional")

    def __init__(
        self, controller: str, flag: str, choices: tuple[tuple[str, str], ...], *, optional: bool = False
    ) -> None:
        self.controller = controller
        self.flag = flag
        self.choices = choices
        self.optional = optional

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Setting{self._key()}"

    def _key(self) -> tuple[object, ...]:
        return self.controller, self.flag, self.choices, self.optional


# OCI's name in a group of ``resources``: (flag, controller and file of v1, those of v2; empty: unsupported)
_PLAIN: dict[str, tuple[tuple[str, str, tuple[str, str], tuple[str, str]], ...]] = {
    "cpu": (
        ("shares", "--cpu-shares", ("cpu", "cpu.shares"), ("cpu", "cpu.weight")),
        ("period", "--cpu-period", ("cpu", "cpu.cfs_period_us"), ("", "")),
        ("quota", "--cpu-quota", ("cpu", "cpu.cfs_quota_us"), ("", "")),
        ("realtimePeriod", "--cpu-rt-period", ("cpu", "cpu.rt_period_us"), ("", "")),
        ("realtimeRuntime", "--cpu-rt-runtime", ("cpu", "cpu.rt_runtime_us"), ("", "")),
        ("cpus", "--cpuset-cpus", ("cpuset", "cpuset.cpus"), ("cpuset", "cpuset.cpus")),
        ("mems", "--cpuset-mems", ("cpuset", "cpuset.mems"), ("cpuset", "cpuset.mems")),
    ),
    "memory": (
        ("limit", "--memory", ("memory", "memory.limit_in_bytes"), ("memory", "memory.max")),
        ("swap", "--memory-swap", ("memory", "memory.memsw.limit_in_bytes"), ("memory", "memory.swap.max")),
        ("reservation", "--memory-reservation", ("memory", "memory.soft_limit_in_bytes"), ("memory", "memory.low")),
        ("swappiness", "--memory-swappiness", ("memory", "memory.swappiness"), ("", "")),
        ("disableOOMKiller", "--oom-kill-disable", ("memory", "memory.oom_control"), ("", "")),
    ),
    "pids": (("limit", "--pids-limit", ("pids", "pids.max"), ("pids", "pids.max")),),
}
_CPUS_FLAG, _CPUS_PERIOD_US = "--cpus", 100_000
_CPUS = ("period", "quota")  # what it sets
_V1_ONLY = {
    "realtimePeriod": "the v2 cpu controller has no limits for real-time tasks",
    "realtimeRuntime": "the v2 cpu controller has no limits for real-time tasks",
    "swappiness": "the v2 memory controller has no swappiness per group",
    "disableOOMKiller": "the v2 memory controller always kills when its limit is reached",
}
# (OCI's name in blockIO, flag, file of v1, key in io.max of v2)
_THROTTLES = (
    ("throttleReadBpsDevice", "--device-read-bps", "blkio.throttle.read_bps_device", "rbps"),
    ("throttleWriteBpsDevice", "--device-write-bps", "blkio.throttle.write_bps_device", "wbps"),
    ("throttleReadIOPSDevice", "--device-read-iops", "blkio.throttle.read_iops_device", "riops"),
    ("throttleWriteIOPSDevice", "--device-write-iops", "blkio.throttle.write_iops_device", "wiops"),
)


def cpu_weight(shares: int) -> int:
    """Return the v2 weight (1 to 10000) of v1 shares (2 to 262144).

    >>> cpu_weight(1024), cpu_weight(2), cpu_weight(262144)
    (39, 1, 10000)
    """
    return 1 + (min(max(shares, 2), 262_144) - 2) * 9999 // 262_142


def io_weight(weight: int) -> int:
    """Return the v2 weight (1 to 10000) of a v1 block I/O weight (10 to 1000)."""
    return 1 + (weight - 10) * 9999 // 990


def legacy(resources: dict[str, Any], defaults: Collection[str] = ()) -> tuple[Setting, ...]:
    """Return the settings for v1 trees; those of the flags in ``defaults`` are optional."""
    found: list[Setting] = []
    for name, flag, (controller, file), _, value in _asked(resources):
        text = NO_LIMIT if name == "limit" and controller == "pids" and value <= 0 else _text(value)
        found.append(Setting(controller, flag, ((file, text),), optional=flag in defaults))
    block = resources.get("blockIO", {})
    if "weight" in block:
        text = str(block["weight"])
        found.append(Setting("blkio", "--blkio-weight", (("blkio.bfq.weight", text), ("blkio.weight", text))))
    for one in block.get("weightDevice", ()):
        text = f"{one['major']}:{one['minor']} {one['weight']}"
        files = ("blkio.bfq.weight_device", "blkio.weight_device")
        found.append(Setting("blkio", "--blkio-weight-device", tuple((file, text) for file in files)))
    for name, flag, file, _ in _THROTTLES:
        for one in block.get(name, ()):
            found.append(Setting("blkio", flag, ((file, f"{one['major']}:{one['minor']} {one['rate']}"),)))
    return tuple(found)


def device_settings(rules: Iterable[str], *, optional: bool) -> tuple[Setting, ...]:
    """Return the settings for the v1 tree of devices that allow what ``rules`` say, ``c 1:3 rwm``, and nothing else."""
    flag = "--device-cgroup-rule"
    texts = [("devices.deny", "a"), *(("devices.allow", "a" if rule[0] == "a" else rule) for rule in rules)]
    return tuple(Setting("devices", flag, (text,), optional=optional) for text in texts)


def unified(
    resources: dict[str, Any], defaults: Collection[str] = (), read: Callable[[str], str] = lambda _: ""
) -> tuple[Setting, ...]:
    """Return the settings for the v2 tree; those of the flags in ``defaults`` are optional.

    ``read`` returns the content of a file of the group: a new period keeps the current quota. Raises Unsupported for
    settings that only v1 has.
    """
    found: list[Setting] = []
    memory = resources.get("memory", {})
    for name, flag, _, (controller, file), value in _asked(resources):
        if name in _V1_ONLY:
            raise Unsupported(name, f"{flag}: {_V1_ONLY[name]}", hint="this host only has cgroups v2: leave it out")
        if not file:
            continue
        text = _text(value)
        if name == "shares":
            text = str(cpu_weight(value))
        elif name == "swap":  # v1 counts memory and swap together, v2 swap alone
            text = NO_LIMIT if value < 0 else str(max(value - memory.get("limit", 0), 0))
        elif name == "limit" and value <= 0:
            text = NO_LIMIT
        found.append(Setting(controller, flag, ((file, text),), optional=flag in defaults))
    found += _cpu_max(resources.get("cpu", {}), read)
    return (*found, *_block_io(resources.get("blockIO", {})))


def _cpu_max(cpu: dict[str, Any], read: Callable[[str], str]) -> Iterable[Setting]:
    """Quota and period share one file: a quota may be written alone, a period only after the quota to keep."""
    quota, period = cpu.get("quota"), cpu.get("period")
    if quota is None and period is None:
        return
    flag = _CPUS_FLAG if _is_cpus(cpu) else "--cpu-period" if quota is None else "--cpu-quota"
    text = (read("cpu.max").split() or [NO_LIMIT])[0] if quota is None else _quota(quota)
    yield Setting("cpu", flag, (("cpu.max", text if period is None else f"{text} {period}"),))


def _quota(quota: int) -> str:
    return str(quota) if quota > 0 else NO_LIMIT


def _block_io(block: dict[str, Any]) -> Iterator[Setting]:
    if "weight" in block:
        weight = block["weight"]
        choices = (("io.bfq.weight", str(weight)), ("io.weight", str(io_weight(weight))))
        yield Setting("io", "--blkio-weight", choices)
    for one in block.get("weightDevice", ()):
        number, weight = f"{one['major']}:{one['minor']}", one["weight"]
        choices = (("io.bfq.weight", f"{number} {weight}"), ("io.weight", f"{number} {io_weight(weight)}"))
        yield Setting("io", "--blkio-weight-device", choices)
    for name, flag, _, key in _THROTTLES:
        for one in block.get(name, ()):
            yield Setting("io", flag, (("io.max", f"{one['major']}:{one['minor']} {key}={one['rate']}"),))


def _asked(resources: dict[str, Any]) -> Iterator[tuple[str, str, tuple[str, str], tuple[str, str], Any]]:
    for group, rows in _PLAIN.items():
        given = resources.get(group, {})
        for name, flag, v1, v2 in rows:
            if name in given:
                yield name, _CPUS_FLAG if name in _CPUS and _is_cpus(given) else flag, v1, v2, given[name]


def _is_cpus(cpu: dict[str, Any]) -> bool:
    """Return whether a quota and its period may be those of --cpus: the errors name what the user wrote."""
    return cpu.get("period") == _CPUS_PERIOD_US and cpu.get("quota", 0) > 0


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, int) else value
