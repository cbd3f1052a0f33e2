"""The kernel's view, without pypod: which processes exist, of what kind they are, and leftovers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

KINDS = {
    "pypod-launch": "launcher",
    "pypod-monitor": "monitor",
    "pypod-infra": "infra",
    "pypod-init": "container",
    "pypod-names": "name server",
    "pypod-unpack": "unpacker",
    "discard": "discarder",
}
ID = re.compile(r"[0-9a-f]{64}")
CGROUPS = Path("/sys/fs/cgroup")


class Process(NamedTuple):
    """A process that is no zombie; ``group`` is the id of the container whose cgroup it is in, or empty."""

    pid: int
    start_time: int
    kind: str
    group: str


def process(pid: int) -> Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return None
    name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
    ids = {found[-1] for line in groups.splitlines() if (found := ID.findall(line))}
    if rest[0] in ("Z", "X"):
        return None
    group = min(ids, default="")
    return Process(pid, int(rest[19]), KINDS.get(name, "container" if group else "other"), group)


def processes() -> list[Process]:
    """Return every process of this PID namespace except the first and this one."""
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return [found for pid in pids if pid not in (1, os.getpid()) and (found := process(pid))]


def kill(victim: Process) -> bool:
    """Send SIGKILL to exactly this process; return whether it still existed."""
    try:
        fd = os.pidfd_open(victim.pid)
    except ProcessLookupError:
        return False
    try:
        now = process(victim.pid)
        if now is None or now.start_time != victim.start_time:
            return False
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def lies(listed: list[dict[str, object]]) -> list[str]:
    """Return the differences between a listing of all containers and the existing processes."""
    found, living = [], processes()
    by_pid = {one.pid: one for one in living}
    known = {str(one["Id"]): one for one in listed}
    for identifier, one in known.items():
        state, pid = str(one["State"]), int(str(one["Pid"]))
        own = by_pid.get(pid)
        if state in ("running", "paused"):
            if own is None or own.group != identifier:
                found.append(f"{identifier[:12]} is listed as {state} with pid {pid}, which is {own}")
        else:
            runs = [member for member in living if member.group == identifier]
            found += [f"{identifier[:12]} is listed as {state}, but this runs: {member}" for member in runs]
    return found + [f"not listed, but running: {one}" for one in living if one.group and one.group not in known]


def mounts() -> set[str]:
    return {line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def links() -> set[str]:
    told = subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout
    return {one["ifname"] for one in json.loads(told)}


def elements() -> list[str]:
    """Return the elements of the sets and maps of pypod's table."""
    done = subprocess.run(["nft", "-j", "list", "table", "inet", "pypod"], capture_output=True, check=False)
    rows = json.loads(done.stdout)["nftables"] if done.returncode == 0 else []
    sets = [row.get("set") or row.get("map") for row in rows if "set" in row or "map" in row]
    return [f"{one['name']}: {it}" for one in sets if one["name"] != "version" for it in one.get("elem", [])]


def groups(ids: set[str]) -> list[str]:
    """Return the cgroups of containers and pods, in every tree."""
    return [path for path, _, _ in os.walk(CGROUPS) if path.rpartition("/")[2] in ids]
