"""What does a network cost a rootless pod? Compared with pasta's own start, which no pod with pasta can beat."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

from benchmarks.harness import PYPOD, Goal, Report, Settings, summarise
from benchmarks.workspace import Workspace

_NOBODY = 65534
_PYTHON = "/usr/bin/python3"  # the running one may be in a directory that only root can read
_REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_TIMEOUT_S = 300.0
_OVERHEAD = "pod up with pasta, less pasta's own start"
GOALS = {_OVERHEAD: Goal(limit=10)}

# A network namespace with a default route, to be the same on every machine, and a tun device that users may open.
_AROUND = """set -e
mount -t tmpfs tmpfs "$1"; mknod -m 666 "$1/tun" c 10 200; mount --bind "$1" /dev/net
ip link set lo up; ip link add out0 type veth peer name in0; ip link set in0 up
ip address add 192.0.2.2/24 dev out0; ip link set out0 up
ip route add default via 192.0.2.1
shift; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
"""

_INSIDE = """
import json, os, sys, time
import pypod

def pasta_alone():
    ready, told = os.pipe()
    os.set_inheritable(told, True)
    keeper = os.posix_spawn("/usr/bin/unshare", ["unshare", "-rn", "sh", "-c", f"echo >&{told}; exec sleep 60"], {})
    os.read(ready, 1)
    paths = [f"--userns=/proc/{keeper}/ns/user", f"--netns=/proc/{keeper}/ns/net"]
    words = "pasta -q --config-net --no-map-gw -t none -u none -T none -U none".split()
    null = [(os.POSIX_SPAWN_OPEN, 2, "pasta.log", os.O_WRONLY | os.O_CREAT, 0o600)]
    start = time.perf_counter()
    # SIGPIPE, which Python ignores, as it was: pasta takes that for an error
    words += [*paths, "--pid", os.path.abspath("pasta.pid")]
    pid = os.posix_spawn(PASTA, words, {}, file_actions=null, setsigdef=[13])
    status = os.waitpid(pid, 0)[1]
    taken = time.perf_counter() - start
    if status:
        sys.exit(open("pasta.log").read())
    os.kill(int(open("pasta.pid").read()), 9)
    os.kill(keeper, 9)
    os.waitpid(keeper, 0)
    os.close(ready)
    os.close(told)
    return taken

def pod_up(network):
    pod = pypod.Pod.create(network=network)
    try:
        start = time.perf_counter()
        pod.start()
        return time.perf_counter() - start
    finally:
        pod.remove(force=True, timeout=0)

PASTA, rounds = sys.argv[1], int(sys.argv[2])
pypod.Network.create("bench")
keeper = pypod.Pod.create(network="bench")
keeper.start()
turns = {
    "pasta's own start": pasta_alone,
    "pod up with lo only": lambda: pod_up("none"),
    "pod up with pasta": lambda: pod_up("pasta"),
    "pod up on a bridge": lambda: pod_up("bench"),
}
found = {name: [] for name in turns}
for turn in turns.values():
    turn()
for number in range(rounds):
    for name in list(turns)[:: 1 if number % 2 else -1]:
        found[name].append(turns[name]() * 1000)
keeper.remove(force=True, timeout=0)
print(json.dumps(found))
"""


def measure(settings: Settings) -> Report:
    """Return the start times of an ordinary user's pod, by its network."""
    report = Report("user_networks", "An ordinary user's pod, by its network")
    pasta = shutil.which("pasta")
    if pasta is None:
        report.notes.append("nothing was measured: pasta (Debian: passt) is not installed")
        return report
    with Workspace(settings.directory) as place:
        own = place.make("user")
        os.chown(own, _NOBODY, _NOBODY)
        rounds = str(settings.choose(60, 5))
        around = ["unshare", "--mount", "--net", "sh", "-c", _AROUND, "sh", place.make("device")]
        # a pid namespace, so that whatever is left of the user's session ends with it
        around = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *around]
        done = subprocess.run(
            [*around, _PYTHON, "-c", _INSIDE, pasta, rounds],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": _REPOSITORY, "HOME": own, "PYPOD_ROOT": f"{own}/storage"},
            cwd=own,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    if done.returncode:
        report.notes.append("nothing was measured: the user's part failed")
        return report
    found = json.loads(done.stdout)
    alone = found.pop("pasta's own start")
    found[_OVERHEAD] = [with_it - own for with_it, own in zip(found["pod up with pasta"], alone, strict=True)]
    report.rows.append(summarise("pasta's own start", "pasta", alone))
    report.rows += [summarise(name, PYPOD, times) for name, times in found.items()]
    report.compare(GOALS)
    report.notes.append("a user without subordinate ids; the bridge has another pod on it already")
    return report
