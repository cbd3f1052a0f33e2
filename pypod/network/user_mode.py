"""Unprivileged networks: a program relays a network namespace's traffic through sockets of the host. Pure.

``pasta`` copies the host's own addresses into the namespace and preserves those of clients of published ports;
``slirp4netns`` has a network of its own. Both are written as in podman-run(1): ``pasta[:OPTION,...]`` with options of
pasta(1), and ``slirp4netns[:OPTION=VALUE,...]``.
"""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.kernel.abi import DIGITS_LIMIT
from pypod.model.network import address_number, address_text
from pypod.model.port import ALL_ADDRESSES
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.model.port import Port

PASTA, SLIRP4NETNS = "pasta", "slirp4netns"
NAMESPACE = "/proc/self/fd/0"  # the program's stdin is the namespace (pause/supervise/watcher.c)
_FLAG = "--network"
_PASTA_DNS = "169.254.1.1"  # podman's: link-local, so it hides no real host
_PASTA_HOST = "169.254.1.2"  # podman's, likewise
MAP_GUEST_ADDRESS = "--map-guest-addr"  # since 2024_08_21
_PORTS = {"tcp": ("-t", "--tcp-ports"), "udp": ("-u", "--udp-ports")}
_OUTBOUND_PORTS = (("-T", "--tcp-ns"), ("-U", "--udp-ns"))
_CIDR = "10.0.2.0/24"
# slirp4netns(1): the fixed addresses of its network
_HOST, _DNS, _CONTAINER = 2, 3, 100
_SLIRP_SOCKET = "api"  # in its working directory (pause/supervise/watcher.c)
_READY_FD = 3  # pause/supervise/watcher.c
_SLIRP_PROTOCOLS = ("tcp", "udp")
_SLIRP_OPTIONS = {
    "allow_host_loopback": "false",
    "mtu": "65520",
    "cidr": _CIDR,
    "enable_ipv6": "true",
    "outbound_addr": "",
    "outbound_addr6": "",
    "port_handler": SLIRP4NETNS,
}
_ALLOWED = {
    "allow_host_loopback": ("true", "false"),
    "enable_ipv6": ("true", "false"),
    "port_handler": ("rootlesskit", SLIRP4NETNS),
}


class UserMode(Value):
    """One such network: the ``program`` and its ``options``, for slirp4netns including the defaults."""

    program: str
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ":".join((self.program, *([",".join(self.options)] if self.options else [])))

    def _value(self, *names: str) -> str:
        """Return the last value of an option of pasta, empty when it was not given."""
        found = ""
        for word, following in zip(self.options, (*self.options[1:], ""), strict=False):
            name, equals, value = word.partition("=")
            if name in names:
                found = value if equals else following
        return found

    def _slirp(self) -> dict[str, str]:
        return {**_SLIRP_OPTIONS, **dict(option.split("=", 1) for option in self.options)}

    @property
    def name_server(self) -> str:
        """The address that reaches the host's name servers, including one on the host's loopback."""
        if self.program == PASTA:
            return self._value("--dns-forward") or _PASTA_DNS
        return _address(self._slirp()["cidr"], _DNS)

    @property
    def address(self) -> str:
        """The namespace's own IPv4 address, empty where it is the host's."""
        if self.program == PASTA:
            return self._value("-a", "--address")
        return _address(self._slirp()["cidr"], _CONTAINER)

    @property
    def host(self) -> str:
        """The address that stands for the host, empty when none was asked for: then the host's own addresses may do."""
        if self.program == PASTA:
            given = (self._value(name) for name in (MAP_GUEST_ADDRESS, "--map-host-loopback"))
            return next((address for address in given if address not in ("", "none")), "")
        return _address(self._slirp()["cidr"], _HOST) if self._slirp()["allow_host_loopback"] == "true" else ""

    @property
    def host_is_gateway(self) -> bool:
        """Whether pasta was asked to map the gateway's address to the host's loopback."""
        return self.program == PASTA and "--map-gw" in self.options

    @property
    def gateway(self) -> str:
        """The gateway that pasta was asked to announce, empty for the host's."""
        return self._value("-g", "--gateway") if self.program == PASTA else ""

    @property
    def interface(self) -> str:
        """The host interface whose addresses pasta was asked to copy, empty for its default."""
        return self._value("-i", "--interface") if self.program == PASTA else ""

    def with_host(self) -> UserMode:
        """Return the same with an address for the host, for a version of pasta that supports it.

        pasta maps it to the namespace's address on the host, so it leads nowhere unless that is the host's own.
        """
        given = {option.partition("=")[0] for option in self.options}
        if self.program != PASTA or MAP_GUEST_ADDRESS in given or self.address:
            return self
        return self.replace(options=(*self.options, MAP_GUEST_ADDRESS, _PASTA_HOST))

    def arguments(self, ports: Iterable[Port] = ()) -> tuple[str, ...]:
        """Return the command line's arguments, for published ``ports``. Raises InvalidSpec for unsupported ones."""
        return self._pasta_arguments(ports) if self.program == PASTA else self._slirp_arguments(ports)

    def _pasta_arguments(self, ports: Iterable[Port]) -> tuple[str, ...]:
        words = ["--config-net"]
        published: set[str] = set()
        for port in ports:
            words += _forwarded(port)
            published.add(port.protocol)
        own = [word for word in self.options if word != "--map-gw"]
        # by default pasta forwards every port that the host listens on
        given = {word.partition("=")[0] for word in own}
        for names in (*(names for protocol, names in _PORTS.items() if protocol not in published), *_OUTBOUND_PORTS):
            if given.isdisjoint(names):
                words += [names[0], "none"]
        if "--map-gw" not in self.options:
            words.append("--no-map-gw")
        if "--dns-forward" not in given:
            words += ["--dns-forward", _PASTA_DNS]
        # --no-netns-quit: pasta since 2024 checks the namespace's path each second and would exit, as that is only
        # valid in the process that it forks from. The watcher ends it in time.
        return (*words, *own, "--quiet", "--no-netns-quit", "--netns", NAMESPACE)

    def _slirp_arguments(self, ports: Iterable[Port]) -> tuple[str, ...]:
        given = self._slirp()
        words = ["--configure", "--enable-sandbox", "--enable-seccomp", f"--ready-fd={_READY_FD}"]
        words += [f"--mtu={given['mtu']}", f"--cidr={given['cidr']}"]
        words += ["--disable-host-loopback"] if given["allow_host_loopback"] == "false" else []
        words += ["--enable-ipv6"] if given["enable_ipv6"] == "true" else []
        words += [f"--outbound-addr={given['outbound_addr']}"] if given["outbound_addr"] else []
        words += [f"--outbound-addr6={given['outbound_addr6']}"] if given["outbound_addr6"] else []
        words += [f"--api-socket={_SLIRP_SOCKET}"] if self.requests(ports) else []
        return (*words, "--netns-type=path", NAMESPACE, "tap0")

    def requests(self, ports: Iterable[Port]) -> tuple[str, ...]:
        """Return the requests to the running program's socket that publish ports. Raises InvalidSpec.

        Both of podman's port handlers mean this one: rootlesskit hides the clients' addresses.
        """
        if self.program == PASTA:
            return ()
        return tuple(_request(port, at, self.address) for port in ports for at in range(port.count))


