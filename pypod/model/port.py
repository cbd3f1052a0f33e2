"""Published ports, forwarded from the host to a container. Parsing a command line's ports is pure."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.network import shortest
from pypod.model.value import Value
from pypod.model.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}  # IPPROTO_* of netinet/in.h
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104  # shown where no address is given
_LAST = 65535
_ATOI_DIGITS = 19  # numbers with as many digits may exceed 63 bits
_FLAG, _EXPOSE = "--publish", "--expose"


class Port(Value):
    """``count`` ports from ``host_port`` on the host address ``host_ip`` (empty: all), forwarded to ``container_port``.

    A ``host_port`` of 0 is chosen when the container or pod is created.

    >>> str(Port(container_port=80, host_port=8080))
    '0.0.0.0:8080->80/tcp'
    """

    container_port: int
    host_port: int
    host_ip: str = ""
    protocol: str = "tcp"
    count: int = 1

    def __str__(self) -> str:
        host, inside = str(self.host_port), str(self.container_port)
        if self.count > 1:
            host, inside = (
                f"{host}-{self.host_port + self.count - 1}",
                f"{inside}-{self.container_port + self.count - 1}",
            )
        return f"{self.host_ip or ALL_ADDRESSES}:{host}->{inside}/{self.protocol}"

    def meets(self, other: Port) -> bool:
        """Return whether both need the same port of the host on a common address."""
        apart = self.host_port >= other.host_port + other.count or other.host_port >= self.host_port + self.count
        return self.protocol == other.protocol and not apart and _addresses_meet(self.host_ip, other.host_ip)


def _addresses_meet(one: str, other: str) -> bool:
    if not one or not other or one == other:
        return True
    return "::" in (one, other) and ":" in one and ":" in other


def parse_port(text: str) -> Port:
    """Parse one --publish: ``[[ip:][hostPort]:]containerPort[/protocol]``. Raises InvalidSpec with podman's message.

    Ports may be ranges of equal length; an IPv6 address needs brackets. A missing host port is 0.

    >>> parse_port("[::1]:8000-8001:80-81/udp")
    Port(container_port=80, host_port=8000, host_ip='::1', protocol='udp', count=2)
    """
    ports, *protocol = text.split("/")
    if len(protocol) > 1:
        raise _invalid("invalid port format - protocol can only be specified once")
    address, parts = _split(ports)
    inside = parts.pop()
    if not inside:
        raise _invalid("must provide a non-empty container port to publish")
    container_port, count = _named_range(inside, "container port")
    if protocol == [""]:
        raise _invalid("must provide a non-empty protocol to publish")
    host_ip = _host_ip(address)
    host_port = 0
    if parts and parts[-1]:
        host_port, length = _named_range(parts[-1], "host port")
        if length != count:
            raise _invalid(f"host and container port ranges have different lengths: {length} vs {count}")
    return Port(
        container_port=container_port,
        host_port=host_port,
        host_ip=host_ip,
        protocol=_protocol(protocol[0] if protocol else "tcp", _FLAG),
        count=count,
    )


def _split(text: str) -> tuple[str | None, list[str]]:
    """Return the address, None without one, and the ports: of the host, if given, and of the container."""
    before, *bracket = text.split("]")
    if not bracket:
        parts = text.split(":")
        if len(parts) > 3:
            raise _invalid("invalid port format - format is [[hostIP:]hostPort:]containerPort")
        return (parts.pop(0) if len(parts) == 3 else None), parts
    if len(bracket) > 1:
        raise _invalid("invalid port format - at most one IPv6 address can be specified in a --publish")
    if not before.startswith("["):
        raise _invalid("invalid port format - IPv6 addresses must be enclosed by []")
    if not bracket[0].startswith(":"):
        raise _invalid("invalid port format - IPv6 address must be followed by a colon (':')")
    parts = bracket[0][1:].split(":")
    if len(parts) == 1:
        raise _invalid("invalid port format - must provide host and destination port if specifying an IP")
    if len(parts) > 2:
        raise _invalid("invalid port format - when v6 address specified, must be [ipv6]:hostPort:ctrPort")
    return before[1:], parts


def _host_ip(text: str | None) -> str:
    """Return an address in the kernel's notation; empty for all addresses, as in podman."""
    if text is None or text == ALL_ADDRESSES:
        return ""
    if not text:
        raise _invalid("must provide a non-empty container host IP to publish")
    try:
        found = shortest(text)
    except (OSError, ValueError):
        raise _invalid(f"cannot parse {quoted(text)} as an IP address") from None
    return "" if found == ALL_ADDRESSES else found


def _named_range(text: str, what: str) -> tuple[int, int]:
    try:
        return _range(text)
    except InvalidSpec as error:
        raise _invalid(f"parsing {what}: {error.message}") from None


