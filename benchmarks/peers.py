"""podman and crun as contestants, each with storage of its own."""

from __future__ import annotations

import glob
import json
import os
import select
import shutil
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from benchmarks.harness import PODMAN, Unavailable, run
from benchmarks.workspace import Workspace, free_the_unified_tree, unmount_below

if TYPE_CHECKING:
    from typing import Self

    from benchmarks.harness import Clock

# podman's default limits cannot be set without CAP_SYS_RESOURCE; pypod caps its own at those of the caller.
_CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
"""
_CGROUP_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/*")
_PODMAN_GROUPS = ("libpod_parent", "machine.slice")
_CRUN_GROUP = "pypod-benchmark-crun"
_SHARED = {"network": "net", "ipc": "ipc", "uts": "uts"}
# Run by a small process of its own: the kernel attributes the parent's memory before execve(2) to the child (exec_mmap
# in fs/exec.c keeps the maximum).
_PEAK = """import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(f"\\n{usage.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Shell:
    """A program and its constant arguments; podman and pypod take the same commands."""

    def __init__(self, *argv: str, environment: dict[str, str] | None = None) -> None:
        self._argv = argv
        self._environment = environment

    def __call__(self, *words: str, expect: int | None = 0) -> float:
        """Run a command; return its time in ms. Raises Unavailable with its error message when it fails."""
        return run((*self._argv, *words), self._environment, expect=expect)[0]

    def output(self, *words: str) -> str:
        """Run a command and return its output."""
        return run((*self._argv, *words), self._environment)[1]

    def peak_mb(self, *words: str) -> float:
        """Run a command; return the peak resident set of the largest of its processes, in MB."""
        argv = (sys.executable, "-I", "-S", "-c", _PEAK, *self._argv, *words)
        return int(run(argv, self._environment)[1].splitlines()[-1]) * 1024 / 1e6


class Podman:
    """podman as a contestant: set up, driven by its commands, cleaned up."""

    name = PODMAN

    def __init__(self, place: Workspace, every: int = 1, label: str = "podman") -> None:
        self._place = place
        self.every = every
        self._label = label
        self.notes: list[str] = []
        self._groups: set[str] = set()
        self._run_root = ""
        self.shell = Shell("podman")
        self._number = 0

    def __enter__(self) -> Self:
        if shutil.which("podman") is None:
            raise Unavailable("podman is not installed")
        directory = self._place.make(self._label)
        configuration = f"{directory}/containers.conf"
        with open(configuration, "w", encoding="ascii") as file:
            file.write(_CONTAINERS_CONF)
        self.notes += filter(None, [free_the_unified_tree(self._place)])
        self._groups = _groups(*_PODMAN_GROUPS)
        # in /run like podman's default, and short: podman rejects more than 50 characters
        self._run_root = tempfile.mkdtemp(prefix="pypod-benchmark-", dir="/run")
        storage = ["--root", f"{directory}/root", "--runroot", self._run_root, "--storage-driver", "overlay"]
        storage += ["--network-config-dir", f"{directory}/networks"]
        self.shell = Shell(
            "podman", *storage, environment={**os.environ, "CONTAINERS_CONF": configuration, "TMPDIR": directory}
        )
        try:
            self.shell("info")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for words in (("pod", "rm", "-a", "-f", "-t", "0"), ("rm", "-a", "-f", "-t", "0")):
            self.shell(*words, expect=None)
        for group in _groups(*_PODMAN_GROUPS) - self._groups:
            _remove_tree_of_groups(group)
        unmount_below(self._run_root)
        shutil.rmtree(self._run_root, ignore_errors=True)

    def turn(self, clock: Clock) -> None:
        """Start and remove a pod by commands."""
        self._number += 1
        pod, shell = f"benchmark{self._number}", self.shell

        def start(name: str) -> float:
            return shell(
                "run", "-d", "--pod", pod, "--name", name, "--rootfs", f"{self._place.rootfs}:O", "sleep", "1000"
            )

        clock.add(
            "pod create+start",
            shell("pod", "create", "--network", "none", "--name", pod) + shell("pod", "start", pod),
        )
        clock.add("container create+start", start(f"{pod}a"))
        clock.add("exec true", shell("exec", f"{pod}a", "true"))
        clock.add("stop", shell("stop", "-t", "0", f"{pod}a"))
        shell("rm", f"{pod}a")
        clock.add("container create+start", start(f"{pod}b"), start(f"{pod}c"))
        clock.add("pod rm -f", shell("pod", "rm", "-f", "-t", "0", pod))


class Crun:
    """crun as a contestant: it has no pods, so the pod is a container whose namespaces others join."""

    name = "crun"

    def __init__(self, place: Workspace, every: int = 1) -> None:
        self._place = place
        self.every = every
        self.notes = [
            "crun has no pods and keeps no logs: its pod is one more container, its rootfs is used directly (no "
            "overlay), with `crun spec`'s configuration (no seccomp filter, fewer masks)"
        ]
        self._number = 0
        self._directory = ""
        self.shell = Shell("crun")

    def __enter__(self) -> Self:
        if shutil.which("crun") is None:
            raise Unavailable("crun is not installed")
        self._directory = self._place.make("crun")
        self.notes += filter(None, [free_the_unified_tree(self._place)])
        self.shell = Shell("crun", "--root", f"{self._directory}/state", "--cgroup-manager", "cgroupfs")
        shutil.copytree(self._place.rootfs, f"{self._directory}/rootfs", symlinks=True)
        return self

    def __exit__(self, *_: object) -> None:
        state = f"{self._directory}/state"
        for name in os.listdir(state) if os.path.isdir(state) else ():
            self.shell("delete", "-f", name, expect=None)
        for group in _groups(_CRUN_GROUP):
            _remove_tree_of_groups(group)

    def turn(self, clock: Clock) -> None:
        """Do the same with containers that the others do with a pod."""
        self._number += 1
        infra, *names = (f"benchmark{self._number}{letter}" for letter in "iabc")
        bundle = self._bundle(infra, ["sleep", "1000"], None)
        clock.add("pod create+start", self._start(infra, bundle))
        joined = self._pid(infra)
        bundles = {name: self._bundle(name, ["sleep", "1000"], joined) for name in names}
        clock.add("container create+start", self._start(names[0], bundles[names[0]]))
        clock.add("exec true", self.shell("exec", names[0], "true"))
        clock.add("stop", self._stop(names[0]))
        self.shell("delete", names[0])
        clock.add("container create+start", *(self._start(name, bundles[name]) for name in names[1:]))
        clock.add("pod rm -f", sum(self.shell("delete", "-f", name) for name in (*names[1:], infra)))

    def _start(self, name: str, bundle: str) -> float:
        return self.shell("run", "-d", "--pid-file", f"{bundle}/pid", "--bundle", bundle, name)

    def _pid(self, name: str) -> int:
        with open(f"{self._directory}/{name}/pid", encoding="ascii") as file:
            return int(file.read())

    def _stop(self, name: str) -> float:
        """Kill it and wait until it is gone, as the others' stop does."""
        fd = os.pidfd_open(self._pid(name))
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            start = time.perf_counter()
            self.shell("kill", name, "KILL")
            poll.poll()
            return (time.perf_counter() - start) * 1000
        finally:
            os.close(fd)

    def _bundle(self, name: str, command: list[str], joined: int | None) -> str:
        directory = f"{self._directory}/{name}"
        os.mkdir(directory)
        run(("crun", "spec", "--bundle", directory))
        with open(f"{directory}/config.json", encoding="utf-8") as file:
            config: dict[str, Any] = json.load(file)
        config["process"] |= {"args": command, "terminal": False}
        config["root"] = {"path": f"{self._directory}/rootfs", "readonly": False}
        config["linux"]["cgroupsPath"] = f"/{_CRUN_GROUP}/{name}"
        namespaces = [{"type": kind} for kind in ("pid", "mount", "cgroup", *_SHARED)]
        for entry in namespaces:
            if joined is not None and entry["type"] in _SHARED:
                entry["path"] = f"/proc/{joined}/ns/{_SHARED[entry['type']]}"
        config["linux"]["namespaces"] = namespaces
        if joined is not None:
            config.pop("hostname", None)  # the pod's
        with open(f"{directory}/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)
        return directory


def _groups(*names: str) -> set[str]:
    return {path for root in _CGROUP_ROOTS for name in names for path in glob.glob(f"{root}/{name}")}


def _remove_tree_of_groups(directory: str) -> None:
    # only rmdir: a cgroup with another program's processes in it stays
    for path, _, _ in os.walk(directory, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            continue
