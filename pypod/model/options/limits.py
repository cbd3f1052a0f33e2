"""The options that limit the resources of a container or pod."""

from __future__ import annotations

from _collections_abc import Mapping

from pypod.errors import InvalidSpec
from pypod.model.limits import CPUS_PERIOD_US, SYSTEM_SWAPPINESS, Limits
from pypod.model.options import readers as read
from pypod.model.options.classes import field, frozen
from pypod.model.options.fields import NONE_GIVEN, Options, about, options_of

SIZE = "<number>[<unit>]"


@frozen(kw_only=True)
class LimitOptions(Options):
    """The cgroup options. Sizes in bytes, times in microseconds; devices by path."""

    cpus: float = field(
        default=0.0,
        converter=read.number,
        metadata=about("Number of CPUs. The default is 0.000 which means no limit", kind="float"),
    )
    cpu_shares: int = field(default=0, metadata=about("CPU shares (relative weight)", short="c", kind="uint"))
    cpu_period: int = field(
        default=0,
        metadata=about("Limit the CPU CFS (Completely Fair Scheduler) period", kind="uint", spec="cpu_period_us"),
    )
    cpu_quota: int = field(
        default=0, metadata=about("Limit the CPU CFS (Completely Fair Scheduler) quota", spec="cpu_quota_us")
    )
    cpu_rt_period: int = field(
        default=0,
        metadata=about("Limit the CPU real-time period in microseconds", kind="uint", spec="cpu_rt_period_us"),
    )
    cpu_rt_runtime: int = field(
        default=0, metadata=about("Limit the CPU real-time runtime in microseconds", spec="cpu_rt_runtime_us")
    )
    cpuset_cpus: str = field(default="", metadata=about("CPUs in which to allow execution (0-3, 0,1)"))
    cpuset_mems: str = field(
        default="",
        metadata=about("Memory nodes (MEMs) in which to allow execution (0-3, 0,1). Only effective on NUMA systems."),
    )
    memory: int = field(
        default=0,
        converter=read.memory,
        metadata=about(
            "Memory limit; the unit is b (bytes), k, m or g (1024s)",
            short="m",
            kind="string",
            metavar=SIZE,
            spec="memory_bytes",
        ),
    )
    memory_swap: int = field(
        default=0,
        converter=read.swap,
        metadata=about(
            "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
            kind="string",
            spec="memory_swap_bytes",
        ),
    )
    memory_reservation: int = field(
        default=0,
        converter=read.memory,
        metadata=about("Memory soft limit", kind="string", metavar=SIZE, spec="memory_reservation_bytes"),
    )
    memory_swappiness: int = field(
        default=SYSTEM_SWAPPINESS,
        metadata=about("Tune container memory swappiness (0 to 100, or -1 for system default)"),
    )
    oom_kill_disable: bool = field(default=False, metadata=about("Disable OOM Killer"))
    pids_limit: int | None = field(default=None, metadata=about("Tune pids limit (set -1 for unlimited)", spec="pids"))
    blkio_weight: int = field(
        default=0,
        metadata=about("Block IO weight (relative weight) accepts a weight value between 10 and 1000", kind="string"),
    )
    blkio_weight_device: Mapping[str, int] = field(
        default=NONE_GIVEN,
        converter=read.rates,
        metadata=about(
            "Block IO weight (relative device weight, format: DEVICE_NAME:WEIGHT)",
            kind="strings",
            metavar="DEVICE_NAME:WEIGHT",
        ),
    )
    device_read_bps: Mapping[str, int] = field(
        default=NONE_GIVEN,
        converter=read.rates,
        metadata=about(
            "Limit read rate (bytes per second) from a device (e.g. --device-read-bps=/dev/sda:1mb)", kind="strings"
        ),
    )
    device_write_bps: Mapping[str, int] = field(
        default=NONE_GIVEN,
        converter=read.rates,
        metadata=about(
            "Limit write rate (bytes per second) to a device (e.g. --device-write-bps=/dev/sda:1mb)", kind="strings"
        ),
    )
    device_read_iops: Mapping[str, int] = field(
        default=NONE_GIVEN,
        converter=read.rates,
        metadata=about(
            "Limit read rate (IO per second) from a device (e.g. --device-read-iops=/dev/sda:1000)", kind="strings"
        ),
    )
    device_write_iops: Mapping[str, int] = field(
        default=NONE_GIVEN,
        converter=read.rates,
        metadata=about(
            "Limit write rate (IO per second) to a device (e.g. --device-write-iops=/dev/sda:1000)", kind="strings"
        ),
    )

    def limits(self) -> Limits | None:
        """Return the limits that are set, or None. Raises InvalidSpec naming the flag."""
        found = {
            field: value for name, (field, default) in _FIELDS.items() if (value := getattr(self, name)) != default
        }
        found = {field: tuple(value.items()) if isinstance(value, dict) else value for field, value in found.items()}
        if self.cpus:
            for name in ("cpu_period", "cpu_quota"):
                if getattr(self, name):
                    flag = f"--{name.replace('_', '-')}"
                    raise InvalidSpec(flag, f"{flag} and --cpus cannot be set together")
            if self.cpus < 0:
                raise InvalidSpec("--cpus", f"--cpus: {self.cpus:g} is negative")
            found |= {"cpu_period_us": CPUS_PERIOD_US, "cpu_quota_us": int(self.cpus * CPUS_PERIOD_US)}
        return Limits(**found) if found else None


# option: its field in Limits, and the value that means no limit
_FIELDS = {
    name: (said.spec or name, field.default)
    for name, (field, said) in options_of(LimitOptions).items()
    if name != "cpus"
}
