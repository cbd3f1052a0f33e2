"""Run the whole suite in parallel processes: half of its time is spent waiting.

``python -m tests.lanes`` is what ``tests/run`` without arguments does. Each part of the suite has a PID namespace,
mounts and a v2 cgroup tree of its own, so neither its leak check nor its tests that look at every process of the
machine see the objects of other parts. Where that is impossible (for an ordinary user, in a chroot) there is one part.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

CLONE_NEWCGROUP = 0x02000000  # linux/sched.h
# Parts of the suite, the longest first. podman's storage is machine-wide: all tests that run podman are in one part.
PARTS = ("integration", "cli", "attacks", "vm", "oracle", "faults")
LANES = 4
PYTEST = (sys.executable, "-m", "pytest")
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
# pids as on a machine that has been up for a while: a single digit could also be the prefix of a container's id
ENTER = """
umount -l "$0" && mount -t cgroup2 none "$0" && echo 20000 >/proc/sys/kernel/ns_last_pid && exec catatonit -- "$@"
"""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # runs the finally blocks
    with no_parents_left():
        return _side_by_side() if _may_be_apart() else subprocess.run(PYTEST, check=False).returncode


def _side_by_side() -> int:
    """Run the parts, as many at once as there are lanes; print each one's output when it ends. Return a failed code."""
    waiting = [*((f"tests/{part}",) for part in PARTS), ("tests", *(f"--ignore=tests/{part}" for part in PARTS))]
    running: dict[int, tuple[subprocess.Popen[bytes], IO[bytes], ExitStack]] = {}
    failed = 0
    with ExitStack() as everything:
        while waiting or running:
            while waiting and len(running) < LANES:
                part = everything.enter_context(ExitStack())
                log = part.enter_context(tempfile.TemporaryFile())
                process = part.enter_context(apart((*PYTEST, *waiting.pop(0)), log))
                running[process.pid] = process, log, part
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            assert ended is not None  # without WNOHANG
            process, log, part = running.pop(ended.si_pid)
            failed = process.wait() or failed
            log.seek(0)
            sys.stdout.buffer.write(log.read())
            sys.stdout.flush()
            part.close()
    return failed


def _may_be_apart() -> bool:
    try:
        with apart(("true",)) as lane:
            return lane.wait() == 0
    except (OSError, subprocess.SubprocessError):
        return False


@contextmanager
def apart(words: tuple[str, ...], output: IO[bytes] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program in namespaces of its own; at the end of the block, end it and all its descendants."""
    tree = _v2_tree()
    group = Path(tempfile.mkdtemp(prefix="pypod-tests-", dir=tree))
    process = None
    try:
        process = subprocess.Popen(
            [*UNSHARE, "sh", "-c", ENTER, tree, *words],
            stdout=output,
            stderr=output and subprocess.STDOUT,
            preexec_fn=lambda: _own_groups(group),  # noqa: PLW1509  # nothing here has threads
        )
        yield process
    finally:
        if process is not None:
            process.kill()
            process.wait()
        _remove(group)


@contextmanager
def no_parents_left() -> Iterator[None]:
    """Remove pypod's parent cgroups created in the block: pypod keeps them, and all lanes share those of v1."""
    before = _parents()
    try:
        yield
    finally:
        for parent in _parents() - before:
            _remove(parent)


def _parents() -> set[Path]:
    return {*Path("/sys/fs/cgroup").glob("pypod"), *Path("/sys/fs/cgroup").glob("*/pypod")}


def _remove(group: Path) -> None:
    for directory, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):  # a process in it is still exiting
            Path(directory).rmdir()


def _v2_tree() -> str:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            return fields[4]
    raise FileNotFoundError("no v2 tree of cgroups is mounted")


def _own_groups(group: Path) -> None:
    """Make ``group`` the root of this process's cgroup namespace, and move to a cgroup below it.

    A cgroup with processes in it cannot enable controllers for its children (cgroups(7), "no internal processes").
    """
    (group / "cgroup.procs").write_text("0")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWCGROUP) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWCGROUP)")
    (group / "suite").mkdir()
    (group / "suite" / "cgroup.procs").write_text("0")


if __name__ == "__main__":
    sys.exit(main())
