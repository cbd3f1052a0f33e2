"""Try operations out: perform them for a process that exits right after."""

from __future__ import annotations

from pypod.kernel.programs import path
from pypod.runtime import launcher
from pypod.runtime.ops import Op, plan


def probe(executable: str, settings: list[Op], ops: list[Op]) -> None:
    """Perform ``ops``, as the launcher ``executable`` would for a container, and let the process exit.

    Raises LaunchFailed, naming the operation and the call that failed.
    """
    nothing = Op("execute", path("discard"))  # it has nothing to discard, and exits
    with launcher.Launching(executable, "pypod-launch") as launching:
        launcher.wait_for_exit(launching.run(plan(settings, [*ops, nothing])))
