"""The messages that make links, addresses and routes. Pure, but for the functions at the end. See rtnetlink(7).

One message makes a veth, puts its other end into a process's namespace, and sets this end up on the bridge. The pid of
that process (or a descriptor of its namespace) and the index of the interface inside are not known when these are
packed: they are left out, and their offsets given. Addresses are texts, with the prefix's length: ``10.88.0.2/16``.
"""

from __future__ import annotations

import errno
import os
import sys

from pypod.errors import Unsupported
from pypod.kernel import netlink
from pypod.kernel.netlink import attribute, message, nested, number
from pypod.model.network import BRIDGE, MACVLAN, packed_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pypod.model.network import Route

# linux/rtnetlink.h, if_link.h, if_addr.h, veth.h
_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _NEWROUTE = 16, 17, 18, 20, 24
_ADDRESS, _IFNAME, _MTU, _LINK, _MASTER, _LINKINFO, _IFALIAS = 1, 3, 4, 5, 10, 18, 20
BY_PID, BY_DESCRIPTOR = 19, 28  # IFLA_NET_NS_PID, IFLA_NET_NS_FD: how the namespace of a process is told
_KIND, _DATA, _SLAVE_KIND, _SLAVE_DATA = 1, 2, 4, 5
_VETH_PEER = 1
_MACVLAN_MODE, _IPVLAN_MODE = 1, 1
_BRIDGE_PORT_MODE = 4
_IFF_UP = 1
_INDEX, _FLAGS = -2, -1  # no attributes, but fields of ifinfomsg
_SIOCGIFFLAGS = 0x8913  # linux/sockios.h
_VLAN_FILTERING, _VLAN_DEFAULT_PVID = 7, 39
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD, _IFA_F_PERMANENT = 2, 0x80
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_MAIN_TABLE, _PROTOCOL_STATIC, _UNICAST = 254, 4, 1
_AF_INET, _AF_INET6 = 2, 10
_NEW = netlink.REQUEST | netlink.ACK | netlink.CREATE | netlink.EXCLUSIVE
_MODES = {
    MACVLAN: (_MACVLAN_MODE, 4, {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}, "bridge"),
    "ipvlan": (_IPVLAN_MODE, 2, {"l2": 0, "l3": 1, "l3s": 2}, "l2"),
}

Packed = tuple[bytes, tuple[int, ...]]  # messages, and the offsets of what is missing in them


def _link(*, index: int = 0, up: bool = False) -> bytes:
    flags = _IFF_UP if up else 0
    return number(0, 4) + number(index) + number(flags) + number(flags)


def mac_bytes(mac: str) -> bytes:
    """Return the six bytes of a hardware address."""
    return bytes.fromhex(mac.replace(":", ""))


def mac_of(address: bytes) -> str:
    """Return the hardware address that goes with an IPv4 address (or the end of a longer one).

    With one of its own, an address that comes back with another container would be looked for at the old one's for as
    long as neighbours remember that.
    """
    return ":".join(f"{byte:02x}" for byte in b"\x0a\x58" + address[-4:])


def veth(name: str, bridge_index: int, inside: str, mac: str, mtu: int = 0, namespace: int = BY_PID) -> Packed:
    """Make a veth: ``name`` up on the bridge, the other end as ``inside`` in the namespace of a process.

    Without ``mac`` the kernel chooses a hardware address for the end inside.
    """
    size = [attribute(_MTU, mtu)] if mtu else []
    own = [attribute(_ADDRESS, mac_bytes(mac))] if mac else []
    peer = _link() + b"".join((attribute(namespace, 0), attribute(_IFNAME, inside), *own, *size))
    info = nested(_LINKINFO, attribute(_KIND, "veth"), nested(_DATA, attribute(_VETH_PEER | netlink.NESTED, peer)))
    made = message(
        _NEWLINK, _link(up=True), attribute(_IFNAME, name), attribute(_MASTER, bridge_index), *size, info, flags=_NEW
    )
    return made, (made.index(peer) + len(_link()) + 4,)


def enslave(name: str, bridge_index: int) -> bytes:
    """Put an interface that is there on a bridge, and set it up."""
    return message(_NEWLINK, _link(up=True), attribute(_IFNAME, name), attribute(_MASTER, bridge_index))


def hairpin(name: str) -> bytes:
    """Let a port of a bridge send back what came from it: a container reaches its own published port."""
    info = nested(
        _LINKINFO,
        attribute(_SLAVE_KIND, BRIDGE),
        nested(_SLAVE_DATA, attribute(_BRIDGE_PORT_MODE, number(1, 1))),
    )
    return message(_NEWLINK, _link(), attribute(_IFNAME, name), info)


