"""A caller with threads, forks, handlers and an event loop: nothing hangs, and its children remain its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pypod import Engine, InvalidSpec
from tests.facts import created_nothing

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
WATCHDOG_S = 120  # nothing takes this long, even emulated


def test_a_fork_of_the_caller(engine, busybox) -> None:
    """The child has its own connection; the parent's keeps working."""
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
def test_multiprocessing(engine, busybox, tmp_path, method: str) -> None:
    """Run in a separate process, because multiprocessing leaves one behind that lives as long as its creator."""
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


"""The caller's own children are its own."""


def test_with_a_handler_and_an_event_loop(engine, busybox) -> None:
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


def test_with_children_that_nobody_has_to_wait_for(engine, busybox) -> None:
    """With SIGCHLD ignored, the kernel reaps all children itself."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        container = engine.containers.run(["sh", "-c", "sleep 0.05 & wait $!; exit 3"], rootfs=busybox)
        assert container.wait(10) == 3
        other = engine.containers.run(SLEEP, rootfs=busybox)
        assert other.exec(["sh", "-c", "exit 4"]).exit_code == 4
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_with_a_thread_that_takes_every_child(engine, busybox) -> None:
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


def test_with_low_descriptors_closed(engine, busybox, tmp_path) -> None:
    """A caller without standard streams: our pipes get the numbers 0, 1 and 2."""
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


def test_open_descriptors_do_not_reach_the_container(engine, busybox) -> None:
    opened = [os.open("/etc/passwd", os.O_RDONLY) for _ in range(50)]
    try:
        for fd in opened:
            os.set_inheritable(fd, True)
        box = engine.containers.run(SLEEP, rootfs=busybox)
        assert sorted(os.listdir(f"/proc/{box.state().pid}/fd")) == ["0", "1", "2"]
        listed = box.exec(["ls", "/proc/self/fd"]).stdout.split()
        assert listed == [b"0", b"1", b"2", b"3"]  # 3 is ls's own
    finally:
        for fd in opened:
            os.close(fd)


OPEN_FILES = "for fd in /proc/$$/fd/*; do [ ${fd##*/} -lt 3 ] || readlink $fd; done"


def test_nothing_of_ours_goes_to_a_child_of_another_thread(engine, busybox) -> None:
    """Threads start children that inherit every open descriptor (close_fds=False), at any point of an operation."""
    done = threading.Event()
    seen: set[str] = set()
    others = {os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")}

    def spawn() -> None:
        while not done.is_set():
            listed = subprocess.run(
                ["sh", "-c", OPEN_FILES], close_fds=False, capture_output=True, text=True, check=False
            ).stdout
            seen.update(listed.split())

    threads = [threading.Thread(target=spawn) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            pod = engine.pods.create()
            member = pod.run(SLEEP, rootfs=busybox)
            assert member.exec(["cat"], stdin=b"in").stdout == b"in"
            pod.remove(force=True, timeout=0)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert seen - others == set()


@pytest.mark.not_in_chroot
def test_a_user_namespace_is_not_entered_beside_other_threads(engine, busybox) -> None:
    """setns(2) fails with EINVAL: this is reported before anything is tried, and the thread stays in its namespaces."""
    container = engine.pods.create(share="ipc,net,uts,user").run(SLEEP, rootfs=busybox)
    home = {kind: os.readlink(f"/proc/thread-self/ns/{kind}") for kind in os.listdir("/proc/thread-self/ns")}
    for kinds in (("user",), ("mnt",), ("user", "net")):
        with pytest.raises(InvalidSpec) as caught:
            container.enter(*kinds).__enter__()
        assert caught.value.argument == "kinds"
    assert {kind: os.readlink(f"/proc/thread-self/ns/{kind}") for kind in home} == home
