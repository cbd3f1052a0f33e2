"""Connection tracking of UDP: a client's first packet decides where its later ones go (nf_conntrack).

A client that keeps sending stays with its first destination, or with none, however the firewall changes. So publishing
a UDP port makes the kernel forget the flows to it. TCP does not need this, as connections end. The layout of the
messages is that of linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
from itertools import islice, product

from pypod.kernel.netlink import DUMP, REQUEST, Channel, attribute, attributes, message, nested
from pypod.model.network import address_text, packed_address
from pypod.model.port import PROTOCOLS
from pypod.network.host import addresses, is_local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pypod.model.port import Port

_SUBSYSTEM = 1  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = 1, 2
_TUPLE_ORIGINAL, _TUPLE_REPLY, _ID, _ZONE, _FILTER = 1, 2, 12, 18, 25
_IP, _PROTOCOL = 1, 2  # of a tuple
_IPV4, _IPV6 = 2, 10  # AF_INET, AF_INET6
_ADDRESSES = {_IPV4: (1, 2), _IPV6: (3, 4)}  # by family: CTA_IP_V4_SRC and _DST, CTA_IP_V6_SRC and _DST
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_ORIGINAL_FLAGS = 1
_BY_DESTINATION, _BY_PROTOCOL, _BY_DESTINATION_PORT = 1 << 1, 1 << 3, 1 << 5  # CTA_FILTER_F_CTA_IP_DST and so on
_UDP = attribute(_NUMBER, bytes((PROTOCOLS["udp"],)))
_ORIGIN = (_TUPLE_ORIGINAL, _ZONE, _ID)  # identify a flow
_MOST = 16  # deletions by filter: each takes 0.2 ms, while dumping all flows takes 5


def forget_all(channel: Channel, ports: Sequence[Port], address4: str, address6: str = "") -> None:
    """Delete the flows to published UDP ports at addresses of this host, wherever they go.

    For a container that was just started with these addresses, so that no flow is its own yet. For IPv4, Linux 6.11 and
    later delete by a filter, in 0.2 ms for each port and address. Otherwise it is like ``forget``. Raises OSError.
    """
    requests = list(islice(_deletions(ports), _MOST + 1)) if address4 else []
    if 0 < len(requests) <= _MOST:
        try:
            channel.send(b"".join(requests))
            address4 = ""
        except OSError as error:
            if error.errno != errno.EINVAL:  # older kernels read a filter as an incomplete flow
                raise
    forget(channel, ports, address4, address6)


def _deletions(ports: Iterable[Port]) -> Iterator[bytes]:
    # Not for IPv6: the filter matches its addresses when they differ (ctnetlink_filter_match_tuple in
    # net/netfilter/nf_conntrack_netlink.c, Linux 6.18).
    own = addresses(_IPV4)
    for port in ports:
        there = own if port.host_ip in ("", "::") else own.intersection((packed_address(port.host_ip),))
        for to, at in product(there, range(port.count) if port.protocol == "udp" else ()):
            number = attribute(_DESTINATION_PORT, (port.host_port + at).to_bytes(2, "big"))
            ends = nested(_IP, attribute(_ADDRESSES[_IPV4][1], to)), nested(_PROTOCOL, _UDP, number)
            by = attribute(_ORIGINAL_FLAGS, _BY_DESTINATION | _BY_PROTOCOL | _BY_DESTINATION_PORT)
            yield message(_word(_DELETE), _head(_IPV4), nested(_TUPLE_ORIGINAL, *ends), nested(_FILTER, by))


def forget(channel: Channel, ports: Sequence[Port], address4: str, address6: str = "") -> None:
    """Delete the flows to published UDP ports that do not go to these addresses (with or without a prefix length).

    Takes some 5 ms, as the kernel lists all flows. Raises OSError.
    """
    wanted = [port for port in ports if port.protocol == "udp"]
    for family, address in ((_IPV4, address4), (_IPV6, address6)):
        if not wanted or not address:
            continue
        own = packed_address(address.partition("/")[0])
        for flow in _flows(channel, family):
            if _is_misled(flow, family, wanted, own):
                named = (attribute(kind, flow[kind]) for kind in _ORIGIN if kind in flow)
                channel.send(message(_word(_DELETE), _head(family), *named), tolerated=(errno.ENOENT,))


def _word(kind: int) -> int:
    return _SUBSYSTEM << 8 | kind


def _head(family: int) -> bytes:
    return bytes((family, 0, 0, 0))  # nfgenmsg


def _flows(channel: Channel, family: int) -> list[dict[int, bytes]]:
    """Return the UDP flows; those of all protocols before Linux 5.8, which has no filter."""
    by = attribute(_ORIGINAL_FLAGS, _BY_PROTOCOL)
    only = nested(_TUPLE_ORIGINAL, nested(_PROTOCOL, _UDP)), nested(_FILTER, by)
    request = message(_word(_GET), _head(family), *only, flags=REQUEST | DUMP)
    return [attributes(body[len(_head(family)) :]) for _, body in channel.dump(request)]


def _is_misled(flow: dict[int, bytes], family: int, ports: Iterable[Port], own: bytes) -> bool:
    """Return whether a flow came to one of ``ports`` at an address of the host and goes elsewhere than to ``own``."""
    source, destination = _ADDRESSES[family]
    asked_ip, asked = _ends(flow, _TUPLE_ORIGINAL)
    answering_ip, answering = _ends(flow, _TUPLE_REPLY)
    to, number = asked_ip.get(destination, b""), _number(asked, _DESTINATION_PORT)
    if asked.get(_NUMBER) != bytes((PROTOCOLS["udp"],)) or len(to) != len(own):
        return False
    host_ip = address_text(int.from_bytes(to, "big"), ":" if len(to) > 4 else "")
    for port in ports:
        at = number - port.host_port
        if 0 <= at < port.count and port.host_ip in ("", "::", host_ip):
            there = (answering_ip.get(source), _number(answering, _SOURCE_PORT))
            return there != (own, port.container_port + at) and is_local(host_ip)
    return False


def _ends(flow: dict[int, bytes], kind: int) -> tuple[dict[int, bytes], dict[int, bytes]]:
    both = attributes(flow.get(kind, b""))
    return attributes(both.get(_IP, b"")), attributes(both.get(_PROTOCOL, b""))


def _number(ends: dict[int, bytes], kind: int) -> int:
    return int.from_bytes(ends.get(kind, b""), "big")
