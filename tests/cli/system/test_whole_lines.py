"""Output of commands that write to the same place at the same time: each line is one write, so lines do not mix."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

SCRIPT = str(Path(sysconfig.get_path("scripts"), "pypod"))
ID = re.compile(rb"[0-9a-f]{64}\n")


def written(root: str, words: list[str], *command: str, stream: str = "stdout", **environment: str) -> list[bytes]:
    """Return the program's writes, each of which is a datagram."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            done = subprocess.run(
                [*command, "--root", root, *words],
                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: theirs.fileno()},
                env=os.environ | environment,
                timeout=60,
                check=False,
            )
        found = []
        while data := ours.recv(1 << 20):
            found.append(data)
    assert done.returncode == (0 if stream == "stdout" else 125)
    return found


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [[SCRIPT], [sys.executable, "-m", "pypod"]], ids=["script", "module"])
def test_a_line_is_one_write(engine, busybox, command: list[str], unbuffered: str) -> None:
    def lines(*words: str, stream: str = "stdout") -> list[bytes]:
        return written(engine.layout.root, list(words), *command, stream=stream, PYTHONUNBUFFERED=unbuffered)

    for words in (["create", "--name", "c"], ["run", "-d", "--name", "d"]):
        (line,) = lines(*words, "--rootfs", busybox, "sleep", "1000")
        assert ID.fullmatch(line)
    (line,) = lines("pod", "create", "p")
    assert ID.fullmatch(line)
    assert lines("kill", "d") == [b"d\n"]
    # each write ends at the end of a line, however many lines it has
    assert all(data.endswith(b"\n") for data in lines("ps", "-a"))
    assert all(data.endswith(b"\n") for data in lines("ps", "--help"))
    told = lines("inspect", "nosuch", stream="stderr")
    assert told
    assert all(data.endswith(b"\n") for data in told)
