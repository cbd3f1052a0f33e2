"""What protects the host of a running container, read on the host from the kernel's list of its mounts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pypod.runtime.oci import MASKED_PATHS, READ_ONLY_PATHS


class Mounted(NamedTuple):
    root: str
    target: str
    options: frozenset[str]
    kind: str


def mounts_of(pid: int) -> list[Mounted]:
    """Return the mounts of a process, later ones over earlier ones (proc(5), /proc/pid/mountinfo)."""
    found = []
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        fields = [re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), field) for field in line.split(" ")]
        kind = fields[fields.index("-") + 1]
        found.append(Mounted(fields[3], fields[4], frozenset(fields[5].split(",")), kind))
    return found


def gaps(pid: int) -> list[str]:
    """Return what the container could reach although it is masked or read-only; empty if every mask holds.

    Each procfs and sysfs counts, wherever it is mounted: an image wants one that has no masks.
    """
    mounts = mounts_of(pid)
    top = {mount.target: mount for mount in mounts}
    found = []
    for place, kind in (("/proc", "proc"), ("/sys", "sysfs")):
        if place not in top or top[place].kind != kind:
            found.append(f"{place} is no {kind}")
    for mount in mounts:
        if mount.kind not in ("proc", "sysfs") or mount.root != "/":
            continue
        own = "/proc" if mount.kind == "proc" else "/sys"
        at = mount.target.rstrip("/")
        if mount.kind == "sysfs" and "ro" not in mount.options:
            found.append(f"{at} can be written to")
        for path in MASKED_PATHS:
            there = top.get(at + path.removeprefix(own))
            if path.startswith(f"{own}/") and Path(path).exists() and (there is None or there.root != _cover(path)):
                found.append(f"{at}{path.removeprefix(own)} is not hidden")
        for path in READ_ONLY_PATHS:
            there = top.get(at + path.removeprefix(own))
            if path.startswith(f"{own}/") and Path(path).exists() and (there is None or "ro" not in there.options):
                found.append(f"{at}{path.removeprefix(own)} can be written to")
    return found


def _cover(path: str) -> str:
    """Return the root of the mount that hides a path: /null of the container's /dev, or an empty directory."""
    return "/" if Path(path).is_dir() else "/null"
