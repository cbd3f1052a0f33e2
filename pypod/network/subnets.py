"""Subnets of networks: parse, check, and choose free ones. Pure.

Free ones are chosen from podman's pools: a /24 of 10.89.0.0 to 10.255.255.255 and a random /64 of fd00::/8.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from pypod.errors import InvalidSpec
from pypod.model.network import Subnet
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Address, IPv6Address

Range = IPv4Network | IPv6Network

# A pool: its first address, the one after its last, and the prefix of the subnets in it.
Pool = tuple[int, int, int]
_POOLS: tuple[Pool, ...] = ((10 << 24 | 89 << 16, 11 << 24, 24),)  # 10.89.0.0 to 10.255.255.255
_ULA_PREFIX = 64
_LONGEST = {4: 30, 6: 126}  # prefixes that leave network, gateway, one container and a broadcast address


class Taken(Value):
    """A range in use: an address of the host with its prefix, a route, or another network's subnet."""

    range: Range
    by: str
    interface: str = ""
    routed: bool = False


def parse_range(text: str, argument: str) -> Range:
    """Return the range of ``text`` in CIDR notation, with host bits cleared. Raises InvalidSpec in podman's words."""
    _, _, prefix = text.partition("/")
    try:
        # podman accepts neither masks nor zones
        found = ip_network(text if prefix.isascii() and prefix.isdigit() and "%" not in text else "", strict=False)
    except ValueError:
        raise InvalidSpec(argument, f"invalid CIDR address: {text}") from None
    if isinstance(found, IPv6Network) and found.network_address.ipv4_mapped is not None:
        raise InvalidSpec(argument, f"invalid CIDR address: {text}", hint="write an IPv4 range without ::ffff:")
    return found


def parse_address(text: str, argument: str) -> IPv4Address | IPv6Address:
    """Return an address. Raises InvalidSpec in podman's words."""
    try:
        return ip_address("" if "%" in text else text)
    except ValueError:
        message = (
            f'invalid argument "{text}" for "{argument}" flag: invalid string being converted to IP address: {text}'
        )
        raise InvalidSpec(argument, message) from None


def subnet(text: str, gateway: str = "", ip_range: str = "") -> Subnet:
    """Return the subnet asked for; its gateway defaults to the first address. Raises InvalidSpec.

    >>> subnet("10.89.0.0/24")
    Subnet(subnet='10.89.0.0/24', gateway='10.89.0.1', first='', last='', chosen=False)
    """
    whole = parse_range(text, "--subnet")
    if whole.prefixlen > _LONGEST[whole.version]:
        hint = f"/{_LONGEST[whole.version]} is the smallest with room for a gateway and a container"
        raise InvalidSpec("--subnet", f"subnet {whole} is too small", hint=hint)
    if whole.is_multicast or whole.is_loopback or whole.is_link_local or not whole.prefixlen:
        raise InvalidSpec(
            "--subnet", f"subnet {whole} cannot be used by a network", hint="use a private one: 10.0.0.0/8"
        )
    via = parse_address(gateway, "--gateway") if gateway else whole[1]
    if via not in whole:
        raise InvalidSpec("--gateway", f"gateway {via} not in subnet {whole}")
    if via == whole[0] or (whole.version == 4 and via == whole[-1]):
        what = "the network's own" if via == whole[0] else "the broadcast"
        raise InvalidSpec("--gateway", f"gateway {via} is {what} address of subnet {whole}")
    first, last = _lease_range(whole, ip_range) if ip_range else ("", "")
    return Subnet(subnet=str(whole), gateway=str(via), first=first, last=last)


