"""Ordinary users of this machine, created for the tests: one with subordinate ids, one without."""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.facts import is_there

SOURCE = Path(__file__).parents[1]
# The parts of the repository that a user needs to run its tests.
TREE = ("pypod", "tests", "pause", "setup.cfg", "pyproject.toml")
_SETTLE_S = 3.0


class User:
    """An ordinary user, who runs programs, and Python with pypod and pytest from a world-readable copy."""

    def __init__(self, name: str, tree: Path, python: str) -> None:
        self.name, self.tree, self.python = name, tree, python
        entry = pwd.getpwnam(name)
        self.uid, self.gid, self.home = entry.pw_uid, entry.pw_gid, Path(entry.pw_dir)

    @property
    def storage(self) -> Path:
        return self.home / ".local" / "share" / "pypod"

    def words(self, *words: str | Path, **variables: str) -> list[str]:
        """Return the command line that runs a program as this user, in an environment as after a login."""
        path = f"{self.tree}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        environment = {"HOME": str(self.home), "USER": self.name, "PATH": path, "PYTHONPATH": str(self.tree)}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYPOD_NETWORK": "none", **variables}
        pairs = [f"{key}={value}" for key, value in environment.items()]
        ids = ["--reuid", str(self.uid), "--regid", str(self.gid), "--init-groups"]
        return ["setpriv", *ids, "env", "-i", "-C", str(self.home), *pairs, *map(str, words)]

    def run(self, *words: str | Path, timeout: int = 60, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*words, **variables), capture_output=True, text=True, timeout=timeout, check=False
        )

    def pypod(self, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run(self.python, "-m", "pypod", *words, timeout=60, **variables)

    def ok(self, *words: str | Path, **variables: str) -> str:
        """Run pypod and return its output; fail unless it exits with 0 and prints no messages but notes."""
        done = self.pypod(*words, **variables)
        said = [line for line in done.stderr.splitlines() if not line.startswith("Note: ")]
        assert (done.returncode, said) == (0, []), f"{words}: {done}"
        return done.stdout

    def python_code(self, code: str) -> str:
        """Run Python code that can import pypod; return its output."""
        done = self.run(self.python, "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def processes(self) -> dict[int, str]:
        """Return the name of every process with this user's uid, or in a user namespace they created, by pid."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if not entry.name.isdigit() or not is_there(int(entry.name)):  # zombies may never be reaped
                    continue
                if entry.stat().st_uid == self.uid or self._made(entry):
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
            except OSError:
                continue
        return found

    def _made(self, process: Path) -> bool:
        rows = [list(map(int, line.split())) for line in (process / "uid_map").read_text().splitlines()]
        return any(first == self.uid and count == 1 for _, first, count in rows)

    def forget(self) -> None:
        """Turn this into a user who has never used pypod."""
        self.end()
        shutil.rmtree(self.storage, ignore_errors=True)

    def end(self) -> dict[int, str]:
        """End this user's session process; return the processes that are left after that."""
        self.pypod("system", "migrate")
        deadline = time.monotonic() + _SETTLE_S
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left


def python_for_users() -> str:
    """Return a Python of our version that every user may run, or an empty string."""
    version = ".".join(map(str, sys.version_info[:2]))
    for path in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        real = Path(path).resolve()
        if real.exists() and all(part.stat().st_mode & 0o001 for part in (real, *real.parents)):
            return path
    return ""


def copy_tree(directory: Path) -> Path:
    """Copy what a user needs, the repository's files and the packages they import, to a world-readable directory."""
    tree = directory / "tree"
    for name in TREE:
        source = SOURCE / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, tree / name, ignore=ignored)
        else:
            shutil.copy(source, tree / name)
    for name in _needed("pypod", {"test"}):
        for file in importlib.metadata.distribution(name).files or ():
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            target = tree / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), target)
    program = tree / "bin" / "pypod"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {python_for_users()} -m pypod "$@"\n')
    program.chmod(0o755)
    subprocess.run(["chmod", "-R", "a+rX", tree], check=True)
    return tree


_NOT_AS_USER = {"pypod", "mypy", "ruff", "coverage"}


def _needed(name: str, extras: set[str]) -> set[str]:
    """Return a distribution's direct and indirect requirements, without linters."""
    found: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        at, wanted = waiting.pop()
        try:
            requirements = importlib.metadata.requires(at) or []
        except importlib.metadata.PackageNotFoundError:  # needed by another Python version
            continue
        found.add(at)
        for requirement in requirements:
            other = re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0]
            extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", requirement)
            if (extra is None or extra[1] in wanted) and other not in found | _NOT_AS_USER:
                waiting.append((other, set()))
    return {one for one in found if one not in _NOT_AS_USER and _is_installed(one)}


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@contextmanager
def unchanged() -> Iterator[None]:
    """Keep other lanes of the suite from adding or removing users, which would drop mounts on the files in /etc."""
    directory = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def add(name: str, *, subordinate: bool) -> None:
    """Create a user."""
    home = ["--create-home", "--key", "HOME_MODE=0755"]  # files in it must restrict access themselves
    with unchanged():
        subprocess.run(["useradd", *home, "--shell", "/bin/sh", name], check=True, capture_output=True)
        if not subordinate:
            for path in ("/etc/subuid", "/etc/subgid"):
                subprocess.run(["sed", "-i", f"/^{name}:/d", path], check=True)


def remove(name: str) -> None:
    """Remove a user and their home directory."""
    home = pwd.getpwnam(name).pw_dir
    with unchanged():
        subprocess.run(["userdel", name], check=True, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


def missing() -> str:
    """Return why no ordinary user can be created here, or an empty string."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("useradd", "userdel", "setpriv", "newuidmap"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: passwd, util-linux, uidmap)"
    return "" if python_for_users() else "no Python of this version that every user may run"
