"""Containers that attack who starts them, while they are being started: races over and over, a fact at the end."""

from __future__ import annotations

import errno
import hashlib
import os
import pty
import resource
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

import pytest

from pypod.errors import LaunchFailed
from pypod.runtime.programs import DIRECTORY
from tests.integration.inside import Report, execute, written

pytestmark = pytest.mark.root


def digests(engine) -> dict[str, str]:
    """What a container might overwrite: our programs, the copies of them that run, and the interpreter."""
    paths = [*sorted(Path(DIRECTORY).iterdir()), Path(sys.executable).resolve()]
    paths += [Path(engine.programs.executable(name)) for name in ("launch", "monitor")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def begin(container) -> None:
    """Wait until the attacker is at work."""
    for _ in range(500):
        if "watching" in written(container):
            return
        time.sleep(0.01)
    raise AssertionError(written(container))


def conclude(container) -> Report:
    """Tell the attacker to stop and read what it did."""
    container.exec(["touch", "/tmp/stop"])  # whose end may come with the container's
    assert container.wait(30) == 0
    return Report(written(container))


def tempt(attacker, act: Callable[[], object], times: int) -> None:
    """Do what the attacker waits for many times, and again if it never had its turn (on a single processor)."""
    for _ in range(20):
        for _ in range(times):
            act()
        if "held" in written(attacker):
            return


def number(full: bool, short: int, long: int) -> int:
    return long if full else short


def test_nobody_can_keep_us_from_executing_our_programs(box) -> None:
    """Who has one open for writing, though the seals let nothing through, makes its execution fail with ETXTBSY."""
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 0):
        pytest.skip("files in memory cannot be made immutable before Linux 6.0")
    for name in ("launch", "monitor"):
        with pytest.raises(PermissionError):
            os.open(box.engine.programs.executable(name), os.O_WRONLY)


@pytest.mark.parametrize("privileged", [False, True])
def test_no_program_of_ours_can_be_overwritten_by_who_is_executed_into(box, full: bool, privileged: bool) -> None:
    """CVE-2019-5736: a command that is /proc/self/exe makes the container execute the program that enters it."""
    before = digests(box.engine)
    attacker = box.stay(privileged=privileged)
    attacker.remove(force=True, timeout=0)
    attacker = box.engine.containers.run(["/probe", "overwrite"], rootfs=box.rootfs, privileged=privileged)
    begin(attacker)
    execute(attacker, "sh", "-c", 'printf "#!/proc/self/exe\\n" > /script; chmod 755 /script')
    for command in (["/proc/self/exe"], ["/script"]):
        tempt(attacker, lambda command=command: attacker.exec(command), number(full, 100, 1000))
    report = conclude(attacker)
    assert report.all("held"), "the attacker got hold of the program at least once, or this tests nothing"
    assert report.all("wrote to") == []
    assert digests(box.engine) == before


def test_no_program_of_ours_can_be_overwritten_by_a_sibling_in_the_same_pid_namespace(box, full: bool) -> None:
    before = digests(box.engine)
    pod = box.engine.pods.create(share="ipc,net,uts,pid")
    attacker = pod.run(["/probe", "overwrite"], rootfs=box.rootfs, cap_add=["SYS_PTRACE"])
    begin(attacker)
    tempt(attacker, lambda: box.run("/proc/self/exe", pod=pod, check=False), number(full, 40, 400))
    report = conclude(attacker)
    assert report.all("held")
    assert report.all("wrote to") == []
    assert digests(box.engine) == before


def test_who_enters_cannot_be_looked_into(box, full: bool) -> None:
    """CVE-2016-9962: until its exec the entering process is closed to the container's root."""
    host_path = f"{box.engine.layout.root}/pypod.db".lstrip("/")
    attacker = box.engine.containers.run(["/probe", "watch", host_path], rootfs=box.rootfs)
    begin(attacker)
    for _ in range(number(full, 300, 3000)):
        attacker.exec(["/bin/true"])
    report = conclude(attacker)
    assert int(report.one("looked")) > 300
    assert {name: values for name, values in report.values.items() if name.startswith(("saw", "reached"))} == {}


