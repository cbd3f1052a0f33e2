"""Cgroups of an unprivileged user, in a scope that their systemd delegates. tests/vm has a guest with such a user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pypod import Unsupported
from pypod.engine.networks import user_bridges
from pypod.engine.session import session
from pypod.kernel.cgroups.detect import detect
from pypod.kernel.cgroups.scope import user_bus, why_not
from tests.facts import group, is_there, kill_and_wait, members, wait_until

UID = os.geteuid()
WHY_NOT = why_not(detect(), UID, user_bus(UID)) if UID else "root has the whole tree"
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"cgroups: {WHY_NOT}")

MIB = 1 << 20
SLEEP = ("sleep", "1000")
SERVICE = f"/user.slice/user-{UID}.slice/user@{UID}.service"


@pytest.fixture
def engine(engine):
    """Return an engine whose session, and with it its scope, ends with the test."""
    yield engine
    for pod in engine.pods.list():
        pod.remove(force=True, timeout=0)
    for container in engine.containers.list(all=True):
        container.remove(force=True, timeout=0)
    scope = Path(engine.cgroups.root)
    session.end(engine)
    wait_until(lambda: not scope.exists())


def own_group(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::")


def test_everything_of_a_container_is_in_the_scope(engine, busybox) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox, memory=32 * MIB, cpus=0.5, pids_limit=50)
    state = container.state()
    above, _, scope = engine.cgroups.prefix.rpartition("/")
    assert above == f"{SERVICE}/user.slice"
    assert scope.startswith("pypod-")
    assert own_group(state.pid) == engine.cgroups.prefix + container.record().cgroup
    assert own_group(state.supervisor_pid) == f"{engine.cgroups.prefix}/pypod/monitors"
    assert container.inspect()["State"]["CgroupPath"] == own_group(state.pid)
    directory = group(engine, container)
    assert (directory / "memory.max").read_text() == f"{32 * MIB}\n"
    assert (directory / "cpu.max").read_text() == "50000 100000\n"
    assert (directory / "pids.max").read_text() == "50\n"
    shown = ["systemctl", "--user", "show", "-P", "Delegate", scope]
    assert subprocess.run(shown, capture_output=True, check=True, text=True).stdout == "yes\n"


def test_who_starts_it_stays_where_it_is(engine, busybox) -> None:
    before = own_group(os.getpid())
    engine.containers.run(SLEEP, rootfs=busybox)
    assert own_group(os.getpid()) == before


def test_a_command_in_a_container_counts_with_it(engine, busybox) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox)
    with container.popen(["sleep", "1000"]):
        wait_until(lambda: len(members(engine, container)) == 2)


def test_a_pods_limit_holds_for_all_of_it(engine, busybox) -> None:
    pod = engine.pods.create("p", memory=32 * MIB, memory_swap=32 * MIB)
    sibling = pod.run(SLEEP, rootfs=busybox)
    above = group(engine, sibling).parent
    assert (above / "memory.max").read_text() == f"{32 * MIB}\n"
    hog = pod.run(["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"], rootfs=busybox, oom_score_adj=1000)
    assert hog.wait(30) == 137
    assert sibling.state().status == "running"
    pod.update(memory=64 * MIB, memory_swap=64 * MIB)
    assert (above / "memory.max").read_text() == f"{64 * MIB}\n"


def test_out_of_memory_pause_and_statistics(engine, busybox) -> None:
    hog = engine.containers.run(
        ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"],
        rootfs=busybox,
        memory=32 * MIB,
        memory_swap=32 * MIB,
    )
    assert hog.wait(30) == 137
    assert hog.state().oom_killed
    container = engine.containers.run(SLEEP, rootfs=busybox, memory=32 * MIB)
    container.pause()
    assert "frozen 1" in (group(engine, container) / "cgroup.events").read_text()
    stats = next(container.stats())
    assert (stats.pids, stats.memory_limit_bytes) == (1, 32 * MIB)
    assert stats.memory_bytes
    container.unpause()


def test_stop_kills_what_left_its_parent(engine, busybox) -> None:
    script = "setsid sleep 1000 & exec sleep 1000"
    container = engine.containers.run(["sh", "-c", script], rootfs=busybox, pid="host")
    wait_until(lambda: len(members(engine, container)) == 2)
    pids = members(engine, container)
    container.stop(timeout=0)
    wait_until(lambda: not any(map(is_there, pids)))
    assert not group(engine, container).exists()


def test_the_scope_outlives_its_holder(engine, busybox) -> None:
    """The next start joins the scope that lives on."""
    first = engine.containers.run(SLEEP, rootfs=busybox)
    holder = session.of(engine).holder
    kill_and_wait(holder.pid)
    second = engine.containers.run(SLEEP, rootfs=busybox, memory=32 * MIB)
    holder = session.of(engine).holder
    assert own_group(holder.pid) == f"{engine.cgroups.prefix}/holder"
    assert {own_group(one.state().pid).rpartition("/")[0] for one in (first, second)} == {
        f"{engine.cgroups.prefix}/pypod"
    }


def test_what_is_not_delegated_is_an_error_that_says_so(engine, busybox) -> None:
    if "cpuset" in engine.cgroups.controllers():
        pytest.skip("cgroups: this user has cpuset")
    with pytest.raises(Unsupported, match=r"--cpuset-cpus: .*Delegate=yes"):
        engine.containers.create(SLEEP, rootfs=busybox, cpuset_cpus="0").start()


def test_the_holder_of_bridges_does_not_end_with_who_started_it(engine) -> None:
    holder = user_bridges.ensure(engine)
    try:
        assert own_group(holder.pid) == f"{engine.cgroups.prefix}/pypod/monitors"
    finally:
        user_bridges.end(engine)
    assert not is_there(holder.pid)