def sublink(
    driver: str, parent_index: int, inside: str, mac: str, mode: str = "", mtu: int = 0, namespace: int = BY_PID
) -> Packed:
    """Make a macvlan or ipvlan on a parent, in the namespace of a process."""
    kind, size, modes, default = _MODES[driver]
    info = nested(
        _LINKINFO,
        attribute(_KIND, driver),
        nested(_DATA, attribute(kind, number(modes[mode or default], size))),
    )
    own = [attribute(_ADDRESS, mac_bytes(mac))] if mac and driver == MACVLAN else []
    own += [attribute(_MTU, mtu)] if mtu else []
    made = message(
        _NEWLINK,
        _link(),
        attribute(namespace, 0),
        attribute(_IFNAME, inside),
        attribute(_LINK, parent_index),
        *own,
        info,
        flags=_NEW,
    )
    return made, (netlink.HEADER_BYTES + len(_link()) + 4,)


def configure(addresses: Sequence[str], gateways: Sequence[str], routes: Sequence[Route], metric: int) -> Packed:
    """Set an interface up and give it addresses, default routes by ``gateways`` and other routes."""
    parts = [(message(_NEWLINK, _link(up=True)), netlink.HEADER_BYTES + 4)]
    parts += [(_new_address(0, one), netlink.HEADER_BYTES + 4) for one in addresses]
    parts += [_route("", gateway, metric) for gateway in gateways]
    parts += [_route(route.destination, route.gateway, route.metric) for route in routes]
    packed, offsets = b"", []
    for data, offset in parts:
        offsets.append(len(packed) + offset)
        packed += data
    return packed, tuple(offsets)


def _new_address(index: int, address: str) -> bytes:
    text, _, prefix = address.partition("/")
    own = packed_address(text)
    body = bytes((_family(own), int(prefix), 0, 0)) + number(index)
    found = [attribute(_IFA_LOCAL, own), attribute(_IFA_ADDRESS, own)]
    if len(own) == 4:
        hosts = (1 << 32 - int(prefix)) - 1
        found.append(attribute(_IFA_BROADCAST, (int.from_bytes(own, "big") | hosts).to_bytes(4, "big")))
    # nobody else can have it: waiting a second for that to be found out would only keep the container silent
    found.append(attribute(_IFA_FLAGS, _IFA_F_NODAD | _IFA_F_PERMANENT))
    return message(_NEWADDR, body, *found, flags=_NEW)


def _family(packed: bytes) -> int:
    return _AF_INET if len(packed) == 4 else _AF_INET6


def _route(destination: str, gateway: str, metric: int) -> tuple[bytes, int]:
    via = packed_address(gateway)
    network, _, prefix = destination.partition("/")
    to = [attribute(_RTA_DST, packed_address(network))] if network else []
    body = bytes((_family(via), int(prefix or 0), 0, 0, _MAIN_TABLE, _PROTOCOL_STATIC, 0, _UNICAST)) + number(0)
    first = attribute(_RTA_OIF, 0)
    rest = (*to, attribute(_RTA_GATEWAY, via), attribute(_RTA_PRIORITY, metric))
    return message(_NEWROUTE, body, first, *rest, flags=_NEW), netlink.HEADER_BYTES + len(body) + 4


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
    return bool(answer[16] & _IFF_UP)


def make_bridge(name: str, addresses: Sequence[str], mtu: int = 0, alias: str = "", vlan: int = 0) -> int:
    """Make a bridge with the network's gateway addresses; return its index.

    It is not set up yet. ``alias`` is what ip(8) shows with it, at most 255 bytes. With a ``vlan`` all that is on it
    is in that one. Raises FileExistsError when there is an interface of that name, Unsupported, OSError.
    """
    index = _unused_index(alias)
    own = [attribute(_MTU, mtu)] if mtu else []
    if addresses:
        # of its own: it would change with every veth that comes and goes
        own.append(attribute(_ADDRESS, mac_bytes(mac_of(packed_address(addresses[0].partition("/")[0])))))
    tagged = attribute(_VLAN_FILTERING, number(1, 1)), attribute(_VLAN_DEFAULT_PVID, number(vlan, 2))
    info = nested(_LINKINFO, attribute(_KIND, BRIDGE), *([nested(_DATA, *tagged)] if vlan else []))
    # The kernel works through a datagram before the sender can be killed: no bridge is left without its alias or its
    # addresses. It goes on after an error, and the index, which nobody has, keeps the rest from anybody else's.
    parts = [message(_NEWLINK, _link(index=index), attribute(_IFNAME, name), *own, info, flags=_NEW)]
    if alias:
        parts.append(message(_NEWLINK, _link(index=index), attribute(_IFALIAS, os.fsencode(alias))))
    parts += [_new_address(index, address) for address in addresses]
    with netlink.Channel() as channel:
        try:
            channel.send(b"".join(parts))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.EBUSY) and _remove(channel, index):  # it was made, but not whole
                raise
            _require_bridges(error, vlan)
            raise
    return index


