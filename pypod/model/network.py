"""The specification of a network: its driver, subnets and options; and of a connection to one."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.ids import check_name, is_text
from pypod.model.value import Value

DEFAULT_NETWORK = "podman"
DEFAULT_ID = "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9"  # sha256 of its name, as podman's
DEFAULT_SUBNET = "10.88.0.0/16"
INTERFACE_PREFIX = "pypod"  # of bridges
DEFAULT_INTERFACE = f"{INTERFACE_PREFIX}0"
# Values of --network that are not names of networks.
MODES = ("bridge", "container", "default", "host", "none", "ns", "pasta", "pod", "private", "slirp4netns")
BRIDGE, MACVLAN, IPVLAN = "bridge", "macvlan", "ipvlan"
HOST_LOCAL, NO_ADDRESSES = "host-local", "none"  # IPAM drivers
_MAPPED = b"\0" * 10 + b"\xff\xff"
INTERFACE_NAME_LIMIT = 15  # IFNAMSIZ of linux/if.h, without the NUL


def address_number(text: str) -> int:
    """Return an IPv4 or IPv6 address as a number. Raises OSError when it is invalid."""
    return int.from_bytes(packed_address(text), "big")


def packed_address(text: str) -> bytes:
    """Return an address's 4 or 16 bytes. Raises OSError when it is invalid."""
    import _socket

    return _socket.inet_pton(_socket.AF_INET6 if ":" in text else _socket.AF_INET, text)


def address_text(number: int, like: str) -> str:
    """Return the address with this number, in the family of ``like`` (an address or subnet)."""
    import _socket

    family, size = (_socket.AF_INET6, 16) if ":" in like else (_socket.AF_INET, 4)
    return _socket.inet_ntop(family, number.to_bytes(size, "big"))


def shortest(text: str) -> str:
    """Return an address in the kernel's notation; an IPv4-mapped IPv6 one (RFC 4291, 2.5.5.2) becomes IPv4.

    Raises OSError when it is invalid, ValueError for a NUL or text that is not Unicode.

    >>> shortest("fd00:0::1"), shortest("::ffff:10.88.0.9")
    ('fd00::1', '10.88.0.9')
    """
    packed = packed_address(text)
    if len(packed) == 16 and packed.startswith(_MAPPED):
        packed = packed[len(_MAPPED) :]
    return address_text(int.from_bytes(packed, "big"), ":" if len(packed) == 16 else "")


def check_interface(name: str, argument: str) -> str:
    """Return an interface name that the kernel accepts and that is not a pattern (net/core/dev.c); else InvalidSpec."""
    odd = name in ("", ".", "..") or any(c in "/:%" or c.isspace() or not c.isprintable() for c in name)
    if odd or not is_text(name):
        raise InvalidSpec(argument, f"invalid interface name {name!r}")
    if len(name.encode()) > INTERFACE_NAME_LIMIT:
        raise InvalidSpec(argument, f"interface name {name!r} has more than {INTERFACE_NAME_LIMIT} bytes")
    return name


class Subnet(Value):
    """A subnet of a network, in CIDR notation; dynamic addresses are allocated from ``first`` to ``last``.

    Without a range (both empty) that is the whole subnet, except for its network, broadcast and gateway addresses. A
    subnet that was ``chosen`` automatically may be replaced while no address in it is allocated.
    """

    subnet: str
    gateway: str = ""
    first: str = ""
    last: str = ""
    chosen: bool = False

    def hosts(self) -> tuple[int, int]:
        """Return the first and the last usable address, as numbers."""
        network, _, prefix = self.subnet.partition("/")
        lowest = address_number(network)
        highest = lowest + (1 << (128 if ":" in network else 32) - int(prefix)) - 1
        # the last IPv4 address is the broadcast address
        return lowest + 1, highest - (":" not in network)

    def range(self) -> tuple[int, int]:
        """Return the first and the last address for dynamic allocation, as numbers."""
        first, last = self.hosts()
        if self.first:
            first = max(first, address_number(self.first))
        if self.last:
            last = min(last, address_number(self.last))
        return first, last


class Route(Value):
    """A route that every container of a network gets."""

    destination: str
    gateway: str
    metric: int = 100


class NetworkSpec(Value):
    """The specification of a network. ``interface`` is its bridge on the host, for macvlan and ipvlan the parent."""

    id: str
    name: str
    created_ns: int
    driver: str = BRIDGE
    interface: str = ""
    subnets: tuple[Subnet, ...] = ()
    ipv6: bool = False
    internal: bool = False
    dns: bool = False
    dns_servers: tuple[str, ...] = ()
    ipam: str = HOST_LOCAL
    options: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    routes: tuple[Route, ...] = ()

    def check(self) -> None:
        try:
            check_name(self.name, "NAME")
        except InvalidSpec as error:
            raise InvalidSpec("NAME", f"network name {self.name} invalid: {error.message}") from None
        if self.interface:
            check_interface(self.interface, "--interface-name")

    def gateway_addresses(self) -> tuple[str, ...]:
        """Return the gateways with the prefix lengths of their subnets."""
        return tuple(f"{one.gateway}/{one.subnet.rpartition('/')[2]}" for one in self.subnets if one.gateway)

    def holds(self, address: str) -> bool:
        """Return whether an address lies in one of the subnets."""
        number = address_number(address)
        return any(
            (":" in one.subnet) == (":" in address) and number >> bits == address_number(network) >> bits
            for one in self.subnets
            for network, _, prefix in (one.subnet.partition("/"),)
            for bits in ((128 if ":" in address else 32) - int(prefix),)
        )

    def option(self, name: str) -> str:
        """Return the value of a driver option (mtu, vlan, isolate, mode), or an empty string."""
        return dict(self.options).get(name, "")


class Connection(Value):
    """A requested connection of a pod or container to a network; empty fields are chosen at each start.

    ``network`` is a network's id once stored, before that as the user wrote it. ``addresses`` are static ones, at most
    one per family. ``interface`` is the name inside, ``mac`` six pairs of hex digits separated by colons.
    """

    network: str
    interface: str = ""
    addresses: tuple[str, ...] = ()
    mac: str = ""
    aliases: tuple[str, ...] = ()


class Endpoint(Value):
    """A connection while its container is running.

    ``addresses`` are in CIDR notation, IPv4 first; ``host_interface`` is the bridge's end of the veth. Of several
    default routes, that with the lowest ``position`` wins.
    """

    network: str
    interface: str
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    mac: str = ""
    host_interface: str = ""
    aliases: tuple[str, ...] = ()
    position: int = 0
