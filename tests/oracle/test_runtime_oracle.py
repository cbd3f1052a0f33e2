"""Another runtime, given our config.json, creates the same container: ids, capabilities, filters, masks, names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

RUNTIMES = {
    "crun": ("crun", "--cgroup-manager=disabled"),
    "runc": ("runc",),
}
# The first process's view of itself; then the masked and read-only paths, and their contents.
LOOK = """
cat /proc/self/status; echo "Host: $(hostname)"; echo "Umask2: $(umask)"; echo "Cwd: $(pwd)"; ulimit -n
for path in /proc/kcore /proc/acpi /proc/scsi /proc/timer_list /sys/firmware; do
    echo "Hidden: $path $(head -c 1 $path 2>&1 | wc -c) $(ls -A $path 2>&1 | wc -l)"
done
for path in /proc/sys/kernel/domainname /proc/sysrq-trigger /sys/kernel/uevent_helper; do
    (: > $path) 2> /dev/null && echo "Written: $path"
done
sort /proc/self/mountinfo | while read -r id parent device root target options rest; do echo "Mounted: $target"; done
env | sort
"""
FIELDS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "user": {"user": "1000:100", "groups": ("5", "44"), "cap_add": ("NET_RAW",), "working_directory": "/tmp"},
    "few_rights": {"cap_drop": ("ALL",), "security_opt": ("no-new-privileges",), "umask": 0o77, "hostname": "box"},
    "no_filter": {"security_opt": ("seccomp=unconfined", "unmask=/proc/kcore"), "ulimits": ("nofile=77:99",)},
    "read_only": {"read_only": True, "tmpfs": ("/scratch",), "environment": {"A": "b c"}},
    "of_host": {"network": "host", "uts": "host", "ipc": "host"},
}


def seen(text: str) -> dict[str, Any]:
    """Return a process's report, without the lines that differ each time."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key in FIELDS:
            found[key] = value.split()
        elif key in ("Host", "Umask2", "Cwd", "Hidden", "Written") or line.isdigit():
            found.setdefault("told", []).append(line)
        elif key == "Mounted":
            # the trees of cgroups v1 are not in the configuration: other runtimes have their own way to show them
            found.setdefault("mounted", set()).update({value.strip()} if "/sys/fs/cgroup/" not in value else ())
        elif re.match(r"(PATH|TERM|HOSTNAME|A|container)=", line):
            found.setdefault("variables", []).append(line)
    return found


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_bundle_of_ours(engine, busybox, tmp_path: Path, runtime: str, options: dict[str, Any]) -> None:
    if shutil.which(runtime) is None:
        pytest.skip(f"{runtime} is not installed")
    given = {"network": "none", **options}
    ours = engine.containers.run(["sh", "-c", LOOK], rootfs=busybox, **given)
    assert ours.wait(timeout=20) == 0
    expected = seen(b"".join(piece.data for piece in ours.logs() if piece.stream == "stdout").decode())
    bundle = tmp_path / "bundle"
    shutil.copytree(busybox, bundle / "rootfs", symlinks=True)
    config = ours.oci_config()
    config["root"]["path"] = "rootfs"
    config["linux"]["cgroupsPath"] = f"/pypod-oracle-{os.getpid()}"
    (bundle / "config.json").write_text(json.dumps(config))
    words = [*RUNTIMES[runtime], "--root", str(tmp_path / "state"), "run", "-b", str(bundle), f"pypod-{os.getpid()}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 0, done.stderr
    assert seen(done.stdout) == expected
