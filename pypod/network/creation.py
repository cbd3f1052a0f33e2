"""Complete and check the options of a new network against its surroundings. Pure; messages are podman's words."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.network import (
    BRIDGE,
    DEFAULT_ID,
    DEFAULT_INTERFACE,
    DEFAULT_NETWORK,
    DEFAULT_SUBNET,
    HOST_LOCAL,
    INTERFACE_PREFIX,
    IPVLAN,
    MACVLAN,
    MODES,
    NO_ADDRESSES,
    NetworkSpec,
    Route,
    Subnet,
)
from pypod.model.value import Value
from pypod.network.subnets import (
    Pool,
    Taken,
    chosen_ipv4,
    chosen_ipv6,
    parse_address,
    parse_range,
    require_free,
    subnet,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

MACVLAN_MODES = ("bridge", "private", "vepa", "passthru")
IPVLAN_MODES = ("l2", "l3", "l3s")
_MTU_LIMIT = 65535
_MTU_LEAST = {False: 68, True: 1280}  # by whether there is IPv6: RFC 791, and RFC 8200 section 5
_DIGITS = 10  # of a 32-bit number; Python refuses to parse thousands of digits
_VLAN_LIMIT = 4094
_FAMILIES = {4: "IPv4", 6: "IPv6"}


class Surroundings(Value):
    """What a new network must avoid: names of interfaces, and address ranges.

    ``pools`` are where IPv4 subnets are chosen from, ``default_subnet`` is that of the default network; empty for
    podman's.
    """

    interfaces: frozenset[str]
    taken: tuple[Taken, ...]
    pools: tuple[Pool, ...] = ()
    default_subnet: str = ""


def complete(asked: NetworkSpec, around: Surroundings, random: bytes) -> NetworkSpec:
    """Return the network with everything filled in: its subnets, its interface, and its driver's options.

    A generated IPv6 subnet is made of seven ``random`` bytes.

    Raises InvalidSpec naming the argument that cannot be satisfied.
    """
    if asked.name in MODES:
        message = f'cannot create network with name "{asked.name}" because it conflicts with a valid network mode'
        raise InvalidSpec("NAME", message)
    if asked.driver not in _OPTIONS:
        raise InvalidSpec("--driver", f"unsupported driver {asked.driver}: invalid argument", hint=", ".join(_OPTIONS))
    if asked.ipam not in ("", HOST_LOCAL, NO_ADDRESSES):
        unknown = asked.ipam != "dhcp"
        message = f'unsupported ipam driver "{asked.ipam}"' if unknown else "dhcp ipam driver is not available"
        raise InvalidSpec("--ipam-driver", message, hint=f"use {HOST_LOCAL} or {NO_ADDRESSES}")
    if asked.ipam == NO_ADDRESSES and asked.subnets:
        raise InvalidSpec("--ipam-driver", "none ipam driver is set but subnets are given")
    spec = _on_bridge(asked, around, random) if asked.driver == BRIDGE else _on_parent(asked, around)
    if spec.ipam == NO_ADDRESSES:
        spec = spec.replace(dns=False)
    if spec.dns_servers and not spec.dns:
        message = "cannot set NetworkDNSServers if DNS is not enabled for the network: invalid argument"
        raise InvalidSpec("--dns", message)
    _check_routes(spec)
    ipv6 = spec.ipv6 or any(":" in one.subnet for one in spec.subnets)
    found = spec.replace(ipam=spec.ipam or HOST_LOCAL, ipv6=ipv6, options=_options(spec.driver, spec.options))
    if 0 < int(found.option("mtu") or 0) < _MTU_LEAST[ipv6]:
        raise InvalidSpec("--opt", f"mtu {found.option('mtu')} is less than {_MTU_LEAST[ipv6]}, which IPv6 needs")
    return found


def _on_bridge(asked: NetworkSpec, around: Surroundings, random: bytes) -> NetworkSpec:
    if asked.interface and asked.interface in around.interfaces:
        raise InvalidSpec("--interface-name", f"bridge name {asked.interface} already in use")
    subnets = list(asked.subnets)
    if asked.ipam != NO_ADDRESSES:
        families = {":" in one.subnet for one in subnets}
        require_free(subnets, around.taken)
        if False not in families and (asked.ipv6 or not subnets):
            subnets.append(chosen_ipv4(around.taken, around.pools))
        if True not in families and asked.ipv6:
            subnets.append(chosen_ipv6(around.taken, random))
    interface = asked.interface or free_interface(around.interfaces)
    return asked.replace(subnets=tuple(subnets), interface=interface)


def _on_parent(asked: NetworkSpec, around: Surroundings) -> NetworkSpec:
    """The interface of a macvlan or ipvlan is its parent; the host has no address in it, so there is no name server.

    Its subnets are the outer network's: the host itself may have an address in them.
    """
    driver = asked.driver
    parent = dict(asked.options).get("parent", "") or asked.interface
    if parent and parent not in around.interfaces:
        raise InvalidSpec("--opt", f"parent interface {parent} does not exist")
    if not asked.subnets and asked.ipam != NO_ADDRESSES:
        message = f"{driver} driver needs at least one subnet specified, DHCP is not available"
        raise InvalidSpec("--subnet", message, hint=f"--ipam-driver {NO_ADDRESSES} assigns no addresses")
    require_free(asked.subnets, ())
    options = tuple(pair for pair in asked.options if pair[0] != "parent")
    return asked.replace(interface=parent, options=options, dns=False)


def _check_routes(spec: NetworkSpec) -> None:
    ranges = [parse_range(one.subnet, "--subnet") for one in spec.subnets]
    for route in spec.routes:
        via = parse_address(route.gateway, "--route")
        if ranges and not any(via in one for one in ranges):
            raise InvalidSpec("--route", f"gateway {via} of route to {route.destination} not in any subnet")


def default(around: Surroundings, created_ns: int) -> NetworkSpec:
    """Return the default network: podman's, unless its subnet is taken."""
    wanted = subnet(around.default_subnet or DEFAULT_SUBNET).replace(chosen=True)
    try:
        require_free([wanted], around.taken)
    except InvalidSpec:
        wanted = chosen_ipv4(around.taken, around.pools)
    interface = DEFAULT_INTERFACE
    return NetworkSpec(
        id=DEFAULT_ID,
        name=DEFAULT_NETWORK,
        created_ns=created_ns,
        interface=free_interface(around.interfaces) if interface in around.interfaces else interface,
        subnets=(wanted,),
    )


