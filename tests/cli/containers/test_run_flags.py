"""Flags of run, exec and start about streams, descriptors, pids and time, as a shell user sees them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Program

pytestmark = pytest.mark.root

NO_NETWORK = ("--network", "none")
LIST = "cd /proc/self/fd; for fd in *; do echo $fd $(readlink $fd); done"


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def root(busybox: str) -> tuple[str, ...]:
    return (*NO_NETWORK, "--rootfs", f"{busybox}:O")


def with_files(engine, numbers: dict[int, Path], *words: str, variables: dict[str, str] | None = None) -> Any:
    """Run pypod as a child that has these files open under these numbers."""
    command = [sys.executable, "-m", "pypod", "--root", engine.layout.root, *words]

    def arrange() -> None:
        opened = [(_above(os.open(path, os.O_RDONLY)), number) for number, path in numbers.items()]
        for fd, number in opened:
            os.dup2(fd, number, inheritable=True)

    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        close_fds=False,
        preexec_fn=arrange,  # nothing here has threads
        env={**os.environ, **(variables or {})},
    )


def _above(fd: int) -> int:
    """Move a descriptor above the numbers that the tests give."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 60)
    finally:
        os.close(fd)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / name for name in ("first", "second", "third")]
    for one in found:
        one.write_text(one.name)
    return found


def passed(text: str) -> dict[int, str]:
    """Return the descriptors above the standard streams that lead to one of our files."""
    rows = [line.split() for line in text.splitlines()]
    return {int(row[0]): Path(row[1]).name for row in rows if len(row) == 2 and int(row[0]) > 2 and "tmp" in row[1]}


class TestDescriptors:
    def test_as_many_as_asked_for(self, engine, root, files: list[Path]) -> None:
        numbers = dict(enumerate(files, 3))
        for count, expected in ((0, {}), (2, {3: "first", 4: "second"})):
            done = with_files(engine, numbers, "run", "--rm", f"--preserve-fds={count}", *root, "sh", "-c", LIST)
            assert (done.returncode, passed(done.stdout)) == (0, expected), done.stderr

    def test_by_number(self, engine, root, files: list[Path]) -> None:
        numbers = {5: files[0], 9: files[1]}
        done = with_files(engine, numbers, "run", "--rm", "--preserve-fd", "9,5", *root, "sh", "-c", LIST)
        assert passed(done.stdout) == {5: "first", 9: "second"}

    def test_one_that_is_not_there(self, engine, root, files: list[Path]) -> None:
        done = with_files(engine, {3: files[0]}, "run", "--rm", "--preserve-fds", "40", *root, "true")
        assert done.returncode == 125
        assert "is not available - the preserve-fds option requires that file descriptors must be passed" in done.stderr
        assert engine.containers.list(all=True) == []

    def test_exec(self, pypod, engine, root, files: list[Path]) -> None:
        pypod.ok("run", "-d", "--name", "box", *root, "sleep", "100")
        numbers = dict(enumerate(files, 3))
        done = with_files(engine, numbers, "exec", "--preserve-fds", "3", "box", "sh", "-c", LIST)
        assert passed(done.stdout) == {3: "first", 4: "second", 5: "third"}
        assert passed(with_files(engine, numbers, "exec", "box", "sh", "-c", LIST).stdout) == {}

    def test_the_monitor_does_not_keep_them(self, engine, root, files: list[Path]) -> None:
        numbers = dict(enumerate(files, 3))
        done = with_files(engine, numbers, "run", "-d", "--preserve-fds", "3", *root, "sleep", "100")
        container = engine.containers.get(done.stdout.strip())
        links = [os.readlink(entry) for entry in Path(f"/proc/{container.state().supervisor_pid}/fd").iterdir()]
        assert not {str(path) for path in files}.intersection(links)

    @pytest.mark.parametrize("started_by", ["run", "start"])
    def test_sockets_of_systemd(self, pypod, engine, root, files: list[Path], started_by: str) -> None:
        variables = {"LISTEN_PID": "77", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}
        script = f"echo $LISTEN_PID $LISTEN_FDS $LISTEN_FDNAMES; {LIST}"
        words = ["run", "--rm", *root, "sh", "-c", script]
        if started_by == "start":
            pypod.ok("create", "--name", "box", *root, "sh", "-c", script)
            words = ["start", "--attach", "box"]
        done = with_files(engine, dict(enumerate(files, 3)), *words, variables=variables)
        assert done.stdout.splitlines()[0] == "1 2 a:b"
        assert passed(done.stdout) == {3: "first", 4: "second"}

    def test_in_the_library(self, engine, busybox: str, files: list[Path]) -> None:
        container = engine.containers.create(["sh", "-c", LIST], rootfs=busybox)
        with files[0].open() as first, files[1].open() as second:
            container.start(pass_fds={7: first.fileno(), 3: second.fileno()})
            assert container.wait() == 0
            assert not os.get_inheritable(first.fileno())
            other = engine.containers.run(["sleep", "100"], rootfs=busybox)
            assert passed(other.exec(["sh", "-c", LIST], pass_fds=[second.fileno()]).stdout.decode()) == {3: "second"}
        assert passed(b"".join(one.data for one in container.logs()).decode()) == {7: "first", 3: "second"}


