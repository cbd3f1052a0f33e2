"""The programs and places that ``info`` names: the monitor, the launcher, programs for networks, the file system."""

from __future__ import annotations

import os
import subprocess

from pypod import __version__
from pypod.kernel import programs
from pypod.kernel.proc import read_text
from pypod.network.user_mode import PASTA, SLIRP4NETNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.core.context import Context

_UNKNOWN = "Unknown"  # podman's word for a program that belongs to no package
_PROGRAM_TIMEOUT_S = 5
# The names that podman's storage library has for file systems.
_FILE_SYSTEMS = {"ext2": "extfs", "ext3": "extfs", "ext4": "extfs", "overlay": "overlayfs", "fuseblk": "fuse"}


def monitor() -> dict[str, Any]:
    """Return the program that stays with a container, in the place of conmon."""
    return _own("monitor")


def runtime() -> dict[str, Any]:
    """Return the program that creates processes, in the place of an OCI runtime."""
    return {"name": "pypod", **_own("launch")}


def _own(name: str) -> dict[str, Any]:
    return {
        "package": _UNKNOWN,
        "path": f"{programs.DIRECTORY}/{name}",
        "version": f"pypod {name} version {__version__}",
    }


def network_programs() -> dict[str, dict[str, str]]:
    """Return the programs that give users' containers a network; empty strings for one that is not installed."""
    return {name: _installed(name) for name in (PASTA, SLIRP4NETNS)}


def _installed(name: str) -> dict[str, str]:
    path = programs.installed(name)
    if not path:
        return {"executable": "", "package": "", "version": ""}
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=_PROGRAM_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {"executable": path, "package": _UNKNOWN, "version": ""}
    return {"executable": path, "package": _UNKNOWN, "version": done.stdout.decode("utf-8", "replace").rstrip("\n")}


def remote_socket(context: Context) -> dict[str, Any]:
    """Return where podman's service would listen; pypod has none."""
    runtime_directory = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    path = f"{runtime_directory if context.rootless else '/run'}/podman/podman.sock"
    return {"path": path, "exists": False}


def processor_usage() -> dict[str, float]:
    """Return how the processors have spent the time since the boot, in percent."""
    words = [int(word) for word in read_text("/proc/stat").partition("\n")[0].split()[1:5]]
    total = sum(words) or 1
    user, nice, system, idle = ([*words, 0, 0, 0, 0])[:4]
    shares = (("userPercent", user + nice), ("systemPercent", system), ("idlePercent", idle))
    return {name: round(100 * part / total, 2) for name, part in shares}


def backing_file_system(path: str) -> str:
    """Return the type of the file system that holds a path, under its name in podman's storage library."""
    number = os.stat(path).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    for line in read_text("/proc/self/mountinfo").splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == device:
            kind = rest.split()[0]
            return _FILE_SYSTEMS.get(kind, kind)
    return "<unknown>"
