"""Limits as the kernel has them in its control files, and the reported resource usage."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from pypod import InvalidSpec, Unsupported, WrongState
from pypod.kernel.cgroups.detect import UNIFIED
from tests.facts import created_nothing, group, members, needs_controller, wait_for_output, wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
MIB = 1 << 20
# option: (value, (controller, file, text) of v1, of v2)
LIMITS = {
    "memory": (32 * MIB, ("memory", "memory.limit_in_bytes", "33554432"), ("memory", "memory.max", "33554432")),
    "memory_reservation": (
        16 * MIB,
        ("memory", "memory.soft_limit_in_bytes", "16777216"),
        ("memory", "memory.low", "16777216"),
    ),
    "cpus": (0.5, ("cpu", "cpu.cfs_quota_us", "50000"), ("cpu", "cpu.max", "50000 100000")),
    "cpu_quota": (20_000, ("cpu", "cpu.cfs_quota_us", "20000"), ("cpu", "cpu.max", "20000 100000")),
    "cpu_shares": (512, ("cpu", "cpu.shares", "512"), ("cpu", "cpu.weight", "20")),
    "cpuset_cpus": ("0", ("cpuset", "cpuset.cpus", "0"), ("cpuset", "cpuset.cpus", "0")),
    "cpuset_mems": ("0", ("cpuset", "cpuset.mems", "0"), ("cpuset", "cpuset.mems", "0")),
    "pids_limit": (50, ("pids", "pids.max", "50"), ("pids", "pids.max", "50")),
}


def has(engine, controller: str) -> bool:
    return controller in engine.cgroups.controllers()


def expected(engine, option: str) -> tuple[object, tuple[str, str, str]]:
    value, legacy, unified = LIMITS[option]
    row = unified if engine.cgroups.mode == UNIFIED else legacy
    needs_controller(engine, row[0])
    return value, row


def read(engine, path: str, row: tuple[str, str, str]) -> str:
    return Path(engine.cgroups.directory(path, row[0]), row[1]).read_text().strip()


@pytest.mark.parametrize("option", LIMITS)
class TestContainer:
    def test_has_it_before_anything_runs(self, engine, busybox, option) -> None:
        value, row = expected(engine, option)
        container = engine.containers.run(SLEEP, rootfs=busybox, **{option: value})
        assert read(engine, container.record().cgroup, row) == row[2]
        pid = container.state().pid
        assert (
            str(pid)
            in Path(engine.cgroups.directory(container.record().cgroup, row[0]), "cgroup.procs").read_text().split()
        )

    def test_is_given_it_while_it_runs(self, engine, busybox, option) -> None:
        value, row = expected(engine, option)
        container = engine.containers.run(["sh", "-c", "sleep 1000 & wait"], rootfs=busybox)
        wait_until(lambda: len(members(engine, container)) == 2)
        container.update(**{option: value})
        assert read(engine, container.record().cgroup, row) == row[2]
        procs = Path(engine.cgroups.directory(container.record().cgroup, row[0]), "cgroup.procs").read_text()
        assert {int(pid) for pid in procs.split()} == members(engine, container)


# limits that v2 does not have; option: (value, (controller, file, line in it))
OF_V1 = {
    "memory_swappiness": (10, ("memory", "memory.swappiness", "10")),
    "oom_kill_disable": (True, ("memory", "memory.oom_control", "oom_kill_disable 1")),
    "cpu_rt_period": (500_000, ("cpu", "cpu.rt_period_us", "500000")),
}


@pytest.mark.parametrize("option", OF_V1)
def test_what_v1_alone_has(engine, busybox, option) -> None:
    value, row = OF_V1[option]
    flag = "--" + option.replace("_", "-")
    if engine.cgroups.mode == UNIFIED:
        for make in (engine.pods.create, lambda **limit: engine.containers.run(SLEEP, rootfs=busybox, **limit)):
            with pytest.raises(Unsupported, match=flag):
                make(**{option: value})
        assert created_nothing(engine)
        return
    needs_controller(engine, row[0])
    if not Path(engine.cgroups.directory("/any", row[0])).with_name(row[1]).exists():
        pytest.skip(f"cgroups: this kernel has no {row[1]}")
    container = engine.containers.run(SLEEP, rootfs=busybox, **{option: value})
    member = engine.pods.create("p", **{option: value}).run(SLEEP, rootfs=busybox)
    for path in (container.record().cgroup, member.record().cgroup.rpartition("/")[0]):
        assert row[2] in read(engine, path, row).splitlines()


# option: (file of v1, key in io.max of v2)
RATES = {
    "device_read_bps": ("blkio.throttle.read_bps_device", "rbps"),
    "device_write_bps": ("blkio.throttle.write_bps_device", "wbps"),
    "device_read_iops": ("blkio.throttle.read_iops_device", "riops"),
    "device_write_iops": ("blkio.throttle.write_iops_device", "wiops"),
}


@pytest.fixture
def disk(engine) -> str:
    """Return a disk of this host, which no test reads or writes."""
    unified = engine.cgroups.mode == UNIFIED
    if not has(engine, "io" if unified else "blkio"):
        pytest.skip("cgroups: this host has no controller of block devices")
    for name in sorted(path.name for path in Path("/sys/block").iterdir()):
        if not name.startswith(("loop", "ram", "zram")) and Path(f"/dev/{name}").is_block_device():
            return f"/dev/{name}"
    pytest.skip("cgroups: this host has no disk to limit")


@pytest.mark.parametrize("option", RATES)
def test_rates_of_a_device(engine, busybox, disk, option) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox, **{option: {disk: 1 << 20}})
    number = Path(f"/sys/block/{Path(disk).name}/dev").read_text().strip()
    unified = engine.cgroups.mode == UNIFIED
    directory = Path(engine.cgroups.directory(container.record().cgroup, "io" if unified else "blkio"))
    file, key = RATES[option]
    text = (directory / ("io.max" if unified else file)).read_text()
    assert text.split()[0] == number
    assert (f"{key}=1048576" if unified else "1048576") in text.split()


def test_rates_and_weights_of_a_pod(engine, busybox, disk) -> None:
    number = Path(f"/sys/block/{Path(disk).name}/dev").read_text().strip()
    unified = engine.cgroups.mode == UNIFIED
    pod = engine.pods.create("p", **{option: {disk: 1 << 20} for option in RATES})
    one = pod.run(SLEEP, rootfs=busybox)
    above = Path(engine.cgroups.directory(one.record().cgroup.rpartition("/")[0], "io" if unified else "blkio"))
    for file, key in RATES.values():
        text = (above / ("io.max" if unified else file)).read_text().split()
        assert text[0] == number
        assert (f"{key}=1048576" if unified else "1048576") in text


def test_rates_of_what_is_no_device(engine, busybox) -> None:
    with pytest.raises(InvalidSpec, match="is not a block device"):
        engine.containers.create(SLEEP, rootfs=busybox, device_read_bps={"/dev/null": 1 << 20})
    assert created_nothing(engine)


def test_processes_are_limited_by_default(engine, busybox) -> None:
    container = engine.containers.run(SLEEP, rootfs=busybox)
    if has(engine, "pids"):
        directory = engine.cgroups.directory(container.record().cgroup, "pids")
        assert Path(directory, "pids.max").read_text() == "2048\n"


def test_an_update_that_is_refused_changes_nothing(engine, busybox) -> None:
    value, row = expected(engine, "memory")
    container = engine.containers.run(SLEEP, rootfs=busybox, memory=value)
    with pytest.raises(InvalidSpec, match="invalid size"):
        container.update(memory=-1)
    with pytest.raises(InvalidSpec, match="not available"):
        container.update(cpuset_cpus="4095")
    assert read(engine, container.record().cgroup, row) == row[2]


def test_an_update_of_the_environment(engine, busybox) -> None:
    """The next exec and the next start get it; variables that are not named stay, and so do limits."""

    def variables() -> dict[str, str]:
        return dict(line.split("=", 1) for line in container.exec(["env"]).stdout.decode().splitlines())

    container = engine.containers.run(
        ["sleep", "100"], rootfs=busybox, memory="64m", environment={"OLD": "1", "KEPT": "2"}
    )
    container.update(environment={"NEW": "a=b", "OLD": "3"}, unsetenv=["container", "NOBODY"])
    wanted = {"NEW": "a=b", "OLD": "3", "KEPT": "2"}
    assert variables().items() >= wanted.items()
    assert "container" not in variables()
    container.restart(timeout=0)
    assert variables().items() >= wanted.items()
    main = Path(f"/proc/{container.state().pid}/environ").read_bytes().split(b"\0")
    assert b"OLD=3" in main
    assert b"OLD=1" not in main
    assert container.inspect()["HostConfig"]["Memory"] == 64 << 20
    container.update(unsetenv=["OLD"], memory="32m")
    assert "OLD" not in variables()
    assert container.inspect()["HostConfig"]["Memory"] == 32 << 20
    with pytest.raises(InvalidSpec, match="invalid environment variable"):
        container.update(environment={"=": "x"})
    with pytest.raises(InvalidSpec, match="infra"):
        pod_infra(engine).update(environment={"A": "1"})


def pod_infra(engine):
    pod = engine.pods.create()
    assert pod.infra is not None
    return pod.infra


def test_an_update_lasts(engine, busybox) -> None:
    """Also of what does not run, over restarts, and beside the other limits; inspect shows it."""
    value, row = expected(engine, "memory")
    container = engine.containers.create(SLEEP, rootfs=busybox, cpu_shares=512)
    container.update(memory=2 * value)
    container.start()
    container.update(memory=value)
    container.restart(timeout=0)
    assert read(engine, container.record().cgroup, row) == row[2]
    shown = container.inspect()["HostConfig"]
    assert (shown["Memory"], shown["MemorySwap"], shown["CpuShares"]) == (value, 2 * value, 512)
    container.rename("another")
    assert container.inspect()["HostConfig"]["Memory"] == value
    pod = engine.pods.create("p")
    pod.update(memory=value)
    assert pod.inspect()["memory_limit"] == value


def test_a_memory_limit_below_what_is_held(engine, busybox) -> None:
    """On v2 the kernel would take it, and kill the processes."""
    container = engine.containers.run(SLEEP, rootfs=busybox)
    expected(engine, "memory")
    with pytest.raises(InvalidSpec, match="--memory"):
        container.update(memory=1024)
    assert container.state().status == "running"
    assert container.inspect()["HostConfig"]["Memory"] == 0


def test_what_cannot_be_applied_is_an_error_before_anything_starts(engine, busybox) -> None:
    unified = engine.cgroups.mode == UNIFIED
    options = {"oom_kill_disable": True} if unified else {"cpuset_cpus": "4095"}
    with pytest.raises(Unsupported if unified else InvalidSpec, match="--oom-kill-disable" if unified else "requested"):
        engine.containers.run(SLEEP, rootfs=busybox, memory=32 * MIB, **options)
    assert created_nothing(engine)


def test_a_limit_too_low_to_start_with(engine, busybox) -> None:
    expected(engine, "memory")
    from pypod import LaunchFailed

    container = engine.containers.create(["true"], rootfs=busybox, memory=4096, memory_swap=4096)
    with pytest.raises(LaunchFailed, match="memory limit of the container or of its pod is too low"):
        container.start()
    assert not group(engine, container).exists()


def test_the_score_of_the_killer_is_the_containers_alone(engine, busybox) -> None:
    own = Path("/proc/self/oom_score_adj").read_text()
    container = engine.containers.run(SLEEP, rootfs=busybox, oom_score_adj=700)
    state = container.state()
    assert Path(f"/proc/{state.pid}/oom_score_adj").read_text() == "700\n"
    assert Path(f"/proc/{state.supervisor_pid}/oom_score_adj").read_text() == own
    assert container.exec(["cat", "/proc/self/oom_score_adj"]).stdout == b"700\n"


class TestPod:
    @pytest.mark.parametrize("option", LIMITS)
    def test_members_are_below_its_limit(self, engine, busybox, option) -> None:
        value, row = expected(engine, option)
        pod = engine.pods.create("p", **{option: value})
        one = pod.run(SLEEP, rootfs=busybox)
        above = one.record().cgroup.rpartition("/")[0]
        assert above.endswith(pod.id)
        assert read(engine, above, row) == row[2]
        for member in (
            one,
            *(found for found in engine.containers.list(all=True) if found.id == pod.record().infra_id),
        ):
            procs = Path(engine.cgroups.directory(member.record().cgroup, row[0]), "cgroup.procs").read_text().split()
            assert str(member.state().pid) in procs

    def test_an_update_holds_for_members_to_come(self, engine, busybox) -> None:
        _, row = expected(engine, "memory")
        cpu = expected(engine, "cpus")[1]
        pod = engine.pods.create("p", memory=32 * MIB)
        first = pod.run(SLEEP, rootfs=busybox)
        pod.update(memory=64 * MIB, cpus=0.5)
        second = pod.run(SLEEP, rootfs=busybox)
        above = first.record().cgroup.rpartition("/")[0]
        assert read(engine, above, row) == str(64 * MIB)
        assert read(engine, above, cpu) == cpu[2]
        found: set[int] = set()
        for directory in Path(engine.cgroups.directory(above, "cpu")).rglob("cgroup.procs"):
            found |= {int(pid) for pid in directory.read_text().split()}
        assert {first.state().pid, second.state().pid} <= found
        assert next(pod.stats())[0].memory_limit_bytes == 64 * MIB
        pod.stop(timeout=0)
        pod.start()
        assert read(engine, above, row) == str(64 * MIB)

    def test_without_its_parent_there_is_nothing_to_limit(self, engine) -> None:
        with pytest.raises(InvalidSpec, match="--share-parent"):
            engine.pods.create("p", share_parent=False, memory=32 * MIB)
        assert created_nothing(engine)

    def test_a_member_is_killed_by_the_pods_limit(self, engine, busybox) -> None:
        expected(engine, "memory")
        pod = engine.pods.create("p", memory=32 * MIB, memory_swap=32 * MIB)
        hog = pod.run(["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"], rootfs=busybox)
        assert hog.wait(20) == 137
        assert pod.status in ("Running", "Degraded", "Exited")
        assert engine.containers.get(pod.record().infra_id).state().status == "running"


class TestOutOfMemory:
    def test_is_told(self, engine, busybox) -> None:
        expected(engine, "memory")
        hog = engine.containers.run(
            ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"],
            rootfs=busybox,
            memory=32 * MIB,
            memory_swap=32 * MIB,
        )
        assert hog.wait(20) == 137
        state = hog.state()
        assert (state.oom_killed, state.exit_code) == (True, 137)
        assert hog.inspect()["State"]["OOMKilled"] is True
        actions = [event.action for event in engine.events(filters={"container": hog.name})]
        assert actions[-2:] == ["oom", "died"]

    def test_a_signal_is_no_such_thing(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox, memory=32 * MIB)
        container.kill()
        assert container.wait(10) == 137
        assert container.state().oom_killed is False

    def test_without_the_killer_it_waits_for_memory(self, engine, busybox) -> None:
        if engine.cgroups.mode == UNIFIED:
            pytest.skip("cgroups: v2 has no --oom-kill-disable")
        expected(engine, "memory")
        # Only page faults of the program itself wait: a page needed by a system call (dd's read) makes that call fail.
        hog = engine.containers.run(
            ["sh", "-c", "text=0123456789abcdef; while :; do text=$text$text; done"],
            rootfs=busybox,
            memory=32 * MIB,
            memory_swap=32 * MIB,
            oom_kill_disable=True,
        )
        control = Path(engine.cgroups.directory(hog.record().cgroup, "memory"), "memory.oom_control")
        wait_until(lambda: "under_oom 1" in control.read_text())
        assert hog.state().status == "running"
        hog.stop(timeout=0)


class TestStats:
    def test_of_one(self, engine, busybox) -> None:
        busy = engine.containers.run(
            ["sh", "-c", "echo begin; while :; do :; done"], rootfs=busybox, memory=64 * MIB, name="busy"
        )
        wait_for_output(busy, b"begin")
        first, second = itertools.islice(busy.stats(interval=0.3), 2)
        assert (first.id, first.name) == (busy.id, "busy")
        assert second.time_ns - first.time_ns >= 300_000_000
        if first.cpu_ns is not None and second.cpu_ns is not None:
            spent = (second.cpu_ns - first.cpu_ns) / (second.time_ns - first.time_ns)
            assert second.cpu_percent == pytest.approx(100 * spent, rel=0.05)
            assert 5 < second.cpu_percent < 130
        if has(engine, "memory"):
            used = Path(
                engine.cgroups.directory(busy.record().cgroup, "memory"),
                "memory.current" if engine.cgroups.mode == UNIFIED else "memory.usage_in_bytes",
            )
            assert second.memory_bytes == pytest.approx(int(used.read_text()), abs=MIB)
            assert second.memory_limit_bytes == 64 * MIB
        assert second.pids == 1

    def test_end_with_the_container(self, engine, busybox) -> None:
        container = engine.containers.run(["sleep", "0.3"], rootfs=busybox)
        began = time.monotonic()
        assert len(list(container.stats(interval=0.1))) >= 1
        assert time.monotonic() - began < 5

    def test_of_a_pod(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        one, two = (pod.run(SLEEP, rootfs=busybox, name=name) for name in ("one", "two"))
        stats = next(pod.stats())
        assert {found.id for found in stats} == {one.id, two.id, pod.record().infra_id}
        assert {found.pod_id for found in stats} == {pod.id}

    def test_of_one_that_is_paused(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        container.pause()
        assert next(container.stats()).pids == 1
        container.unpause()

    @pytest.mark.parametrize("interval", [0, -1])
    def test_interval(self, engine, busybox, interval) -> None:
        container = engine.containers.create(SLEEP, rootfs=busybox)
        with pytest.raises(InvalidSpec, match="interval"):
            container.stats(interval)


class TestPause:
    def test_nothing_runs_meanwhile(self, engine, busybox) -> None:
        script = "i=0; while :; do i=$((i+1)); echo $i >/dev/shm/count; sleep 0.02; done"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        count = Path(f"/proc/{container.state().pid}/root/dev/shm/count")
        wait_until(lambda: count.exists() and count.read_text())
        container.pause()
        assert container.state().status == "paused"
        before = count.read_text()
        time.sleep(0.2)
        assert count.read_text() == before
        container.unpause()
        assert container.state().status == "running"
        wait_until(lambda: count.read_text() != before)

    def test_what_is_refused_of_a_paused_one(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        container.pause()
        for action in (container.pause, container.start, container.restart, lambda: container.exec(["true"])):
            with pytest.raises(WrongState):
                action()
        container.remove(force=True, timeout=0)

    def test_of_a_pod(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        one = pod.run(SLEEP, rootfs=busybox)
        pod.pause()
        assert (pod.status, one.state().status) == ("Paused", "paused")
        pod.unpause()
        assert (pod.status, one.state().status) == ("Running", "running")
        with pytest.raises(WrongState):
            pod.unpause()

    def test_a_paused_one_stops(self, engine, busybox) -> None:
        container = engine.containers.run(SLEEP, rootfs=busybox)
        pid = container.state().pid
        container.pause()
        container.remove(force=True, timeout=0)
        assert not Path(f"/proc/{pid}").exists()


def test_stop_kills_the_whole_group(engine, busybox) -> None:
    """A daemon that left its parent, in the host's PID namespace, where no namespace ends with its first process."""
    container = engine.containers.run(["sh", "-c", "setsid sleep 1000 & exec sleep 1000"], rootfs=busybox, pid="host")
    wait_until(lambda: len(members(engine, container)) == 2)
    pids = members(engine, container)
    container.stop(timeout=0)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