def moved(spec: NetworkSpec, rivals: Surroundings, around: Surroundings, random: bytes) -> NetworkSpec:
    """Return a network with replacements, avoiding ``around``, for subnets and the interface that ``rivals`` have.

    Raises InvalidSpec, naming the holder, for one that was asked for.
    """
    found: list[Subnet] = []
    for one in spec.subnets:
        try:
            # a requested subnet may overlap addresses of the host on purpose; another network would assign its
            # addresses twice
            require_free([one], [it for it in rivals.taken if one.chosen or not it.routed])
        except InvalidSpec:
            if not one.chosen:
                raise
            found.append(chosen_ipv6(around.taken, random) if ":" in one.subnet else chosen_ipv4(around.taken))
        else:
            found.append(one)
    interface = spec.interface
    if interface in rivals.interfaces:
        if not is_chosen_interface(interface):
            hint = "choose another one (--interface-name), or rename that one"
            raise InvalidSpec("--interface-name", f"bridge name {interface} already in use", hint=hint)
        interface = free_interface(around.interfaces)
    return spec.replace(subnets=tuple(found), interface=interface)


def is_chosen_interface(name: str) -> bool:
    """Return whether an interface's name is one of those that ``free_interface`` generates."""
    digits = name.removeprefix(INTERFACE_PREFIX)
    return name.startswith(INTERFACE_PREFIX) and digits.isascii() and digits.isdigit()


def free_interface(taken: Collection[str]) -> str:
    """Return the first of pypod1, pypod2 and so on that is not taken."""
    return _first_free(INTERFACE_PREFIX, taken)


def free_name(taken: Collection[str]) -> str:
    """Return the first of podman1, podman2 and so on that is not taken."""
    return _first_free(DEFAULT_NETWORK, taken)


def _first_free(prefix: str, taken: Collection[str]) -> str:
    number = 1
    while f"{prefix}{number}" in taken:
        number += 1
    return f"{prefix}{number}"


