"""The cgroups of a user's containers: below a scope of the user's systemd that the session's holder keeps alive."""

from __future__ import annotations

import os

from pypod.errors import Unsupported
from pypod.kernel import idmap
from pypod.kernel.cgroups.scope import ScopeDriver, user_bus, why_not

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.engine.core.context import Context
    from pypod.kernel.cgroups.driver import Driver


def driver(context: Context) -> Driver:
    """Return the driver for a user; one that only states the reason when the host gives users no cgroups."""
    from pypod.kernel.cgroups.detect import detect
    from pypod.kernel.cgroups.none import NoDriver

    uid = _uid()
    hierarchies, bus = detect(), user_bus(uid)
    why = why_not(hierarchies, uid, bus)
    if why or hierarchies.unified is None:
        return NoDriver(why)
    # one per storage: it ends together with that storage's session
    name = f"pypod-{os.stat(context.layout.root).st_ino:x}.scope"
    found = ScopeDriver(hierarchies.unified.directory, hierarchies.unified.own, uid, bus, name)
    if context.inside and not os.path.exists(found.root):
        return NoDriver(f"this session has no {name}")
    return found


def _uid() -> int:
    """Return the user's id in the initial user namespace."""
    return idmap.outside(idmap.maps_of()[0], os.geteuid())


def is_placed(context: Context, holder: int) -> bool:
    """Return whether the session's holder is in its scope, or there is no scope for it."""
    cgroups = context.cgroups
    return not isinstance(cgroups, ScopeDriver) or cgroups.holds(holder)


def place(context: Context, holder: int) -> None:
    """Move the session's holder into a scope; if systemd does not provide one, the engine goes on without cgroups."""
    from pypod.kernel.cgroups.none import NoDriver

    cgroups = context.cgroups
    if not isinstance(cgroups, ScopeDriver) or cgroups.holds(holder):
        return
    try:
        cgroups.hold(holder)
    except Unsupported as error:
        context.use_cgroups(NoDriver(error.message))


def bringing(context: Context, path: str) -> Callable[[int], object] | None:
    """Return the function that moves a process into the group at ``path``; None when its parent need not do that."""
    cgroups = context.cgroups
    if not isinstance(cgroups, ScopeDriver) or cgroups.enters_groups:
        return None
    return lambda pid: cgroups.bring(path, pid)
