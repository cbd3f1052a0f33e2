"""What there is to know of a network, in podman's form: fields of its JSON, in its order (common/libnetwork/types)."""

from __future__ import annotations

from pypod.engine.inspection import Timestamp
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.engine import Engine
    from pypod.model.network import Attachment, NetworkSpec, Subnet

# Left out where they are empty.
_OMITTED = frozenset(("network_interface", "subnets", "routes", "network_dns_servers", "labels", "options"))


def form(spec: NetworkSpec) -> dict[str, Any]:
    """Return what was asked of a network as podman stores and lists it."""
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


def inspect_network(engine: Engine, spec: NetworkSpec) -> dict[str, Any]:
    """Return what was asked of a network, and who is attached to it now, as podman has that since version 5."""
    names = {one.id: one.name for one in records.all_containers(engine.database)}
    attached = {
        identifier: {"name": names[identifier], "interfaces": {made.interface: _interface(made)}}
        for identifier, _, made in networks.connected_to(engine.database, spec.id)
        if made is not None and identifier in names
    }
    return {**form(spec), "containers": attached}


def _interface(made: Attachment) -> dict[str, Any]:
    by_family = {":" in gateway: gateway for gateway in made.gateways}
    subnets = []
    for address in made.addresses:
        gateway = by_family.get(":" in address, "")
        subnets.append({"ipnet": address, **({"gateway": gateway} if gateway else {})})
    return {"subnets": subnets, "mac_address": made.mac}
