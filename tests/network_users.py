"""Ordinary users, made for a test and gone after it."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.facts import kill_and_wait

PYTHON = "/usr/bin/python3"  # the one that runs the tests may lie where only root looks
ROOT = Path(__file__).parents[1]
TUN = "/dev/net/tun"


class User:
    """Somebody who runs pypod on a storage of their own."""

    def __init__(self, name: str) -> None:
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid, self.home = name, entry.pw_uid, entry.pw_gid, entry.pw_dir

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program as the user; return what it said and its exit code."""
        environment = {"HOME": self.home, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}
        return subprocess.run(
            words,
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd=self.home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def pypod(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of pypod's; return what it said and its exit code."""
        return self.run(PYTHON, "-B", "-m", "pypod", *words, **variables)

    def say(self, *words: str) -> str:
        """Run a command of pypod's that goes well; return its output."""
        done = self.pypod(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def processes(self) -> dict[int, str]:
        """The user's processes by pid: what the kernel calls them."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and entry.stat().st_uid == self.uid:
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
            except OSError:
                continue
        alive = {pid: name for pid, name in found.items() if not _is_zombie(pid)}
        # pasta becomes the program that fits the processor best
        return {pid: "pasta" if name.startswith("passt") else name for pid, name in alive.items()}


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


@contextmanager
def user(name: str, first_id: int) -> Iterator[User]:
    """A user with 65536 subordinate ids from ``first_id`` on; whatever of theirs still runs at the end is killed."""
    for program in ("useradd", "newuidmap", PYTHON):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    try:
        ids = f"{first_id}-{first_id + 65535}"
        subprocess.run(["usermod", "--add-subuids", ids, "--add-subgids", ids, name], check=True)
        made = User(name)
        yield made
        made.pypod("pod", "rm", "-fa", "-t", "0")
        made.pypod("rm", "-fa", "-t", "0")
        for pid in made.processes():
            kill_and_wait(pid)
    finally:
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


@contextmanager
def tun_for_users() -> Iterator[None]:
    """The device of tunnels, with the mode that udev gives it."""
    if not os.path.exists(TUN):
        pytest.skip(f"{TUN} is not there")
    before = stat.S_IMODE(os.stat(TUN).st_mode)
    os.chmod(TUN, 0o666)
    try:
        yield
    finally:
        os.chmod(TUN, before)
