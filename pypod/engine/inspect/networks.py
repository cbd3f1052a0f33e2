"""Networks and attachments in podman's form: the fields of its JSON, in its order."""

from __future__ import annotations

import os

from pypod.engine.core import observe
from pypod.engine.inspect.form import NETWORK, NETWORK_SETTINGS, fill
from pypod.engine.networks.connections import owner
from pypod.engine.networks.ports import ports_of
from pypod.model.ids import short
from pypod.model.moment import Timestamp
from pypod.model.network import DEFAULT_NETWORK
from pypod.model.port import parse_exposed
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.model.network import Connection, Endpoint, NetworkSpec, Subnet
    from pypod.model.port import Port
    from pypod.store.records import ContainerRecord

# Omitted when empty.
_OMITTED = frozenset(("network_interface", "subnets", "routes", "network_dns_servers", "labels", "options"))


def form(spec: NetworkSpec) -> dict[str, Any]:
    """Return a network's configuration as podman stores and lists it."""
    values = {
        "name": spec.name,
        "id": spec.id,
        "driver": spec.driver,
        "network_interface": spec.interface,
        "created": Timestamp(spec.created_ns),
        "subnets": [_subnet(one) for one in spec.subnets],
        "routes": [dict(one.items()) for one in spec.routes],
        "ipv6_enabled": spec.ipv6,
        "internal": spec.internal,
        "dns_enabled": spec.dns,
        "network_dns_servers": list(spec.dns_servers),
        "labels": dict(spec.labels),
        "options": dict(spec.options),
        "ipam_options": {"driver": spec.ipam},
    }
    return {name: value for name, value in values.items() if value or name not in _OMITTED}


def _subnet(subnet: Subnet) -> dict[str, Any]:
    found: dict[str, Any] = {"subnet": subnet.subnet, "gateway": subnet.gateway}
    if subnet.first or subnet.last:
        found["lease_range"] = {"start_ip": subnet.first, "end_ip": subnet.last}
    return found


def inspect_network(context: Context, spec: NetworkSpec) -> dict[str, Any]:
    """Return a network's configuration and the containers attached now, in the form of podman since version 5."""
    names = {one.id: one.name for one in records.all_containers(context.database)}
    attached = {
        identifier: {"name": names[identifier], "interfaces": {made.interface: _interface(made)}}
        for identifier, _, made in networks.connected_to(context.database, spec.id)
        if made is not None and identifier in names
    }
    return {**form(spec), "containers": attached}


def _interface(made: Endpoint) -> dict[str, Any]:
    by_family = {":" in gateway: gateway for gateway in made.gateways}
    subnets = []
    for address in made.addresses:
        gateway = by_family.get(":" in address, "")
        subnets.append({"ipnet": address, **({"gateway": gateway} if gateway else {})})
    return {"subnets": subnets, "mac_address": made.mac}


def network_settings(context: Context, record: ContainerRecord, spec: ContainerSpec) -> dict[str, Any]:
    """Return NetworkSettings of ``podman inspect``: the attachments of the container whose network it uses.

    As in podman, the fields beside ``Networks`` are those of the default network if it is the only one.
    """
    names = networks.names(context.database)
    having = owner(context, record, spec.net)
    found = {
        names.get(asked.network, asked.network): _connected(asked, made, names, having)
        for asked, made in networks.connections_of(context.database, having)
    }
    only = found[DEFAULT_NETWORK] if list(found) == [DEFAULT_NETWORK] else {}
    settings = fill(NETWORK_SETTINGS, {name: value for name, value in only.items() if name in NETWORK_SETTINGS})
    exposed = spec.exposed_ports if having == record.id and found else ()
    settings["SandboxKey"] = _network_namespace(context, having) if found or spec.net_program else ""
    settings["Ports"] = bindings(ports_of(context, record), map(parse_exposed, exposed))
    return {**settings, **({"Networks": found} if found else {})}


def _network_namespace(context: Context, container_id: str) -> str:
    """Return the path of a running container's network namespace; empty in the host's, and without permission."""
    state = observe.state_of(context, container_id)
    path = f"/proc/{state.pid}/ns/net"
    try:
        return path if state.alive and os.stat(path).st_ino != os.stat("/proc/self/ns/net").st_ino else ""
    except OSError:
        return ""


def bindings(ports: Iterable[Port], exposed: Iterable[Port] = ()) -> dict[str, Any]:
    """Return the host ports of each container port, as ``{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}``.

    A port that is exposed but not published has None.
    """
    found: dict[str, Any] = {}
    for port in ports:
        for at in range(port.count):
            ends = found.setdefault(f"{port.container_port + at}/{port.protocol}", [])
            ends.append({"HostIp": port.host_ip, "HostPort": str(port.host_port + at)})
    for port in exposed:
        for at in range(port.count):
            found.setdefault(f"{port.container_port + at}/{port.protocol}", None)
    return dict(sorted(found.items()))


def _connected(asked: Connection, made: Endpoint | None, names: dict[str, str], container_id: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "NetworkID": names.get(asked.network, ""),
        "Aliases": [*asked.aliases, short(container_id)],
    }
    if made is None:
        return fill(NETWORK, values)
    values["MacAddress"] = made.mac
    for address in made.addresses:
        text, _, prefix = address.partition("/")
        keys = ("GlobalIPv6Address", "GlobalIPv6PrefixLen") if ":" in text else ("IPAddress", "IPPrefixLen")
        values.update(zip(keys, (text, int(prefix)), strict=True))
    for gateway in made.gateways:
        values["IPv6Gateway" if ":" in gateway else "Gateway"] = gateway
    return fill(NETWORK, values)
