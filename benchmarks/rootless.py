"""How long do a rootless pod and a container in it take? pypod as a library, compared with rootless podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

from benchmarks.harness import PODMAN, PYPOD, Goal, Report, Settings, summarise
from benchmarks.workspace import Workspace, free_the_unified_tree

_REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PYTHON = "/usr/bin/python3"  # the running one may be in a directory that only root can read
_NAME, _UID, _FIRST = "pypodbench", 64321, 2100000000
_TIMEOUT_S = 600.0
GOALS = {
    "pod create+start": Goal(limit=4),
    "container start": Goal(limit=4),
    "container create+start": Goal(limit=4),
    "exec true": Goal(limit=2),
}
# Settings that rootless podman needs on a host where it cannot raise limits.
_CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
cgroups = "disabled"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

# The user, with subordinate ids, exists only in this mount namespace: nothing is left on the host.
_AROUND = f"""set -e
for file in passwd group subuid subgid; do cp /etc/$file "$1/$file"; done
echo {_NAME}:x:{_UID}:{_UID}::$HOME:/bin/sh >> "$1/passwd"; echo {_NAME}:x:{_UID}: >> "$1/group"
for file in subuid subgid; do echo {_NAME}:{_FIRST}:65536 >> "$1/$file"; done
for file in passwd group subuid subgid; do mount --bind "$1/$file" /etc/$file; done
mount -t tmpfs -o mode=755 tmpfs /run; mkdir -m 700 /run/user; chown {_UID}:{_UID} /run/user
shift; exec setpriv --reuid {_UID} --regid {_UID} --clear-groups "$@"
"""

_INSIDE = """
import json, os, subprocess, sys, time
import pypod

rootfs, rounds, podman_every = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
command, found, said = ["sleep", "1000"], {}, []

def timed(name, function):
    start = time.perf_counter()
    result = function()
    found.setdefault(name, []).append((time.perf_counter() - start) * 1000)
    return result

def library(engine):
    def up():
        pod = engine.pods.create(network="none")
        pod.start()
        return pod
    pod = timed("pypod/pod create+start", up)
    first = timed("pypod/container create+start", lambda: pod.run(command, rootfs=rootfs))
    assert timed("pypod/exec true", lambda: first.exec(["true"])).exit_code == 0
    second = timed("pypod/container create", lambda: pod.create_container(command, rootfs=rootfs))
    timed("pypod/container start", second.start)
    timed("pypod/pod rm -f", lambda: pod.remove(force=True, timeout=0))

def podman(number):
    def shell(*words):
        done = subprocess.run(["podman", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
    pod = f"bench{number}"
    rest = ["--pod", pod, "--rootfs", f"{rootfs}:O", *command]
    timed("podman/pod create+start", lambda: (shell("pod", "create", "--network", "none", "--name", pod),
                                              shell("pod", "start", pod)))
    timed("podman/container create+start", lambda: shell("run", "-d", "--name", f"{pod}a", *rest))
    timed("podman/exec true", lambda: shell("exec", f"{pod}a", "true"))
    timed("podman/container create", lambda: shell("create", "--name", f"{pod}b", *rest))
    timed("podman/container start", lambda: shell("start", f"{pod}b"))
    timed("podman/pod rm -f", lambda: shell("pod", "rm", "-f", "-t", "0", pod))

with pypod.Engine() as engine:
    library(engine)
    found.clear()
    for number in range(rounds):
        library(engine)
        if podman_every and number % podman_every == 0 and not said:
            try:
                podman(number)
            except (OSError, RuntimeError) as error:
                said.append(f"podman was not measured: {error}")
print(json.dumps([found, said]))
"""


def measure(settings: Settings) -> Report:
    """Return the times of the life of an ordinary user's pod with lo only."""
    report = Report("rootless", "The life of an ordinary user's pod: lo only, ms")
    with Workspace(settings.directory) as place:
        own = place.make("user")
        os.chown(own, _UID, _UID)
        with open(f"{own}/containers.conf", "w", encoding="ascii") as file:
            file.write(_CONTAINERS_CONF)
        report.notes += filter(None, [free_the_unified_tree(place)])
        every = settings.choose(10, 3) if shutil.which("podman") else 0
        # podman creates files in it, and must own it
        shutil.copytree(place.rootfs, f"{own}/rootfs", symlinks=True)
        subprocess.run(["chown", "-R", f"{_UID}:{_UID}", f"{own}/rootfs"], check=True)
        words = [f"{own}/rootfs", str(settings.choose(200, 6)), str(every)]
        around = ["unshare", "--mount", "sh", "-c", _AROUND, "sh", place.make("files")]
        # a pid namespace, so that whatever is left of the user's session ends with it
        around = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *around]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": _REPOSITORY, "HOME": own, "USER": _NAME}
        environment |= {"XDG_RUNTIME_DIR": "/run/user", "CONTAINERS_CONF": f"{own}/containers.conf", "TMPDIR": own}
        done = subprocess.run(
            [*around, _PYTHON, "-c", _INSIDE, *words],
            env=environment,
            cwd=own,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    if done.returncode:
        report.notes.append("nothing was measured: the user's part failed")
        return report
    found, said = json.loads(done.stdout)
    for name, times in found.items():
        contestant, _, operation = name.partition("/")
        report.rows.append(summarise(operation, PYPOD if contestant == "pypod" else PODMAN, times))
    order = list(dict.fromkeys(row.operation for row in report.rows))
    report.rows.sort(key=lambda row: order.index(row.operation))
    report.compare(GOALS)
    report.notes += said
    report.notes.append("a user with subordinate ids; storage as in a home directory")
    return report
