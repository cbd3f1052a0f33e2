"""Interfaces of this network namespace: made, changed, looked at. Messages: pypod/network/rtnetlink.py."""

from __future__ import annotations

import errno
import os
import sys

from pypod.errors import Unsupported
from pypod.kernel import netlink
from pypod.kernel.netlink import number
from pypod.network import rtnetlink
from pypod.network.rtnetlink import IFALIAS, IFF_UP, IFNAME, LINK_BYTES, MASTER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_INDEX, _FLAGS = -2, -1  # no attributes, but fields of ifinfomsg
_SIOCGIFFLAGS = 0x8913  # linux/sockios.h


def index_of(name: str) -> int:
    """Return the index of an interface of this namespace, 0 when there is none of that name."""
    import _socket

    try:
        return _socket.if_nametoindex(name)
    except OSError:
        return 0


def is_up(name: str) -> bool:
    """Return whether there is an interface of that name in this namespace, set up (3 us)."""
    import _socket
    import fcntl

    asked = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        answer = fcntl.ioctl(asked.fileno(), _SIOCGIFFLAGS, name.encode().ljust(40, b"\0"))
    except OSError:
        return False
    finally:
        asked.close()
    return bool(answer[16] & IFF_UP)


def make_bridge(name: str, addresses: Sequence[str], mtu: int = 0, alias: str = "", vlan: int = 0) -> int:
    """Make a bridge with the network's gateway addresses; return its index.

    It is not set up yet. ``alias`` is what ip(8) shows with it, at most 255 bytes. With a ``vlan`` all that is on it
    is in that one. Raises FileExistsError when there is an interface of that name, Unsupported, OSError.
    """
    index = _unused_index(alias)
    with netlink.Channel() as channel:
        try:
            channel.send(rtnetlink.bridge(index, name, addresses, mtu, alias, vlan))
        except OSError as error:
            is_taken = error.errno in (errno.EEXIST, errno.EBUSY)
            if not is_taken and _send(channel, rtnetlink.removal(index)):  # it was made, but not whole
                raise
            _require_bridges(error, vlan)
            raise
    return index


def add_addresses(name: str, addresses: Sequence[str]) -> None:
    """Give an interface the addresses that it lacks. Raises OSError."""
    index = index_of(name)
    with netlink.Channel() as channel:
        for address in addresses:
            channel.send(rtnetlink.new_address(index, address), tolerated=(errno.EEXIST,))


def index_for(alias: str) -> int:
    """Return the index that a bridge with this alias has, unless that was taken: the kernel counts up from 1."""
    from binascii import crc32

    return 1 << 30 | crc32(os.fsencode(alias)) >> 2


def _unused_index(alias: str) -> int:
    import _socket

    index = index_for(alias)
    try:
        _socket.if_indextoname(index)
    except OSError:
        return index
    return 1 << 30 | int.from_bytes(os.urandom(4), "big") >> 2


def _require_bridges(error: OSError, vlan: int) -> None:
    """Raise Unsupported when a bridge could not be made because the kernel has no such thing."""
    if error.errno != errno.EOPNOTSUPP:
        return
    if vlan:
        hint = "make the network without -o vlan"
        raise Unsupported("vlan", "bridges have no VLANs here (CONFIG_BRIDGE_VLAN_FILTERING)", hint=hint) from error
    hint = "modprobe bridge; or do without networks: --network none, --network host"
    raise Unsupported("bridge", "this kernel makes no bridges", hint=hint) from error


def set_up(name: str) -> None:
    """Set an interface up. Raises OSError."""
    with netlink.Channel() as channel:
        channel.send(rtnetlink.up(name))


def refresh_carrier(names: Iterable[str]) -> None:
    """Have ports of bridges pass packets on now, not when the kernel comes round to it. Raises OSError.

    That the other end of a veth is up is worked out later, and in the meantime a port drops everything: a question for
    a neighbour's address is asked again only after a second. To be asked for the link makes it so
    (linkwatch_sync_dev() in rtnl_getlink(), Linux 6.8).
    """
    with netlink.Channel() as channel:
        for name in names:
            try:
                channel.ask(rtnetlink.question(name))
            except OSError:  # its container may have ended
                continue


def release(name: str) -> bool:
    """Take an interface off its bridge; return whether it was there. In 0.2 ms nobody is reached by it any more."""
    with netlink.Channel() as channel:
        return _send(channel, rtnetlink.off_its_bridge(name))


def aliases() -> dict[str, str]:
    """Return the interfaces of this namespace that have an alias, and which. Raises OSError."""
    return {_text(one[IFNAME]): alias_text(one[IFALIAS]) for one in _all() if IFALIAS in one and IFNAME in one}


def alias_text(data: bytes) -> str:
    """Return an alias as it was given to ``make_bridge``: a path in it may be any bytes."""
    return os.fsdecode(data.rstrip(b"\0"))


def alias_and_state(name: str) -> tuple[str, bool]:
    """Return an interface's alias and whether it is set up; an empty text for one that is not there (20 us)."""
    with netlink.Channel() as channel:
        try:
            answer = channel.ask(rtnetlink.question(name))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return "", False
    alias = netlink.attributes(answer[LINK_BYTES:]).get(IFALIAS, b"")
    return alias_text(alias), bool(answer[8] & IFF_UP)


def idle_bridges(wanted: Callable[[str], bool]) -> list[tuple[int, str]]:
    """Return index and name of the bridges whose alias is ``wanted`` and that nothing is plugged into."""
    everything = _all()
    masters = {one[MASTER] for one in everything if MASTER in one}
    return [
        (int.from_bytes(one[_INDEX], sys.byteorder), _text(one[IFNAME]))
        for one in everything
        if IFALIAS in one and one[_INDEX] not in masters and wanted(alias_text(one[IFALIAS]))
    ]


def ports(bridge_index: int) -> set[str]:
    """Return the interfaces that are on a bridge and set up. Raises OSError."""
    master = number(bridge_index)
    return {_text(one[IFNAME]) for one in _all() if one.get(MASTER) == master and one[_FLAGS][0] & IFF_UP}


def _all() -> list[dict[int, bytes]]:
    """Return the attributes of every interface, and two fields that are none."""
    with netlink.Channel() as channel:
        return [
            {**netlink.attributes(body[LINK_BYTES:]), _INDEX: body[4:8], _FLAGS: body[8:12]}
            for _, body in channel.dump(rtnetlink.question())
        ]


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def remove_link(name: str) -> bool:
    """Remove an interface of this namespace; return whether it was there. Takes some 30 ms. Raises OSError."""
    with netlink.Channel() as channel:
        return _send(channel, rtnetlink.removal(name=name))


def _send(channel: netlink.Channel, request: bytes) -> bool:
    """Send a request about an interface; return whether there is such."""
    try:
        channel.send(request)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return False
    return True
