"""Many clients at once, in processes, threads, forks and event loops; and the same thing many times over."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pypod import AlreadyExists, Engine
from pypod.engine import trash
from tests.facts import created_nothing, in_threads, output, wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
WATCHDOG_S = 120  # nothing takes so long, emulated neither

# A client that has things of its own, where everything must work, and fights for others, where errors have to be ours.
CLIENT = """
import os, random, sys
from pypod import AlreadyExists, Engine, LaunchFailed, NotFound, PodBroken, WrongState
root, rootfs, number, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
random.seed(number)
LOST = (AlreadyExists, NotFound, WrongState, LaunchFailed)
engine = Engine(root)

def own(turn):
    name = f"own-{number}-{turn}"
    c = engine.containers.run(["sleep", "1000"], rootfs=rootfs, name=name)
    assert c.exec(["hostname"]).exit_code == 0
    assert any(one.name == name for one in engine.containers.list())
    c.stop(timeout=0)
    assert c.wait(10) == 137
    c.remove()
    assert not engine.containers.exists(name)

def member(turn):
    c = engine.containers.create(["sh", "-c", f"exit {number % 100}"], rootfs=rootfs, pod="shared-pod")
    c.start()
    assert c.wait(20) == number % 100
    c.remove()

def fight(turn):
    name = f"shared-{random.randrange(3)}"
    try:
        c = engine.containers.run(["sleep", "1000"], rootfs=rootfs, name=name)
    except LOST:
        pass
    for verb in random.sample(("exec", "stop", "start", "remove"), 3):
        try:
            c = engine.containers.get(name)
            {"exec": lambda: c.exec(["true"]), "stop": lambda: c.stop(timeout=0), "start": c.start,
             "remove": lambda: c.remove(force=True, timeout=0)}[verb]()
        except LOST:
            pass

for turn in range(rounds):
    for act in random.sample((own, member, fight), 3):
        act(turn)
print("done")
"""


def run_clients(command: Callable[[int], list[str]], count: int, timeout_s: float) -> list[tuple[int, str, str]]:
    """Run client processes side by side; return how each ended. Raises TimeoutExpired for the first that hangs."""
    clients = [
        subprocess.Popen(command(number), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(count)
    ]
    deadline = time.monotonic() + timeout_s
    try:
        outcomes = []
        for client in clients:
            out, err = client.communicate(timeout=max(deadline - time.monotonic(), 0.1))
            outcomes.append((client.returncode, out, err))
        return outcomes
    finally:
        for client in clients:
            client.kill()
            client.communicate()


def test_processes(engine, busybox, full: bool) -> None:
    pod = engine.pods.create("shared-pod")
    count, rounds = (64, 10) if full else (16, 2)

    def command(number: int) -> list[str]:
        return [sys.executable, "-c", CLIENT, engine.layout.root, busybox, str(number), str(rounds)]

    failed = [outcome for outcome in run_clients(command, count, WATCHDOG_S) if outcome != (0, "done\n", "")]
    assert not failed, failed[0][2]
    assert pod.status == "Running"
    assert len(set(pod.namespaces()["net"].values())) == 1
    pod.remove(force=True, timeout=0)
    for container in engine.containers.list(all=True):
        assert container.name.startswith("shared-")
        container.remove(force=True, timeout=0)
    assert created_nothing(engine)


# Processes that find no storage, or no database in it, and make it, all at the same moment, a number of times.
FIRST = """
import os, sys, time
from pypod import AlreadyExists, Engine
for turn in range(int(sys.argv[2])):
    if turn % 3:
        Engine(f"{sys.argv[1]}-{turn}")
    moment = time.monotonic() + 0.01
    children = []
    for number in range(12):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                while time.monotonic() < moment:
                    pass
                Engine(f"{sys.argv[1]}-{turn}").pods.create(f"p{number}")
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 12
    assert len(Engine(f"{sys.argv[1]}-{turn}").pods.list()) == 12
