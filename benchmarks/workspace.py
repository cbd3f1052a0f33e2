"""A temporary directory to measure in: a root file system, and storage for each contestant."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.harness import Unavailable, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.join(os.path.dirname(_HERE), "pypod")
_SCRIPT = os.path.join(os.path.dirname(_HERE), "bin", "pypod")
_DEPENDENCIES = ("attr", "attrs", "isal", "backports", "jeepney", "psutil", "pyroute2")
_NAMES = ("true", "sleep", "sh")
_DIRECTORIES = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var/tmp")
_MARK = "PYPOD_BENCHMARK_NAMESPACE"


class Workspace:
    """A temporary directory below ``parent``, removed at the end."""

    directory: str
    rootfs: str

    def __init__(self, parent: str) -> None:
        self._parent = parent

    def __enter__(self) -> Self:
        self.directory = tempfile.mkdtemp(prefix="pypod-benchmark-", dir=self._parent)
        os.chmod(self.directory, 0o711)
        try:
            self.rootfs = self._make_rootfs()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        unmount_below(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        if os.path.exists(self.directory):  # a background deletion may still have been at work in it
            time.sleep(0.5)
            shutil.rmtree(self.directory, ignore_errors=True)

    def make(self, name: str) -> str:
        """Create a directory for a contestant; return its path."""
        path = os.path.join(self.directory, name)
        os.mkdir(path, 0o711)
        return path

    def _make_rootfs(self) -> str:
        root = self.make("rootfs")
        for name in _DIRECTORIES:
            os.makedirs(f"{root}/{name}")
        os.chmod(root, 0o755)
        guest = self.compile("guest", f"{_HERE}/guest.c")
        for name in _NAMES:
            shutil.copy(guest, f"{root}/bin/{name}")
        for name, content in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n")):
            with open(f"{root}/etc/{name}", "w", encoding="ascii") as file:
                file.write(content)
        return root

    def compile(self, name: str, *sources: str, include: str = _HERE) -> str:
        """Compile a static program as pause/Makefile does, with musl if installed; return its path."""
        compiler = shutil.which("musl-gcc") or shutil.which("gcc")
        if compiler is None:
            raise Unavailable("neither musl-gcc nor gcc is installed")
        architecture = subprocess.run(("gcc", "-print-multiarch"), capture_output=True, text=True, check=False).stdout
        program = f"{self.directory}/{name}"
        argv = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-static", "-s", f"-I{include}", "-o", program]
        argv += ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{architecture.strip()}", *sources]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable(f"{os.path.basename(sources[0])} does not compile: {done.stderr.strip()[:500]}")
        return program

    def install(self) -> tuple[str, ...]:
        """Install pypod as pip installs its wheel, in a fresh virtual environment; return the command that starts it.

        A development environment would distort the numbers: an editable install and the start-up hooks of test tools
        add 13 ms to every start of the interpreter.
        """
        import compileall
        import venv

        home = f"{self.directory}/venv"
        venv.create(home, with_pip=False, symlinks=True)
        python = f"{home}/bin/python"
        site = f"{home}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        shutil.copytree(_PACKAGE, f"{site}/pypod", ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(f"{site}/pypod", quiet=2)
        for name in _DEPENDENCIES:
            os.symlink(import_module(name).__path__[0], f"{site}/{name}")
        script = f"{home}/bin/pypod"
        with open(_SCRIPT, encoding="utf-8") as source, open(script, "w", encoding="utf-8") as target:
            target.write(source.read().replace("#!python", f"#!{python}", 1))  # as pip does it
        os.chmod(script, 0o755)
        return (script,)


class OwnNetwork:
    """A network namespace with lo up, kept alive by a descriptor of this process.

    ``path`` is its path for nsenter(1) and ip(8); calling the object runs a program inside and returns its output.
    """

    path: str

    def __enter__(self) -> Self:
        from pypod.kernel.abi import CLONE_NEWNET

        home = _own_descriptor()
        try:
            _unshare(CLONE_NEWNET)
            self._descriptor = _own_descriptor()
        finally:
            _go_back(home)
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"
        self("ip", "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def __call__(self, *argv: str) -> str:
        """Run a program inside. Raises Unavailable with its error message when it fails."""
        return run(("nsenter", f"--net={self.path}", *argv))[1]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Move this thread into the namespace for the block."""
        from pypod.kernel.abi import CLONE_NEWNET
        from pypod.kernel.syscalls import setns

        home = _own_descriptor()
        try:
            setns(self._descriptor, CLONE_NEWNET)
            yield
        finally:
            _go_back(home)


def _own_descriptor() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _go_back(home: int) -> None:
    from pypod.kernel.abi import CLONE_NEWNET
    from pypod.kernel.syscalls import setns

    setns(home, CLONE_NEWNET)
    os.close(home)


def _unshare(flags: int) -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).unshare(flags) < 0:
        raise Unavailable(f"no network namespace of its own: {os.strerror(ctypes.get_errno())}")


def enter_own_mount_namespace(arguments: Sequence[str]) -> None:
    """Re-execute this program in a mount namespace of its own: mounts vanish with it, even after SIGKILL."""
    if os.environ.get(_MARK):
        return
    os.environ[_MARK] = "1"
    argv = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "benchmarks", *arguments]
    os.execvp("unshare", argv)  # noqa: S606


def unmount_below(directory: str) -> None:
    """Unmount everything below a directory, last mount first."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split(" ")[4] for line in file]
    for point in reversed(points):
        if point.startswith(f"{directory}/"):
            subprocess.run(("umount", "-l", point), check=False, stderr=subprocess.DEVNULL)


def free_the_unified_tree(place: Workspace) -> str:
    """Take the controllers out of the v2 tree of a hybrid host; return a note about it, or an empty string.

    crun, and podman with it, reject hosts whose v2 tree has controllers beside v1 trees. A controller that is mounted
    as v1 leaves the v2 tree, and returns when that mount is gone.
    """
    from pypod.kernel.cgroups.detect import HYBRID, detect

    trees = detect()
    if trees.mode != HYBRID or trees.unified is None:
        return ""
    with open(f"{trees.unified.directory}/cgroup.controllers", encoding="ascii") as file:
        names = file.read().split()
    for name in names:
        run(("mount", "-t", "cgroup", "-o", name, name, place.make(f"cgroup-{name}")))
    if not names:
        return ""
    return (
        f"crun refuses a v2 tree with controllers beside v1 trees: {', '.join(names)} is mounted as v1, in the mount "
        "namespace of the benchmark and until its end"
    )


def remove_group(directory: str) -> None:
    """Kill the processes of a v2 cgroup and remove it with its descendants; do nothing if it does not exist."""
    try:
        with open(f"{directory}/cgroup.kill", "w", encoding="ascii") as file:
            file.write("1")
    except OSError:
        pass  # no v2 tree, or no such group
    for _ in range(100):
        for group in _bottom_up(directory):
            try:
                os.rmdir(group)
            except OSError:
                continue
        if not os.path.isdir(directory):
            return
        time.sleep(0.01)


def _bottom_up(directory: str) -> Iterator[str]:
    for path, _, _ in os.walk(directory, topdown=False):
        yield path
