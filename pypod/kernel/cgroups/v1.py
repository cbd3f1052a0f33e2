"""The driver for hosts with controllers in v1 trees: legacy, or hybrid with a v2 tree for tracking processes."""

from __future__ import annotations

import errno
import os
import time

from pypod.errors import DeadlineExceeded, Unsupported
from pypod.kernel.cgroups import settings, tree
from pypod.kernel.cgroups.detect import ShownTree
from pypod.kernel.cgroups.tree import DEFAULT_PARENT
from pypod.kernel.cgroups.usage import Usage, cpu_stat, io_service_bytes, number
from pypod.kernel.cgroups.v2 import UnifiedDriver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from pypod.kernel.cgroups.detect import Hierarchies, Hierarchy
    from pypod.kernel.cgroups.settings import Setting

_FREEZER = "freezer"
_CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")
_TICK_NS = 10_000_000  # of cpuacct.stat: USER_HZ is 100
_ROUNDS = 100


UNLIMITED = f"{DEFAULT_PARENT}/unlimited"  # shown to containers in trees where they have no group of their own


class LegacyDriver:
    """Groups in several v1 trees. The contract is that of ``driver.Driver``."""

    __slots__ = ("_directories", "_legacy", "_tracking", "_trees", "mode", "shown")

    prefix = ""

    def __init__(self, hierarchies: Hierarchies) -> None:
        self.mode = hierarchies.mode
        self._legacy = hierarchies.legacy
        self._directories = {
            name: hierarchy.directory for hierarchy in hierarchies.legacy for name in hierarchy.controllers
        }
        self._trees: dict[tuple[str, ...], tuple[ShownTree, ...]] = {}
        self._tracking: UnifiedDriver | TrackingTree
        if hierarchies.unified is not None:
            self._tracking = UnifiedDriver(hierarchies.unified.directory)
            self.shown = ("/sys/fs/cgroup/unified", "")
        else:
            chosen = _tracking(hierarchies.legacy)
            self._tracking = TrackingTree(chosen.directory, freezes=_FREEZER in chosen.controllers)
            name = ",".join(chosen.controllers)
            self.shown = (f"/sys/fs/cgroup/{name.removeprefix('name=')}", f"none,{name}" if "=" in name else name)

    @property
    def clones_into_cgroup(self) -> bool:
        return self._tracking.clones_into_cgroup

    @property
    def filters_devices(self) -> bool:
        return self._tracking.filters_devices

    def controllers(self) -> tuple[str, ...]:
        # A named tree ("name=systemd") has no controllers and belongs to whoever named it.
        return tuple(sorted(name for name in self._directories if "=" not in name))

    @property
    def accounted(self) -> tuple[str, ...]:
        # Each tree adds 0.1 ms to every start: block I/O is only accounted where it is limited.
        needed = ("memory", "pids") if self._counts_time else ("cpuacct", "memory", "pids")
        return tuple(name for name in needed if name in self._directories)

    @property
    def _counts_time(self) -> bool:
        """Whether the tracking tree accounts processor time: v2 groups do, even without a controller."""
        return isinstance(self._tracking, UnifiedDriver)

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(name for name in self._directories if name == "name=systemd")

    def trees(self, own: Collection[str]) -> tuple[ShownTree, ...]:
        chosen = tuple(own)  # the same for nearly all containers
        found = self._trees.get(chosen)
        if found is None:
            found = self._trees_with(chosen)
            self._trees = {chosen: found}  # not read again: another thread may replace it
        return found

    def _trees_with(self, own: tuple[str, ...]) -> tuple[ShownTree, ...]:
        return tuple(
            ShownTree(
                f"/sys/fs/cgroup/{os.path.basename(one.directory)}",
                _mount_options(one) if not set(one.controllers).isdisjoint(own) else "",
                f"{one.directory}{UNLIMITED}",
            )
            for one in self._legacy
        )

    def make_shown(self) -> None:
        for one in self._legacy:
            if not tree.exists(f"{one.directory}{UNLIMITED}"):
                tree.make(one.directory, UNLIMITED)
                if "cpuset" in one.controllers:
                    _fill_cpuset(one.directory, UNLIMITED)

    def create(self, path: str, controllers: tuple[str, ...] = (), accounted: tuple[str, ...] = ()) -> None:
        controllers = tuple(dict.fromkeys((*controllers, *accounted)))
        roots = self._roots(controllers)
        self._tracking.create(path)
        for root in roots:
            tree.make(root, path)
        if "cpuset" in controllers:
            _fill_cpuset(self._directories["cpuset"], path)

    def settings(
        self,
        resources: dict[str, Any],
        defaults: Collection[str] = (),
        path: str = "",  # noqa: ARG002
    ) -> tuple[Setting, ...]:
        return tree.available(settings.legacy(resources, defaults), self.controllers(), "v1 trees")

    def apply(self, path: str, setting: Setting) -> None:
        (root,) = self._roots((setting.controller,))
        directory = tree.locate(root, path)
        if not tree.exists(directory):
            self.create(path, (setting.controller,))
            tree.apply(directory, setting)
            self._bring(path, directory)
        else:
            tree.apply(directory, setting)

    def _bring(self, path: str, directory: str) -> None:
        """Move the processes of a group to its directory in one more tree; they may fork meanwhile."""
        for _round in range(_ROUNDS):
            left = set(self.processes(path)).difference(tree.processes(directory))
            if not left:
                return
            for pid in left:
                try:
                    tree.write(f"{directory}/cgroup.procs", str(pid))
                except ProcessLookupError:
                    continue

    def directory(self, path: str, controller: str) -> str:
        return tree.locate(self._roots((controller,))[0], path)

    def present(self, path: str) -> tuple[str, ...]:
        below = tree.locate("", path)
        return tuple(name for name, root in self._directories.items() if tree.exists(root + below))

    def usage(self, path: str) -> Usage:
        cpu_ns, system_ns = self._time_ns(path)
        pids = number(self._read(path, "pids", "pids.current"))
        block = self._read(path, "blkio", "blkio.throttle.io_service_bytes_recursive")
        return Usage(
            cpu_ns,
            system_ns,
            number(self._read(path, "memory", "memory.usage_in_bytes")),
            self.memory_limit(path),
            pids if pids is not None else len(self.processes(path)),
            io_service_bytes(block) if block else (None, None),
        )

    def _time_ns(self, path: str) -> tuple[int | None, int | None]:
        if self._counts_time:
            return cpu_stat(tree.read(f"{self.tracking_directory(path)}/cpu.stat"))
        words = self._read(path, "cpuacct", "cpuacct.stat").split()  # user N system N
        system_ns = int(words[3]) * _TICK_NS if len(words) == 4 else None
        return number(self._read(path, "cpuacct", "cpuacct.usage")), system_ns

    def _read(self, path: str, controller: str, file: str) -> str:
        root = self._directories.get(controller)
        return tree.read(f"{tree.locate(root, path)}/{file}") if root else ""

    def memory_limit(self, path: str) -> int | None:
        return number(self._read(path, "memory", "memory.limit_in_bytes"))

    def unreclaimable_bytes(self, path: str) -> int:
        del path
        return 0  # a limit that is too low is refused (EBUSY)

    def oom_file(self, path: str) -> str:
        root = self._directories.get("memory")
        return f"{tree.locate(root, path)}/memory.oom_control" if root else ""

    def tracking_directory(self, path: str) -> str:
        return self._tracking.tracking_directory(path)

    def join_files(self, path: str, controllers: tuple[str, ...] = ()) -> tuple[str, ...]:
        below = tree.locate("", path)
        tasks = (f"{root}{below}/tasks" for root in self._roots(controllers))
        return tuple(dict.fromkeys((*self._tracking.join_files(path), *tasks)))

    def processes(self, path: str) -> list[int]:
        return self._tracking.processes(path)

    def is_empty(self, path: str) -> bool:
        return self._tracking.is_empty(path)

    def kill(self, path: str, *, timeout_s: float = 5.0) -> bool:
        return self._tracking.kill(path, timeout_s=timeout_s)

    def freeze(self, path: str, frozen: bool, *, timeout_s: float = 2.0) -> None:
        self._tracking.freeze(path, frozen, timeout_s=timeout_s)

    def freezer_file(self, path: str) -> str:
        return self._tracking.freezer_file(path)

    def is_frozen(self, path: str) -> bool:
        return self._tracking.is_frozen(path)

    def remove(self, path: str, *, timeout_s: float = 1.0) -> bool:
        deadline_s = time.monotonic() + timeout_s
        # Which trees the group was created in is not recorded; trying a tree without it costs 2 us.
        roots = dict.fromkeys((self._tracking.root, *self._directories.values()))
        # One busy tree must not prevent removal from the others.
        busy = [root for root in roots if not tree.remove(tree.locate(root, path), deadline_s)]
        return not busy

    def _roots(self, controllers: tuple[str, ...]) -> list[str]:
        """Return the mount points of controllers' trees; duplicates for controllers that share a tree."""
        for name in controllers:
            if name not in self._directories:
                raise Unsupported(name, f"cgroup controller {name} is not available on this host")
        return [self._directories[name] for name in controllers]


