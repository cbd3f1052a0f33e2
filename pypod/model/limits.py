"""Resource limits of a container or pod: processor time, memory, processes, block devices."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Rates = tuple[tuple[str, int], ...]

DEFAULT_PIDS = 2048  # podman's
CPUS_PERIOD_US = 100_000
SYSTEM_SWAPPINESS = -1
UNLIMITED = -1

# (field, OCI's name in blockIO, its name of the number)
_DEVICE_FIELDS = (
    ("blkio_weight_device", "weightDevice", "weight"),
    ("device_read_bps", "throttleReadBpsDevice", "rate"),
    ("device_write_bps", "throttleWriteBpsDevice", "rate"),
    ("device_read_iops", "throttleReadIOPSDevice", "rate"),
    ("device_write_iops", "throttleWriteIOPSDevice", "rate"),
)
# field: (group of linux.resources, name there); left out when the field has its default
_FIELDS = {
    "cpu_shares": ("cpu", "shares"),
    "cpu_period_us": ("cpu", "period"),
    "cpu_quota_us": ("cpu", "quota"),
    "cpu_rt_period_us": ("cpu", "realtimePeriod"),
    "cpu_rt_runtime_us": ("cpu", "realtimeRuntime"),
    "cpuset_cpus": ("cpu", "cpus"),
    "cpuset_mems": ("cpu", "mems"),
    "memory_bytes": ("memory", "limit"),
    "memory_swap_bytes": ("memory", "swap"),
    "memory_reservation_bytes": ("memory", "reservation"),
    "memory_swappiness": ("memory", "swappiness"),
    "oom_kill_disable": ("memory", "disableOOMKiller"),
    "pids": ("pids", "limit"),
    "blkio_weight": ("blockIO", "weight"),
}


class Limits(Value):
    """Limits and weights of a cgroup; a field with its default sets nothing.

    ``memory_swap_bytes`` is memory plus swap, -1 for unlimited swap. ``pids`` None is the default (2048, where the host
    can limit it), 0 or less no limit. The device fields are (path, number): bytes or operations per second, or a weight
    from 10 to 1000. Times are microseconds.
    >>> Limits(memory_bytes=1 << 25).resources()
    {'memory': {'limit': 33554432}}
    """

    cpu_shares: int = 0
    cpu_period_us: int = 0
    cpu_quota_us: int = 0
    cpu_rt_period_us: int = 0
    cpu_rt_runtime_us: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    memory_bytes: int = 0
    memory_swap_bytes: int = 0
    memory_reservation_bytes: int = 0
    memory_swappiness: int = SYSTEM_SWAPPINESS
    oom_kill_disable: bool = False
    pids: int | None = None
    blkio_weight: int = 0
    blkio_weight_device: Rates = ()
    device_read_bps: Rates = ()
    device_write_bps: Rates = ()
    device_read_iops: Rates = ()
    device_write_iops: Rates = ()

    def check(self) -> None:
        self._check_cpu()
        self._check_memory()
        if self.blkio_weight and not 10 <= self.blkio_weight <= 1000:
            raise InvalidSpec("--blkio-weight", "range of blkio weight is from 10 to 1000")
        for path, weight in self.blkio_weight_device:
            if not 10 <= weight <= 1000:
                raise InvalidSpec("--blkio-weight-device", f"invalid weight for device: {path}:{weight}")
        for field, _, number in _DEVICE_FIELDS:
            flag = f"--{field.replace('_', '-')}"
            for path, rate in getattr(self, field):
                if not path.startswith("/dev/"):
                    raise InvalidSpec(flag, f"bad format for device path: {path}:{rate}")
                if rate <= 0:
                    raise InvalidSpec(flag, f"invalid {number} for device: {path}:{rate}: must be a positive integer")

    def _check_cpu(self) -> None:
        numbers = ("cpu_shares", "cpu_period_us", "cpu_rt_period_us", "cpu_rt_runtime_us")
        for field in numbers:
            if getattr(self, field) < 0:
                flag = f"--{field.removesuffix('_us').replace('_', '-')}"
                raise InvalidSpec(flag, f"{flag}: {getattr(self, field)} is negative")
        if self.cpu_period_us and not 1000 <= self.cpu_period_us <= 1_000_000:
            raise InvalidSpec(
                "--cpu-period",
                "CPU cfs period cannot be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            )
        if 0 < self.cpu_quota_us < 1000:
            raise InvalidSpec("--cpu-quota", "CPU cfs quota cannot be less than 1ms (i.e. 1000)")
        if self.cpuset_cpus and not parse_list(self.cpuset_cpus):
            raise InvalidSpec("--cpuset-cpus", f"invalid value {self.cpuset_cpus} for cpuset cpus")
        if self.cpuset_mems and not parse_list(self.cpuset_mems):
            raise InvalidSpec("--cpuset-mems", f"invalid value {self.cpuset_mems} for cpuset mems")

    def _check_memory(self) -> None:
        for field in ("memory_bytes", "memory_reservation_bytes"):
            if getattr(self, field) < 0:
                flag = f"--{field.removesuffix('_bytes').replace('_', '-')}"
                raise InvalidSpec(flag, f"invalid value for memory: invalid size: '{getattr(self, field)}'")
        if self.memory_swap_bytes and not self.memory_bytes:
            raise InvalidSpec(
                "--memory-swap", "you should always set a memory limit when using a memoryswap limit, see usage"
            )
        if self.memory_swap_bytes < UNLIMITED or 0 < self.memory_swap_bytes < self.memory_bytes:
            raise InvalidSpec("--memory-swap", "minimum memoryswap limit should be larger than memory limit, see usage")
        if self.memory_bytes and self.memory_bytes < self.memory_reservation_bytes:
            raise InvalidSpec(
                "--memory-reservation",
                "minimum memory limit cannot be less than memory reservation limit, see usage",
            )
        if not SYSTEM_SWAPPINESS <= self.memory_swappiness <= 100:
            raise InvalidSpec(
                "--memory-swappiness",
                f"invalid value: {self.memory_swappiness}, valid memory swappiness range is 0-100",
            )

    @property
    def devices(self) -> tuple[tuple[str, str], ...]:
        """The devices named in limits, each with its flag."""
        return tuple(
            (path, f"--{field.replace('_', '-')}") for field, _, _ in _DEVICE_FIELDS for path, _ in getattr(self, field)
        )

    def resources(self, numbers: Mapping[str, tuple[int, int]] | None = None) -> dict[str, Any]:
        """Return the limits as ``linux.resources`` of an OCI configuration.

        ``numbers`` has (major, minor) of each device.
        """
        found: dict[str, Any] = {}
        for field, (group, name) in _FIELDS.items():
            value = getattr(self, field)
            if value != self._defaults[field]:
                found.setdefault(group, {})[name] = value
        for field, name, number in _DEVICE_FIELDS:
            rows = [
                {"major": major, "minor": minor, number: value}
                for path, value in getattr(self, field)
                for major, minor in ((numbers or {})[path],)
            ]
            if rows:
                found.setdefault("blockIO", {})[name] = rows
        return found


def parse_list(text: str) -> frozenset[int]:
    """Return the numbers in a list in the kernel's format, ``0-3,7``; empty when it is malformed.

    >>> sorted(parse_list("0-2,4"))
    [0, 1, 2, 4]
    """
    found: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if not (first.isascii() and first.isdecimal()) or (dash and not (last.isascii() and last.isdecimal())):
            return frozenset()
        if len(first) > 5 or len(last) > 5:
            return frozenset()
        numbers = range(int(first), int(last if dash else first) + 1)
        if not numbers:
            return frozenset()
        found.update(numbers)
    return frozenset(found)
