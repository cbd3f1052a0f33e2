"""The driver for the v2 tree: on hosts where it has the controllers (unified), and for tracking on others."""

from __future__ import annotations

import errno
import os
import time

from pypod.errors import DeadlineExceeded, Unsupported
from pypod.kernel.cgroups import settings, tree
from pypod.kernel.cgroups.detect import UNIFIED
from pypod.kernel.cgroups.usage import Usage, cpu_stat, io_stat, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from pypod.kernel.cgroups.detect import ShownTree
    from pypod.kernel.cgroups.settings import Setting

KILL_FILE = "cgroup.kill"  # Linux 5.14
FREEZE_FILE = "cgroup.freeze"  # Linux 5.2
# Lines of memory.stat: what the kernel never takes from a group, and what it can take only where there is swap.
_PINNED = ("kernel_stack", "pagetables", "percpu", "slab_unreclaimable", "sock")
_SWAPPED = ("anon", "shmem")
_ACCOUNTED = ("io", "memory", "pids")  # processor time is accounted without a controller


class UnifiedDriver:
    """Groups of a v2 tree mounted at ``root``. The contract is that of ``driver.Driver``."""

    __slots__ = ("root",)

    mode = UNIFIED
    shown = ("/sys/fs/cgroup", "")
    clones_into_cgroup = True
    named: tuple[str, ...] = ()
    filters_devices = True
    prefix = ""
    no_controller_hint = tree.NO_CONTROLLER_HINT

    def __init__(self, root: str) -> None:
        self.root = root

    def trees(self, own: Collection[str]) -> tuple[ShownTree, ...]:
        del own
        return ()

    def make_shown(self) -> None:
        return

    def controllers(self) -> tuple[str, ...]:
        return tuple(sorted(tree.read(f"{self.root}/cgroup.controllers").split()))

    @property
    def accounted(self) -> tuple[str, ...]:
        return tuple(sorted(set(_ACCOUNTED).intersection(self.controllers())))

    def create(self, path: str, controllers: tuple[str, ...] = (), accounted: tuple[str, ...] = ()) -> None:
        if controllers or accounted:
            tree.locate(self.root, path)
            for name in sorted(set(controllers) - set(self.controllers())):
                raise Unsupported(name, f"cgroup controller {name} is not available on this host")
            if parent := path.rpartition("/")[0]:
                tree.make(self.root, parent)
            self._hand_down(path, controllers, accounted)
        tree.make(self.root, path)

    def settings(
        self, resources: dict[str, Any], defaults: Collection[str] = (), path: str = ""
    ) -> tuple[Setting, ...]:
        found = settings.unified(
            resources, defaults, lambda file: tree.read(f"{tree.locate(self.root, path)}/{file}") if path else ""
        )
        return tree.available(found, self.controllers(), self.root, self.no_controller_hint)

    def apply(self, path: str, setting: Setting) -> None:
        directory = tree.locate(self.root, path)
        has_file = any(tree.exists(f"{directory}/{file}") for file, _ in setting.choices)
        if not has_file and setting.controller in self.controllers() and tree.exists(directory):
            self._hand_down(path, (setting.controller,), ())
        tree.apply(directory, setting)

    def directory(self, path: str, controller: str) -> str:  # noqa: ARG002
        return tree.locate(self.root, path)

    def present(self, path: str) -> tuple[str, ...]:
        tree.locate(self.root, path)
        return ()

    def usage(self, path: str) -> Usage:
        directory = tree.locate(self.root, path)
        cpu_ns, system_ns = cpu_stat(tree.read(f"{directory}/cpu.stat"))
        block = tree.read(f"{directory}/io.stat") if tree.exists(f"{directory}/io.stat") else None
        pids = number(tree.read(f"{directory}/pids.current"))
        return Usage(
            cpu_ns,
            system_ns,
            number(tree.read(f"{directory}/memory.current")),
            self.memory_limit(path),
            pids if pids is not None else len(self.processes(path)),
            (None, None) if block is None else io_stat(block),
        )

    def memory_limit(self, path: str) -> int | None:
        return number(tree.read(f"{tree.locate(self.root, path)}/memory.max"))

    def unreclaimable_bytes(self, path: str) -> int:
        words = (line.split() for line in tree.read(f"{tree.locate(self.root, path)}/memory.stat").splitlines())
        found = {name: int(value) for name, value in words}
        return sum(found.get(name, 0) for name in (*_PINNED, *(() if _can_swap() else _SWAPPED)))

    def oom_file(self, path: str) -> str:
        return f"{tree.locate(self.root, path)}/memory.events" if "memory" in self.controllers() else ""

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
        # The group does not exist, so it has no members, or the kernel is older than the file.
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
                raise Unsupported(FREEZE_FILE, "this kernel cannot freeze cgroups", hint="it takes Linux 5.2 or later")
            raise FileNotFoundError(errno.ENOENT, "no such cgroup", directory)
        if not tree.wait_until(lambda: self.is_frozen(path) == frozen, timeout_s):
            tree.write(control, "0")
            raise DeadlineExceeded(f"freezing cgroup {path}" if frozen else f"thawing cgroup {path}", timeout_s)

    def freezer_file(self, path: str) -> str:
        return f"{tree.locate(self.root, path)}/cgroup.events"

    def is_frozen(self, path: str) -> bool:
        return "frozen 1" in self._events(path)

    def remove(self, path: str, *, timeout_s: float = 1.0) -> bool:
        return tree.remove(tree.locate(self.root, path), time.monotonic() + timeout_s)

    def _events(self, path: str) -> str:
        return tree.read(f"{tree.locate(self.root, path)}/cgroup.events")

    def _hand_down(self, path: str, controllers: tuple[str, ...], accounted: tuple[str, ...]) -> None:
        """Enable controllers for the children of every group above ``path``, from the root down.

        A parent given by --cgroup-parent may have processes of its own, and then cannot enable any (cgroups(7), "no
        internal processes"). That is an error only for controllers that are needed.
        """
        directory = self.root
        for component in path.split("/")[1:]:
            control = f"{directory}/cgroup.subtree_control"
            missing = {*controllers, *accounted}.difference(tree.read(control).split())
            if missing:
                try:
                    tree.write(control, " ".join(f"+{name}" for name in sorted(missing)))
                except OSError as error:
                    if missing.intersection(controllers):
                        names = ", ".join(sorted(missing.intersection(controllers)))
                        raise Unsupported(
                            names,
                            f"cgroup {directory} cannot enable {names} for its children: {error.strerror}",
                            hint="a group with processes of its own cannot have limited groups in it: use another "
                            "--cgroup-parent",
                        ) from error
            directory = f"{directory}/{component}"

    def _hold(self, directory: str, path: str) -> None:
        if tree.write(f"{directory}/{FREEZE_FILE}", "1"):
            tree.wait_until(lambda: self.is_frozen(path), tree.HOLD_S)


def _can_swap() -> bool:
    """Return whether the host has swap left."""
    return (
        "SwapFree:" in (text := tree.read("/proc/meminfo")) and number(text.partition("SwapFree:")[2].split()[0]) != 0
    )