@pytest.mark.parametrize(
    ("streams", "out", "err"),
    [
        ((), "o\n", "e\n"),
        (("stdout",), "o\n", ""),
        (("stderr",), "", "e\n"),
        (("STDOUT,stderr",), "o\n", "e\n"),
        (("stdin", "stdout"), "o\n", ""),
    ],
)
def test_attached_streams(pypod, root, streams: tuple[str, ...], out: str, err: str) -> None:
    flags = [word for stream in streams for word in ("--attach", stream)]
    done = pypod("run", "--rm", *flags, *root, "sh", "-c", "echo o; echo e >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, out, err)


def test_no_stream_for_output(pypod, root) -> None:
    done = pypod("run", "-a", "stdin", "--name", "box", *root, "sh", "-c", "sleep 0.5; echo o")
    assert done.stdout == pypod.ok("inspect", "box", "--format", "{{.Id}}")
    assert pypod.ok("logs", "box") == "o\n"
    assert pypod("run", "-a", "both", *root, "true").stderr.startswith('Error: invalid stream "both" for --attach')


def test_files_for_pids(pypod, root, tmp_path: Path) -> None:
    flags = ("--pidfile", f"{tmp_path}/pid", "--conmon-pidfile", f"{tmp_path}/monitor")
    pypod.ok("run", "-d", "--name", "box", *flags, *root, "sleep", "100")
    fields = "{{.State.Pid}} {{.State.ConmonPid}} {{.PidFile}} {{.ConmonPidFile}}"
    written = " ".join((tmp_path / name).read_text() for name in ("pid", "monitor"))
    assert pypod.ok("inspect", "box", "--format", fields) == f"{written} {tmp_path}/pid {tmp_path}/monitor\n"
    assert oct((tmp_path / "pid").stat().st_mode) == "0o100644"


@pytest.mark.parametrize(("flag", "path"), [("--pidfile", "no/such"), ("--conmon-pidfile", "link")])
def test_a_file_for_a_pid_that_cannot_be_written(pypod, engine, root, tmp_path: Path, flag: str, path: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    done = pypod("run", flag, f"{tmp_path}/{path}", "--name", "box", *root, "sleep", "100")
    assert done.returncode == 126
    assert f"{tmp_path}/{path}: open: " in done.stderr
    assert not engine.containers.get("box").state().running
    assert not (tmp_path / "elsewhere").exists()


def test_the_files_are_gone_when_the_program_could_not_be_run(pypod, root, tmp_path: Path) -> None:
    assert pypod("run", "--pidfile", f"{tmp_path}/pid", *root, "nosuch").returncode == 127
    assert not (tmp_path / "pid").exists()


def test_time_is_up(pypod, root) -> None:
    before = time.monotonic()
    assert pypod("run", "--name", "box", "--timeout", "1", *root, "sleep", "100").returncode == 255
    assert 0.9 < time.monotonic() - before < 5
    assert pypod.ok("inspect", "box", "--format", "{{.Config.Timeout}} {{.State.ExitCode}}") == "1 255\n"
    assert pypod("run", "--rm", "--timeout", "100", *root, "sh", "-c", "exit 3").returncode == 3


def test_what_pypod_cannot_give(pypod, root) -> None:
    done = pypod("run", "--gpus", "all", *root, "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert "unresolvable CDI devices nvidia.com/gpu=all" in done.stderr
    for words in (("pod", "create"), ("create",)):
        done = pypod(*words, "--gpus", "all")
        assert (done.returncode, "unresolvable CDI devices nvidia.com/gpu=all" in done.stderr) == (125, True), words
    assert pypod("pod", "create", "--shm-size-systemd", "much").returncode == 125
    assert pypod.ok("pod", "ps", "-q") == ""
    pypod.ok("pod", "create", "--name", "original", "--shm-size-systemd", "1m")
    pypod.ok("pod", "clone", "--shm-size-systemd", "1m", "original", "copy")
    assert "unresolvable CDI devices" in pypod("pod", "clone", "--gpus", "all", "original", "more").stderr
    assert pypod("pod", "clone", "--shm-size-systemd", "much", "original", "more").returncode == 125
    assert pypod.ok("pod", "ps", "--format", "{{.Name}}", "--sort", "name") == "copy\noriginal\n"
    pypod.ok("pod", "rm", "original", "copy")
    assert pypod("run", "--rdt-class", "gold", *root, "true").returncode == 125


def test_stop_has_podman_s_other_name_for_time(pypod, root) -> None:
    pypod.ok("run", "-d", "--name", "box", *root, "sleep", "100")
    assert pypod.ok("stop", "--timeout", "0", "box") == "box\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "start requires at least one argument"),
        (("--all", "a"), "either start all containers or the container(s) provided in the arguments"),
        (("--all", "--attach"), "you cannot start and attach all containers at once"),
        (("--latest", "a"), "--latest and containers cannot be used together"),
        (("--attach", "a", "b"), "you cannot start and attach multiple containers at once"),
    ],
)
def test_combinations_for_start(pypod, engine, busybox: str, words: tuple[str, ...], message: str) -> None:
    for name in ("a", "b"):
        engine.containers.create(["true"], rootfs=busybox, name=name)
    done = pypod("start", *words)
    assert (done.returncode, done.stderr) == (125, f"Error: {message}\n")
