"""However the owner of ephemeral pods ends, they end with it, and pods that should stay are still listed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.facts import created_nothing, is_there, wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


OWNER = """
import sys, time
from pypod import Engine
engine = Engine(sys.argv[1])
pod = engine.pods.create("of-owner", ephemeral=True)
member = pod.run(["sleep", "1000"], rootfs=sys.argv[2])
alone = engine.containers.run(["sleep", "1000"], rootfs=sys.argv[2], ephemeral=True)
kept = engine.pods.create("kept")
member_kept = kept.run(["sleep", "1000"], rootfs=sys.argv[2])
block = engine.pods.create("block")
with block:
    inside = block.run(["sleep", "1000"], rootfs=sys.argv[2])
    states = [pod.state().infra, block.state().infra, *(c.state() for c in (member, alone, inside))]
    print(*(pid for s in states for pid in (s.pid, s.supervisor_pid) if pid), flush=True)
    {end}
"""


# twenty threads, each busy with containers when their process ends
THREADS = (
    "import os, threading; work = lambda: [kept.exec(['true']) for kept in iter(lambda: member_kept, 0)]; "
    "[threading.Thread(target=work, daemon=True).start() for _ in range(20)]; time.sleep(0.3)"
)


@pytest.fixture
def run_owner(engine, busybox):
    """Run an owner of ephemeral pods; return the PIDs of their processes and a way to end it."""
    started = []

    def run(end: str) -> tuple[subprocess.Popen[str], list[int]]:
        command = [sys.executable, "-c", OWNER.format(end=end), engine.layout.root, busybox]
        owner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        started.append(owner)
        return owner, [int(word) for word in owner.stdout.readline().split()]

    yield run
    for owner in started:
        owner.kill()
        owner.wait()
        owner.stdout.close()


ENDS = {
    "killed": ("time.sleep(1000)", signal.SIGKILL, -signal.SIGKILL),
    "control-C": ("time.sleep(1000)", signal.SIGINT, -signal.SIGINT),
    "terminated": ("time.sleep(1000)", signal.SIGTERM, -signal.SIGTERM),
    "os._exit": ("import os; os._exit(3)", 0, 3),
    "exec": ("import os; os.execvp('true', ['true'])", 0, 0),
    "an exception": ("raise ZeroDivisionError", 0, 1),
    "sys.exit": ("sys.exit(4)", 0, 4),
    "with threads": (f"{THREADS}; os._exit(5)", 0, 5),
    "in an event loop": ("import asyncio; asyncio.run(asyncio.sleep(1000))", signal.SIGINT, -signal.SIGINT),
}


@pytest.mark.parametrize("how", ENDS)
def test_end_with_them_whatever_ends_them(engine, run_owner, how: str) -> None:
    end, number, code = ENDS[how]
    owner, pids = run_owner(end)
    assert len(pids) == 8
    if number:
        assert [pid for pid in pids if not is_there(pid)] == []
        owner.send_signal(number)
    assert owner.wait(20) == code
    wait_until(lambda: not any(map(is_there, pids)))
    assert [pod.name for pod in engine.pods.list()] == ["kept"]
    assert [container.pod.name for container in engine.containers.list(all=True)] == ["kept"]
    assert engine.pods.get("kept").status == "Running"
    for name in ("of-owner", "block"):  # deleted by the listing, not only hidden
        assert not engine.pods.exists(name)
    directories = {path.name for path in Path(engine.layout.root, "containers").iterdir()}
    kept = engine.pods.get("kept")
    assert directories == {kept.infra.id, *(member.id for member in kept.containers())}


def test_live_ones_are_listed(engine, run_owner) -> None:
    run_owner("time.sleep(1000)")
    assert [pod.name for pod in engine.pods.list()] == ["of-owner", "kept", "block"]
    assert len(engine.containers.list()) == 4


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_running_container_that_was_taken_over(engine, busybox, end: str) -> None:
    code = (
        "import sys, os; from pypod import Engine; e = Engine(sys.argv[1]); "
        f"e.containers.get('taken').__enter__(); {end}"
    )
    container = engine.containers.run(SLEEP, rootfs=busybox, name="taken")
    pid = container.state().pid
    subprocess.run([sys.executable, "-c", code, engine.layout.root], check=False)
    wait_until(lambda: not is_there(pid))
    assert engine.containers.list(all=True) == []
    assert created_nothing(engine)


def test_a_block_around_a_running_container(engine, busybox) -> None:
    """The block that took it over last owns it, and removes it at its end."""
    container = engine.containers.run(SLEEP, rootfs=busybox)
    with container as same:
        with same:
            assert same.state().running
            time.sleep(0.05)
            assert same.exec(["true"]).exit_code == 0
        assert not engine.containers.exists(container.id)


def test_those_of_another_boot_are_gone(engine, busybox) -> None:
    from pypod.store import records

    container = engine.containers.create(SLEEP, rootfs=busybox)
    own = records.Owner(pid=os.getpid(), start_time=engine.proc.start_time(os.getpid()), boot_id=engine.boot_id)
    records.set_owner(engine.database, "containers", container.id, own)
    assert engine.containers.list(all=True) == [container]
    records.set_owner(engine.database, "containers", container.id, own.replace(boot_id="another"))
    assert engine.containers.list(all=True) == []
    assert not engine.containers.exists(container.id)


FORK = """
import os, sys
from pypod import Engine
with Engine(sys.argv[1]) as engine, engine.pods.create("block") as pod:
    with pod.run(["sleep", "1000"], rootfs=sys.argv[2]) as member, member.popen(["sleep", "1000"]) as command:
        child = os.fork()
        if child == 0:
            {end}
        else:
            assert os.waitpid(child, 0)[1] == {status}, "the child"
            assert (pod.status, member.state().status) == ("Running", "running"), (pod.status, member.state())
            assert os.path.exists(f"/proc/{{command.pid}}/exe"), "the command was ended"
    if child:
        assert pod.containers() == []
        assert engine.containers.list() == []
print("parent" if child else "child", flush=True)
"""


@pytest.mark.parametrize(("end", "status"), [("pass", 0), ("sys.exit(3)", 3 << 8), ("os._exit(3)", 3 << 8)])
def test_a_fork_that_leaves_the_block_takes_nothing_with_it(engine, busybox, end: str, status: int) -> None:
    """Ephemeral objects belong to the process that entered the block, not to the copy that fork(2) creates."""
    command = [sys.executable, "-c", FORK.format(end=end, status=status), engine.layout.root, busybox]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == (["child", "parent"] if end == "pass" else ["parent"])
    assert created_nothing(engine)