"""


def test_processes_that_come_first(tmp_path, full: bool) -> None:
    turns = 60 if full else 10
    outcomes = run_clients(lambda _: [sys.executable, "-c", FIRST, str(tmp_path / "s"), str(turns)], 1, WATCHDOG_S)
    assert outcomes == [(0, "", "")]


def test_one_name_is_given_once(engine, busybox) -> None:
    from pypod import AlreadyExists

    won: list[int] = []

    def create(number: int) -> None:
        try:
            engine.containers.create(SLEEP, rootfs=busybox, name="one")
        except AlreadyExists:
            return
        won.append(number)

    in_threads(create, 20)
    assert len(won) == 1
    assert len(engine.containers.list(all=True)) == 1


def test_one_container_is_started_once(engine, busybox) -> None:
    container = engine.containers.create(SLEEP, rootfs=busybox)
    in_threads(lambda _: container.start(), 20)
    assert len(engine.cgroups.processes(container.record().cgroup)) == 1
    in_threads(lambda _: container.stop(timeout=0), 20)
    assert container.wait() == 137
    in_threads(lambda _: container.remove(), 20)
    assert created_nothing(engine)


def test_threads_on_one_engine(engine, busybox) -> None:
    pod = engine.pods.create()

    def live(number: int) -> None:
        alone = engine.containers.run(["sh", "-c", f"echo {number}; exit {number}"], rootfs=busybox)
        member = pod.run(SLEEP, rootfs=busybox)
        assert (alone.wait(20), output(alone)) == (number, b"%d\n" % number)
        assert member.exec(["sh", "-c", f"echo {number}; exit {number}"]).exit_code == number
        with member.enter("net"):
            inside = os.readlink("/proc/thread-self/ns/net")
        assert str(pod.state().infra.pid)
        assert inside == f"net:[{member.namespaces()['net']}]"
        alone.remove()
        member.remove(force=True, timeout=0)

    in_threads(live, 20)
    assert pod.containers() == []
    assert engine.containers.list(all=True) == []


def test_invented_names_are_free_whoever_invents_the_same(engine, busybox, monkeypatch) -> None:
    few = [f"name{number}" for number in range(4)]
    monkeypatch.setattr("pypod.model.ids.new_name", itertools.cycle(few).__next__)
    in_threads(lambda _: engine.containers.create(["true"], rootfs=busybox), 12)
    in_threads(lambda _: engine.pods.create(infra=False), 12)
    containers = {container.name for container in engine.containers.list(all=True)}
    pods = {pod.name for pod in engine.pods.list()}
    assert (len(containers), len(pods)) == (12, 12)
    assert not containers & pods
    assert set(few) <= containers | pods
    # a name that was asked for is not replaced by another
    with pytest.raises(AlreadyExists):
        engine.pods.create(infra_name=few[0])


class TestForks:
    def test_in_the_caller(self, engine, busybox) -> None:
        """The child has its own connection; the parent's stays as good as it was."""
        kept = engine.containers.run(SLEEP, rootfs=busybox, name="kept")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                container = engine.containers.run(["sh", "-c", "exit 3"], rootfs=busybox)
                assert container.wait(10) == 3
                assert kept in engine.containers.list()
                container.remove()
                assert kept.exec(["true"]).exit_code == 0
                code = 0
            finally:
                os._exit(code)
        for _ in range(5):
            engine.containers.run(["true"], rootfs=busybox).remove(force=True)
        assert os.waitpid(child, 0) == (child, 0)
        assert engine.containers.list(all=True) == [kept]

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_of_multiprocessing(self, engine, busybox, tmp_path, method: str) -> None:
        """In a process of its own, because multiprocessing leaves one behind that lives as long as its maker."""
        (tmp_path / "pool.py").write_text(POOL)
        command = [sys.executable, tmp_path / "pool.py", method, engine.layout.root, busybox]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WATCHDOG_S, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{list(range(12))}\n", "")
        assert created_nothing(engine)


POOL = """
import multiprocessing, sys
from pypod import AlreadyExists, Engine

def work(root, rootfs, code):
    with Engine(root) as engine, engine.containers.run(["sh", "-c", f"exit {code}"], rootfs=rootfs) as container:
        return container.wait(10)

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(4) as pool:
        jobs = [(sys.argv[2], sys.argv[3], code) for code in range(12)]
        print(pool.starmap_async(work, jobs).get(20))
        pool.close()
        pool.join()
"""


def run_to_the_end(root: str, rootfs: str, code: int) -> int | None:
    with Engine(root) as engine:
        container = engine.containers.run(["sh", "-c", f"exit {code}"], rootfs=rootfs)
        try:
            return container.wait(10)
        finally:
            container.remove(force=True)


