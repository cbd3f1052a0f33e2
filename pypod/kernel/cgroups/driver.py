"""The protocol of the cgroup drivers, and the paths of groups.

A path is relative to the tree and begins with a slash: ``/pypod/<pod>/<container>``. Only the leaves contain processes.
A pod's own group has none, not even the infra, because a v2 group with processes cannot enable controllers for its
children ("no internal processes", cgroups(7)), and it must be possible to limit a pod.
"""

from __future__ import annotations

from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.cgroups.detect import UNIFIED, Hierarchies
from pypod.kernel.cgroups.tree import DEFAULT_PARENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any, Protocol

    from pypod.kernel.cgroups.detect import ShownTree
    from pypod.kernel.cgroups.settings import Setting
    from pypod.kernel.cgroups.usage import Usage
else:
    Protocol = object


class Driver(Protocol):
    """Create, populate, watch, kill and remove groups. No state is kept between calls: the file system has it.

    A *tracking* tree shows which processes belong to a group: the v2 tree if there is one, else a v1 tree. On v1 a
    group also exists in the trees of the requested controllers. Every path is checked: the root of a tree and paths
    with ``..`` are refused with InvalidSpec. A missing group counts as empty, without processes, killed and removed.
    Other failures of the kernel raise OSError.
    """

    @property
    def mode(self) -> str:
        """``unified``, ``hybrid`` or ``legacy``."""

    @property
    def clones_into_cgroup(self) -> bool:
        """Whether clone3(CLONE_INTO_CGROUP) accepts a descriptor of ``tracking_directory``: true for the v2 tree.

        Otherwise the file of the tracking tree comes first in ``join_files``.
        """

    @property
    def filters_devices(self) -> bool:
        """Whether a program attached to ``tracking_directory`` limits the access to devices: true for the v2 tree."""

    @property
    def shown(self) -> tuple[str, str]:
        """The tree that containers see, which has their own group: its mount point and its mount options.

        The mount point is /sys/fs/cgroup or a directory in it; the options are empty for the v2 tree.
        """

    @property
    def named(self) -> tuple[str, ...]:
        """The v1 trees that systemd keeps its own groups in: a container with systemd needs a group there."""

    def trees(self, own: Collection[str]) -> tuple[ShownTree, ...]:
        """Return the v1 trees that containers see besides ``shown``; ``own`` are controllers where they have groups."""

    def make_shown(self) -> None:
        """Create the groups without limits that are shown in the other trees, unless they exist."""

    @property
    def prefix(self) -> str:
        """The group that all paths are relative to, itself a path; empty for the root of the tree."""

    def controllers(self) -> tuple[str, ...]:
        """Return the sorted controllers that groups can be created in."""

    @property
    def accounted(self) -> tuple[str, ...]:
        """The controllers that ``usage`` reads, as far as this host has them."""

    def create(self, path: str, controllers: tuple[str, ...] = (), accounted: tuple[str, ...] = ()) -> None:
        """Create a group with its parents, for tracking and in ``controllers``, unless it exists.

        It is also created in those of ``accounted`` that its parents can enable. Raises Unsupported for one of
        ``controllers`` that this host does not have.
        """

    def settings(
        self, resources: dict[str, Any], defaults: Collection[str] = (), path: str = ""
    ) -> tuple[Setting, ...]:
        """Return the settings that OCI's ``linux.resources`` make in the group at ``path``, or in a new one.

        The flags in ``defaults`` were not given by the user: their settings are dropped where they are not supported.
        Raises Unsupported, naming the flag, for a controller or a limit that this host does not have.
        """

    def apply(self, path: str, setting: Setting) -> None:
        """Write one setting to a group, which is created and populated in the controller's tree if it is missing there.

        Raises InvalidSpec naming the flag when the kernel refuses the value, Unsupported when it has no such file.
        """

    def directory(self, path: str, controller: str) -> str:
        """Return the absolute directory of a group in the tree of a controller, whether it exists or not."""

    def present(self, path: str) -> tuple[str, ...]:
        """Return the controllers in whose trees a group exists, except the tracking one; none for the v2 tree."""

    def usage(self, path: str) -> Usage:
        """Return the current and accumulated usage of a group."""

    def memory_limit(self, path: str) -> int | None:
        """Return a group's own memory limit in bytes, None without one."""

    def unreclaimable_bytes(self, path: str) -> int:
        """Return the memory that a group holds and the kernel could not take from it; 0 where the kernel sees to it."""

    def oom_file(self, path: str) -> str:
        """Return the file that counts the OOM kills in a group, empty where there is none.

        It has a line ``oom_kill NUMBER``.
        """

    def tracking_directory(self, path: str) -> str:
        """Return the absolute directory of a group in the tracking tree, whether it exists or not."""

    def join_files(self, path: str, controllers: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the files that a new process writes "0" to in order to join every tree that the group was created in.

        Without the one that CLONE_INTO_CGROUP makes unnecessary. On v1 they are ``tasks``: unlike ``cgroup.procs``,
        moving a single thread does not wait for the lock that blocks the forks of all thread groups of the machine.
        """

    def processes(self, path: str) -> list[int]:
        """Return the pids in a group and the groups below it, in the caller's pid namespace."""

    def is_empty(self, path: str) -> bool:
        """Return whether no process runs in a group or below it; zombies do not count."""

    def kill(self, path: str, *, timeout_s: float = 5.0) -> bool:
        """Kill everything in a group and below, frozen or forking, except the caller.

        Returns whether nothing but the caller was left within ``timeout_s``; with 0 it sends SIGKILL once and does not
        wait.
        """

    def freeze(self, path: str, frozen: bool, *, timeout_s: float = 2.0) -> None:
        """Freeze all processes of a group and below, or thaw them; return when that has taken effect.

        Raises Unsupported where the host has no freezer, InUse when the caller is in the group, FileNotFoundError when
        there is no group, and DeadlineExceeded, after undoing it, when it has not taken effect within ``timeout_s``.
        """

    def freezer_file(self, path: str) -> str:
        """Return the file that shows whether a group is frozen, by ``frozen 1`` or ``FROZEN``."""

    def is_frozen(self, path: str) -> bool:
        """Return whether all processes of a group have been frozen by ``freeze``."""

    def remove(self, path: str, *, timeout_s: float = 1.0) -> bool:
        """Remove a group and the groups below it from every tree; return whether they are gone.

        Retries for ``timeout_s`` while the kernel reports the group as busy, as it does for a moment after a kill.
        """


def driver_for(hierarchies: Hierarchies) -> Driver:
    """Return the driver for what ``detect`` found. Raises Unsupported when no hierarchy is mounted."""
    unified = hierarchies.unified
    if unified is not None and hierarchies.mode == UNIFIED:
        from pypod.kernel.cgroups.v2 import UnifiedDriver

        return UnifiedDriver(unified.directory)
    if unified is None and not hierarchies.legacy:
        raise Unsupported(
            "cgroups", "no cgroup hierarchy is mounted", hint="mount -t cgroup2 cgroup2 /sys/fs/cgroup gives one"
        )
    from pypod.kernel.cgroups.v1 import LegacyDriver

    return LegacyDriver(hierarchies)


def container_path(parent: str, pod_id: str, container_id: str) -> str:
    """Return the path of a container's group; an empty ``parent`` is the default, an empty ``pod_id`` no pod.

    ``parent`` is the value of ``--cgroup-parent``. As in podman, a relative one is taken from the root.

    Raises InvalidSpec for a parent that leaves the tree or is not a valid path.
    """
    parts = [*_parent_components(parent or DEFAULT_PARENT), pod_id, container_id]
    return "/" + "/".join(part for part in parts if part)


def _parent_components(parent: str) -> list[str]:
    components = [part for part in parent.split("/") if part not in ("", ".")]
    argument = "--cgroup-parent"
    for component in components:
        if component == "..":
            raise InvalidSpec(argument, f"{argument}: {parent!r} must not contain '..'")
        if not component.isprintable() or len(component.encode(errors="surrogateescape")) > 255:
            raise InvalidSpec(argument, f"{argument}: {component!r} cannot be the name of a cgroup")
    # podman's rule and words. Slices belong to systemd, which does not allow others to create groups in them.
    if components and components[-1].endswith(".slice"):
        raise InvalidSpec(
            argument,
            "systemd slice received as cgroup parent when using cgroupfs: invalid argument",
            hint=f"{argument}: {parent!r} belongs to systemd",
        )
    return components
