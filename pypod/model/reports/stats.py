"""A snapshot of a container's resource usage."""

from __future__ import annotations

from pypod.model.value import Value


class Stats(Value):
    """Resource usage of one container; None for what is not accounted on this host, or while it is not running.

    ``time_ns`` is the time of the sample, in nanoseconds since the epoch. ``cpu_ns`` is all processor time since its
    start, ``system_ns`` the part in the kernel; ``cpu_percent`` is of one processor, since the previous sample, and
    ``average_cpu_percent`` since its start. ``memory_bytes`` is everything that the kernel charges to it, page cache
    included; ``memory_limit_bytes`` is the lowest of its limit, its pod's and the host's memory. ``pids`` counts
    threads, where the kernel does. The rest are bytes since the start: of block devices, and of the interfaces of its
    network namespace except lo, which the members of a pod share.
    """

    id: str
    name: str
    pod_id: str = ""
    running: bool = True
    time_ns: int
    cpu_percent: float = 0.0
    average_cpu_percent: float = 0.0
    cpu_ns: int | None = None
    system_ns: int | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int = 0
    pids: int | None = None
    network_input_bytes: int | None = None
    network_output_bytes: int | None = None
    block_input_bytes: int | None = None
    block_output_bytes: int | None = None

    @property
    def memory_percent(self) -> float:
        """Used memory in percent of the limit."""
        return 100 * (self.memory_bytes or 0) / self.memory_limit_bytes if self.memory_limit_bytes else 0.0