class TestCallers:
    """The caller's own children are its own."""

    def test_with_a_handler_and_an_event_loop(self, engine, busybox) -> None:
        rung: list[int] = []
        before = signal.signal(signal.SIGCHLD, lambda number, _: rung.append(number))
        mine = signal.getsignal(signal.SIGCHLD)
        try:
            with subprocess.Popen(["sh", "-c", "read x; exit 5"], stdin=subprocess.PIPE) as own:

                async def work() -> list[int | None]:
                    children = [await asyncio.create_subprocess_exec("sh", "-c", f"exit {n}") for n in range(7)]
                    codes = await asyncio.gather(
                        *(asyncio.to_thread(run_to_the_end, engine.layout.root, busybox, n) for n in range(10, 17)),
                        *(child.wait() for child in children),
                    )
                    return list(codes)

                assert asyncio.run(work()) == [*range(10, 17), *range(7)]
                assert signal.getsignal(signal.SIGCHLD) is mine
                assert own.poll() is None
                own.communicate(b"\n", timeout=10)
                assert own.returncode == 5
        finally:
            signal.signal(signal.SIGCHLD, before)
        assert rung

    def test_with_children_that_nobody_has_to_wait_for(self, engine, busybox) -> None:
        """SIGCHLD ignored: the kernel takes all children off the process table itself."""
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            container = engine.containers.run(["sh", "-c", "sleep 0.05 & wait $!; exit 3"], rootfs=busybox)
            assert container.wait(10) == 3
            other = engine.containers.run(SLEEP, rootfs=busybox)
            assert other.exec(["sh", "-c", "exit 4"]).exit_code == 4
        finally:
            signal.signal(signal.SIGCHLD, before)

    def test_with_a_thread_that_takes_every_child(self, engine, busybox) -> None:
        done = threading.Event()

        def take() -> None:
            while not done.is_set():
                try:
                    os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    time.sleep(0.0005)

        thief = threading.Thread(target=take)
        thief.start()
        try:
            box = engine.containers.run(SLEEP, rootfs=busybox)
            for code in range(30):
                assert box.exec(["sh", "-c", f"exit {code}"]).exit_code == code
                assert run_to_the_end(engine.layout.root, busybox, code) == code
        finally:
            done.set()
            thief.join()

    def test_with_low_descriptors_closed(self, engine, busybox, tmp_path) -> None:
        """A caller without standard streams: pipes of ours get the numbers 0, 1 and 2."""
        code = (
            "import os, sys; os.closerange(0, 3)\n"
            "from pypod import Engine\n"
            "with Engine(sys.argv[1]) as engine:\n"
            "    c = engine.containers.run(['sleep', '1000'], rootfs=sys.argv[2])\n"
            "    r = c.exec(['sh', '-c', 'cat; echo err >&2; exit 3'], stdin=b'in')\n"
            "    c.remove(force=True, timeout=0)\n"
            "open(sys.argv[3], 'w').write(repr((r.exit_code, r.stdout, r.stderr)))\n"
        )
        subprocess.run([sys.executable, "-c", code, engine.layout.root, busybox, tmp_path / "result"], check=True)
        assert (tmp_path / "result").read_text() == "(3, b'in', b'err\\n')"

    def test_open_descriptors_do_not_reach_the_container(self, engine, busybox) -> None:
        opened = [os.open("/etc/passwd", os.O_RDONLY) for _ in range(50)]
        try:
            for fd in opened:
                os.set_inheritable(fd, True)
            box = engine.containers.run(SLEEP, rootfs=busybox)
            assert sorted(os.listdir(f"/proc/{box.state().pid}/fd")) == ["0", "1", "2"]
            listed = box.exec(["ls", "/proc/self/fd"]).stdout.split()
            assert listed == [b"0", b"1", b"2", b"3"]  # 3 is the listing's own
        finally:
            for fd in opened:
                os.close(fd)


def residue(engine: Engine, ids: set[str]) -> dict[str, object]:
    """What could be left of containers, counted."""
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    keys = [line for line in Path("/proc/keys").read_text().splitlines() if any(i[:32] in line for i in ids)]
    tree = Path(engine.cgroups.tracking_directory("/pypod"))
    return {
        "children": children,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "groups": [path.name for path in tree.rglob("*") if path.name in ids],
        "keys": keys,
        # a podman beside us makes its locks there
        "shared memory": sorted(name for name in os.listdir("/dev/shm") if not name.startswith("libpod")),
        "rubbish": trash.contents(engine),
        "of ours": [path.name for path in processes if _mentions(path, engine.layout.root)],
    }


def _mentions(process: Path, text: str) -> bool:
    try:
        return text.encode() in (process / "cmdline").read_bytes() or text in os.readlink(process / "cwd")
    except OSError:
        return False


def test_many_times_over(engine, busybox, full: bool) -> None:
    """Nothing adds up: processes, mounts, groups, descriptors, keyrings, shared memory, files."""
    ids: set[str] = set()

    def cycle(number: int) -> None:
        pod = engine.pods.create()
        member = pod.run(SLEEP, rootfs=busybox, tmpfs=["/scratch"])
        alone = engine.containers.run(["true"], rootfs=busybox, init=True)
        ids.update((pod.id, member.id, alone.id, pod.infra.id))
        if number % 10 == 0:
            assert member.exec(["true"]).exit_code == 0
        assert alone.wait(10) == 0
        alone.remove()
        pod.remove(force=True, timeout=0)

    for number in range(3):
        cycle(number)
    # the kernel collects keys by and by
    wait_until(lambda: not trash.contents(engine) and not residue(engine, ids)["keys"])
    before = residue(engine, ids)
    for number in range(1000 if full else 60):
        cycle(number)
    deadline = time.monotonic() + 10
    while residue(engine, ids) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert residue(engine, ids) == before
    assert created_nothing(engine)