def test_who_starts_a_sibling_cannot_be_looked_into(box, full: bool) -> None:
    host_path = f"{box.engine.layout.root}/pypod.db".lstrip("/")
    pod = box.engine.pods.create(share="ipc,net,uts,pid")
    attacker = pod.run(["/probe", "watch", host_path], rootfs=box.rootfs)
    begin(attacker)
    for _ in range(number(full, 60, 600)):
        box.run("/bin/true", pod=pod)
    report = conclude(attacker)
    assert int(report.one("looked")) > 60
    assert {name: values for name, values in report.values.items() if name.startswith(("saw", "reached"))} == {}


def error_of_opening(path: str) -> int:
    """Why a program cannot be opened for writing, when nothing executes it any more; 0 when it can."""
    end_s = time.monotonic() + 10
    while True:
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError as error:
            # for a moment who ended still has it, and infras of other pods execute the same file
            if error.errno != errno.ETXTBSY or time.monotonic() > end_s:
                return error.errno
            time.sleep(0.02)
        else:
            return 0


@pytest.mark.parametrize("cap_add", [[], ["SYS_PTRACE"]])
def test_the_infra_as_pid_1_of_a_shared_pid_namespace(box, cap_add: list[str]) -> None:
    """The kernel protects it against SIGKILL from inside (pid_namespaces(7)); the rest is ours to see to."""
    pod = box.engine.pods.create(share="ipc,net,uts,pid")
    member = box.stay(pod=pod, cap_add=cap_add)
    infra = pod.infra.state()
    status = Path(f"/proc/{infra.pid}/status").read_text()
    assert [line.split()[1] for line in status.splitlines() if line.startswith("Cap")] == ["0" * 16] * 5
    outcomes = Report(execute(member, "/probe", "peek", "1")).outcomes
    assert outcomes["write exe"] == ("ETXTBSY" if cap_add else "EACCES")
    for signal in ("SIGKILL", "SIGTERM", "SIGSTOP"):
        assert outcomes[signal] == "ok", "sent, and without effect"
    if not cap_add:
        refused = {name: value for name, value in outcomes.items() if not name.startswith("SIG")}
        assert set(refused.values()) <= {"EACCES", "EPERM"}, refused
    else:
        assert execute(member, "ls", "-A", "/proc/1/root").split() == ["dev"], "nothing of the host's is there"
    time.sleep(0.05)
    again = pod.infra.state()
    assert (again.running, again.pid, again.start_time) == (True, infra.pid, infra.start_time)
    assert "T" not in Path(f"/proc/{infra.pid}/stat").read_text().rpartition(")")[2].split()[0]
    assert pod.status == "Running"
    # who may ptrace can get at its program, hand the descriptor on, and wait until it does not run any more
    program = os.open(f"/proc/{infra.pid}/exe", os.O_PATH)
    try:
        pod.stop(timeout=0)
        assert not pod.infra.state().running, "the host's TERM still ends it"
        assert error_of_opening(f"/proc/self/fd/{program}") == errno.EROFS
    finally:
        os.close(program)


def test_swapped_mount_targets_never_lead_out(box, tmp_path: Path, canary: Path, full: bool) -> None:
    """CVE-2021-30465: the target of a volume is exchanged with a link to the host while a container starts."""
    volume, source = tmp_path / "volume", tmp_path / "source"
    (volume / "a").mkdir(parents=True)
    (volume / "b").symlink_to(canary)
    (volume / "c").symlink_to("../" * 20 + f"proc/1/root{canary}")
    source.mkdir()
    (source / "mounted").touch()
    swapper = box.engine.containers.run(
        ["sh", "-c", "/probe swap 600 /v/a /v/b & /probe swap 600 /v/b /v/c & echo watching; wait"],
        rootfs=box.rootfs, volumes=[f"{volume}:/v"],
    )  # fmt: skip
    begin(swapper)
    outcomes = {"started": 0, "refused": 0}
    options = {"volumes": [f"{volume}:/v", f"{source}:/v/a", f"{source}:/v/a/new"], "pid": "host"}
    for _ in range(number(full, 200, 2000)):
        try:
            box.run("true", **options)
            outcomes["started"] += 1
        except LaunchFailed:
            outcomes["refused"] += 1
        if (source / "new").is_dir():
            (source / "new").rmdir()
    entered = box.stay(volumes=[f"{volume}:/v"], pid="host")
    for _ in range(number(full, 200, 2000)):
        try:
            text = execute(entered, "ls", "-a", ".", working_directory="/v/a/")
        except LaunchFailed:
            outcomes["refused"] += 1
            continue
        assert "passwd" not in text
    execute(swapper, "touch", "/tmp/stop")
    swapper.wait(30)
    assert int(Report(written(swapper)).all("swapped")[0]) > 100
    assert all(outcomes.values()), f"both ways were taken: {outcomes}"


