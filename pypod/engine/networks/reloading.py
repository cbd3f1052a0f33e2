"""Restore the host's side of networks for running containers: after a firewall flush, after a deletion."""

from __future__ import annotations

from contextlib import suppress

from pypod.engine.core import effects
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.enter import enter
from pypod.engine.core.locks import Lock
from pypod.engine.networks import bridges, claims, ports, sidecars, user_bridges
from pypod.engine.networks.connections import lock_of
from pypod.engine.networks.names import service
from pypod.engine.networks.plugging import plug, set_up_inside
from pypod.engine.networks.rules import load_rules
from pypod.engine.networks.running import connected, running
from pypod.errors import NoSuchContainer, WrongState
from pypod.kernel.netlink import Channel
from pypod.model.network import BRIDGE
from pypod.network import links, rtnetlink
from pypod.network.host import has_addresses
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pypod.engine.core.context import Context
    from pypod.engine.networks.running import Attachment, Connected
    from pypod.model.network import NetworkSpec
    from pypod.store.records import ContainerRecord


def reload(context: Context, container_ids: Iterable[str] | None = None) -> list[str]:
    """Restore bridges, veths, rules, published ports, name servers and users' programs where they are missing.

    For the running ones of ``container_ids``, or for all. Returns their ids. What exists is left alone, so that
    connections through it survive. Raises Unsupported without nft, and what a start raises.
    """
    chosen = None if container_ids is None else set(container_ids)
    if user_bridges.are_elsewhere(context):
        with_program = sidecars.reload(context, chosen)
        attached = _reload_elsewhere(context, chosen) if networks.any_attached(context.database) else []
        return list(dict.fromkeys((*with_program, *attached)))
    with Boundary("reload networks"):
        found = [one for one in running(context) if chosen is None or one.record.id in chosen]
        needed = {attachment.network.id: attachment.network for one in found for attachment in one.attached}
        with claims.connecting(context) as lock, lock:
            needed = {identifier: claims.claim(context, one, again=True) for identifier, one in needed.items()}
            effects.perform(bridges.preparations(context, needed.values(), again=True))
            for one in found:
                _reconnect(context, one.record, needed)
        load_rules(context)
        service.renew(context)
    return [one.record.id for one in found]


def _reload_elsewhere(context: Context, chosen: set[str] | None) -> list[str]:
    done, made = user_bridges.call(context, _reload_here, None if chosen is None else list(chosen))
    user_bridges.remember(context, made)
    return done


def _reload_here(context: Context, container_ids: list[str] | None) -> tuple[list[str], dict[str, int]]:
    return reload(context, container_ids), user_bridges.made(context)


def _reconnect(context: Context, record: ContainerRecord, by_id: Mapping[str, NetworkSpec]) -> None:
    with suppress(NoSuchContainer), Lock(lock_of(context, record)) as lock, lock:
        one = connected(context, records.find_container(context.database, record.id), by_id)
        for attachment in severed(one) if one is not None else ():
            assert one is not None  # noqa: S101
            if _is_there(attachment):
                with Channel() as channel:
                    channel.send(
                        rtnetlink.enslave(attachment.made.host_interface, links.index_of(attachment.network.interface))
                    )
                    if ports.own_ports(context, record):
                        channel.send(rtnetlink.hairpin(attachment.made.host_interface))
                set_up_inside(one.record, one.state, attachment)
            else:
                plug(context, one.record, one.state, attachment)


def _is_there(attachment: Attachment) -> bool:
    return bool(attachment.made.host_interface and links.index_of(attachment.made.host_interface))


def severed(one: Connected) -> list[Attachment]:
    """Return the attachments of a container that are incomplete on the host or inside."""
    try:
        return [
            attachment for attachment in one.attached if not (_is_on_bridge(attachment) and _is_set_up(one, attachment))
        ]
    except WrongState:  # it has ended meanwhile
        return []


def _is_on_bridge(attachment: Attachment) -> bool:
    network = attachment.network
    if network.driver != BRIDGE:
        return True
    return (
        links.is_up(network.interface)
        and has_addresses(network.gateway_addresses())
        and attachment.made.host_interface in links.ports(links.index_of(network.interface))
    )


def _is_set_up(one: Connected, attachment: Attachment) -> bool:
    """Return whether an interface inside has its addresses; its name is ignored, as a container may rename it."""
    with enter(one.record.name, one.state, ("net",)):
        return (
            has_addresses(attachment.made.addresses)
            if attachment.made.addresses
            else bool(links.index_of(attachment.made.interface))
        )
