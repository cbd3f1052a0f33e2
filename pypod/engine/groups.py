"""The cgroup of a container: made for one run."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.engine import Engine


def make(engine: Engine, path: str) -> None:
    """Make the group at ``path`` for a run that begins; whatever an earlier run left in it is killed.

    A killed monitor or a damaged status file leaves processes behind that must not run beside the new ones. And a group
    is good for one run: since Linux 6.14 what is cloned into a group that was ever killed dies at once (kill_seq in
    cgroup_css_set_fork, kernel/cgroup/cgroup.c).
    """
    if os.path.exists(engine.cgroups.tracking_directory(path)):
        engine.cgroups.kill(path)
        engine.cgroups.remove(path)
    engine.cgroups.create(path)