def subnets(texts: Sequence[str], gateways: Sequence[str], ip_ranges: Sequence[str]) -> tuple[Subnet, ...]:
    """Return the requested subnets; gateways and ranges are matched to them in order. Raises InvalidSpec."""
    if (gateways or ip_ranges) and not texts:
        raise InvalidSpec("--subnet", "cannot set gateway or range without subnet")
    for argument, what, given in (("--gateway", "gateways", gateways), ("--ip-range", "ranges", ip_ranges)):
        if len(given) > len(texts):
            raise InvalidSpec(argument, f"cannot set more {what} than subnets")
    rest = [""] * len(texts)
    rows = zip(texts, (*gateways, *rest), (*ip_ranges, *rest), strict=False)
    return tuple(subnet(text, gateway, ip_range) for text, gateway, ip_range in rows)


def route(text: str) -> Route:
    """Parse --route: DESTINATION,GATEWAY[,METRIC]. Raises InvalidSpec.

    >>> route("10.21.0.0/24,10.89.0.9")
    Route(destination='10.21.0.0/24', gateway='10.89.0.9', metric=100)
    """
    words = text.split(",")
    if not 2 <= len(words) <= 3:
        hint = "DESTINATION,GATEWAY[,METRIC]"
        raise InvalidSpec("--route", f"invalid route: {text}", hint=hint)
    destination = parse_range(words[0], "--route")
    if str(destination) != words[0] and words[0].partition("/")[0] != str(destination[0]):
        raise InvalidSpec("--route", f"invalid route destination {words[0]}", hint=f"the network is {destination}")
    via = parse_address(words[1], "--route")
    if via.version != destination.version:
        raise InvalidSpec("--route", f"gateway {via} of route to {destination} is not {_FAMILIES[destination.version]}")
    metric = words[2] if len(words) == 3 else "100"
    if not (metric.isascii() and metric.isdigit()) or len(metric) > _DIGITS or int(metric) >= 1 << 32:
        raise InvalidSpec("--route", f"invalid route metric {metric}")
    return Route(destination=str(destination), gateway=str(via), metric=int(metric))


def dns_servers(texts: Sequence[str], argument: str = "--dns") -> tuple[str, ...]:
    """Return the addresses of servers, without duplicates. Raises InvalidSpec."""
    for text in texts:
        try:
            parse_address(text, argument)
        except InvalidSpec:
            message = f"unable to parse ip {text} specified in NetworkDNSServers: invalid argument"
            raise InvalidSpec(argument, message) from None
    return tuple(dict.fromkeys(texts))


def _mtu(text: str) -> str:
    number = _integer("mtu", text)
    if number < 0:
        raise InvalidSpec("--opt", f"mtu {number} is less than zero")
    if 0 < number < _MTU_LEAST[False]:
        raise InvalidSpec("--opt", f"mtu {number} is less than {_MTU_LEAST[False]}")
    if number > _MTU_LIMIT:
        raise InvalidSpec("--opt", f"mtu {number} is more than {_MTU_LIMIT}")
    return str(number)


def _vlan(text: str) -> str:
    number = _integer("vlan", text)
    if not 0 <= number <= _VLAN_LIMIT:
        raise InvalidSpec("--opt", f"vlan ID {number} must be between 0 and {_VLAN_LIMIT}")
    return str(number)


def _integer(name: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidSpec("--opt", f'invalid {name} "{text}": not a number')
    if len(digits) > _DIGITS:
        raise InvalidSpec("--opt", f'invalid {name} "{text}": out of range')
    return int(text)


def _truth(text: str) -> str:
    # Go's strconv.ParseBool
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return "true"
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return "false"
    raise InvalidSpec("--opt", f'invalid isolate "{text}": use true or false')


def _one_of(driver: str, modes: Sequence[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in modes:
            raise InvalidSpec("--opt", f'unknown {driver} mode "{text}"', hint=", ".join(modes))
        return text

    return check


_OPTIONS: dict[str, dict[str, Callable[[str], str]]] = {
    BRIDGE: {"isolate": _truth, "mtu": _mtu, "vlan": _vlan},
    MACVLAN: {"mode": _one_of(MACVLAN, MACVLAN_MODES), "mtu": _mtu},
    IPVLAN: {"mode": _one_of(IPVLAN, IPVLAN_MODES), "mtu": _mtu},
}


def _options(driver: str, given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    known = _OPTIONS[driver]
    for name, _ in given:
        if name not in known:
            hint = f"options of {driver}: {', '.join(sorted((*known, 'parent') if driver != BRIDGE else known))}"
            raise InvalidSpec("--opt", f"unsupported {driver} network option {name}", hint=hint)
    return tuple(sorted((name, known[name](value)) for name, value in given))
