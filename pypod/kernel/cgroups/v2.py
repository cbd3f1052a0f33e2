"""The driver for the v2 tree, on hosts where it has the controllers (unified) and for tracking where it has not."""

from __future__ import annotations

import errno
import os
import time

from pypod.errors import DeadlineExceeded, Unsupported
from pypod.kernel.cgroups import tree
from pypod.kernel.cgroups.detect import UNIFIED

KILL_FILE = "cgroup.kill"  # Linux 5.14
FREEZE_FILE = "cgroup.freeze"  # Linux 5.2


class UnifiedDriver:
    """Groups of a v2 tree mounted at ``root``. The contract is that of ``driver.Driver``."""

    __slots__ = ("root",)

    mode = UNIFIED
    shown = ("/sys/fs/cgroup", "")
    clones_into_cgroup = True

    def __init__(self, root: str) -> None:
        self.root = root

    def controllers(self) -> tuple[str, ...]:
        return tuple(sorted(tree.read(f"{self.root}/cgroup.controllers").split()))

    def create(self, path: str, controllers: tuple[str, ...] = ()) -> None:
        if controllers:
            tree.locate(self.root, path)
            for name in sorted(set(controllers) - set(self.controllers())):
                raise Unsupported(name, f"cgroup controller {name} is not available on this host")
            if parent := path.rpartition("/")[0]:
                tree.make(self.root, parent)
            self._hand_down(path, controllers)
        tree.make(self.root, path)

    def tracking_directory(self, path: str) -> str:
        return tree.locate(self.root, path)

    def join_files(self, path: str, controllers: tuple[str, ...] = ()) -> tuple[str, ...]:  # noqa: ARG002
        tree.locate(self.root, path)
        return ()

    def processes(self, path: str) -> list[int]:
        return tree.processes(tree.locate(self.root, path))

    def is_empty(self, path: str) -> bool:
        return "populated 1" not in self._events(path)

    def kill(self, path: str, *, timeout_s: float = 5.0) -> bool:
        directory = tree.locate(self.root, path)
        if os.getpid() in tree.processes(directory):
            return tree.kill_members(directory, timeout_s, hold=lambda: None, release=lambda: None)
        if tree.write(f"{directory}/{KILL_FILE}", "1"):
            return tree.wait_until(lambda: self.is_empty(path), timeout_s)
        # There is no such group, so no members, or a kernel older than the file.
        return tree.kill_members(
            directory,
            timeout_s,
            hold=lambda: self._hold(directory, path),
            release=lambda: tree.write(f"{directory}/{FREEZE_FILE}", "0"),
        )

    def freeze(self, path: str, frozen: bool, *, timeout_s: float = 2.0) -> None:
        directory = tree.locate(self.root, path)
        if frozen:
            tree.refuse_caller(directory, path)
        control = f"{directory}/{FREEZE_FILE}"
        if not tree.write(control, "1" if frozen else "0"):
            if tree.exists(directory):
                raise Unsupported(FREEZE_FILE, "this kernel cannot freeze cgroups", hint="Linux 5.2 can")
            raise FileNotFoundError(errno.ENOENT, "no such cgroup", directory)
        if not tree.wait_until(lambda: self.is_frozen(path) == frozen, timeout_s):
            tree.write(control, "0")
            raise DeadlineExceeded(f"freezing cgroup {path}" if frozen else f"thawing cgroup {path}", timeout_s)

    def is_frozen(self, path: str) -> bool:
        return "frozen 1" in self._events(path)

    def remove(self, path: str, *, timeout_s: float = 1.0) -> bool:
        return tree.remove(tree.locate(self.root, path), time.monotonic() + timeout_s)

    def _events(self, path: str) -> str:
        return tree.read(f"{tree.locate(self.root, path)}/cgroup.events")

    def _hand_down(self, path: str, controllers: tuple[str, ...]) -> None:
        """Give controllers to the children of every group above ``path``, from the root down."""
        directory = self.root
        for component in path.split("/")[1:]:
            control = f"{directory}/cgroup.subtree_control"
            missing = set(controllers).difference(tree.read(control).split())
            if missing:
                tree.write(control, " ".join(f"+{name}" for name in sorted(missing)))
            directory = f"{directory}/{component}"

    def _hold(self, directory: str, path: str) -> None:
        if tree.write(f"{directory}/{FREEZE_FILE}", "1"):
            tree.wait_until(lambda: self.is_frozen(path), tree.HOLD_S)
