"""Status files: a container's state, from its supervisor's record and from the kernel."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.engine.core import observe
from pypod.engine.core.observe import EXIT_LINE, START_LINE, container_state, is_recorded, parse_state, wait_for_exit
from pypod.kernel.proc import Proc

BOOT = "b007b007-0000-4000-8000-000000000000"
PID, START, SUPERVISOR, SUPERVISOR_START, STARTED_NS, FINISHED_NS = 100, 1000, 200, 2000, 10**18, 10**18 + 5


def status_file(status: int | None = None, *, boot: str = BOOT, **words: int) -> bytes:
    """Return a status file as pause/supervise/record.c writes it."""
    values = {"pid": PID, "start": START, "supervisor": SUPERVISOR, "supervisor_start": SUPERVISOR_START, **words}
    line = f"{values['pid']} {values['start']} {values['supervisor']} {values['supervisor_start']} {boot} {STARTED_NS}"
    end = "" if status is None else f"{status} {FINISHED_NS}"
    return (line.ljust(START_LINE - 1) + "\n" + end.ljust(EXIT_LINE - 1) + "\n").encode()


@pytest.fixture
def proc(tmp_path):
    """A fake proc file system: ``add(pid, start_time, state)`` adds a process to it."""

    class Made(Proc):
        def add(self, pid: int, start_time: int, state: str = "S") -> None:
            directory = Path(self.root, str(pid))
            directory.mkdir(exist_ok=True)
            fields = [state, "1", *["0"] * 15, "1", "0", str(start_time), *["0"] * 30]
            (directory / "stat").write_text(f"{pid} (a name) {' '.join(fields)}\n")

    root = tmp_path / "proc"
    root.mkdir()
    return Made(str(root))


RUNNING = [
    # first process, supervisor, shown status
    ((START, "S"), (SUPERVISOR_START, "S"), "running"),
    ((START, "S"), None, "running"),
    ((START, "T"), (SUPERVISOR_START, "S"), "running"),
    ((START, "Z"), (SUPERVISOR_START, "S"), "ending"),
    ((START, "Z"), None, "exited"),
    (None, (SUPERVISOR_START, "S"), "ending"),
    (None, (SUPERVISOR_START, "Z"), "exited"),
    (None, None, "exited"),
    ((START + 1, "S"), None, "exited"),
    ((START + 1, "S"), (SUPERVISOR_START, "S"), "ending"),
    ((START + 1, "S"), (SUPERVISOR_START + 1, "S"), "exited"),
]


@pytest.mark.parametrize(("first", "supervisor", "expected"), RUNNING)
def test_without_a_record_of_the_end(proc, first, supervisor, expected: str) -> None:
    for pid, facts in ((PID, first), (SUPERVISOR, supervisor)):
        if facts:
            proc.add(pid, *facts)
    state = parse_state(status_file(), BOOT, proc)
    assert (state.status, state.exit_code, state.started_ns) == (expected, None, STARTED_NS)
    assert (state.pid, state.start_time) == ((PID, START) if expected == "running" else (0, 0))
    assert (state.supervisor_pid, state.supervisor_start_time) == (SUPERVISOR, SUPERVISOR_START)


def test_an_infra_has_no_supervisor(proc) -> None:
    content = status_file(supervisor=0, supervisor_start=0)
    proc.add(0, 0)
    assert parse_state(content, BOOT, proc).status == "exited"
    proc.add(PID, START)
    assert parse_state(content, BOOT, proc).status == "running"


def test_in_another_boot_nothing_runs(proc) -> None:
    proc.add(PID, START)
    proc.add(SUPERVISOR, SUPERVISOR_START)
    state = parse_state(status_file(boot="another"), BOOT, proc)
    assert (state.status, state.exit_code, state.pid) == ("exited", None, 0)
    assert parse_state(status_file(256, boot="another"), BOOT, proc).exit_code == 1


@pytest.mark.parametrize(
    ("status", "code", "number"),
    [(0, 0, 0), (1 << 8, 1, 0), (255 << 8, 255, 0), (9, 137, 9), (11 | 0x80, 139, 11), (signal.SIGTERM, 143, 15)],
)
def test_a_recorded_end_counts_whatever_runs(proc, status: int, code: int, number: int) -> None:
    proc.add(PID, START)
    state = parse_state(status_file(status), BOOT, proc)
    assert (state.status, state.exit_code, state.signal) == ("exited", code, number)
    assert (state.started_ns, state.finished_ns) == (STARTED_NS, FINISHED_NS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\0" * 256,
        b"nonsense",
        status_file(pid=0),
        status_file(pid=-1),
        status_file(pid=10**30),
        status_file(supervisor=-1),
        status_file(supervisor=10**30),
        status_file().replace(b"1000", b"1x00", 1),
        status_file(0).replace(b"0 1000000000000000005", b"0 x"),
    ],
)
def test_what_makes_no_sense_ended_somehow(proc, content: bytes) -> None:
    proc.add(PID, START)
    state = parse_state(content, BOOT, proc)
    assert (state.status, state.exit_code, state.pid, state.exit_code_known) == ("exited", None, 0, False)


@pytest.mark.parametrize("status", [-1, 65536, 10**40])
def test_an_impossible_end_is_none(proc, status: int) -> None:
    assert parse_state(status_file(status), BOOT, proc).exit_code is None
    proc.add(PID, START)
    assert parse_state(status_file(status), BOOT, proc).status == "running"


@given(st.binary(max_size=300))
def test_any_bytes_are_read(content: bytes) -> None:
    assert parse_state(content, BOOT, Proc("/nonexistent")).status == "exited"


@given(st.integers(0, START_LINE + EXIT_LINE - 1), st.integers(0, 255))
def test_any_byte_may_be_wrong(position: int, value: int) -> None:
    content = bytearray(status_file(256))
    content[position] = value
    state = parse_state(bytes(content), BOOT, Proc("/nonexistent"))
    assert state.status == "exited"


class TestFiles:
    def test_none_was_never_started(self, tmp_path, proc) -> None:
        assert container_state(str(tmp_path), BOOT, proc).status == "created"
        assert container_state(str(tmp_path / "nowhere"), BOOT, proc).status == "created"
        assert wait_for_exit(str(tmp_path), BOOT, 0) is None

    def test_no_descriptor_left_is_an_error_and_not_a_state(self, tmp_path, proc) -> None:
        import resource

        (tmp_path / "status").write_bytes(status_file())
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                container_state(str(tmp_path), BOOT, proc)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_the_last_word_of_a_supervisor_is_heard(self, tmp_path, proc, monkeypatch) -> None:
        """It records the end and exits after we read the file and before we look at its process."""
        path = tmp_path / "status"
        path.write_bytes(status_file())
        real = observe._content
        reads: list[bytes] = []

        def read_and_let_it_end(name: str) -> bytes | None:
            content = real(name)
            reads.append(content)
            path.write_bytes(status_file(3 << 8))
            return content

        monkeypatch.setattr(observe, "_content", read_and_let_it_end)
        assert container_state(str(tmp_path), BOOT, proc).exit_code == 3
        assert reads[0] == status_file()

    def test_a_supervisor_that_writes_nothing_is_not_waited_for_long(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(observe, "_RECORDING_TIMEOUT_S", 0.05)
        own = Proc().start_time(os.getpid())
        content = status_file(pid=os.getpid(), start=own + 1, supervisor=os.getpid(), supervisor_start=own)
        (tmp_path / "status").write_bytes(content)
        before = time.monotonic()
        state = container_state(str(tmp_path), BOOT)
        assert 0.05 <= time.monotonic() - before < 1
        assert (state.status, state.exit_code, state.pid) == ("exited", None, 0)
        with pytest.raises(TimeoutError):
            wait_for_exit(str(tmp_path), BOOT, 0.05)

    def test_is_recorded(self, tmp_path) -> None:
        assert not is_recorded(str(tmp_path))
        (tmp_path / "status").write_bytes(status_file())
        assert not is_recorded(str(tmp_path))
        (tmp_path / "status").write_bytes(status_file(0))
        assert is_recorded(str(tmp_path))

    def test_record_exit(self, tmp_path, proc) -> None:
        observe.record_exit(str(tmp_path), 9, 5)
        assert list(tmp_path.glob("status")) == []
        (tmp_path / "status").write_bytes(status_file())
        observe.record_exit(str(tmp_path), 9, FINISHED_NS)
        assert (tmp_path / "status").read_bytes() == status_file(9)
        assert container_state(str(tmp_path), BOOT, proc).exit_code == 137


def test_a_wait_hears_the_end_of_a_container_that_is_removed(tmp_path) -> None:
    """The file is kept open: it does not matter if it is unlinked, or if a later run has a new one."""
    own = Proc().start_time(os.getpid())
    running = status_file(pid=os.getpid(), start=own, supervisor=os.getpid(), supervisor_start=own)
    path = tmp_path / "status"
    path.write_bytes(running)
    with pytest.raises(TimeoutError):
        wait_for_exit(str(tmp_path), BOOT, 0.01)
    ended = status_file(7 << 8, pid=os.getpid(), start=own + 1, supervisor=os.getpid(), supervisor_start=own)
    path.write_bytes(status_file(pid=os.getpid(), start=own + 1, supervisor=os.getpid(), supervisor_start=own))
    codes: list[int | None] = []
    waiter = threading.Thread(target=lambda: codes.append(wait_for_exit(str(tmp_path), BOOT, 5).exit_code))
    with path.open("r+b") as file:
        waiter.start()
        while not waiting_on(path):
            time.sleep(0.001)
        path.unlink()
        path.write_bytes(running)
        file.write(ended)
    waiter.join()
    assert codes == [7]


def waiting_on(path: Path) -> bool:
    """Return whether this process has two descriptors open on a file: ours and the waiter's."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            count += os.path.samefile(f"/proc/self/fd/{name}", path)
    return count >= 2
