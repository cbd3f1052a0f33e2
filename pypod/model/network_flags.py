"""Parse the network options of a command line (podman-run(1), --network etc.) to a mode and connections. Pure.

``--network`` is either a single mode other than bridge (none, host, container:X, ns:PATH, pod), or given once per
network, a name with options: ``NAME[:ip=ADDRESS,ip6=ADDRESS,mac=MAC,alias=NAME,interface_name=NAME]``.
"""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.ids import is_text
from pypod.model.namespace import HOST, POD, PRIVATE, Mode
from pypod.model.network import (
    BRIDGE,
    DEFAULT_NETWORK,
    MODES,
    Connection,
    check_interface,
    shortest,
)
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NO_RESOLV_CONF = "none"  # of --dns: keep the image's file
NO_SEARCH = "."  # of --dns-search
HOST_GATEWAY = "host-gateway"  # of --add-host: the address that reaches the host
_FLAG = "--network"
_PLAIN_MODES = {"none": PRIVATE, "host": HOST, "pod": POD}
_TARGET_MODES = {"container": "container", "ns": "path"}  # podman's names for them in messages
_USER_MODES = ("pasta", "slirp4netns")
_DOMAIN_LIMIT = 255
_LOOPBACK = "lo"
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


class Asked(Value):
    """The requested network: a mode, and for PRIVATE the connections, which are empty for ``none``.

    ``name`` is podman's name of the mode; ``program`` connects the namespace without privilege (network/user_mode.py).
    ``missing`` is the reason why the default is none.
    """

    mode: Mode
    name: str
    program: str = ""
    connections: tuple[Connection, ...] = ()
    missing: str = ""


def parse_networks(texts: Sequence[str], default: str = "") -> Asked:
    """Parse the values of --network; without any, parse ``default``. Raises InvalidSpec with podman's messages.

    >>> parse_networks(["front:ip=10.89.0.9", "back"]).connections
    (Connection(network='front', ..., addresses=('10.89.0.9',), ...), Connection(network='back', ...))
    """
    given = [text for text in texts if text] or [default or BRIDGE]
    first = _first(given[0])
    if len(given) == 1:
        return first
    if first.name != BRIDGE:
        message = f"cannot set multiple networks without bridge network mode, selected mode {first.name}"
        raise InvalidSpec(_FLAG, f"{message}: invalid argument")
    more = (_named(text, extra=True) for text in given[1:])
    return first.replace(connections=_each_once((*first.connections, *more)))


def _first(text: str) -> Asked:
    word, colon, rest = text.partition(":")
    if text in _PLAIN_MODES:
        return Asked(mode=_PLAIN_MODES[text], name=text)
    if text in ("private", "default"):
        return Asked(mode=PRIVATE, name="private", connections=(Connection(network=DEFAULT_NETWORK),))
    if word in _TARGET_MODES and (colon or text == word):
        if not rest:
            raise InvalidSpec(_FLAG, f"namespace mode {_TARGET_MODES[word]} requires a value", hint=f"{word}:NAME")
        return Asked(mode=Mode(mode=word, target=rest), name=_TARGET_MODES[word])
    if word in _USER_MODES:
        return Asked(mode=PRIVATE, name=word, program=text)
    if colon or word == BRIDGE:
        named = f"{DEFAULT_NETWORK}{colon}{rest}" if word == BRIDGE else text
        return Asked(mode=PRIVATE, name=BRIDGE, connections=(_named(named, mode=word == BRIDGE),))
    # several names separated by commas: the syntax before --network could be repeated
    return Asked(mode=PRIVATE, name=BRIDGE, connections=_each_once(_named(name) for name in text.split(",")))


