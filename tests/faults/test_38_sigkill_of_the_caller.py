"""SIGKILL of the caller at every system call: later listings are correct, and removal leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pypod import Engine
from pypod.engine.containers.collect import repair
from pypod.engine.core.locks import AT_ONCE, Lock
from pypod.engine.storage import drivers, trash
from pypod.kernel.programs import DIRECTORY
from tests import tracing
from tests.facts import wait_until
from tests.killing import Actions, Points, Table, look_and_clean

pytestmark = [pytest.mark.root, pytest.mark.slow]

SLEEP = ("sleep", "1000")


def pod_with_member(engine: Engine, busybox: str) -> None:
    engine.pods.create("p").create_container(SLEEP, rootfs=busybox, name="m")


def create(engine: Engine, busybox: str) -> None:
    engine.pods.create("p")
    engine.containers.create(SLEEP, rootfs=busybox, name="c")


def alone(engine: Engine, busybox: str) -> None:
    engine.containers.create(SLEEP, rootfs=busybox, name="c")


def alone_running(engine: Engine, busybox: str) -> None:
    engine.containers.run(SLEEP, rootfs=busybox, name="c")


def alone_initialized(engine: Engine, busybox: str) -> None:
    engine.containers.create(SLEEP, rootfs=busybox, name="c").init()


def pod_running(engine: Engine, busybox: str) -> None:
    engine.pods.create("p").run(SLEEP, rootfs=busybox, name="m")


def pod_in_a_block(engine: Engine, busybox: str) -> None:
    with engine.pods.create("p") as pod:
        pod.run(SLEEP, rootfs=busybox, name="m").exec(["true"])


VOLUMES = ["named:/named", "/anonymous"]


def run_with_volumes(engine: Engine, busybox: str) -> None:
    engine.containers.run(SLEEP, rootfs=busybox, name="c", volumes=VOLUMES)


def filled_volume(engine: Engine, _: str) -> None:
    Path(engine.volumes.create("named").path, "f").touch()


def nothing(engine: Engine, busybox: str) -> None:
    pass


def left_behind(engine: Engine, busybox: str) -> None:
    """Create an ephemeral pod whose owner is gone, a directory without a record, and an entry in the trash."""
    from pypod.store import records

    pod = engine.pods.create("p")
    pod.run(SLEEP, rootfs=busybox)
    records.set_owner(engine.database, "pods", pod.id, records.Owner(pid=1, start_time=1, boot_id="another"))
    Path(engine.layout.container("a" * 64), "upper").mkdir(parents=True)
    Path(engine.layout.trash, "b", "c").mkdir(parents=True)


ACTIONS: Actions = {
    "create": (nothing, create),
    "start container": (alone, lambda engine, _: engine.containers.get("c").start()),
    "initialize container": (alone, lambda engine, _: engine.containers.get("c").init()),
    "start initialized container": (alone_initialized, lambda engine, _: engine.containers.get("c").start()),
    "clean up initialized container": (alone_initialized, lambda engine, _: engine.containers.get("c").cleanup()),
    "start pod": (pod_with_member, lambda engine, _: engine.pods.get("p").start()),
    "run": (nothing, alone_running),
    "stop container": (alone_running, lambda engine, _: engine.containers.get("c").stop(timeout=0)),
    "stop pod": (pod_running, lambda engine, _: engine.pods.get("p").stop(timeout=0)),
    "remove container": (alone_running, lambda engine, _: engine.containers.get("c").remove(force=True, timeout=0)),
    "remove pod": (pod_running, lambda engine, _: engine.pods.get("p").remove(force=True, timeout=0)),
    "repair": (left_behind, lambda engine, _: repair(engine)),
    "block": (nothing, pod_in_a_block),
    "create volume": (nothing, lambda engine, _: engine.volumes.create("named")),
    "run with volumes": (nothing, run_with_volumes),
    "remove container with volumes": (
        run_with_volumes,
        lambda engine, _: engine.containers.get("c").remove(force=True, timeout=0),
    ),
    "remove volume": (filled_volume, lambda engine, _: engine.volumes.get("named").remove()),
}


@pytest.fixture
def table(tmp_path, busybox) -> Table:
    tmp_path.chmod(0o755)
    return Table(tmp_path, busybox, ACTIONS, look_and_clean)


@pytest.mark.parametrize("name", ACTIONS)
def test_of_the_caller(table: Table, name: str, points: Points) -> None:
    (total,) = table.operate(name, None)
    assert total > 20
    for position in points(total, 20):
        table.operate(name, (0, position))


@pytest.mark.parametrize("name", ["run", "stop pod", "remove pod", "block"])
def test_of_the_caller_s_patience(table: Table, name: str, points: Points) -> None:
    """Control-C at every system call raises an exception wherever Python can raise one."""
    (total,) = table.operate(name, None)
    for position in points(total, 20):
        table.operate(name, (0, position), number=signal.SIGINT)


@pytest.mark.parametrize("name", ["start container", "initialize container", "start pod"])
def test_of_the_programs(table: Table, name: str, points: Points) -> None:
    """Kill the spawned program, what it becomes after detaching from the caller, and the process before its exec."""
    counts = table.operate(name, None, follow=True)
    roles = 6 if name == "start pod" else 3
    assert len(counts) == roles + 1
    for role in range(1, roles + 1):
        for position in points(counts[role], 6):
            table.operate(name, (role, position), follow=True)


def test_repair_leaves_alone_what_has_a_record(engine, busybox) -> None:
    pod = engine.pods.create("p")
    things = [pod.run(SLEEP, rootfs=busybox), engine.containers.run(SLEEP, rootfs=busybox), pod.infra]
    ended = engine.containers.run(["true"], rootfs=busybox)
    ended.wait()
    before = [thing.state() for thing in (*things, ended)]
    Path(engine.layout.root, "containers", "a note").touch()
    assert repair(engine) == []
    assert [thing.state() for thing in (*things, ended)] == before
    assert engine.containers.list(all=True) == [*things[:2], ended]
    Path(engine.layout.root, "containers", "a note").unlink()


def test_what_is_being_deleted_is_not_left_behind(engine, tmp_path) -> None:
    tree = tmp_path / "tree"
    for number in range(5000):  # more than can be deleted instantly
        (tree / str(number // 50)).mkdir(parents=True, exist_ok=True)
        (tree / str(number // 50) / str(number)).touch()
    trash.discard(engine, [str(tree)])
    assert not tree.exists()
    while trash.contents(engine):
        assert trash.left_behind(engine) == []
    Path(engine.layout.trash, "x").mkdir()
    assert trash.left_behind(engine) == [f"{engine.layout.trash}/x"]
    assert repair(engine) == [f"deleted {engine.layout.trash}/x"]


def test_the_knife_works(tmp_path) -> None:
    """Every call before the fatal one takes effect."""

    def write_three() -> None:
        for name in "abc":
            os.mkdir(tmp_path / name)

    before = tracing.run(lambda: None)[0]
    total = tracing.run(write_three)[0]
    made = []
    for position in range(before, total + 1):
        for name in "abc":
            if (tmp_path / name).exists():
                (tmp_path / name).rmdir()
        tracing.run(write_three, (0, position))
        made.append(len(list(tmp_path.iterdir())))
    assert made == sorted(made)
    assert set(made) == {0, 1, 2, 3}


KILLED_BETWEEN = """
import os, sys
from pypod import Engine
from pypod.runtime import launcher

