"""Packed messages that make links, addresses and routes: pure functions. See rtnetlink(7).

One message creates a veth, moves its peer into a process's namespace, and sets this end up as a port of the bridge. The
pid of that process (or a descriptor of its namespace) and the index of the interface inside are unknown at packing
time: they are left blank, and their offsets returned. Addresses are strings with a prefix length: ``10.88.0.2/16``.
"""

from __future__ import annotations

import os

from pypod.kernel import netlink
from pypod.kernel.netlink import attribute, message, nested, number
from pypod.model.network import BRIDGE, MACVLAN, packed_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.model.network import Route

# linux/rtnetlink.h, if_link.h, if_addr.h, veth.h
_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _NEWROUTE = 16, 17, 18, 20, 24
_ADDRESS, IFNAME, _MTU, _LINK, MASTER, _LINKINFO, IFALIAS = 1, 3, 4, 5, 10, 18, 20
BY_PID, BY_DESCRIPTOR = 19, 28  # IFLA_NET_NS_PID, IFLA_NET_NS_FD: how the namespace of a process is identified
_KIND, _DATA, _SLAVE_KIND, _SLAVE_DATA = 1, 2, 4, 5
_VETH_PEER = 1
_MACVLAN_MODE, _IPVLAN_MODE = 1, 1
_BRIDGE_PORT_MODE = 4
IFF_UP = 1
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

Packed = tuple[bytes, tuple[int, ...]]  # messages, and the offsets of the blanks in them


LINK_BYTES = 16  # ifinfomsg


def _link(*, index: int = 0, up: bool = False) -> bytes:
    flags = IFF_UP if up else 0
    return number(0, 4) + number(index) + number(flags) + number(flags)


def mac_bytes(mac: str) -> bytes:
    """Return the six bytes of a hardware address."""
    return bytes.fromhex(mac.replace(":", ""))


def mac_of(address: bytes) -> str:
    """Return the hardware address derived from an IPv4 address (or the end of a longer one).

    With a random one, neighbours would go on using the old one, as long as their cache lasts, when an address is reused
    by another container.
    """
    return ":".join(f"{byte:02x}" for byte in b"\x0a\x58" + address[-4:])


def veth(name: str, bridge_index: int, inside: str, mac: str, mtu: int = 0, namespace: int = BY_PID) -> Packed:
    """Create a veth: ``name`` up on the bridge, its peer as ``inside`` in the namespace of a process.

    Without ``mac`` the kernel chooses the peer's hardware address.
    """
    size = [attribute(_MTU, mtu)] if mtu else []
    own = [attribute(_ADDRESS, mac_bytes(mac))] if mac else []
    peer = _link() + b"".join((attribute(namespace, 0), attribute(IFNAME, inside), *own, *size))
    info = nested(_LINKINFO, attribute(_KIND, "veth"), nested(_DATA, attribute(_VETH_PEER | netlink.NESTED, peer)))
    made = message(
        _NEWLINK, _link(up=True), attribute(IFNAME, name), attribute(MASTER, bridge_index), *size, info, flags=_NEW
    )
    return made, (made.index(peer) + LINK_BYTES + 4,)


def bridge(index: int, name: str, addresses: Sequence[str], mtu: int = 0, alias: str = "", vlan: int = 0) -> bytes:
    """Create a bridge with these addresses.

    The kernel processes a whole datagram before the sender can be killed, so no bridge is left without its alias or
    addresses. It continues after an error; the index is an unused one, so that the rest cannot affect another
    interface.
    """
    own = [attribute(_MTU, mtu)] if mtu else []
    if addresses:
        # an address of its own: the default would change with every veth added or removed
        own.append(attribute(_ADDRESS, mac_bytes(mac_of(packed_address(addresses[0].partition("/")[0])))))
    tagged = attribute(_VLAN_FILTERING, number(1, 1)), attribute(_VLAN_DEFAULT_PVID, number(vlan, 2))
    info = nested(_LINKINFO, attribute(_KIND, BRIDGE), *([nested(_DATA, *tagged)] if vlan else []))
    parts = [message(_NEWLINK, _link(index=index), attribute(IFNAME, name), *own, info, flags=_NEW)]
    if alias:
        parts.append(message(_NEWLINK, _link(index=index), attribute(IFALIAS, os.fsencode(alias))))
    parts += [new_address(index, address) for address in addresses]
    return b"".join(parts)


def enslave(name: str, bridge_index: int) -> bytes:
    """Attach an existing interface to a bridge, and set it up."""
    return message(_NEWLINK, _link(up=True), attribute(IFNAME, name), attribute(MASTER, bridge_index))


def hairpin(name: str) -> bytes:
    """Let a bridge port send packets back where they came from, so that a container reaches its own published port."""
    info = nested(
        _LINKINFO,
        attribute(_SLAVE_KIND, BRIDGE),
        nested(_SLAVE_DATA, attribute(_BRIDGE_PORT_MODE, number(1, 1))),
    )
    return message(_NEWLINK, _link(), attribute(IFNAME, name), info)


def sublink(
    driver: str, parent_index: int, inside: str, mac: str, mode: str = "", mtu: int = 0, namespace: int = BY_PID
) -> Packed:
    """Create a macvlan or ipvlan on a parent, in the namespace of a process."""
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
        attribute(IFNAME, inside),
        attribute(_LINK, parent_index),
        *own,
        info,
        flags=_NEW,
    )
    return made, (netlink.HEADER_BYTES + LINK_BYTES + 4,)


def configure(addresses: Sequence[str], gateways: Sequence[str], routes: Sequence[Route], metric: int) -> Packed:
    """Set an interface up and add its addresses, default routes via ``gateways`` and other routes."""
    parts = [(message(_NEWLINK, _link(up=True)), netlink.HEADER_BYTES + 4)]
    parts += [(new_address(0, one), netlink.HEADER_BYTES + 4) for one in addresses]
    parts += [_route("", gateway, metric) for gateway in gateways]
    parts += [_route(route.destination, route.gateway, route.metric) for route in routes]
    packed, offsets = b"", []
    for data, offset in parts:
        offsets.append(len(packed) + offset)
        packed += data
    return packed, tuple(offsets)


def new_address(index: int, address: str) -> bytes:
    """Add an address to an interface."""
    text, _, prefix = address.partition("/")
    own = packed_address(text)
    body = bytes((_family(own), int(prefix), 0, 0)) + number(index)
    found = [attribute(_IFA_LOCAL, own), attribute(_IFA_ADDRESS, own)]
    if len(own) == 4:
        hosts = (1 << 32 - int(prefix)) - 1
        found.append(attribute(_IFA_BROADCAST, (int.from_bytes(own, "big") | hosts).to_bytes(4, "big")))
    # skip duplicate address detection: no other node can have it, and it would silence the container for a second
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


def up(name: str) -> bytes:
    """Set an interface up."""
    return message(_NEWLINK, _link(up=True), attribute(IFNAME, name))


def question(name: str = "") -> bytes:
    """Query an interface; without a name, all of them."""
    if name:
        return message(_GETLINK, _link(), attribute(IFNAME, name), flags=0)
    return message(_GETLINK, _link(), flags=netlink.DUMP)


def removal(index: int = 0, name: str = "") -> bytes:
    """Remove an interface by index or name."""
    return message(_DELLINK, _link(index=index), *([attribute(IFNAME, name)] if name else []))


def off_its_bridge(name: str) -> bytes:
    """Detach an interface from its bridge."""
    return message(_NEWLINK, _link(), attribute(IFNAME, name), attribute(MASTER, 0))