def _request(port: Port, at: int, address: str) -> str:
    if port.protocol not in _SLIRP_PROTOCOLS:
        raise InvalidSpec("--publish", f"{SLIRP4NETNS} cannot publish ports of {port.protocol}", hint="use tcp or udp")
    if ":" in port.host_ip:
        message = f"{SLIRP4NETNS} cannot publish ports on IPv6 addresses: {port.host_ip}"
        raise InvalidSpec("--publish", message, hint=f"use an IPv4 address, or {_FLAG} {PASTA}")
    where = f'"host_addr": "{port.host_ip or ALL_ADDRESSES}", "host_port": {port.host_port + at}'
    target = f'"guest_addr": "{address}", "guest_port": {port.container_port + at}'
    return f'{{"execute": "add_hostfwd", "arguments": {{"proto": "{port.protocol}", {where}, {target}}}}}'


def _forwarded(port: Port) -> list[str]:
    if port.protocol not in _PORTS:
        raise InvalidSpec("--publish", f"{PASTA} cannot publish ports of {port.protocol}", hint="use tcp or udp")
    host, inside = (_range(first, port.count) for first in (port.host_port, port.container_port))
    address = f"{port.host_ip}/" if port.host_ip else ""
    return [_PORTS[port.protocol][0], f"{address}{host}:{inside}"]


def _range(first: int, count: int) -> str:
    return f"{first}-{first + count - 1}" if count > 1 else str(first)


def _address(cidr: str, offset: int) -> str:
    network, _, length = cidr.partition("/")
    mask = (1 << 32) - (1 << 32 - int(length))
    return address_text((address_number(network) & mask) + offset, network)


def parse(text: str) -> UserMode:
    """Parse --network of an unprivileged network. Raises InvalidSpec for options that slirp4netns does not support.

    >>> parse("pasta:--mtu,1500").options
    ('--mtu', '1500')
    >>> parse("slirp4netns:cidr=10.1.0.0/24").name_server
    '10.1.0.3'
    """
    program, _, rest = text.partition(":")
    options = tuple(option for option in rest.split(",") if option)
    if any("\0" in option for option in options):
        raise InvalidSpec(_FLAG, f"invalid option of {program}: {rest!r}")
    if program == SLIRP4NETNS:
        for option in options:
            _check_slirp(option)
    return UserMode(program=program, options=options)


def _check_slirp(option: str) -> None:
    name, equals, value = option.partition("=")
    if name not in _SLIRP_OPTIONS or not equals:
        hint = f"use one of {', '.join(_SLIRP_OPTIONS)}, each with =VALUE"
        raise InvalidSpec(_FLAG, f"unknown option for {SLIRP4NETNS}: {option!r}", hint=hint)
    allowed = _ALLOWED.get(name, ())
    if allowed and value not in allowed:
        raise InvalidSpec(
            _FLAG, f"invalid value of {name} for {SLIRP4NETNS}: {value!r}", hint=f"{' or '.join(allowed)}"
        )
    is_number = value.isascii() and value.isdigit() and len(value) <= DIGITS_LIMIT
    if name == "mtu" and not (is_number and 0 < int(value) <= 65521):
        raise InvalidSpec(_FLAG, f"invalid mtu for {SLIRP4NETNS}: {value!r}", hint="use a number up to 65521")
    if name == "cidr":
        network, _, length = value.partition("/")
        try:
            right = ":" not in network and bool(address_number(network)) and length.isdigit() and 1 <= int(length) <= 25
        except (OSError, ValueError):
            right = False
        if not right:
            hint = "use IPv4-ADDRESS/LENGTH, with room for 127 addresses"
            raise InvalidSpec(_FLAG, f"invalid cidr for {SLIRP4NETNS}: {value!r}", hint=hint)
