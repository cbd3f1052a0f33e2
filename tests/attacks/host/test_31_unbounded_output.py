"""Endless output of a container, an exec or a health check, with a reader that stops (CVE-2022-31030)."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pypod.engine.lifecycle.process import _exchange
from pypod.errors import DeadlineExceeded
from tests.cli.program import Program
from tests.facts import members, wait_until
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring
from tests.integration.inside import within

pytestmark = pytest.mark.root

FLOOD = "for i in 1 2 3 4; do dd if=/dev/zero bs=64k & done 2>/dev/null; wait"
ADDRESS_SPACE_BYTES = 400_000_000


def _peak_kb(pid: int | str) -> int:
    """Return the peak resident memory of a process in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _written_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/io").read_text().split("wchar:")[1].split()[0])


def test_a_client_that_does_not_read_costs_the_monitor_no_memory(engine, busybox, full: bool) -> None:
    script = f"yes $(printf %0999d 0) | head -c {2000 if full else 60}000000"
    container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
    supervisor = container.state().supervisor_pid
    with closing(container.attach()):
        peaks = [0]
        while (pid := container.state().supervisor_pid) == supervisor and container.state().running:
            try:
                peaks.append(_peak_kb(pid))
            except FileNotFoundError:
                break
            time.sleep(0.02)
        assert container.wait(60) == 0
    assert len(peaks) > 3, "memory must be sampled while it writes"
    assert max(peaks) < 10_000


def test_a_reader_of_an_exec_that_stops_holds_the_command_up(engine, busybox) -> None:
    """In the library, the command blocks in its write, and nothing buffers its output."""
    container = engine.containers.run(["sleep", "1000"], rootfs=busybox)
    with container.popen(["dd", "if=/dev/zero", "bs=64k"]) as process:
        next(iter(process))
        wait_until(lambda: _written_bytes(process.pid) >= 1 << 16)
        wait_until(lambda: "pipe" in Path(f"/proc/{process.pid}/wchan").read_text() or _is_still(process.pid))
        before, own = _written_bytes(process.pid), _peak_kb("self")
        time.sleep(0.2)
        assert _written_bytes(process.pid) == before < 1 << 20
        assert _peak_kb("self") - own < 2000


def _is_still(pid: int) -> bool:
    before = _written_bytes(pid)
    time.sleep(0.05)
    return _written_bytes(pid) == before


@pytest.mark.parametrize("words", [["exec"], ["exec", "-t"]])
def test_a_reader_of_the_command_line_that_stops_holds_the_command_up(engine, busybox, words: list[str]) -> None:
    container = engine.containers.run(["sleep", "1000"], rootfs=busybox, name="c")
    program = Program(engine.layout.root)
    with program.start(*words, "c", "sh", "-c", "echo $$; exec yes", stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline().strip().isdigit()
        wait_until(lambda: _is_still(client.pid))
        assert _peak_kb(client.pid) < 100_000
        before = _peak_kb(client.pid)
        time.sleep(0.2)
        assert _peak_kb(client.pid) - before < 1000
        client.kill()
    container.remove(force=True, timeout=0)


def test_a_health_check_of_an_image_keeps_what_it_shows(engine, busybox) -> None:
    """An image chooses its health check and its timeout: it is killed in time, and its output is not accumulated."""
    check = {"Test": ["CMD-SHELL", FLOOD], "Timeout": 3 * 10**9}
    image = bring(engine, busybox_image(busybox, config={"Healthcheck": check}))
    container = engine.containers.run(image, ["sleep", "1000"], name="c")
    limit = (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES)
    began = time.monotonic()
    done = Program(engine.layout.root)(
        "healthcheck", "run", "c", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit)
    )
    assert (done.returncode, done.stdout) == (1, "unhealthy\n"), done
    assert time.monotonic() - began < 10
    wait_until(lambda: len(members(engine, container)) == 1)


def test_a_timeout_ends_a_command_that_never_stops_writing(engine, busybox) -> None:
    container = engine.containers.run(["sleep", "1000"], rootfs=busybox)
    with within(10), pytest.raises(DeadlineExceeded):
        container.exec(["sh", "-c", FLOOD], timeout=0.3)


def test_a_deadline_counts_where_there_is_always_something_to_read() -> None:
    """The command of the test above would end like this if it were faster than its reader."""
    zeros = os.open("/dev/zero", os.O_RDONLY)
    process: Any = SimpleNamespace(_stdin=-1, _stdout=zeros, _stderr=zeros)
    kept = {"stdout": bytearray(), "stderr": bytearray()}
    try:
        with within(5), pytest.raises(DeadlineExceeded):
            _exchange(process, b"", kept, 10, time.monotonic() + 0.1)
    finally:
        os.close(zeros)
    assert sorted(map(len, kept.values())) == [0, 10]
