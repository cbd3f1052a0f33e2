"""The C tests of the C programs, and the programs themselves, built with sanitizers."""

from __future__ import annotations

import errno
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from pypod.kernel import programs
from pypod.runtime.failures import failure
from pypod.runtime.launcher import FAILED, REPORT_BYTES, parse_report
from pypod.runtime.ops import Op, Plan
from tests.integration.inside import Box, execute, written

HERE = Path(__file__).parent
PAUSE = HERE.parents[1] / "pause"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FLAGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", f"-I{PAUSE}", *SANITIZE]
# test: its sources beside the file that it includes
SOURCES = {
    "plan": ["common/plan.c"],
    "passwd": ["process/passwd.c"],
    "log": ["monitor/log.c"],
    "attach": ["common/identity.c", "common/lines.c"],
    "netlink": ["common/plan.c"],
}
TAP_LINE = re.compile(r"^(ok|not ok) (\d+) - (.*)$")


@pytest.fixture(scope="session")
def gcc(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("gcc is not installed")
    program = tmp_path_factory.mktemp("sanitizers") / "empty"
    done = subprocess.run([found, "-xc", "-", *SANITIZE, "-o", program], input=b"int main(void){}", check=False)
    if done.returncode != 0:
        pytest.skip("gcc has no sanitizers (Debian: libasan8, libubsan1)")
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_tap(gcc: str, tmp_path: Path, name: str) -> None:
    sources = [HERE / f"{name}_test.c", *(PAUSE / source for source in SOURCES[name])]
    _facts_of([gcc, *FLAGS, *sources], tmp_path)


@pytest.mark.root
def test_confinement(gcc: str, tmp_path: Path) -> None:
    """Built without sanitizers, which need system calls that the filter does not allow."""
    _facts_of([gcc, *(flag for flag in FLAGS if flag not in SANITIZE), HERE / "confine_test.c"], tmp_path)


def _facts_of(build: list[str | Path], tmp_path: Path) -> None:
    program = tmp_path / "program"
    subprocess.run([*build, "-o", program], check=True)
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [program], env={"HOME": str(home)}, cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    lines = [match.groups() for match in map(TAP_LINE.match, done.stdout.splitlines()) if match]
    assert [line for line in lines if line[0] == "not ok"] == []
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [int(number) for _, number, _ in lines] == list(range(1, len(lines) + 1))
    assert done.stdout.splitlines()[-1] == f"1..{len(lines)}"
    assert len(lines) > 3


@pytest.fixture(scope="session")
def sanitized(gcc: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build launch and monitor with sanitizers, which report into files beside them; copy the other programs."""
    base = tmp_path_factory.mktemp("sanitized")
    out = base / "libexec"
    shutil.copytree(programs.DIRECTORY, out)
    for name in ("launch", "monitor"):
        (out / name).unlink()
    # these programs start without an environment: the options are compiled in
    options = f"log_path={base}/report:detect_leaks=0"
    (base / "options.c").write_text(
        f'const char *__asan_default_options(void) {{ return "{options}"; }}\n'
        f'const char *__ubsan_default_options(void) {{ return "{options}"; }}\n'
    )
    command = ["make", "-s", "-C", PAUSE, f"OUT={out}", "SANITIZE=1", f"EXTRA={base}/options.c"]
    subprocess.run([*command, f"{out}/launch", f"{out}/monitor"], check=True)
    base.chmod(0o755)
    return out


def reports(sanitized: Path) -> str:
    return "".join(path.read_text() for path in sanitized.parent.glob("report.*"))


def _run_on(program: Path, data: bytes) -> bytes:
    """Start a program with a plan as pypod does, and return its report."""
    import socket

    plan = os.memfd_create("plan")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        os.write(plan, data)
        high = [os.dup(fd) for fd in (plan, theirs.fileno())]
        actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in zip((3, 4), high, strict=True)]
        try:
            pid = os.posix_spawn(program, [program.name], {}, file_actions=actions)
        finally:
            for fd in (plan, *high):
                os.close(fd)
        theirs.close()
        ours.settimeout(20)
        ours.send(b"g")
        report = ours.recv(REPORT_BYTES)
        os.waitpid(pid, 0)
    return report


@pytest.mark.root
@pytest.mark.parametrize("name", ["launch", "monitor"])
def test_programs_refuse_what_is_no_plan(sanitized: Path, tmp_path: Path, full: bool, name: str) -> None:
    whole = Plan([Op("status", f"{tmp_path}/status", "boot"), Op("clone", 0, ""), Op("execute", "true")]).encode()
    for size in range(1, len(whole) - 1, 1 if full else 7):
        report = parse_report(_run_on(sanitized / name, whole[:size]))
        assert report.kind == FAILED
        assert report.error != 0 or size in (0, len(whole)), size
    assert reports(sanitized) == ""
    assert list(tmp_path.glob("status*")) == []


@pytest.mark.root
@pytest.mark.parametrize("name", ["launch", "monitor"])
@pytest.mark.parametrize("wrong", [(20, b"0"), (20, b"x", b""), (20, b"0", b"", b""), (255,)])
def test_programs_name_the_operation_that_is_none(
    sanitized: Path, name: str, wrong: tuple[int, *tuple[bytes, ...]]
) -> None:
    number, *arguments = wrong
    record = struct.pack("<II", number, len(arguments))
    record += b"".join(struct.pack("<I", len(one)) + one + b"\0" for one in arguments)
    data = Op("leave").encode() + record + Op("execute", "true").encode()
    report = parse_report(_run_on(sanitized / name, data))
    assert (report.kind, report.operation, report.call, report.error) == (FAILED, 1, "plan_read", errno.EBADMSG)
    error = failure(Plan([Op("leave"), Op("clone", 0, ""), Op("execute", "true")]), report, name)
    assert str(error).startswith("create the process: plan_read: ")
    assert "another version" in error.hint
    assert reports(sanitized) == ""


@pytest.mark.root
@pytest.mark.not_in_chroot
def test_containers_under_the_sanitized_programs(
    engine, rootfs: str, sanitized: Path, monkeypatch, tmp_path: Path
) -> None:
    """Everything the programs do, with address and undefined behaviour sanitizers up to the exec."""
    monkeypatch.setattr(programs, "DIRECTORY", str(sanitized))
    box = Box(engine, rootfs)
    (tmp_path / "v").mkdir()
    options = {"user": "alice", "volumes": [f"{tmp_path}/v:/v/deep"], "tmpfs": ["/t"], "read_only": True}
    options |= {"ulimits": ["core=0"], "sysctls": {"net.core.somaxconn": "9"}, "working_directory": "/v/deep"}
    assert box.shell("id -u; pwd", network="none", **options) == "1001\n/v/deep\n"
    for share in ("ipc,net,uts", "ipc,net,uts,pid,user,cgroup"):
        pod = engine.pods.create(share=share, sysctls={"net.ipv4.ip_default_ttl": "9"})
        container = box.stay(pod=pod, interactive=True, terminal=True)
        assert execute(container, "id", "-un", user="alice") == "alice\n"
        client = container.attach()
        client.send_input(b"x" * 5000)
        client.resize(100, 30)
        client.close()
        container.stop(0)
        assert container.wait(5) == 137
    noisy = engine.containers.run(["sh", "-c", "seq 20000; echo -n end; exit 3"], rootfs=rootfs)
    assert noisy.wait(20) == 3
    assert written(noisy).split()[-2:] == ["20000", "end"]
    for words in (["nosuch"], ["/etc/passwd"]):
        with pytest.raises(Exception, match="executable"):
            box.run(*words)
    assert reports(sanitized) == ""
