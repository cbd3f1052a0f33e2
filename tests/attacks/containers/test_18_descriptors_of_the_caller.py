"""Descriptors that the caller holds open: host directories, sockets or the database (CVE-2024-21626)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.integration.inside import Report, execute

pytestmark = pytest.mark.root


def test_nothing_that_the_caller_has_open_goes_in(box, tmp_path: Path) -> None:
    leaked = [os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY) for _ in range(50)]
    ends = os.pipe()
    try:
        for fd in (*leaked, *ends):
            os.set_inheritable(fd, True)
        pod = box.engine.pods.create(ephemeral=True)
        container = pod.run(["/probe", "stay"], rootfs=box.rootfs)
        assert box.report().descriptors == {0, 1, 2}
        assert Report(execute(container, "/probe")).descriptors == {0, 1, 2}
        assert execute(container, "ls", "/proc/1/fd").split() == ["0", "1", "2"]
        state, infra = container.state(), pod.infra.state()
        for pid in (state.pid, state.supervisor_pid, infra.pid):
            links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            assert str(tmp_path) not in links
            assert f"pipe:[{os.fstat(ends[0]).st_ino}]" not in links
    finally:
        for fd in (*leaked, *ends):
            os.close(fd)


@pytest.mark.parametrize(
    "words", [["run", "--rm"], ["run", "--rm", "-i"], ["run", "--rm", "-t"], ["exec"], ["exec", "-t"]]
)
def test_nothing_that_the_shell_had_open_goes_in(box, tmp_path: Path, words: list[str]) -> None:
    """Start the command line with fifty of them, as from a shell whose `exec 7<>...` was never closed."""
    box.stay(name="there")
    where = ["--rootfs", f"{box.rootfs}:O"] if words[0] == "run" else ["there"]
    leaked = [os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY) for _ in range(48)]
    ends = socket.socketpair()
    try:
        kept = (*leaked, *(end.fileno() for end in ends))
        done = Program(box.engine.layout.root)(*words, *where, "/probe", pass_fds=kept)
        assert done.returncode == 0, done
        assert Report(done.stdout.replace("\r\n", "\n")).descriptors == {0, 1, 2}
    finally:
        for fd in leaked:
            os.close(fd)
        for end in ends:
            end.close()


def test_a_shell_sees_them_where_nothing_holds_them_back(box, tmp_path: Path) -> None:
    """Sanity check: the probe is not blind, and the descriptors of this process can be inherited."""
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        import subprocess

        done = subprocess.run([f"{box.rootfs}/probe"], pass_fds=[fd], capture_output=True, text=True, check=True)
        assert fd in Report(done.stdout).descriptors
    finally:
        os.close(fd)