def _mount_options(one: Hierarchy) -> str:
    name = ",".join(one.controllers)
    return f"none,{name}" if "=" in name else name


def _tracking(trees: Sequence[Hierarchy]) -> Hierarchy:
    """Return the tree for tracking processes: the freezer's, else the first with a controller, else any."""

    def rank(one: Hierarchy) -> int:
        return 0 if _FREEZER in one.controllers else 1 if any("=" not in name for name in one.controllers) else 2

    return min(trees, key=rank)


class TrackingTree:
    """A v1 tree that shows which processes belong to a group."""

    __slots__ = ("_freezes", "root")

    clones_into_cgroup = False
    filters_devices = False

    def __init__(self, root: str, *, freezes: bool) -> None:
        self.root = root
        self._freezes = freezes

    def create(self, path: str) -> None:
        tree.make(self.root, path)

    def tracking_directory(self, path: str) -> str:
        return tree.locate(self.root, path)

    def join_files(self, path: str) -> tuple[str, ...]:
        return (f"{tree.locate(self.root, path)}/tasks",)

    def processes(self, path: str) -> list[int]:
        return tree.processes(tree.locate(self.root, path))

    def is_empty(self, path: str) -> bool:
        return not self.processes(path)

    def kill(self, path: str, *, timeout_s: float = 5.0) -> bool:
        directory = tree.locate(self.root, path)
        has_caller = os.getpid() in tree.processes(directory)
        return tree.kill_members(
            directory,
            timeout_s,
            hold=lambda: None if has_caller else self._hold(directory),
            release=lambda: self._release(directory),
        )

    def freeze(self, path: str, frozen: bool, *, timeout_s: float = 2.0) -> None:
        directory = tree.locate(self.root, path)
        if not self._freezes:
            raise Unsupported(_FREEZER, "cgroup controller freezer is not available on this host")
        if not tree.exists(directory):
            raise FileNotFoundError(errno.ENOENT, "no such cgroup", directory)
        if frozen:
            tree.refuse_caller(directory, path)
        state = "FROZEN" if frozen else "THAWED"
        if not tree.wait_until(lambda: _set_state(directory, state), timeout_s):
            _set_state(directory, "THAWED")
            raise DeadlineExceeded(f"{'freezing' if frozen else 'thawing'} cgroup {path}", timeout_s)

    def freezer_file(self, path: str) -> str:
        return f"{tree.locate(self.root, path)}/freezer.state"

    def is_frozen(self, path: str) -> bool:
        return self._freezes and _state(tree.locate(self.root, path)) == "FROZEN"

    def _hold(self, directory: str) -> None:
        if self._freezes:
            tree.wait_until(lambda: _set_state(directory, "FROZEN"), tree.HOLD_S)

    def _release(self, directory: str) -> None:
        # Killed processes stay in the v1 freezer until they are thawed, and each group below has a state of its own.
        if self._freezes:
            for group in tree.descend(directory):
                _set_state(group, "THAWED")


def _state(directory: str) -> str:
    return tree.read(f"{directory}/freezer.state").strip()


def _set_state(directory: str, state: str) -> bool:
    """Request a state from the freezer and return whether it has been reached.

    A group can stay FREEZING until it is requested again (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).
    """
    tree.write(f"{directory}/freezer.state", state)
    return _state(directory) == state


def _fill_cpuset(root: str, path: str) -> None:
    """Copy processors and memory nodes from the parent group to a group and its parents where they are empty.

    A new v1 cpuset is empty and accepts no process until both are set (cpuset(7)).
    """
    directory = root
    for component in path.split("/")[1:]:
        above, directory = directory, f"{directory}/{component}"
        for name in _CPUSET_FILES:
            if not tree.read(f"{directory}/{name}").strip():
                tree.write(f"{directory}/{name}", tree.read(f"{above}/{name}"))
