"""The flags that limit what a container or pod may use, and their way into the library's options."""

from __future__ import annotations

from pypod.cli.flags.parser import Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pypod.api.options import LimitOptions
    from pypod.cli.flags.parser import Parsed

_SIZE = "<number>[<unit>]"
_FLAGS = (
    Flag(name="blkio-weight", help="Block IO weight (relative weight) accepts a weight value between 10 and 1000"),
    Flag(
        name="blkio-weight-device",
        kind="strings",
        help="Block IO weight (relative device weight, format: DEVICE_NAME:WEIGHT)",
        metavar="DEVICE_NAME:WEIGHT",
    ),
    Flag(name="cpu-period", kind="uint", help="Limit the CPU CFS (Completely Fair Scheduler) period"),
    Flag(name="cpu-quota", kind="int", help="Limit the CPU CFS (Completely Fair Scheduler) quota"),
    Flag(name="cpu-rt-period", kind="uint", help="Limit the CPU real-time period in microseconds"),
    Flag(name="cpu-rt-runtime", kind="int", help="Limit the CPU real-time runtime in microseconds"),
    Flag(name="cpu-shares", short="c", kind="uint", help="CPU shares (relative weight)"),
    Flag(name="cpus", kind="float", help="Number of CPUs. The default is 0.000 which means no limit"),
    Flag(name="cpuset-cpus", help="CPUs in which to allow execution (0-3, 0,1)"),
    Flag(
        name="cpuset-mems",
        help="Memory nodes (MEMs) in which to allow execution (0-3, 0,1). Only effective on NUMA systems.",
    ),
    Flag(
        name="device-read-bps",
        kind="strings",
        help="Limit read rate (bytes per second) from a device (e.g. --device-read-bps=/dev/sda:1mb)",
    ),
    Flag(
        name="device-read-iops",
        kind="strings",
        help="Limit read rate (IO per second) from a device (e.g. --device-read-iops=/dev/sda:1000)",
    ),
    Flag(
        name="device-write-bps",
        kind="strings",
        help="Limit write rate (bytes per second) to a device (e.g. --device-write-bps=/dev/sda:1mb)",
    ),
    Flag(
        name="device-write-iops",
        kind="strings",
        help="Limit write rate (IO per second) to a device (e.g. --device-write-iops=/dev/sda:1000)",
    ),
    Flag(name="memory", short="m", help="Memory limit; the unit is b (bytes), k, m or g (1024s)", metavar=_SIZE),
    Flag(name="memory-reservation", help="Memory soft limit", metavar=_SIZE),
    Flag(name="memory-swap", help="Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    Flag(
        name="memory-swappiness",
        kind="int",
        default=-1,
        help="Tune container memory swappiness (0 to 100, or -1 for system default)",
    ),
    Flag(name="oom-kill-disable", kind="bool", help="Disable OOM Killer"),
    Flag(name="pids-limit", kind="int", default=2048, help="Tune container pids limit (set -1 for unlimited)"),
)
_PIDS = Flag(name="pids-limit", kind="int", help="Tune pids limit (set -1 for unlimited)")  # with no default of its own
OOM_SCORE = Flag(name="oom-score-adj", kind="int", help="Tune the host's OOM preferences (-1000 to 1000)")
CONTAINER_FLAGS = (*_FLAGS, OOM_SCORE)
POD_FLAGS = (*_FLAGS[:-1], _PIDS)
UPDATE_FLAGS = tuple(flag for flag in POD_FLAGS if flag.name != "oom-kill-disable")


def limit_options(options: Parsed) -> LimitOptions:
    """Return the library's options for the limits on a command line. Raises InvalidSpec."""
    found: dict[str, Any] = {}
    known = {flag.name for flag in options.command.flags}
    for flag in CONTAINER_FLAGS:
        if flag.name in known and options.changed(flag.name):
            read = _READERS.get(flag.name)
            value = options[flag.name]
            found[flag.name.replace("-", "_")] = read(value, f"--{flag.name}") if read else value
    return found  # type: ignore[return-value]


def ram_bytes(text: str) -> int:
    """Read a size as docker/go-units' RAMInBytes does: 1024s, ``1.5g``, ``32MiB``, ``100 kb``. Raises ValueError."""
    number = text.lower().removesuffix("b").removesuffix("i") if text[-1:] in "bB" else text.lower()
    power = "bkmgtp".find(number[-1:]) if number[-1:].isalpha() else 0
    digits = number[:-1].removesuffix(" ") if power > 0 else number.removesuffix(" ")
    if power < 0 or not digits or not all(char in "0123456789." for char in digits) or digits.count(".") > 1:
        raise ValueError(f"invalid size: '{text}'")
    if digits[0] == "." or digits[-1] == ".":
        raise ValueError(f"invalid size: '{text}'")
    return int(float(digits) * 1024**power)


def _size(text: str, flag: str) -> int:
    try:
        return ram_bytes(text)
    except (ValueError, OverflowError) as error:
        raise InvalidSpec(flag, f"invalid value for memory: {error}") from error


def _swap(text: str, flag: str) -> int:
    return -1 if text == "-1" else _size(text, flag)


def _weight(text: str, flag: str) -> int:
    from pypod.cli.go.strconv import parse_uint

    try:
        return parse_uint(text)
    except ValueError as error:
        raise InvalidSpec(flag, f"invalid value for blkio-weight: {error}") from error


def _devices(words: list[str], flag: str, number: Callable[[str], int], told: Callable[[str], str]) -> dict[str, int]:
    found = {}
    for word in words:
        path, colon, value = word.partition(":")
        if not colon:
            raise InvalidSpec(flag, f"bad format: {word}")
        if not path.startswith("/dev/"):
            raise InvalidSpec(flag, f"bad format for device path: {word}")
        try:
            found[path] = number(value)
        except (ValueError, OverflowError) as error:
            raise InvalidSpec(flag, told(word)) from error
    return found


def _bytes_of_devices(words: list[str], flag: str) -> dict[str, int]:
    rule = (
        "<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
    )
    return _devices(
        words, flag, ram_bytes, lambda word: f"invalid rate for device: {word}. The correct format is {rule}"
    )


def _counts_of_devices(words: list[str], flag: str) -> dict[str, int]:
    rule = "<device-path>:<number>. Number must be a positive integer"
    return _devices(
        words, flag, _decimal, lambda word: f"invalid rate for device: {word}. The correct format is {rule}"
    )


def _weights_of_devices(words: list[str], flag: str) -> dict[str, int]:
    return _devices(words, flag, _decimal, lambda word: f"invalid weight for device: {word}")


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "blkio-weight": _weight,
    "blkio-weight-device": _weights_of_devices,
    "device-read-bps": _bytes_of_devices,
    "device-read-iops": _counts_of_devices,
    "device-write-bps": _bytes_of_devices,
    "device-write-iops": _counts_of_devices,
    "memory": _size,
    "memory-reservation": _size,
    "memory-swap": _swap,
}