def _range(text: str) -> tuple[int, int]:
    """Return the first number of ``NUMBER[-NUMBER]`` and the count."""
    first, *rest = text.split("-")
    if len(rest) > 1:
        raise _invalid("invalid port format - port ranges are formatted as startPort-stopPort")
    if not first:
        raise _invalid("port numbers cannot be negative")
    if rest == [""]:
        raise _invalid("must provide ending number for port range")
    start = _number(first)
    end = _number(rest[0]) if rest else start
    if rest and end <= start:
        message = "the end port of a range must be higher than the start port"
        raise _invalid(f"{message} - {end} is not higher than {start}")
    return start, end - start + 1


def _number(text: str) -> int:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        raise _invalid(f"invalid port number: strconv.Atoi: parsing {quoted(text)}: invalid syntax")
    value = int(digits) if len(digits) < _ATOI_DIGITS else _LAST + 1
    if not 1 <= value <= _LAST:
        raise _invalid(f"port numbers must be between 1 and 65535 (inclusive), got {text}")
    return value


def _protocol(text: str, argument: str) -> str:
    if text.lower() not in PROTOCOLS:
        raise InvalidSpec(argument, f"unrecognized protocol {quoted(text.lower())} in port mapping")
    return text.lower()


def _invalid(message: str) -> InvalidSpec:
    return InvalidSpec(_FLAG, message)


def parse_exposed(text: str) -> Port:
    """Parse one --expose, or a port of an image: ``NUMBER[-NUMBER][/protocol]``. Raises InvalidSpec.

    The host port is 0.
    """
    ports, *protocol = text.split("/")
    if len(protocol) > 1:
        raise InvalidSpec(_EXPOSE, "invalid expose format - protocol can only be specified once")
    if ports == "0":
        raise InvalidSpec(_EXPOSE, "port numbers must be between 1 and 65535 (inclusive), got 0")
    try:
        start, count = _range(ports)
    except InvalidSpec:
        message = f"invalid range format for --expose: {text}: {_why_no_range(ports)}"
        raise InvalidSpec(_EXPOSE, message, hint="use NUMBER[-NUMBER][/tcp|udp|sctp]") from None
    try:
        name = _protocol(protocol[0] if protocol and protocol[0] else "tcp", _EXPOSE)
    except InvalidSpec as error:
        raise InvalidSpec(_EXPOSE, f"validating protocols for exposed port {start}: {error.message}") from None
    return Port(container_port=start, host_port=0, protocol=name, count=count)


def _why_no_range(text: str) -> str:
    """Return why this is no range of ports, as podman says it for --expose."""
    for word in text.split("-", 1):
        if not (word.isascii() and word.isdecimal()):
            return f"strconv.ParseUint: parsing {quoted(word)}: invalid syntax"
        if len(word) > len("65535") or not 0 < int(word) <= 65535:
            return f"strconv.ParseUint: parsing {quoted(word)}: value out of range"
    return f"Invalid range specified for the Port: {text}"


def parse_ports(given: Sequence[str | int | Port] | Mapping[str | int, str | int]) -> tuple[Port, ...]:
    """Return the ports given as strings, numbers, or a mapping from host to container ports.

    >>> parse_ports({8080: 80}) == parse_ports(["8080:80"])
    True
    """
    if hasattr(given, "items"):
        given = [f"{host}:{inside}" for host, inside in given.items()]
    return tuple(one if isinstance(one, Port) else parse_port(str(one)) for one in given)


def exposed_but_not_published(exposed: Iterable[Port], ports: Iterable[Port]) -> tuple[Port, ...]:
    """Return, for --publish-all, each exposed port that is not published otherwise; the host ports are to be chosen."""
    known = {(one.protocol, one.container_port + at) for one in ports for at in range(one.count)}
    wanted = {(one.protocol, one.container_port + at): None for one in exposed for at in range(one.count)}
    return tuple(
        Port(container_port=number, host_port=0, protocol=protocol)
        for protocol, number in wanted
        if (protocol, number) not in known
    )


def joined(ports: Iterable[Port]) -> tuple[Port, ...]:
    """Return ports with adjacent ones joined to ranges, as podman shows them.

    Raises InvalidSpec when two are in conflict.
    """
    found: list[Port] = []
    for port in sorted(ports, key=lambda one: (one.host_ip, one.protocol, one.host_port, one.container_port)):
        last = found[-1] if found else None
        if last is not None and _continues(last, port):
            end = max(last.host_port + last.count, port.host_port + port.count)
            found[-1] = last.replace(count=end - last.host_port)
        else:
            found.append(port)
    for at, port in enumerate(found):
        for other in found[:at]:
            if other.meets(port):
                number = max(other.host_port, port.host_port)
                raise InvalidSpec(_FLAG, f"conflicting port mappings for host port {number} (protocol {port.protocol})")
    return tuple(found)


def _continues(last: Port, port: Port) -> bool:
    same = (last.host_ip, last.protocol) == (port.host_ip, port.protocol)
    step = port.host_port - last.host_port
    return same and 0 <= step <= last.count and step == port.container_port - last.container_port
