"""The root file system of a container, mounted on the host.

The mount is a clone of the container's own, taken out of its mount namespace; while it does not run, a process of ours
mounts it for the moment. As the kernel does not support two overlays with the same upper directory, a container whose
root is mounted on the host is started with that mount as its root.
"""

from __future__ import annotations

import os

from pypod.engine.containers.holding import Held
from pypod.engine.core import observe
from pypod.engine.core.context import require_root
from pypod.engine.core.locks import Lock
from pypod.engine.lifecycle.steps import Program
from pypod.engine.session import session
from pypod.engine.storage import mount_points, overlay
from pypod.errors import Unsupported
from pypod.kernel.programs import LAUNCHER
from pypod.kernel.programs import path as program_path
from pypod.runtime import launcher
from pypod.runtime.compiler.plans import host_mount_ops
from pypod.runtime.ops import plan
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context


def mount(context: Context, identifier: str) -> tuple[str, bool]:
    """Mount the root of a container; return where, and whether it was not mounted before.

    Raises PermissionDenied for a user outside of their session, Unsupported for a root that a mount program serves.
    """
    require_root("mounting a container")
    directory = context.layout.container(identifier)
    path = mount_points.of_container(directory)
    with Lock(directory) as lock, lock:
        record = records.find_container(context.database, identifier)
        if mount_points.mounted_roots(context, [identifier]):
            return path, False
        driver = overlay.driver_of(context, context.container_spec(record), directory, asking=True)
        if driver is not None and driver.program:
            hint = f"pypod cp reads and writes files of {record.name}"
            raise Unsupported("mount", f"the root of a container that {driver} serves cannot be mounted", hint=hint)
        os.makedirs(path, 0o700, exist_ok=True)
        state = observe.state_of(context, identifier)
        if state.alive:
            _take(context, state.pid, state.start_time, path)
        else:
            held = Held(context, record, binds=False)
            try:
                _take(context, held.pid, held.start_time, path)
            finally:
                held.end()
    return path, True


def _take(context: Context, pid: int, start_time: int, path: str) -> None:
    """Mount the root of a process on a path of the host."""
    settings = session.ops(context, session.of(context))
    ops = host_mount_ops(pid, start_time, path, (program_path("pause"), "pypod-mount", "0"))
    with Program(name=LAUNCHER).start(context) as launching:
        launcher.wait_for_exit(launching.run(plan(settings, ops)))


def unmount(context: Context, identifier: str) -> bool:
    """Unmount the root of a container; return whether it was mounted. A running container keeps its own mount."""
    require_root("unmounting a container")
    directory = context.layout.container(identifier)
    with Lock(directory) as lock, lock:
        records.find_container(context.database, identifier)
        return mount_points.detach(mount_points.of_container(directory))
