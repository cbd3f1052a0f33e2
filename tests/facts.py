"""Facts observed from outside the library: processes, cgroups, files."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pypod.kernel import programs

# whether the C programs are linked with glibc: those linked with musl are a tenth of the size
HAS_GLIBC = b"GLIBC_TUNABLES" in Path(programs.path("pause")).read_bytes()
TIMEOUT_S = 5.0
HANGS_AFTER_S = 30.0
# the kernel of tests/vm where the processor supports no other guest
IS_UML = "User Mode Linux" in Path("/proc/cpuinfo").read_text()
# shell code with which a container waits for open_gate
GATE = "while [ ! -e /dev/shm/go ]; do sleep 0.01; done"


def wait_until(condition: Callable[[], object], timeout_s: float = TIMEOUT_S) -> None:
    """Wait until ``condition`` holds; fail if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.005)


def eventually(condition: Callable[[], object], timeout_s: float = TIMEOUT_S) -> bool:
    """Return whether ``condition`` becomes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def unmount(storage: Path) -> None:
    """Unmount a storage's file system, retrying while removed files are still being deleted on it."""
    wait_until(lambda: subprocess.run(["umount", storage], check=False).returncode == 0)


def is_there(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def has_open(pid: int | str, path: str | Path) -> bool:
    """Return whether a process has a file open."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if descriptor.readlink() == Path(path):
                return True
        except FileNotFoundError:  # closed in the meantime
            continue
    return False


def open_gate(container) -> None:
    """Let a container that waits at its GATE continue."""
    Path(f"/proc/{container.state().pid}/root/dev/shm/go").touch()


def kill_and_wait(pid: int, number: int = 9) -> None:
    """Kill a process that is not our child, and wait until it is gone."""
    os.kill(pid, number)
    wait_until(lambda: not is_there(pid))


def members(engine, container) -> set[int]:
    """Return the processes in a container's cgroup, as the kernel lists them."""
    try:
        return {int(word) for word in Path(group(engine, container), "cgroup.procs").read_text().split()}
    except FileNotFoundError:
        return set()


def group(engine, container) -> Path:
    """Return the directory of a container's cgroup."""
    return Path(engine.cgroups.tracking_directory(container.record().cgroup))


def output(container, stream: str | None = None) -> bytes:
    """Return the output of a container so far."""
    return b"".join(piece.data for piece in container.logs() if stream in (None, piece.stream))


def wait_for_output(container, text: bytes) -> None:
    """Wait until a container has written ``text``."""
    wait_until(lambda: text in output(container))


def needs_controller(engine, name: str) -> None:
    """Skip a test of a cgroup controller that this host does not have."""
    if name not in engine.cgroups.controllers():
        pytest.skip(f"cgroups: this host has no controller {name}")


def created_nothing(engine) -> bool:
    """Return whether an engine has neither records nor directories."""
    left = [path for kind in ("containers", "pods") for path in Path(engine.layout.root, kind).iterdir()]
    return not (left or engine.containers.list(all=True) or engine.pods.list())


def in_threads(action: Callable[[int], None], count: int, timeout_s: float = HANGS_AFTER_S) -> None:
    """Run ``action`` in parallel threads; re-raise the first error."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            action(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]


def edit_status(container, words: dict[int, str]) -> None:
    """Replace words of the first line of a status file."""
    path = Path(container.directory, "status")
    content = path.read_bytes()
    line = content[:191].decode().split()
    for position, word in words.items():
        line[position] = word
    path.write_bytes(" ".join(line).ljust(191).encode() + b"\n" + content[192:])
