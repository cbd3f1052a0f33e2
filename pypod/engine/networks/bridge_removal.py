"""Removal of bridges, one storage at a time."""

from __future__ import annotations

from pypod.engine.core.locks import Lock
from pypod.errors import Unsupported
from pypod.network import links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TURNS = "/run/pypod-bridges"


class Turn(Lock):
    """The lock that serializes making and removing bridges across storages; without effect where it cannot be taken."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_TURNS)

    def __enter__(self) -> Turn:
        try:
            super().__enter__()
        except OSError:  # a user in their own namespace, where there is no other storage; no writable /run
            return self
        return self


def remove_bridge(name: str) -> None:
    """Remove a bridge and its part of the firewall, which remains when another process deleted the bridge."""
    from pypod.network import firewall

    try:
        with firewall.open_channel() as channel:
            if links.index_of(name):  # else another storage may have taken its subnets by now
                firewall.withdraw_ways(channel, firewall.known_ranges(channel, name))
            firewall.forget(channel, name)
    except Unsupported:  # without nft there are no rules
        pass
    links.remove_link(name)


def remove_idle(wanted: Callable[[str], bool]) -> list[str]:
    """Remove the bridges without ports whose alias is ``wanted``; return their names."""
    removed = []
    for one in links.idle_bridges(wanted):
        with Turn() as turn, turn:
            if one in links.idle_bridges(wanted):
                remove_bridge(one[1])
                removed.append(one[1])
    return removed
