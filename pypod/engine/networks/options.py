"""The network options of a container or pod, translated to connections of the store."""

from __future__ import annotations

import os

from pypod.engine.networks import known
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.idmap import in_user_namespace
from pypod.model.namespace import POD
from pypod.model.network import BRIDGE, address_number
from pypod.model.network_flags import Asked, check_dns, parse_networks, with_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    from pypod.engine.core.context import Context
    from pypod.model.network import Connection, NetworkSpec
    from pypod.model.options.network import NetworkOptions

    class DnsFields(TypedDict):
        """The fields of a specification that define /etc/resolv.conf."""

        dns_servers: tuple[str, ...]
        dns_options: tuple[str, ...]
        dns_search: tuple[str, ...]


DEFAULT_VARIABLE = "PYPOD_NETWORK"  # used when --network is not given
_PRIVATE = ("private", "default")  # both mean the default network, whichever that is
_SHARED = "network cannot be configured when it is shared with a pod"


def asked_network(options: NetworkOptions, *, shared: bool = False) -> Asked:
    """Return the network that options ask for; ``shared``: there is a pod's network to share. Raises InvalidSpec.

    Without ``network`` it is the pod's, or that of $PYPOD_NETWORK, or the default one: for a user, pasta or
    slirp4netns, whichever is installed.
    """
    texts = [options.network] if isinstance(options.network, str) else list(options.network)
    flags = {"ip": options.ip, "ip6": options.ip6, "mac_address": options.mac_address}
    flags = {name: value for name, value in flags.items() if value}
    aliases = options.network_aliases
    if shared and (texts in ([], [""]) or texts == [POD.mode]):
        if flags or aliases:
            message = f"networks must be defined when the pod is created: {_SHARED}"
            raise InvalidSpec("--network", message, hint="set it on the pod")
        return Asked(mode=POD, name=POD.mode)
    texts = ["" if text in _PRIVATE else text for text in texts] if in_user_namespace() else texts
    asked = parse_networks(texts, os.environ.get(DEFAULT_VARIABLE, "") or _default())
    if not any(texts) and in_user_namespace():
        from pypod.engine.networks import user_network

        if asked.name == user_network.NONE:
            asked = asked.replace(missing=notice())
    if asked.program:
        from pypod.network.user_mode import parse

        parse(asked.program)  # reports errors for root and users alike
    return with_flags(asked, aliases=aliases, **flags)


def notice() -> str:
    """Return why a user has no default network, and what to do about it; empty when there is one."""
    from pypod.engine.networks import user_network

    return "" if os.environ.get(DEFAULT_VARIABLE) else user_network.notice()


def _default() -> str:
    if not in_user_namespace():
        return ""
    from pypod.engine.networks import user_network

    return user_network.default()


def dns_fields(asked: Asked, options: NetworkOptions) -> DnsFields:
    """Return the fields of /etc/resolv.conf that the options set. Raises InvalidSpec."""
    given = (tuple(options.dns), tuple(options.dns_options), tuple(options.dns_search))
    if any(given) and asked.mode == POD:
        raise InvalidSpec("--dns", f"DNS must be set when the pod is created: {_SHARED}", hint="set it on the pod")
    servers, words, search = check_dns(asked, *given)
    return {"dns_servers": servers, "dns_options": words, "dns_search": search}


def of_new_pod(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the network options from a container's, as podman does: they go to the pod created for it."""
    from pypod.model.options.fields import options_of
    from pypod.model.options.network import NetworkOptions

    names = [*options_of(NetworkOptions), "add_hosts", *(() if "uts" in options else ("hostname",))]
    return {name: options.pop(name) for name in names if name in options}


def resolved(context: Context, asked: Asked, *, save: bool = True) -> tuple[Connection, ...]:
    """Return the connections with networks by id, since a name may be another network's later.

    The default network is created if it is missing, unless ``save`` is False.

    Raises NoSuchNetwork, AmbiguousName, InvalidSpec for a static address outside of the network, and Unsupported for
    what users cannot have.
    """
    if asked.program:
        from pypod.engine.networks import user_network

        user_network.require_user(context, asked.program)
    found = {}
    for one in asked.connections:
        network = known.find(context, one.network, save=save)
        if context.rootless:
            _require_bridge(network)
        if one.addresses:
            check_static(one, network)
        found[network.id] = one.replace(network=network.id)  # a network named twice is connected once
    return _with_interfaces(tuple(found.values()))


def _with_interfaces(connections: tuple[Connection, ...]) -> tuple[Connection, ...]:
    """Name the interfaces whose default name, given by position, was assigned to another one."""
    given = {one.interface for one in connections}
    free = (name for number in range(2 * len(connections)) if (name := f"eth{number}") not in given)
    places = [f"eth{place}" for place in range(len(connections))]
    if given.isdisjoint(places):
        return connections
    return tuple(one if one.interface else one.replace(interface=next(free)) for one in connections)


def _require_bridge(network: NetworkSpec) -> None:
    """Raise Unsupported for a network on an interface of the host, which users may not subdivide."""
    if network.driver != BRIDGE:
        what = f"{network.driver} networks"
        raise Unsupported(what, f"network {network.name}: {what} are for root only", hint="use a bridge network")


def check_static(asked: Connection, network: NetworkSpec) -> None:
    """Raise InvalidSpec when a static address is in none of the network's subnets, or is a gateway.

    As in podman, it may lie outside of the range that addresses are allocated from.
    """
    for address in asked.addresses:
        number = address_number(address)
        argument = "--ip6" if ":" in address else "--ip"
        own = [one for one in network.subnets if (":" in one.subnet) == (":" in address)]
        if not any(first <= number <= last for first, last in (one.hosts() for one in own)):
            raise InvalidSpec(argument, f"requested static ip {address} not in any subnet on network {network.name}")
        if any(one.gateway and address_number(one.gateway) == number for one in own):
            raise InvalidSpec(argument, f"requested static ip {address} is the gateway of network {network.name}")
