"""Create, change and query the interfaces of this network namespace. Messages: pypod/network/rtnetlink.py."""

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

_INDEX, _FLAGS = -2, -1  # not attributes, but fields of ifinfomsg
_SIOCGIFFLAGS = 0x8913  # linux/sockios.h


def index_of(name: str) -> int:
    """Return the index of an interface of this namespace, 0 when there is none of that name."""
    import _socket

    try:
        return _socket.if_nametoindex(name)
    except OSError:
        return 0


def is_up(name: str) -> bool:
    """Return whether an interface of this namespace exists and is up (3 us)."""
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
    """Create a bridge with the network's gateway addresses, not up yet; return its index.

    ``alias`` is what ip(8) shows with it, at most 255 bytes. With a ``vlan``, all its ports are in that one. Raises
    FileExistsError when an interface has that name, Unsupported, OSError.
    """
    index = _unused_index(alias)
    with netlink.Channel() as channel:
        try:
            channel.send(rtnetlink.bridge(index, name, addresses, mtu, alias, vlan))
        except OSError as error:
            is_taken = error.errno in (errno.EEXIST, errno.EBUSY)
            if not is_taken and _send(channel, rtnetlink.removal(index)):  # it was created only in part
                raise
            _require_bridges(error, vlan)
            raise
    return index


def add_addresses(name: str, addresses: Sequence[str]) -> None:
    """Add the addresses that an interface lacks. Raises OSError."""
    index = index_of(name)
    with netlink.Channel() as channel:
        for address in addresses:
            channel.send(rtnetlink.new_address(index, address), tolerated=(errno.EEXIST,))


def index_for(alias: str) -> int:
    """Return the index for a bridge with this alias, if it is free: a large one, as the kernel counts up from 1."""
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
    """Raise Unsupported when a bridge could not be created because the kernel lacks support."""
    if error.errno != errno.EOPNOTSUPP:
        return
    if vlan:
        hint = "create the network without -o vlan"
        raise Unsupported("vlan", "bridges have no VLANs here (CONFIG_BRIDGE_VLAN_FILTERING)", hint=hint) from error
    hint = "modprobe bridge; or use no network (--network none) or the host's (--network host)"
    raise Unsupported("bridge", "this kernel does not support bridges", hint=hint) from error


def set_up(name: str) -> None:
    """Set an interface up. Raises OSError."""
    with netlink.Channel() as channel:
        channel.send(rtnetlink.up(name))


def refresh_carrier(names: Iterable[str]) -> None:
    """Have bridge ports forward now rather than after the kernel's link watch has run. Raises OSError.

    The carrier of a veth is noticed with a delay, during which its bridge port drops everything, and a neighbour
    request is only repeated after a second. Querying the link updates it at once (linkwatch_sync_dev() in
    rtnl_getlink(), Linux 6.8).
    """
    with netlink.Channel() as channel:
        for name in names:
            try:
                channel.ask(rtnetlink.question(name))
            except OSError:  # its container may have ended
                continue


def release(name: str) -> bool:
    """Detach an interface from its bridge, which takes 0.2 ms; return whether it existed. Then it is unreachable."""
    with netlink.Channel() as channel:
        return _send(channel, rtnetlink.off_its_bridge(name))


def aliases() -> dict[str, str]:
    """Return the aliases of the interfaces of this namespace that have one. Raises OSError."""
    return {_text(one[IFNAME]): alias_text(one[IFALIAS]) for one in _all() if IFALIAS in one and IFNAME in one}


def alias_text(data: bytes) -> str:
    """Return an alias as passed to ``make_bridge``: a path in it may contain any bytes."""
    return os.fsdecode(data.rstrip(b"\0"))


def alias_and_state(name: str) -> tuple[str, bool]:
    """Return an interface's alias and whether it is up; an empty string when it does not exist (20 us)."""
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
    """Return index and name of the bridges without ports whose alias is ``wanted``."""
    everything = _all()
    masters = {one[MASTER] for one in everything if MASTER in one}
    return [
        (int.from_bytes(one[_INDEX], sys.byteorder), _text(one[IFNAME]))
        for one in everything
        if IFALIAS in one and one[_INDEX] not in masters and wanted(alias_text(one[IFALIAS]))
    ]


def ports(bridge_index: int) -> set[str]:
    """Return the ports of a bridge that are up. Raises OSError."""
    master = number(bridge_index)
    return {_text(one[IFNAME]) for one in _all() if one.get(MASTER) == master and one[_FLAGS][0] & IFF_UP}


def _all() -> list[dict[int, bytes]]:
    """Return the attributes of every interface, and two fields of its header."""
    with netlink.Channel() as channel:
        return [
            {**netlink.attributes(body[LINK_BYTES:]), _INDEX: body[4:8], _FLAGS: body[8:12]}
            for _, body in channel.dump(rtnetlink.question())
        ]


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def remove_link(name: str) -> bool:
    """Remove an interface of this namespace; return whether it existed. Takes some 30 ms. Raises OSError."""
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
