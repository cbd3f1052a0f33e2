"""A container that exhausts resources leaves its infra, its siblings and the host alive."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from tests.facts import group, members, output, wait_for_output, wait_until

pytestmark = pytest.mark.root

MIB = 1 << 20
PIDS = 64
# watch restarts it each second, and carries on when it cannot fork, where a shell would exit; the init reaps orphans,
# or the limit would soon be used up by zombies
BOMB = ["watch", "-t", "-n", "1", "bomb() { bomb | bomb & }; echo lit; bomb 2>/dev/null"]


@pytest.fixture
def pod(engine, busybox):
    """Return a pod with a sibling that responds."""
    for controller in ("memory", "pids"):
        if controller not in engine.cgroups.controllers():
            pytest.skip(f"cgroups: this host has no controller {controller}")
    made = engine.pods.create("p")
    sibling = made.run(["sleep", "1000"], rootfs=busybox, name="sibling")
    yield made
    assert sibling.state().status == "running"


def unharmed(engine, pod) -> None:
    """Assert that infra and sibling run, a command in the sibling responds, a container starts, and the host forks."""
    infra = engine.containers.get(pod.record().infra_id)
    sibling = engine.containers.get("sibling")
    assert (infra.state().status, sibling.state().status) == ("running", "running")
    assert sibling.exec(["echo", "alive"]).stdout == b"alive\n"
    another = pod.run(["true"], rootfs=engine.container_spec(sibling.record()).rootfs)
    assert another.wait(20) == 0
    another.remove()
    assert os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1]) == 0


def test_fork_bomb(engine, busybox, pod) -> None:
    hog = pod.run(BOMB, rootfs=busybox, init=True, pids_limit=PIDS, memory=64 * MIB, memory_swap=64 * MIB, cpus=0.5)
    wait_for_output(hog, b"lit")
    directory = Path(engine.cgroups.directory(hog.record().cgroup, "pids"))
    wait_until(lambda: "max 0" not in (directory / "pids.events").read_text(), 20)
    assert int((directory / "pids.current").read_text()) <= PIDS
    unharmed(engine, pod)
    wait_until(lambda: len(members(engine, hog)) > PIDS // 2, 20)
    pids = members(engine, hog)
    assert hog.state().status == "running"
    began = time.monotonic()
    hog.stop(timeout=0)
    assert time.monotonic() - began < 10
    assert not group(engine, hog).exists()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_memory_hog(engine, busybox, pod) -> None:
    hog = pod.run(
        ["sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done"],
        rootfs=busybox,
        memory=64 * MIB,
        memory_swap=64 * MIB,
    )
    assert hog.wait(30) == 137
    assert hog.state().oom_killed
    unharmed(engine, pod)


def test_hog_of_a_shared_memory(engine, busybox, pod) -> None:
    """/dev/shm belongs to the pod: the writer is charged for its pages, and its size limits them."""
    hog = pod.run(
        ["dd", "if=/dev/zero", "of=/dev/shm/full", "bs=1M"], rootfs=busybox, memory=128 * MIB, memory_swap=128 * MIB
    )
    assert hog.wait(30) == 1
    assert b"No space left" in output(hog)
    unharmed(engine, pod)


def test_descriptor_hog(engine, busybox, pod) -> None:
    """The container has its own limit: the host's table of open files has room for everything else."""
    # a shell whose own exec finds no free descriptor exits, so a subshell tries first
    script = """
        i=3
        while (eval "exec $i</dev/null") 2>/dev/null; do eval "exec $i</dev/null"; i=$((i+1)); done
        sleep 1000
    """
    hog = pod.run(["sh", "-c", script], rootfs=busybox, ulimits=["nofile=256:256"], pids_limit=PIDS, memory=64 * MIB)
    wait_until(lambda: _descriptors(hog.state().pid) >= 200, 20)
    assert _descriptors(hog.state().pid) <= 256
    unharmed(engine, pod)
    allocated, _, limit = map(int, Path("/proc/sys/fs/file-nr").read_text().split())
    assert limit - allocated > resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd")) if pid else 0
