"""Idle bridges are removed by a process of its own, a second after the last container has left.

Deleting a bridge takes the kernel 40 ms, and the next start may come at once, so neither should have to wait. The
process relies on the kernel alone (an alias of ours, and no ports), for the storage may have been deleted meanwhile; it
writes nothing there either. It exits when nothing is left to do.
"""

from __future__ import annotations

import os
import sys
import time

from pypod.engine.core.locks import is_held, locked
from pypod.engine.networks import bridge_alias
from pypod.engine.networks.bridge_removal import remove_idle
from pypod.errors import PypodError
from pypod.network import links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.network import NetworkSpec
    from pypod.runtime.ops import Plan

NAME = "pypod-sweep"  # its comm
LINGER_S = 1.0
_LOOKS = 5  # at bridges that still have ports: the kernel removes the ends of veths with a delay
_POLL_S = 0.05


def begin_unless_used(context: Context, specs: list[NetworkSpec]) -> None:
    """Have the bridges of networks removed if no container is attached to them any more; see ``begin``."""
    from pypod.store import networks

    if any(not networks.is_attached_to(context.database, one.id) for one in specs):
        begin(context)


def begin(context: Context) -> None:
    """Have idle bridges removed soon. Takes 20 us when the process is running already; a failure is ignored.

    A user's bridges end with their network namespace.
    """
    if context.rootless:
        return
    try:
        os.utime(context.layout.cache)  # checked by a process that is about to exit
        if not is_held(context.layout.cache, os.O_DIRECTORY):
            _spawn(context)
    except (OSError, PypodError):
        return


def _spawn(context: Context) -> None:
    from pypod.engine.core import effects
    from pypod.engine.resources import groups
    from pypod.runtime import launcher

    effects.perform(groups.for_monitors(context))
    program = context.programs.executable("launch")
    group, bring = groups.monitors(context), groups.bringing(context)
    with launcher.Launching(program, "pypod-launch", group=group, bring=bring) as launching:
        launching.run(_plan(context))


def _plan(context: Context) -> Plan:
    from pypod.engine.resources import groups
    from pypod.kernel import programs
    from pypod.runtime.ops import Op, Plan

    storage = bridge_alias.storage_of(context)
    return Plan(
        [
            Op("leave"),
            Op("clone", 0, groups.monitors(context)),
            Op("umask", "077"),
            Op("environment"),
            Op("execute", *programs.python(__name__, context.layout.root, context.layout.cache, storage)),
        ]
    )


class Sweep:
    """Removes the idle bridges of a storage, and those of storages that no longer exist."""

    def __init__(self, root: str, signs: str, storage: str) -> None:
        self._root = root
        self._signs = signs
        self._storage = storage

    def run(self) -> None:
        """Sweep until nothing is left to do; return at once when another process is sweeping."""
        while (lock := locked(self._signs)) is not None:  # marks us as running
            try:
                seen = self._sweep_until_done()
            finally:
                os.close(lock)
            if self._sign() == seen:  # no request since the last look
                return

    def _sign(self) -> int:
        """Return the time of the last request; 0 when the storage is gone."""
        try:
            return os.stat(self._signs).st_mtime_ns
        except OSError:
            return 0

    def _sweep_until_done(self) -> int:
        looks = _LOOKS
        while True:
            seen = self._linger()
            self.sweep()
            looks -= 1
            if self._sign() != seen:
                looks = _LOOKS
            elif not looks or not any(self._is_own(alias) for alias in links.aliases().values()):
                return seen

    def _linger(self) -> int:
        """Wait until there has been no request for a while, or the storage is gone."""
        seen = self._sign()
        until = time.monotonic() + LINGER_S
        while time.monotonic() < until:
            time.sleep(_POLL_S)
            now = self._sign()
            if not now:
                return 0
            if now != seen:
                seen, until = now, time.monotonic() + LINGER_S
        return seen

    def _is_own(self, alias: str) -> bool:
        return bridge_alias.is_of(self._storage, alias)

    def _is_wanted(self, alias: str) -> bool:
        return self._is_own(alias) or bridge_alias.is_of_nobody(alias)

    def sweep(self) -> None:
        """Remove idle bridges; while a container is being attached, only those of storages that no longer exist."""
        fd = locked(self._root)  # no container can be attached meanwhile
        try:
            remove_idle(bridge_alias.is_of_nobody if fd is None else self._is_wanted)
        finally:
            if fd is not None:
                os.close(fd)


def main() -> None:
    """Entry point of the process. argv: ROOT, DIRECTORY of requests and lock, the suffix of the storage's aliases."""
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, NAME.encode())
    os.close(fd)
    try:
        Sweep(*sys.argv[1:4]).run()
    except (OSError, PypodError):  # there is no one to report to
        return