def _lease_range(whole: Range, text: str) -> tuple[str, str]:
    """Parse --ip-range, in CIDR notation or as FIRST-LAST; return both ends as podman computes them."""
    begin, dash, end = text.partition("-")
    if dash:
        first, last = parse_address(begin, "--ip-range"), parse_address(end, "--ip-range")
    else:
        part = parse_range(text, "--ip-range")
        first, last = (part[1] if part.num_addresses > 1 else part[0]), part[-1]
    for name, one in (("start", first), ("end", last)):
        if one not in whole:
            raise InvalidSpec("--ip-range", f"lease range {name} ip {one} not in subnet {whole}")
    if int(first) > int(last):
        raise InvalidSpec("--ip-range", f"lease range {text} ends before it begins")
    return str(first), str(last)


def require_free(wanted: Sequence[Subnet], taken: Iterable[Taken]) -> None:
    """Raise InvalidSpec, naming the holder, for a subnet of another network, the host, or another of ``wanted``.

    A route to a wider range is no obstacle: the longest prefix wins.
    """
    ranges = [ip_network(one.subnet) for one in wanted]
    for position, mine in enumerate(ranges):
        for one in taken:
            inside = one.range.version == mine.version and one.range.subnet_of(mine)  # type: ignore[arg-type]
            if inside if one.routed else mine.overlaps(one.range):
                message = f"subnet {mine} is already used on the host or by another config"
                raise InvalidSpec("--subnet", message, hint=f"{one.by} has {one.range}")
        for other in ranges[:position]:
            if mine.overlaps(other):
                raise InvalidSpec("--subnet", f"subnets {other} and {mine} of one network overlap")


def pool(base: str, size: int) -> Pool:
    """Return a pool of subnets with the prefix ``size``. Raises ValueError.

    >>> pool("10.90.0.0/15", 24)
    (173670400, 173801472, 24)
    """
    whole = IPv4Network(base, strict=False)
    if not whole.prefixlen <= size <= _LONGEST[4]:
        raise ValueError(f"size {size} is not between {whole.prefixlen} and {_LONGEST[4]}")
    first = int(whole.network_address)
    return first, first + whole.num_addresses, size


def chosen_ipv4(taken: Iterable[Taken], pools: Sequence[Pool] = ()) -> Subnet:
    """Return a subnet of ``free_ipv4``. Raises InvalidSpec when there is none."""
    return subnet(free_ipv4(taken, pools)).replace(chosen=True)


def chosen_ipv6(taken: Iterable[Taken], random: bytes) -> Subnet:
    """Return a subnet of ``free_ipv6``. Raises InvalidSpec when it is in use."""
    return subnet(free_ipv6(taken, random)).replace(chosen=True)


def free_ipv4(taken: Iterable[Taken], pools: Sequence[Pool] = ()) -> str:
    """Return the lowest subnet that is free in the first pool that has one. Raises InvalidSpec when there is none.

    Without ``pools`` these are podman's. Ranges with a route are avoided, too, unless routes cover all pools.
    """
    found = list(taken)
    for avoided in (found, [one for one in found if not one.routed]):
        ranges = [one.range for one in avoided if one.range.version == 4]
        for one in pools or _POOLS:
            start = _first_gap(ranges, one)
            if start is not None:
                return str(IPv4Network((start, one[2])))
    raise InvalidSpec(
        "--subnet",
        "could not find free subnet from subnet pools",
        hint="remove unused networks, or choose one with --subnet",
    )


def _first_gap(ranges: Iterable[Range], within: Pool) -> int | None:
    start, end, prefix = within
    size = 1 << 32 - prefix
    for low, high in sorted((int(one.network_address), int(one.broadcast_address)) for one in ranges):
        if low >= start + size:
            break
        if high >= start:
            start = (high // size + 1) * size
    return start if start < end else None


def free_ipv6(taken: Iterable[Taken], random: bytes) -> str:
    """Return a unique local /64 (RFC 4193), made of seven ``random`` bytes. Raises InvalidSpec when it is in use."""
    found = IPv6Network((b"\xfd" + random[:7] + b"\0" * 8, _ULA_PREFIX))
    for one in taken:
        if found.overlaps(one.range) and not one.routed:
            raise InvalidSpec("--subnet", f"{one.by} has {one.range}", hint="choose an IPv6 subnet")
    return str(found)
