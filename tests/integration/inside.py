"""Look at containers from the inside: run tests/probe.c there and parse its report."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pypod import Container, Engine

TIMEOUT_S = 30


class Report:
    """A report with lines of NAME<TAB>VALUE."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.values: dict[str, list[str]] = {}
        for line in text.splitlines():
            name, _, value = line.partition("\t")
            self.values.setdefault(name, []).append(value)

    def all(self, name: str) -> list[str]:
        return self.values.get(name, [])

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def pairs(self, name: str) -> dict[str, str]:
        """Return the values of a name, each of the form WORD REST."""
        return {word: rest for word, _, rest in (value.partition(" ") for value in self.all(name))}

    @property
    def status(self) -> dict[str, str]:
        """Return the content of /proc/self/status."""
        return {word: rest.strip() for word, _, rest in (value.partition(":") for value in self.all("status"))}

    @property
    def environment(self) -> dict[str, str]:
        return {word: rest for word, _, rest in (value.partition("=") for value in self.all("env"))}

    @property
    def capabilities(self) -> dict[str, int]:
        """Return the five sets: Inh, Prm, Eff, Bnd, Amb."""
        return {name: int(self.status[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}

    @property
    def mounts(self) -> dict[str, list[str]]:
        """Return the topmost mount on each target: [options, type, super options] and the rest of its line."""
        found = {}
        for line in self.all("mount"):
            fields = line.split(" ")
            dash = fields.index("-")
            found[fields[4]] = [fields[5], fields[dash + 1], fields[dash + 3], fields[3], fields[2]]
        return found

    @property
    def descriptors(self) -> set[int]:
        """Return the numbers of the open descriptors."""
        return {int(fd) for fd in self.pairs("fd")}

    @property
    def outcomes(self) -> dict[str, str]:
        """Return the outcome of each attempt: ok, something, empty, or the name of an error."""
        return {
            name: errno.errorcode.get(int(values[-1]), values[-1]) if values[-1].isdigit() else values[-1]
            for name, values in self.values.items()
        }


class Box:
    """Run things in containers on one root file system."""

    def __init__(self, engine: Engine, rootfs: str) -> None:
        self.engine = engine
        self.rootfs = rootfs

    def run(self, *words: str, check: bool = True, **options) -> str:
        """Run a command in a new container to its end and return its output on both streams."""
        options.setdefault("rootfs", self.rootfs)
        container = self.engine.containers.run(list(words), **options)
        try:
            code = container.wait(TIMEOUT_S)
            text = written(container)
        finally:
            container.remove(force=True, timeout=0)
        assert code == 0 or not check, f"{words} ended with {code}: {text}"
        return text

    def shell(self, script: str, *, check: bool = True, **options) -> str:
        return self.run("sh", "-c", script, check=check, **options)

    def stay(self, **options) -> Container:
        """Return a running container that does nothing."""
        options.setdefault("rootfs", self.rootfs)
        return self.engine.containers.run(["/probe", "stay"], **options)

    def report(self, how: str = "run", *words: str, **options) -> Report:
        """Return the probe's report, as first process of a container or as a command in one."""
        command = ["/probe", *words]
        if how == "run":
            return Report(self.run(*command, **options))
        container = self.stay(**options)
        try:
            return Report(execute(container, *command))
        finally:
            container.remove(force=True, timeout=0)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail when the block takes longer, for tests that would hang on a bug."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"not done after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def written(container: Container) -> str:
    return b"".join(piece.data for piece in container.logs()).decode()


def execute(container: Container, *words: str, check: bool = True, **options) -> str:
    """Run a command in a running container and return its output."""
    done = container.exec(list(words), timeout=TIMEOUT_S, **options)
    text = (done.stdout + done.stderr).decode()
    assert done.exit_code == 0 or not check, f"{words} ended with {done.exit_code}: {text}"
    return text


def fingerprint(directory: Path | str) -> str:
    """Return a digest of all that an attack could change in a tree: names, contents, owners, modes, times, inodes."""
    digest = hashlib.sha256()
    for path in sorted([Path(directory), *Path(directory).rglob("*")]):
        status = path.lstat()
        facts = (path, status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_size)
        digest.update(repr(facts).encode())
        if path.is_symlink():
            digest.update(os.fsencode(path.readlink()))
        elif path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
