"""Bridges that nobody uses any more are taken away: a second after the last one has left, by a process of its own.

The kernel takes 40 ms to delete a bridge, and the next start may come at once: nobody waits for either. The process
needs nothing but the kernel's word for it (an alias of ours, and nothing plugged in), for the storage may have been
deleted meanwhile; it writes nothing there either. It ends when there is nothing left for it to do.
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

NAME = "pypod-sweep"  # what the kernel calls it
LINGER_S = 1.0
_LOOKS = 5  # at bridges with something plugged in: the kernel takes the ends of veths away by and by
_POLL_S = 0.05


def begin_unless_used(context: Context, specs: list[NetworkSpec]) -> None:
    """Have the bridges of networks taken away if nobody is attached to them any more, see ``begin``."""
    from pypod.store import networks

    if any(not networks.is_attached_to(context.database, one.id) for one in specs):
        begin(context)


def begin(context: Context) -> None:
    """Have idle bridges taken away soon. Takes 20 us where a process is there for it; that it fails is no error.

    A user's bridges go with their network namespace.
    """
    if context.rootless:
        return
    try:
        os.utime(context.layout.cache)  # who is about to end looks at that once more
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
    """Takes the idle bridges of a storage away, and those of storages that are gone."""

    def __init__(self, root: str, signs: str, storage: str) -> None:
        self._root = root
        self._signs = signs
        self._storage = storage

    def run(self) -> None:
        """Sweep until nothing is left to do; whoever finds another one at work leaves it to that."""
        while (lock := locked(self._signs)) is not None:  # says that we are there
            try:
                seen = self._sweep_until_done()
            finally:
                os.close(lock)
            if self._sign() == seen:  # nobody relied on us since we looked
                return

    def _sign(self) -> int:
        """Return when somebody last said that a bridge may be idle; 0 when the storage is gone."""
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
        """Wait until nothing has been said for a while, or the storage is gone."""
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
        """Take away what is idle now; while somebody is being connected, what is of a storage that is gone."""
        fd = locked(self._root)  # keeps others from connecting anybody
        try:
            remove_idle(bridge_alias.is_of_nobody if fd is None else self._is_wanted)
        finally:
            if fd is not None:
                os.close(fd)


def main() -> None:
    """Entry of the process. argv: ROOT, DIRECTORY of signs and lock, what aliases of the storage end with."""
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, NAME.encode())
    os.close(fd)
    try:
        Sweep(*sys.argv[1:4]).run()
    except (OSError, PypodError):  # there is nobody to tell
        return