def _named(text: str, *, extra: bool = False, mode: bool = False) -> Connection:
    """Parse NAME[:OPTION=VALUE,...]; ``mode`` when the name stands for the mode bridge."""
    name, _, options = text.partition(":")
    if not name or not is_text(name):
        raise InvalidSpec(_FLAG, "network name cannot be empty: invalid argument")
    if extra and name in MODES:
        message = f"can only set extra network names, selected mode {name} conflicts with bridge: invalid argument"
        raise InvalidSpec(_FLAG, message)
    if name in MODES:
        if not options:
            raise InvalidSpec(_FLAG, f"unable to find network with name or ID {name}: network not found")
        unknown = f"unknown bridge network option: {options.split(',')[0].split('=')[0]}"
        raise InvalidSpec(_FLAG, f"invalid option for network {name}: {unknown}", hint=f"use {_FLAG} {name} alone")
    if not options:
        return Connection(network=name)
    try:
        return _with_options(name, options)
    except InvalidSpec as error:
        if mode:
            raise
        raise InvalidSpec(_FLAG, f"invalid option for network {name}: {error.message}", hint=error.hint) from None


def _with_options(name: str, options: str) -> Connection:
    addresses, aliases = [], []
    mac = interface = ""
    for option in options.split(","):
        key, equals, value = option.partition("=")
        if key in ("ip", "ip6"):
            addresses.append(_address(value, f'invalid ip address "{value}"'))
        elif key == "mac":
            mac = parse_mac(value)
        elif key == "alias":
            aliases.append(check_alias(value))
        elif key == "interface_name":
            interface = check_interface(value, _FLAG)
            if interface == _LOOPBACK:
                raise InvalidSpec(_FLAG, f"interface {_LOOPBACK} already exists")
        else:
            hint = "use ip, ip6, mac, alias or interface_name"
            raise InvalidSpec(_FLAG, f"unknown bridge network option: {key}", hint=hint)
        if not equals:
            raise InvalidSpec(_FLAG, f"option {key} requires a value")
    return Connection(
        network=name, interface=interface, addresses=static_addresses(addresses), mac=mac, aliases=tuple(aliases)
    )


def parse_address(text: str, argument: str) -> str:
    """Return an address in its shortest form. Raises InvalidSpec."""
    return _address(text, f'"{text}" is not an ip address', argument)


def _address(text: str, message: str, argument: str = _FLAG) -> str:
    """Return an address in its shortest form. Raises InvalidSpec with ``message``."""
    try:
        return shortest(text)
    except (OSError, ValueError):  # ValueError: an embedded NUL
        raise InvalidSpec(argument, message) from None


def static_addresses(addresses: Sequence[str], argument: str = _FLAG) -> tuple[str, ...]:
    """Return addresses, IPv4 first. Raises InvalidSpec for two of one family."""
    families = [":" in one for one in addresses]
    if len(set(families)) < len(families):
        raise InvalidSpec(argument, f"a connection can have only one address per family: {', '.join(addresses)}")
    return tuple(sorted(addresses, key=lambda one: ":" in one))


def _each_once(connections: Sequence[Connection] | Iterator[Connection]) -> tuple[Connection, ...]:
    """Return one connection per network, the last as in podman, and check that interface names are unique."""
    found = {one.network: one for one in connections}
    interfaces = [one.interface for one in found.values() if one.interface]
    for name in interfaces:
        if interfaces.count(name) > 1:
            raise InvalidSpec(_FLAG, f'network interface name "{name}" is already assigned to another network')
    return tuple(found.values())


def parse_mac(text: str, argument: str = "--mac-address") -> str:
    """Return a hardware address as six pairs of hex digits separated by colons. Raises InvalidSpec.

    Accepts colons, hyphens or three groups with dots; multicast addresses and zero are refused.
    """
    digits = text.replace(":", "").replace("-", "").replace(".", "").lower()
    forms = {
        sign.join(digits[i : i + size] for i in range(0, 12, size)) for sign, size in ((":", 2), ("-", 2), (".", 4))
    }
    if len(digits) != 12 or text.lower() not in forms or not set(digits) <= set("0123456789abcdef"):
        raise InvalidSpec(argument, f"address {text}: invalid MAC address")
    if int(digits[1], 16) & 1 or digits == "0" * 12:
        raise InvalidSpec(argument, f"address {text}: invalid MAC address", hint="use a nonzero unicast address")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def check_alias(text: str, argument: str = "--network-alias") -> str:
    """Return an alias if it is valid for a network's name server. Raises InvalidSpec."""
    if not text:
        raise InvalidSpec(argument, "alias cannot be empty")
    # underscores are invalid in host names, but container names have them
    if len(text) > _DOMAIN_LIMIT or not _is_domain(text.replace("_", "x")):
        raise InvalidSpec(argument, f"{text!r} is not a valid alias", hint="use letters, digits, hyphens and dots")
    return text


