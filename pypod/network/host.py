"""What this process's network namespace contains: interface names, addresses, routes.

A new network must not conflict with any of these. See rtnetlink(7).
"""

from __future__ import annotations

import errno
import sys

from pypod.kernel.netlink import DUMP, Channel, attribute, attributes, message, number
from pypod.model.network import packed_address
from pypod.network.links import alias_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.network.subnets import Range, Taken

# linux/rtnetlink.h, if_link.h, if_addr.h
_GETLINK, _GETADDR, _GETROUTE = 18, 22, 26
_LINK_BODY, _ADDRESS_BODY, _ROUTE_BODY = 16, 8, 12
_IFNAME, _IFALIAS = 3, 20
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_PRIORITY = 1, 4, 6
_MAIN_TABLE, _UNICAST, _LOCAL, _FIB_MATCH = 254, 1, 2, 0x2000
_IPV4_BYTES, _LOOPBACK, _LINK_LOCAL = 4, 127, bytes((169, 254))


class Host:
    """A snapshot: ``interfaces`` by index, and the ranges ``taken`` by addresses and routes.

    ``aliases`` maps the names of interfaces to their aliases, if any.
    """

    def __init__(self) -> None:
        """Ask the kernel. Raises OSError."""
        self.aliases: dict[str, str] = {}
        with Channel() as channel:
            self.interfaces = _interfaces(channel, self.aliases)
            self.taken = [*self._addresses(channel), *self._routes(channel)]

    def _addresses(self, channel: Channel) -> list[Taken]:
        from pypod.network.subnets import Taken

        found = []
        for _, body in channel.dump(message(_GETADDR, b"\0" * _ADDRESS_BODY, flags=DUMP)):
            values = attributes(body[_ADDRESS_BODY:])
            # on a point-to-point link IFA_ADDRESS is the peer's
            address = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS, b"")
            interface = self.interfaces.get(_number(body[4:8]), "")
            found.append(Taken(range=_range(address, body[1]), by=f"interface {interface}", interface=interface))
        return found

    def _routes(self, channel: Channel) -> list[Taken]:
        from pypod.network.subnets import Taken

        found = []
        for _, body in channel.dump(message(_GETROUTE, b"\0" * _ROUTE_BODY, flags=DUMP)):
            length, table, kind = body[1], body[4], body[7]
            values = attributes(body[_ROUTE_BODY:])
            if table != _MAIN_TABLE or kind != _UNICAST or not length:  # the default route covers everything
                continue
            interface = self.interfaces.get(_number(values.get(_RTA_OIF, b"")), "")
            where = _range(values[_RTA_DST], length)
            found.append(Taken(range=where, by=f"a route by {interface}", interface=interface, routed=True))
        return found


def is_local(address: str) -> bool:
    """Return whether an address is one of this host's own (10 us). Raises OSError."""
    import _socket

    kind = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    packed = _socket.inet_pton(kind, address)
    bits = 8 * len(packed)
    # the exact entry: on lo, all addresses of a prefix are local
    body = bytes((kind, bits, 0, 0, 0, 0, 0, 0)) + number(_FIB_MATCH)
    with Channel() as channel:
        try:
            answer = channel.ask(message(_GETROUTE, body, attribute(_RTA_DST, packed), flags=0))
        except OSError as error:
            if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL):
                return False
            raise
    return answer[1] == bits and answer[7] == _LOCAL


def default_interface() -> str:
    """Return the interface of the default route, IPv4 first; empty when there is none. Raises OSError."""
    found = []
    with Channel() as channel:
        for _, body in channel.dump(message(_GETROUTE, b"\0" * _ROUTE_BODY, flags=DUMP)):
            family, length, table, kind = body[0], body[1], body[4], body[7]
            values = attributes(body[_ROUTE_BODY:])
            if (table, kind, length) == (_MAIN_TABLE, _UNICAST, 0) and _RTA_OIF in values:
                found.append((family, _number(values.get(_RTA_PRIORITY, b"")), _number(values[_RTA_OIF])))
        return _interfaces(channel).get(min(found)[-1], "") if found else ""


def has_addresses(wanted: Iterable[str]) -> bool:
    """Return whether interfaces of this namespace have all of the addresses (CIDR notation). Raises OSError."""
    there = addresses()
    return all(packed_address(one.partition("/")[0]) in there for one in wanted)


def addresses(family: int = 0) -> set[bytes]:
    """Return the packed addresses of this namespace's interfaces, of one family (AF_INET, AF_INET6) or all.

    Raises OSError.
    """
    with Channel() as channel:
        body = bytes((family,)) + b"\0" * (_ADDRESS_BODY - 1)
        found = [attributes(one[_ADDRESS_BODY:]) for _, one in channel.dump(message(_GETADDR, body, flags=DUMP))]
    return {one.get(_IFA_LOCAL) or one.get(_IFA_ADDRESS, b"") for one in found}


def first_address(but: str = "") -> str:
    """Return the first IPv4 address by which others reach this host, or an empty string. Raises OSError.

    Loopback and link-local addresses do not count, nor does the interface ``but``.
    """
    import _socket

    try:
        left_out = _socket.if_nametoindex(but) if but else 0
    except OSError:
        left_out = 0
    with Channel() as channel:
        for _, body in channel.dump(message(_GETADDR, b"\0" * _ADDRESS_BODY, flags=DUMP)):
            address = attributes(body[_ADDRESS_BODY:]).get(_IFA_LOCAL, b"")
            known = len(address) == _IPV4_BYTES and address[0] != _LOOPBACK and address[:2] != _LINK_LOCAL
            if known and _number(body[4:8]) != left_out:
                return ".".join(map(str, address))
    return ""


def _interfaces(channel: Channel, aliases: dict[str, str] | None = None) -> dict[int, str]:
    """Return the names of interfaces by index; aliases are added to ``aliases``."""
    found = {}
    for _, body in channel.dump(message(_GETLINK, b"\0" * _LINK_BODY, flags=DUMP)):
        values = attributes(body[_LINK_BODY:])
        name = values.get(_IFNAME, b"").rstrip(b"\0").decode("utf-8", "replace")
        found[_number(body[4:8])] = name
        if aliases is not None and _IFALIAS in values:
            aliases[name] = alias_text(values[_IFALIAS])
    return found


def _number(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)


def _range(address: bytes, length: int) -> Range:
    from ipaddress import ip_network  # takes 2 ms, and a start does not need it

    return ip_network((address, length), strict=False)
