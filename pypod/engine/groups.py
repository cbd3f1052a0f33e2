"""The cgroup of a container: made for one run."""

from __future__ import annotations

import os

from pypod.engine.effects import Effect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.engine import Engine


_MONITORS = "/pypod/monitors"


def monitors(engine: Engine) -> str:
    """Return the cgroup directory of the monitors; empty where a process cannot be born into one.

    A monitor must not end with its caller's group, as a service manager would have it when the caller's service
    stops: then nobody would see how the containers end.
    """
    return engine.cgroups.tracking_directory(_MONITORS) if engine.cgroups.clones_into_cgroup else ""


def for_monitors(engine: Engine) -> list[Effect]:
    """Return what makes the group of the monitors, where it is not there."""
    directory = monitors(engine)
    if not directory or os.path.isdir(directory):
        return []
    return [Effect(f"make cgroup {directory}", "cgroups(7)", lambda: engine.cgroups.create(_MONITORS))]


def clear(engine: Engine, path: str) -> None:
    """Remove the group at ``path`` with whatever is in it.

    Removing comes first: it works only on an empty group, which nothing can enter afterwards, and to kill takes longer.
    """
    if not engine.cgroups.remove(path, timeout_s=0):
        engine.cgroups.kill(path)
        engine.cgroups.remove(path)


def renewal(engine: Engine, path: str) -> list[Effect]:
    """Return what makes the group at ``path`` for a run that begins; whatever an earlier run left in it is killed.

    A killed monitor or a damaged status file leaves processes behind that must not run beside the new ones. And a group
    is good for one run: since Linux 6.14 what is cloned into a group that was ever killed dies at once (kill_seq in
    cgroup_css_set_fork, kernel/cgroup/cgroup.c).
    """
    directory = engine.cgroups.tracking_directory(path)
    made = [Effect(f"make cgroup {directory}", "cgroups(7)", lambda: engine.cgroups.create(path))]
    if not os.path.exists(directory):
        return made
    killed = Effect(f"kill what is left in cgroup {directory}", "cgroups(7)", lambda: engine.cgroups.kill(path))
    removed = Effect(f"remove cgroup {directory}", "cgroups(7)", lambda: engine.cgroups.remove(path))
    return [killed, removed, *made]