def with_flags(
    asked: Asked, *, ip: str = "", ip6: str = "", mac_address: str = "", aliases: Sequence[str] = ()
) -> Asked:
    """Return the connections with --ip, --ip6, --mac-address and --network-alias applied. Raises InvalidSpec.

    The first three require a single network and override its options; aliases apply to every network.
    """
    flags = (("--ip", ip), ("--ip6", ip6), ("--mac-address", mac_address), ("--network-alias", aliases))
    for flag, value in flags:
        if value and not asked.connections:
            raise InvalidSpec(flag, f"{flag} can only be set when the network mode is bridge: invalid argument")
        if value and flag != "--network-alias" and len(asked.connections) > 1:
            raise InvalidSpec(flag, f"{flag} can only be set for a single network: invalid argument")
    given = [parse_address(text, flag) for flag, text in (("--ip", ip), ("--ip6", ip6)) if text]
    given = list(static_addresses(given, "--ip"))
    mac = parse_mac(mac_address) if mac_address else ""
    names = tuple(check_alias(one) for one in aliases)
    changed = []
    for one in asked.connections:
        kept = [text for text in one.addresses if all((":" in text) != (":" in own) for own in given)]
        every = tuple(dict.fromkeys((*one.aliases, *names)))
        addresses = static_addresses([*given, *kept])
        changed.append(one.replace(addresses=addresses, mac=mac or one.mac, aliases=every))
    return asked.replace(connections=tuple(changed))


def check_dns(
    asked: Asked, servers: Sequence[str], options: Sequence[str], search: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return --dns, --dns-option and --dns-search. Raises InvalidSpec, also for a mode without its own resolv.conf."""
    if (servers or options or search) and asked.name in ("container", "none"):
        raise InvalidSpec("--dns", f"conflicting options: dns and the network mode: {asked.name}")
    if NO_RESOLV_CONF in servers:
        if len(servers) > 1:
            raise InvalidSpec("--dns", "none is not allowed to be specified with other DNS ip addresses")
    else:
        for server in servers:
            _address(server, f"{server} is not an ip address", "--dns")
    for option in options:
        if not option or not option.isprintable() or any(c.isspace() for c in option):
            raise InvalidSpec("--dns-option", f"{option!r} is not a valid option")
    if NO_RESOLV_CONF in servers and (search or options):
        other = "DNSSearch" if search else "DNSOption"
        raise InvalidSpec("--dns", f"UseImageResolvConf and {other} are mutually exclusive options")
    if NO_SEARCH in search and len(search) > 1:
        raise InvalidSpec("--dns-search", "cannot pass additional search domains when also specifying '.'")
    for domain in search:
        if domain != NO_SEARCH and (len(domain) > _DOMAIN_LIMIT or not _is_domain(domain.removesuffix("."))):
            raise InvalidSpec("--dns-search", f"{domain} is not a valid domain")
    return tuple(servers), tuple(options), tuple(search)


def _is_domain(text: str) -> bool:
    """Return whether ``text`` consists of labels of letters, digits and, between those, hyphens (RFC 1035, 2.3.1)."""
    labels = text.split(".")
    return all(
        label and _LETTERS.issuperset(label.replace("-", "")) and label[0] != "-" and label[-1] != "-"
        for label in labels
    )
