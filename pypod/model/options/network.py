"""The network and user namespace options of containers and pods."""

from __future__ import annotations

from _collections_abc import Sequence

from pypod.model.options import readers as read
from pypod.model.options.classes import field, frozen
from pypod.model.options.fields import Options, about
from pypod.model.port import Port


@frozen(kw_only=True)
class NetworkOptions(Options):
    """The network options."""

    network: str | Sequence[str] = field(
        default="",
        metadata=about(
            "Connect to a network: NAME[:ip=,ip6=,mac=,alias=,interface_name=], bridge, none, host, container:X, "
            "ns:PATH",
            kind="stringArray",
            aliases=("net",),
        ),
    )
    network_aliases: Sequence[str] = field(
        default=(),
        metadata=about("Add network-scoped alias for the container", flag="network-alias", kind="strings"),
    )
    ip: str = field(default="", metadata=about("Specify a static IPv4 address for the container"))
    ip6: str = field(default="", metadata=about("Specify a static IPv6 address for the container"))
    mac_address: str = field(default="", metadata=about("Container MAC address (e.g. 92:d0:c6:0a:29:33)"))
    dns: Sequence[str] = field(
        default=(),
        metadata=about("Set custom DNS servers; 'none' keeps the image's /etc/resolv.conf", kind="strings"),
    )
    dns_options: Sequence[str] = field(
        default=(), metadata=about("Set custom DNS options", flag="dns-option", kind="strings", aliases=("dns-opt",))
    )
    dns_search: Sequence[str] = field(
        default=(), metadata=about("Set custom DNS search domains; '.' for none", kind="strings")
    )
    no_hosts: bool = field(
        default=False,
        metadata=about("Do not create /etc/hosts within the container, instead use the image's"),
    )
    no_hostname: bool = field(
        default=False,
        metadata=about("Do not create /etc/hostname within the container, instead use the image's"),
    )
    hosts_file: str = field(
        default="",
        converter=read.path,
        metadata=about("Base file to create the /etc/hosts file inside the container, or one of the words image, none"),
    )
    ports: Sequence[Port] = field(
        default=(),
        converter=read.ports,
        metadata=about(
            "Publish a container's port, or a range of ports, to the host: [[IP:]HOST_PORT:]PORT[/PROTOCOL]",
            flag="publish",
            kind="strings",
            short="p",
        ),
    )


@frozen(kw_only=True)
class UserNamespaceOptions(Options):
    """The user namespace options, in podman's notation."""

    userns: str = field(
        default="", metadata=about("User namespace to use: auto, keep-id, nomap, host, container:X, ns:PATH")
    )
    uidmap: Sequence[str] = field(default=(), metadata=about("UID map to use for the user namespace", kind="strings"))
    gidmap: Sequence[str] = field(default=(), metadata=about("GID map to use for the user namespace", kind="strings"))
    subuidname: str = field(default="", metadata=about("Name of range listed in /etc/subuid for use in user namespace"))
    subgidname: str = field(default="", metadata=about("Name of range listed in /etc/subgid for use in user namespace"))