def add_addresses(name: str, addresses: Sequence[str]) -> None:
    """Give an interface the addresses that it lacks. Raises OSError."""
    index = index_of(name)
    with netlink.Channel() as channel:
        for address in addresses:
            channel.send(_new_address(index, address), tolerated=(errno.EEXIST,))


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
        channel.send(message(_NEWLINK, _link(up=True), attribute(_IFNAME, name)))


def settle(names: Iterable[str]) -> None:
    """Have ports of bridges pass packets on now, not when the kernel comes round to it. Raises OSError.

    That the other end of a veth is up is worked out later, and in the meantime a port drops everything: a question for
    a neighbour's address is asked again only after a second. To be asked for the link makes it so
    (linkwatch_sync_dev() in rtnl_getlink(), Linux 6.8).
    """
    with netlink.Channel() as channel:
        for name in names:
            try:
                channel.ask(message(_GETLINK, _link(), attribute(_IFNAME, name), flags=0))
            except OSError:  # its container may have ended
                continue


def release(name: str) -> bool:
    """Take an interface off its bridge; return whether it was there. In 0.2 ms nobody is reached by it any more."""
    with netlink.Channel() as channel:
        try:
            channel.send(off_its_bridge(name))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return False
    return True


def off_its_bridge(name: str) -> bytes:
    """Return the message that takes an interface off its bridge."""
    return message(_NEWLINK, _link(), attribute(_IFNAME, name), attribute(_MASTER, 0))


def aliases() -> dict[str, str]:
    """Return the interfaces of this namespace that have an alias, and which. Raises OSError."""
    return {_text(one[_IFNAME]): alias_text(one[_IFALIAS]) for one in _all() if _IFALIAS in one and _IFNAME in one}


def alias_text(data: bytes) -> str:
    """Return an alias as it was given to ``make_bridge``: a path in it may be any bytes."""
    return os.fsdecode(data.rstrip(b"\0"))


def alias_and_state(name: str) -> tuple[str, bool]:
    """Return an interface's alias and whether it is set up; an empty text for one that is not there (20 us)."""
    with netlink.Channel() as channel:
        try:
            answer = channel.ask(message(_GETLINK, _link(), attribute(_IFNAME, name), flags=0))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return "", False
    alias = netlink.attributes(answer[len(_link()) :]).get(_IFALIAS, b"")
    return alias_text(alias), bool(answer[8] & _IFF_UP)


def idle_bridges(wanted: Callable[[str], bool]) -> list[tuple[int, str]]:
    """Return index and name of the bridges whose alias is ``wanted`` and that nothing is plugged into."""
    everything = _all()
    masters = {one[_MASTER] for one in everything if _MASTER in one}
    return [
        (int.from_bytes(one[_INDEX], sys.byteorder), _text(one[_IFNAME]))
        for one in everything
        if _IFALIAS in one and one[_INDEX] not in masters and wanted(alias_text(one[_IFALIAS]))
    ]


def ports(bridge_index: int) -> set[str]:
    """Return the interfaces that are on a bridge and set up. Raises OSError."""
    master = number(bridge_index)
    return {_text(one[_IFNAME]) for one in _all() if one.get(_MASTER) == master and one[_FLAGS][0] & _IFF_UP}


def _all() -> list[dict[int, bytes]]:
    """Return the attributes of every interface, and two fields that are none."""
    with netlink.Channel() as channel:
        return [
            {**netlink.attributes(body[len(_link()) :]), _INDEX: body[4:8], _FLAGS: body[8:12]}
            for _, body in channel.dump(message(_GETLINK, _link(), flags=netlink.DUMP))
        ]


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def remove_link(name: str) -> bool:
    """Remove an interface of this namespace; return whether it was there. Takes some 30 ms. Raises OSError."""
    with netlink.Channel() as channel:
        return _remove(channel, 0, attribute(_IFNAME, name))


def _remove(channel: netlink.Channel, index: int, *named: bytes) -> bool:
    try:
        channel.send(message(_DELLINK, _link(index=index), *named))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return False
    return True