def killed(channel):  # the plan is handed over, and nothing was heard yet
    os.kill(os.getpid(), 9)

engine = Engine(sys.argv[1])
one = engine.containers.get("c") if sys.argv[2] == "container" else engine.pods.get("p")
executable = engine.programs.executable
engine.programs.executable = lambda name: sys.argv[3] if name in ("monitor", "launch") else executable(name)
launcher._receive = killed
one.start()
"""


@pytest.mark.parametrize("what", ["container", "pod"])
def test_what_is_half_started_stays_locked(engine, busybox, tmp_path, what: str) -> None:
    """When the caller dies after handing over the plan, its lock is held until the start is recorded."""
    drivers.of(engine)  # the attempts to find a driver run our programs, too
    program = "monitor" if what == "container" else "launch"
    wrapper = tmp_path / "wrapper"
    slow = "-DDD -f -qq -o /dev/null -e trace=socketpair -e inject=socketpair:delay_enter=1500000"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("strace")} {slow} {DIRECTORY}/{program} "$@"\n')
    wrapper.chmod(0o755)
    if what == "container":
        one = engine.containers.create(SLEEP, rootfs=busybox, name="c")
        directory, is_running = engine.layout.container(one.id), lambda: one.state().running
    else:
        pod = engine.pods.create("p")
        directory, is_running = engine.layout.pod(pod.id), lambda: pod.infra.state().running
    command = [sys.executable, "-c", KILLED_BETWEEN, engine.layout.root, what, wrapper]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert not is_running()
    assert _is_locked(directory)
    wait_until(is_running)
    wait_until(lambda: not _is_locked(directory))


def _is_locked(directory: str) -> bool:
    try:
        with Lock(directory, AT_ONCE) as lock, lock:
            return False
    except BlockingIOError:
        return True
