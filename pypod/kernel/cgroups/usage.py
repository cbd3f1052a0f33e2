"""Resource usage of a group, as the kernel accounts it."""

from __future__ import annotations

_UNLIMITED = 1 << 62  # v1 shows a page counter's maximum where there is no limit


class Usage:
    """Current and accumulated usage of a group's processes; None for what is not accounted there.

    ``cpu_ns`` is all processor time, ``system_ns`` that in the kernel; ``memory_bytes`` is everything charged to the
    group, page cache included, ``memory_limit_bytes`` its own limit (None: none); ``read_bytes`` and ``written_bytes``
    are of block devices.
    """

    __slots__ = (
        "cpu_ns",
        "memory_bytes",
        "memory_limit_bytes",
        "pids",
        "read_bytes",
        "system_ns",
        "written_bytes",
    )

    def __init__(
        self,
        cpu_ns: int | None,
        system_ns: int | None,
        memory_bytes: int | None,
        memory_limit_bytes: int | None,
        pids: int | None,
        block: tuple[int | None, int | None],
    ) -> None:
        self.cpu_ns = cpu_ns
        self.system_ns = system_ns
        self.memory_bytes = memory_bytes
        self.memory_limit_bytes = memory_limit_bytes
        self.pids = pids
        self.read_bytes, self.written_bytes = block

    def __repr__(self) -> str:
        return f"Usage({', '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)})"


def number(text: str) -> int | None:
    """Return the number in a control file; None for an empty one, ``max``, and v1's value for no limit."""
    text = text.strip()
    value = int(text) if text.isdecimal() else None
    return value if value is not None and value < _UNLIMITED else None


def cpu_stat(text: str) -> tuple[int | None, int | None]:
    """Return total time and time in the kernel, in nanoseconds, from cpu.stat of v2."""
    words = text.split()
    found = dict(zip(words[::2], words[1::2], strict=False))
    if "usage_usec" not in found:
        return None, None
    return int(found["usage_usec"]) * 1000, int(found.get("system_usec", 0)) * 1000


def io_stat(text: str) -> tuple[int, int]:
    """Return the bytes read and written from io.stat of v2: a line per device, ``8:0 rbytes=1 wbytes=2 rios=...``."""
    read = written = 0
    for word in text.split():
        key, _, value = word.partition("=")
        if key == "rbytes":
            read += int(value)
        elif key == "wbytes":
            written += int(value)
    return read, written


def io_service_bytes(text: str) -> tuple[int, int]:
    """Return the bytes read and written from blkio.throttle.io_service_bytes_recursive: lines ``8:0 Read 1``."""
    total = {"Read": 0, "Write": 0}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in total:
            total[words[1]] += int(words[2])
    return total["Read"], total["Write"]