def test_a_terminal_of_its_own(box) -> None:
    """TIOCSTI and a stolen session reach the container's own terminal only."""
    container = box.engine.containers.run(
        ["sh", "-c", "/probe; /probe type 'echo pushed\n'; read line; echo got: $line"],
        rootfs=box.rootfs,
        terminal=True,
    )
    container.wait(10)
    text = written(container).replace("\r\n", "\n")
    report = Report(text)
    session = report.one("ids").split()[2]
    assert report.pairs("tty") == {"0": "1", "1": "1", "2": "1"}
    assert set(report.pairs("fd").values()) == {"/dev/pts/0"}
    assert session == "1"
    if report.all("TIOCSTI") == ["ok"]:  # sysctl dev.tty.legacy_tiocsti
        assert "got: echo pushed" in text


@pytest.mark.parametrize(
    "words",
    [["run", "-it", "--rm"], ["run", "--rm"], ["run", "-i", "--rm"], ["exec", "-it"], ["exec"], ["exec", "-i"]],
    ids=" ".join,
)
def test_the_callers_terminal_stays_outside(box, words: list[str]) -> None:
    container = box.stay(name="there")
    where = ["--rootfs", f"{box.rootfs}:O"] if words[0] == "run" else ["there"]
    script = "/probe; /probe type 'reboot\n' < /dev/stdin; /probe type 'reboot\n' < /dev/tty; sleep 0.1"
    master, slave = pty.openpty()
    try:
        name, inode = os.ttyname(slave), os.fstat(slave).st_ino
        settings = termios.tcgetattr(slave)
        command = [sys.executable, "-m", "pypod", "--root", box.engine.layout.root, *words, *where, "sh", "-c", script]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        text = b""
        deadline = time.monotonic() + 20
        while process.poll() is None or select.select([master], [], [], 0)[0]:
            assert time.monotonic() < deadline, text
            if select.select([master], [], [], 0.05)[0]:
                text += os.read(master, 65536)
        assert process.returncode == 0, text
        report = Report(text.decode().replace("\r\n", "\n"))
        assert name not in report.pairs("fd").values() or "-it" in words
        inside = set(report.pairs("tty").values())
        assert inside == ({"1"} if "-it" in words else {"0"})
        pending = bytearray(4)
        ioctl(slave, termios.FIONREAD, pending)
        assert bytes(pending) == b"\0\0\0\0", "something was typed into the caller's terminal"
        assert termios.tcgetattr(slave) == settings
        assert os.fstat(slave).st_uid == os.geteuid()
        assert inode == os.stat(name).st_ino
    finally:
        os.close(slave)
        os.close(master)
    assert container.state().running


def test_cgroups_of_the_first_version_are_out_of_reach(box) -> None:
    """CVE-2022-0492; a privileged container may, as with podman."""
    for options in ({}, {"cap_add": ["SYS_PTRACE"]}, {"security_opt": ["seccomp=unconfined"]}):
        outcomes = box.report("run", "attempts", **options).outcomes
        assert outcomes["mount cgroup v1"] == "EPERM"
        # in a group of its own, as a limit on pids gives it, there is no such file
        assert outcomes["release_agent in a user namespace"] in ("EPERM", "ENOENT")
    privileged = box.report("run", "attempts", privileged=True).outcomes
    if Path("/sys/fs/cgroup/pids").is_dir():
        assert privileged["mount cgroup v1"] == "ok"
    assert privileged["release_agent in a user namespace"] in ("EPERM", "ENOENT")


def test_deep_trees_that_a_container_made_are_deleted(box) -> None:
    """Deeper than the descriptors a process may have open, and than a path may be long."""
    trash = Path(box.engine.layout.trash)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        box.run("/probe", "dig", "5000", working_directory="/tmp")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    deadline = time.monotonic() + 20
    while any(trash.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = list(trash.iterdir())
    subprocess.run(["rm", "-rf", *left], check=True)  # what is left would be too deep for pytest, too
    assert left == []


def test_a_command_that_is_ours_does_no_harm(box) -> None:
    """The program that enters, executed inside by the container itself, finds no plan and goes."""
    container = box.stay()
    for _ in range(5):
        assert container.exec(["/proc/self/exe"], timeout=10).exit_code in (0, 125)
    assert container.state().running
