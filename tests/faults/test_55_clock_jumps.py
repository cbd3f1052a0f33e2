"""The clock is set by an hour, either way, while something waits: what should take a second takes a second.

The wall clock has no namespace and is shared by everything, so it is not set: clients run with a preloaded library that
shifts it (tests/clock.c), by an offset that changes while they wait. The C programs are static, so the calls that they
wait with are checked instead. The clocks that count from boot are in a time namespace (time_namespaces(7)).
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import Program

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
HOUR_S = 3600
JUMPS = pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["ahead", "back"])

# Measures by the monotonic clock, while each reading of the wall clock is an hour further than the previous one.
CLIENT = """
import sys, time
from pypod import DeadlineExceeded, Engine

PATIENCE_S = 0.6
assert abs(time.time() - time.time()) > 3000, "nobody sets the clock"

def refused(call):
    try:
        call()
    except DeadlineExceeded:
        return
    raise SystemExit("it did not give up")

def stop(container):
    container.stop(timeout=PATIENCE_S)
    assert container.wait() == 137

ACTIONS = {
    "stop": stop,
    "wait": lambda container: refused(lambda: container.wait(PATIENCE_S)),
    "exec": lambda container: refused(lambda: container.exec(["sleep", "1000"], timeout=PATIENCE_S)),
    "popen": lambda container: refused(lambda: container.popen(["sleep", "1000"]).wait(PATIENCE_S)),
}
container = Engine(sys.argv[1]).containers.get("c")
before = time.monotonic()
ACTIONS[sys.argv[2]](container)
took_s = time.monotonic() - before
assert PATIENCE_S <= took_s < PATIENCE_S + 3, took_s
print("in time")
"""


@pytest.fixture
def clock(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose programs see a shifted wall clock; $PYPOD_TEST_CLOCK holds the offset."""
    library = tmp_path / "clock.so"
    source = Path(__file__).parents[1] / "clock.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source], check=True)
    file = tmp_path / "offset"
    file.write_bytes(struct.pack("q", 0))
    return {**os.environ, "LD_PRELOAD": str(library), "PYPOD_TEST_CLOCK": str(file)}


def set_clock(clock: dict[str, str], offset_s: int) -> None:
    Path(clock["PYPOD_TEST_CLOCK"]).write_bytes(struct.pack("q", offset_s))


def deaf(engine, busybox):
    """Run a container that handles TERM and stays."""
    script = "trap : TERM; touch /dev/shm/ready; while :; do sleep 0.01; done"
    container = engine.containers.run(["sh", "-c", script], rootfs=busybox, name="c")
    container.exec(["sh", "-c", "until [ -e /dev/shm/ready ]; do sleep 0.01; done"], timeout=10)
    return container


@JUMPS
@pytest.mark.parametrize("which", ["stop", "wait", "exec", "popen"])
def test_what_waits(engine, busybox, clock, jump_s: int, which: str) -> None:
    deaf(engine, busybox)
    set_clock(clock, jump_s)
    words = [sys.executable, "-c", CLIENT, engine.layout.root, which]
    environment = {**clock, "PYPOD_TEST_CLOCK_RUNS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "in time\n", "")


def test_a_start_period_is_as_long_as_it_was_asked(engine, busybox, clock) -> None:
    """With the clock ahead it does not end at once, and with the clock back it does not last an hour longer."""
    pypod = Program(engine.layout.root)

    def status() -> str:
        done = pypod("healthcheck", "run", name, env=clock)
        assert done.returncode == 1, done
        return engine.containers.get(name).inspect()["State"]["Health"]["Status"]

    check = ["--health-cmd", "false", "--health-retries", "1"]
    for name, period, jump_s, expected in (("long", "60s", HOUR_S, "starting"), ("short", "1ms", -HOUR_S, "unhealthy")):
        words = ["--rootfs", "-d", "--name", name, *check, "--health-start-period", period, busybox, *SLEEP]
        assert pypod("run", *words).returncode == 0
        set_clock(clock, jump_s)
        assert status() == expected, name


@JUMPS
def test_what_is_shown_after_it(engine, busybox, clock, jump_s: int) -> None:
    """Started in the future or long ago, a container is listed, inspected and ended."""
    container = deaf(engine, busybox)
    pypod = Program(engine.layout.root)
    set_clock(clock, jump_s)
    for words in ("ps -a", "inspect c", "logs c", "events --stream=false", "stats --no-stream"):
        done = pypod(*words.split(), env=clock)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert "Up" in pypod("ps", env=clock).stdout
    assert pypod("restart", "-t", "0", "c", env=clock).returncode == 0
    assert pypod("rm", "-f", "-t", "0", "c", env=clock).returncode == 0
    assert engine.containers.list(all=True) == []
    assert container.name == "c"


# calls that wait for a point in wall-clock time, or wake when the clock is set
BY_THE_WALL_CLOCK = (
    r"(timerfd_create|timer_create)\(CLOCK_REALTIME"
    r"|clock_nanosleep\(CLOCK_REALTIME, TIMER_ABSTIME"
    r"|FUTEX_CLOCK_REALTIME"
)


def test_the_programs_wait_for_no_moment_of_the_wall_clock(engine, busybox, tmp_path: Path) -> None:
    """Check the calls of launcher and monitor in a start, a short run, an exec and a stop with a timeout."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    root, trace = engine.layout.root, tmp_path / "trace"
    python = f"{sys.executable} -m pypod --root {root}"
    script = f"""
        {python} run -d --rootfs --name c {busybox} sh -c 'trap : TERM; while :; do sleep 0.05; done' &&
        {python} exec c sleep 0.2 && {python} stop -t 1 c"""
    calls = "trace=%clock,timerfd_create,timer_create,timer_settime,futex,poll,ppoll,nanosleep,epoll_wait"
    strace = ["strace", "-f", "-qq", "-o", str(trace), "-e", calls, "sh", "-c", script]
    done = subprocess.run(strace, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    text = trace.read_text()
    assert " poll(" in text, "strace saw nobody wait"
    assert [line for line in text.splitlines() if re.search(BY_THE_WALL_CLOCK, line)] == []


def in_time_namespace(engine, *words: str, options: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = ["unshare", "--time", *options, "--", sys.executable, "-m", "pypod", "--root", engine.layout.root, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def lives_a_life(engine, busybox, *options: str) -> None:
    """Assert that a client in a time namespace can list, enter, stop and start a container started outside of it."""
    deaf(engine, busybox)
    assert in_time_namespace(engine, "ps", "--format", "{{.Names}}", options=options).stdout == "c\n"
    assert in_time_namespace(engine, "exec", "c", "true", options=options).returncode == 0
    assert in_time_namespace(engine, "stop", "-t", "1", "c", options=options).returncode == 0
    assert engine.containers.get("c").wait(5) == 137
    assert in_time_namespace(engine, "start", "c", options=options).returncode == 0
    assert engine.containers.get("c").state().status == "running"


@pytest.mark.not_in_chroot
@pytest.mark.parametrize("offset", [f"--monotonic={HOUR_S}", f"--monotonic=-{60}"])
def test_another_monotonic_clock(engine, busybox, offset: str) -> None:
    lives_a_life(engine, busybox, offset)


@pytest.mark.not_in_chroot
@pytest.mark.xfail(reason="start times in /proc include the offset of the reader's time namespace, and are compared")
def test_another_boot_clock(engine, busybox) -> None:
    lives_a_life(engine, busybox, f"--boottime={HOUR_S}")
