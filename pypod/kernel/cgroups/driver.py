"""The protocol both cgroup drivers meet, and the paths of groups.

A path is relative to the tree and begins with a slash: ``/pypod/<pod>/<container>``. Processes live in the leaves
only. A pod's own group has none, the infra's included, because in the v2 tree a group with processes cannot hand
controllers down to its children ("no internal processes", cgroups(7)), and a limit on the pod must stay possible.
"""

from __future__ import annotations

from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.cgroups.detect import UNIFIED, Hierarchies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any, Protocol

    from pypod.kernel.cgroups.settings import Setting
    from pypod.kernel.cgroups.usage import Usage
else:
    Protocol = object

DEFAULT_PARENT = "/pypod"


class Driver(Protocol):
    """Make, fill, watch, kill and remove groups. Nothing is remembered between calls: the file system is the state.

    A *tracking* tree knows which processes belong to a group: the v2 tree where there is one, else a v1 tree. On v1
    a group exists besides in the trees of the controllers that were asked for. Every path is checked: the root of a
    tree and paths with ``..`` are refused with InvalidSpec. A group that is not there is empty, has no processes, is
    killed and removed. Other failures of the kernel raise OSError.
    """

    @property
    def mode(self) -> str:
        """``unified``, ``hybrid`` or ``legacy``."""

    @property
    def clones_into_cgroup(self) -> bool:
        """Whether clone3(CLONE_INTO_CGROUP) takes a descriptor of ``tracking_directory``; it does for the v2 tree.

        Where it does not, ``join_files`` has the file of the tracking tree as its first.
        """

    @property
    def shown(self) -> tuple[str, str]:
        """The tree that containers see, the one their own group is in: where it is mounted, and its mount options.

        The place is /sys/fs/cgroup or a directory in it; the options are empty for the v2 tree.
        """

    @property
    def prefix(self) -> str:
        """The group that all paths are relative to, as the path of a group; empty for the root of the tree."""

    def controllers(self) -> tuple[str, ...]:
        """Return the controllers that groups can be made in, sorted."""

    @property
    def accounted(self) -> tuple[str, ...]:
        """The controllers that ``usage`` reads, as far as this host has them."""

    def create(self, path: str, controllers: tuple[str, ...] = (), accounted: tuple[str, ...] = ()) -> None:
        """Make a group, its parents too, for tracking and in ``controllers``. It may be there already.

        It is made in those of ``accounted`` as well that its parents can hand down. Raises Unsupported for one of
        ``controllers`` that this host does not have.
        """

    def settings(
        self, resources: dict[str, Any], defaults: Collection[str] = (), path: str = ""
    ) -> tuple[Setting, ...]:
        """Return what ``linux.resources`` of an OCI configuration sets in a group: the group at ``path``, or a new one.

        The flags in ``defaults`` are those nobody gave: what they would set is left out where it cannot be.
        Raises Unsupported, naming the flag, for a controller or a limit that this host does not have.
        """

    def apply(self, path: str, setting: Setting) -> None:
        """Write one setting into a group. A group that is in other trees only is made there, and its processes follow.

        Raises InvalidSpec naming the flag when the kernel refuses the value, Unsupported when it has no such file.
        """

    def directory(self, path: str, controller: str) -> str:
        """Return the absolute directory of a group in the tree of a controller, whether it is there or not."""

    def present(self, path: str) -> tuple[str, ...]:
        """Return the controllers in whose trees a group is, beside the one that tracks; none for the v2 tree."""

    def usage(self, path: str) -> Usage:
        """Return what a group uses and has used."""

    def memory_limit(self, path: str) -> int | None:
        """Return a group's own limit of memory in bytes, None for none."""

    def oom_file(self, path: str) -> str:
        """Return the file that counts how often the kernel killed for want of memory in a group, empty where none does.

        It has a line ``oom_kill NUMBER``.
        """

    def tracking_directory(self, path: str) -> str:
        """Return the absolute directory of a group in the tracking tree, whether it is there or not."""

    def join_files(self, path: str, controllers: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the files that a new process writes "0" to, to be in every tree the group was created in.

        What CLONE_INTO_CGROUP does already is left out. The files are the v1 ``tasks``: moving one thread does not
        wait for the lock that keeps all thread groups of the machine from forking, as ``cgroup.procs`` does.
        """

    def processes(self, path: str) -> list[int]:
        """Return the pids in a group and the groups below it, as the caller's pid namespace names them."""

    def is_empty(self, path: str) -> bool:
        """Return whether no process runs in a group or below it; zombies do not count."""

    def kill(self, path: str, *, timeout_s: float = 5.0) -> bool:
        """Kill everything in a group and below, frozen or forking, but never the caller.

        Returns whether nothing but the caller was left within ``timeout_s``; with 0 it sends SIGKILL once and does
        not wait.
        """

    def freeze(self, path: str, frozen: bool, *, timeout_s: float = 2.0) -> None:
        """Stop all processes of a group and below, or let them go on; return when that has come true.

        Raises Unsupported where the host has no freezer, InUse when the caller is in the group, FileNotFoundError
        when there is no group, and DeadlineExceeded, after undoing it, when it has not come true in ``timeout_s``.
        """

    def freezer_file(self, path: str) -> str:
        """Return the file that tells whether a group is frozen, by ``frozen 1`` or ``FROZEN``."""

    def is_frozen(self, path: str) -> bool:
        """Return whether all processes of a group are stopped by ``freeze``."""

    def remove(self, path: str, *, timeout_s: float = 1.0) -> bool:
        """Remove a group and the groups below it from every tree; return whether they are gone.

        Retries for ``timeout_s`` while the kernel calls the group busy, as it does for a moment after a kill.
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

    ``parent`` is what the user gave as ``--cgroup-parent``. As in podman, a relative one is taken from the root.

    Raises InvalidSpec for a parent that leaves the tree or that cannot be the name of a group.
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
    # podman's rule and words. A slice belongs to systemd, which allows nobody else to make groups in it.
    if components and components[-1].endswith(".slice"):
        raise InvalidSpec(
            argument, f"systemd slice received as cgroup parent when using cgroupfs: {argument}: {parent!r}"
        )
    return components
