"""The host's settings for bridge networks: packets are forwarded, and 127.0.0.1 may be routed to a bridge."""

from __future__ import annotations

import os

from pypod.kernel.proc import read_text
from pypod.model.network import BRIDGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypod.model.network import NetworkSpec

_NET = "/proc/sys/net"  # of the reader's network namespace
_IPV4, _IPV6 = f"{_NET}/ipv4/ip_forward", f"{_NET}/ipv6/conf/all/forwarding"


def is_on(network: NetworkSpec) -> bool:
    """Return whether the host forwards the packets of a network; takes 40 us for each family.

    Setting up the bridge enabled it, but any process may have disabled it since.
    """
    every = ((".", _IPV4), (":", _IPV6))
    wanted = [path for sign, path in every if any(sign in one.subnet for one in network.subnets)]
    return all(read_text(path) in ("", "1") for path in wanted)


def needed(network: NetworkSpec) -> list[tuple[str, str]]:
    """Return the files to write for a network, in order, with their values.

    Its bridge must exist for the per-interface settings; those that are right already are left out.
    """
    if network.driver != BRIDGE:
        return []
    found: list[tuple[str, str]] = []
    if any("." in one.subnet for one in network.subnets):
        found += [(f"{_NET}/ipv4/conf/{network.interface}/route_localnet", "1"), (_IPV4, "1")]
    if any(":" in one.subnet for one in network.subnets):
        if read_text(_IPV6) == "0":
            found += _keep_advertised_routes()
        # until duplicate address detection is done, a bridge does not forward to the ports just added
        found += [(f"{_NET}/ipv6/conf/{network.interface}/accept_dad", "0"), (_IPV6, "1")]
    return [(path, value) for path, value in found if read_text(path) not in ("", value)]


def _keep_advertised_routes() -> Iterator[tuple[str, str]]:
    # a router ignores router advertisements unless accept_ra is 2: the host would lose its default route
    for name in sorted(os.listdir(f"{_NET}/ipv6/conf")):
        path = f"{_NET}/ipv6/conf/{name}/accept_ra"
        if name not in ("all", "lo") and read_text(path) == "1":
            yield path, "2"


def write(path: str, value: str) -> None:
    """Write one setting. Raises OSError."""
    with open(path, "w", encoding="ascii") as file:
        file.write(value)


def words(path: str, value: str) -> str:
    """Describe what writing a setting does."""
    name = path.removeprefix("/proc/sys/").replace("/", ".")
    why = _WHY.get(path.rpartition("/")[2], "")
    return f"set {name} to {value}{f': {why}' if why else ''}"


_WHY = {
    "ip_forward": "the host forwards IPv4 packets between interfaces",
    "forwarding": "the host forwards IPv6 packets between interfaces",
    "route_localnet": "ports are published on 127.0.0.1, too",
    "accept_dad": "the bridge is usable for IPv6 at once",
    "accept_ra": "the host keeps advertised routes although it forwards",
}
