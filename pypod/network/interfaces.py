"""A snapshot of the interfaces of a network namespace: addresses, state, peer, traffic.

For display only: pyroute2 parses the kernel's answers, and importing it takes longer than the rest of a command. They
come through our own channel. pyroute2's sockets run an event loop, which fails where the caller's is running already,
as in a notebook, and fork for another namespace.
"""

from __future__ import annotations

import os

from attrs import frozen
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from pypod.kernel.abi import NAMESPACES
from pypod.kernel.netlink import DUMP, Channel, message
from pypod.kernel.syscalls import setns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# linux/rtnetlink.h, if.h, if_addr.h
_GETLINK, _GETADDR = 18, 22
_LINK_BODY, _ADDRESS_BODY = 16, 8
_IFF_UP = 1
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}


@frozen(kw_only=True)
class Traffic:
    """Traffic in one direction since the interface was made. Dropped packets had no error, but no room or receiver."""

    bytes: int
    packets: int
    errors: int
    dropped: int


@frozen(kw_only=True)
class Address:
    """An address with its prefix length. ``broadcast`` is empty where there is none, as with IPv6."""

    address: str
    prefix_length: int
    scope: str
    broadcast: str = ""

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix_length}"


@frozen(kw_only=True)
class Interface:
    """A snapshot of one interface.

    ``kind`` is veth, bridge, macvlan and so on, empty for hardware and lo. ``is_up`` is the administrative state,
    ``state`` the operational one, in the words of ip-link(8): UP, DOWN, LOWERLAYERDOWN, UNKNOWN (lo). ``peer_index`` is
    the index of the peer of a veth or of the parent of a macvlan, 0 without either: in the namespace that this one
    numbers ``peer_netnsid``, or in this one when that is None. ``master_index`` is that of the bridge it is a port of,
    or 0.
    """

    name: str
    index: int
    kind: str
    mac: str
    mtu: int
    is_up: bool
    state: str
    alias: str
    master_index: int
    peer_index: int
    peer_netnsid: int | None
    addresses: tuple[Address, ...]
    received: Traffic
    sent: Traffic


def interfaces(namespace: int) -> tuple[Interface, ...]:
    """Return the interfaces of the network namespace behind a descriptor, by index. Raises OSError."""
    with _channel(namespace) as channel:
        return _interfaces(channel)


def interfaces_after_entering(namespace: int) -> tuple[Interface, ...]:
    """Do the same for a process of a user's session: its thread stays there, since it may not return to the host's."""
    setns(namespace, NAMESPACES["net"].clone_flag)
    with Channel() as channel:
        return _interfaces(channel)


def _interfaces(channel: Channel) -> tuple[Interface, ...]:
    addresses: dict[int, list[Address]] = {}
    for answer in _answers(channel, ifaddrmsg, _GETADDR, _ADDRESS_BODY):
        addresses.setdefault(answer["index"], []).append(_address(answer))
    found = [
        _interface(answer, tuple(addresses.get(answer["index"], ())))
        for answer in _answers(channel, ifinfmsg, _GETLINK, _LINK_BODY)
    ]
    return tuple(sorted(found, key=lambda interface: interface.index))


def _channel(namespace: int) -> Channel:
    """Return a channel to another namespace: the socket stays in it when the thread returns."""
    kind = NAMESPACES["net"].clone_flag
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(namespace, kind)
        try:
            return Channel()
        finally:
            setns(home, kind)
    finally:
        os.close(home)


def _answers(channel: Channel, form: Any, request: int, body_bytes: int) -> Iterator[Any]:
    for kind, body in channel.dump(message(request, b"\0" * body_bytes, flags=DUMP)):
        answer = form(message(kind, body))
        answer.decode()
        yield answer


def _address(answer: Any) -> Address:
    # on a point-to-point link IFA_ADDRESS is the peer's
    return Address(
        address=answer.get_attr("IFA_LOCAL") or answer.get_attr("IFA_ADDRESS"),
        prefix_length=answer["prefixlen"],
        scope=_SCOPES.get(answer["scope"], str(answer["scope"])),
        broadcast=answer.get_attr("IFA_BROADCAST") or "",
    )


def _interface(answer: Any, addresses: tuple[Address, ...]) -> Interface:
    passed = answer.get_attr("IFLA_STATS64")
    return Interface(
        name=answer.get_attr("IFLA_IFNAME"),
        index=answer["index"],
        kind=answer.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") or "",
        mac=answer.get_attr("IFLA_ADDRESS") or "",
        mtu=answer.get_attr("IFLA_MTU"),
        is_up=bool(answer["flags"] & _IFF_UP),
        state=answer.get_attr("IFLA_OPERSTATE"),
        alias=answer.get_attr("IFLA_IFALIAS") or "",
        master_index=answer.get_attr("IFLA_MASTER") or 0,
        peer_index=answer.get_attr("IFLA_LINK") or 0,
        peer_netnsid=answer.get_attr("IFLA_LINK_NETNSID"),
        addresses=addresses,
        received=_traffic(passed, "rx"),
        sent=_traffic(passed, "tx"),
    )


def _traffic(passed: Any, way: str) -> Traffic:
    return Traffic(**{field: passed[f"{way}_{field}"] for field in ("bytes", "packets", "errors", "dropped")})
