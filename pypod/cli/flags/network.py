"""The flags of containers and pods that are about their network, and their way into the library's options."""

from __future__ import annotations

from pypod.cli.flags.parser import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.cli.flags.parser import Parsed

NETWORK = Flag(
    name="network",
    kind="stringArray",
    help="Connect to a network: NAME[:ip=,ip6=,mac=,alias=,interface_name=], bridge, none, host, container:X, ns:PATH",
    aliases=("net",),
)
# flag: the library's option
_OPTIONS = {
    "dns": "dns",
    "dns-option": "dns_options",
    "dns-search": "dns_search",
    "ip": "ip",
    "ip6": "ip6",
    "mac-address": "mac_address",
    "network": "network",
    "network-alias": "network_aliases",
}
NETWORK_FLAGS: tuple[Flag, ...] = (
    Flag(name="dns", kind="strings", help="Set custom DNS servers; none leaves the image's /etc/resolv.conf"),
    Flag(name="dns-option", kind="strings", help="Set custom DNS options"),
    Flag(name="dns-search", kind="strings", help="Set custom DNS search domains; . sets none"),
    Flag(name="ip", help="Specify a static IPv4 address for the container"),
    Flag(name="ip6", help="Specify a static IPv6 address for the container"),
    Flag(name="mac-address", help="Container MAC address (e.g. 92:d0:c6:0a:29:33)"),
    NETWORK,
    Flag(name="network-alias", kind="strings", help="Add network-scoped alias for the container"),
    Flag(name="no-hosts", kind="bool", help="Do not create /etc/hosts within the container, instead use the image's"),
)


def network_options(options: Parsed) -> dict[str, Any]:
    """Return the options of the library for the flags that were given."""
    return {key: options[flag] for flag, key in _OPTIONS.items() if options[flag]}
