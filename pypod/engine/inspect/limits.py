"""The limits of a container as inspect shows them."""

from __future__ import annotations

from pypod.model.limits import CPUS_PERIOD_US, DEFAULT_PIDS, Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.model.container import ContainerSpec

_LIMIT_FIELDS = {
    "CpuShares": "cpu_shares",
    "CpuPeriod": "cpu_period_us",
    "CpuQuota": "cpu_quota_us",
    "CpuRealtimePeriod": "cpu_rt_period_us",
    "CpuRealtimeRuntime": "cpu_rt_runtime_us",
    "CpusetCpus": "cpuset_cpus",
    "CpusetMems": "cpuset_mems",
    "Memory": "memory_bytes",
    "MemorySwap": "memory_swap_bytes",
    "MemoryReservation": "memory_reservation_bytes",
    "OomKillDisable": "oom_kill_disable",
    "BlkioWeight": "blkio_weight",
}
_DEVICE_LIMITS = {
    "BlkioDeviceReadBps": "device_read_bps",
    "BlkioDeviceWriteBps": "device_write_bps",
    "BlkioDeviceReadIOps": "device_read_iops",
    "BlkioDeviceWriteIOps": "device_write_iops",
}


def of(spec: ContainerSpec) -> dict[str, Any]:
    """Return the limits of a container, with podman's defaults."""
    limits = spec.limits or Limits()
    found: dict[str, Any] = {name: getattr(limits, field) for name, field in _LIMIT_FIELDS.items()}
    found["PidsLimit"] = DEFAULT_PIDS if limits.pids is None else limits.pids
    found["OomScoreAdj"] = spec.oom_score_adj or 0
    if limits.memory_bytes and not limits.memory_swap_bytes:
        found["MemorySwap"] = 2 * limits.memory_bytes
    # podman shows a number here once memory is limited in any way
    limited = (limits.memory_bytes, limits.memory_reservation_bytes, limits.oom_kill_disable)
    if any(limited) or limits.memory_swappiness >= 0:
        found["MemorySwappiness"] = limits.memory_swappiness
    if limits.cpu_period_us == CPUS_PERIOD_US and limits.cpu_quota_us > 0:  # equivalent to --cpus
        found["NanoCpus"] = limits.cpu_quota_us * 1_000_000_000 // CPUS_PERIOD_US
    for name, field in _DEVICE_LIMITS.items():
        rows = [{"Path": path, "Rate": rate} for path, rate in getattr(limits, field)]
        found[name] = rows or None
    weights = [{"Path": path, "Weight": weight} for path, weight in limits.blkio_weight_device]
    found["BlkioWeightDevice"] = weights or None
    return found
