"""Bridges taken away, one storage at a time."""

from __future__ import annotations

from pypod.engine.core.locks import Lock
from pypod.errors import Unsupported
from pypod.network import links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TURNS = "/run/pypod-bridges"


class Turn(Lock):
    """The lock that has other storages wait while bridges are made or removed; where it cannot be had, nobody waits."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_TURNS)

    def __enter__(self) -> Turn:
        try:
            super().__enter__()
        except OSError:  # a user in a namespace of their own, where there is no other storage; no /run to write to
            return self
        return self


def remove_bridge(name: str) -> None:
    """Take a bridge away, and what the firewall knows of it: that is there when somebody took the bridge, too."""
    from pypod.network import firewall

    try:
        with firewall.open_channel() as channel:
            if links.index_of(name):  # else somebody else may have its subnets by now
                firewall.withdraw_ways(channel, firewall.known_ranges(channel, name))
            firewall.forget(channel, name)
    except Unsupported:  # then it knows nothing
        pass
    links.remove_link(name)


def remove_idle(wanted: Callable[[str], bool]) -> list[str]:
    """Remove the bridges that nothing is plugged into and whose alias is ``wanted``; return their names."""
    removed = []
    for one in links.idle_bridges(wanted):
        with Turn() as turn, turn:
            if one in links.idle_bridges(wanted):
                remove_bridge(one[1])
                removed.append(one[1])
    return removed
