"""Attach a pod or container to its networks when it starts, and detach it when it has ended.

A start allocates addresses (in the store), makes the bridge if it is missing, and hands packed messages to the
supervisor and the new process, which send them (pause/common/netlink.c). Detaching goes in reverse: whatever leads to
an address on the host is removed before the address can be allocated again.
"""

from __future__ import annotations

from itertools import count

from pypod.engine.networks import bridge_sweep, claims, detaching, known, user_bridges
from pypod.engine.networks.running import Attachment
from pypod.errors import InUse, InvalidSpec
from pypod.kernel.netlink import ROUTE
from pypod.model.network import (
    BRIDGE,
    HOST_LOCAL,
    Endpoint,
    NetworkSpec,
    address_number,
    address_text,
    packed_address,
)
from pypod.network import links, rtnetlink
from pypod.network.host import default_interface, is_local
from pypod.runtime.ops import Op
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from sqlite3 import Connection as DatabaseConnection

    from pypod.engine.core.context import Context
    from pypod.model.network import Connection, Subnet

_METRIC = 100


def attach(context: Context, container_id: str) -> tuple[Attachment, ...]:
    """Allocate addresses for a start; the caller holds the container's lock and detaches when the start fails.

    Raises InUse when an address is taken or a network is full.
    """
    asked = networks.connections_of(context.database, container_id)
    if not asked:
        return ()
    if any(made for _, made in asked):  # its last run ended without a supervisor to detach it
        detaching.unplug_and_detach(context, container_id)
    specs = [networks.find(context.database, one.network) for one, _ in asked]
    try:
        return _claim_and_take(context, container_id, [one for one, _ in asked], specs)
    except BaseException:
        bridge_sweep.begin_unless_used(context, specs)
        raise


def _claim_and_take(
    context: Context, container_id: str, asked: Sequence[Connection], specs: Sequence[NetworkSpec]
) -> tuple[Attachment, ...]:
    for last in (False, True):
        try:
            claimed = [claims.claim(context, one) for one in specs]
            return _take(context, container_id, list(zip(asked, claimed, strict=True)))
        except InUse:
            if last or not detaching.sweep(context, specs):
                raise
    raise AssertionError


def _take(context: Context, container_id: str, asked: list[tuple[Connection, NetworkSpec]]) -> tuple[Attachment, ...]:
    attached = []
    places = _places([one for one, _ in asked])
    with context.database.transaction() as connection, connection:
        for place, (one, network) in zip(places, asked, strict=True):
            made = _choose(connection, place, one, network, container_id)
            networks.attach(connection, container_id, made)
            attached.append(Attachment(network=network, made=made))
    return tuple(attached)


def attach_one(context: Context, container_id: str, network: NetworkSpec) -> Attachment:
    """Allocate addresses for one more attachment of a running container. Raises InUse."""
    known = networks.connections_of(context.database, container_id)
    one = next(one for one, _ in known if one.network == network.id)
    there = [made for _, made in known if made]
    [place] = _places([one], there)
    network = claims.claim(context, network)
    with context.database.transaction() as connection, connection:
        made = _choose(connection, place, one, network, container_id)
        networks.attach(connection, container_id, made)
    return Attachment(network=network, made=made)


def preview(context: Context, container_id: str, asked: Sequence[Connection] = ()) -> tuple[Attachment, ...]:
    """Return what ``attach`` would choose now, without side effects; ``asked`` are connections not stored yet."""
    attached = []
    every = asked or [one for one, _ in networks.connections_of(context.database, container_id)]
    for place, one in zip(_places(every), every, strict=True):
        network = claims.foreseen(context, known.find(context, one.network, save=False))
        with context.database.transaction(write=False) as connection:
            made = _choose(connection, place, one, network, container_id, write=False)
        attached.append(Attachment(network=network, made=made))
    return tuple(attached)


def _places(asked: Sequence[Connection], there: Sequence[Endpoint] = ()) -> list[tuple[int, str]]:
    """Return a position and an interface name for each connection, distinct from those that exist already."""
    names = {*(one.interface for one in asked), *(one.interface for one in there)}
    free = (f"eth{number}" for number in count())
    positions = iter(set(range(len(asked) + len(there))).difference(one.position for one in there))
    return [
        (position, one.interface or next(name for name in free if name not in names))
        for position, one in zip(positions, asked, strict=False)
    ]


def _choose(
    connection: DatabaseConnection,
    place: tuple[int, str],
    asked: Connection,
    network: NetworkSpec,
    container_id: str,
    *,
    write: bool = True,
) -> Endpoint:
    addresses: list[str] = []
    gateways: list[str] = []
    for subnet in network.subnets if network.ipam == HOST_LOCAL else ():
        wanted = next((one for one in asked.addresses if (":" in one) == (":" in subnet.subnet)), "")
        number = _free(connection, network, subnet, wanted, container_id, write=write)
        addresses.append(f"{address_text(number, subnet.subnet)}/{subnet.subnet.rpartition('/')[2]}")
        # one default route per family: the kernel refuses a second one with the same metric
        if (
            subnet.gateway
            and not network.internal
            and not any((":" in one) == (":" in subnet.gateway) for one in gateways)
        ):
            gateways.append(subnet.gateway)
        if write:
            networks.take_address(connection, network.id, number, container_id)
            if not wanted:
                networks.remember_address(connection, network.id, subnet.range()[0], number)
    first = packed_address(addresses[0].partition("/")[0]) if addresses else b""
    return Endpoint(
        network=network.id,
        interface=place[1],
        position=place[0],
        addresses=tuple(addresses),
        gateways=tuple(gateways),
        mac=asked.mac or (rtnetlink.mac_of(first) if first else ""),
        host_interface=_host_interface() if network.driver == BRIDGE else "",
        aliases=asked.aliases,
    )


def _host_interface() -> str:
    import os

    return f"pp{os.urandom(6).hex()}"  # unique, since the previous one persists for some 30 ms


def _free(
    connection: DatabaseConnection,
    network: NetworkSpec,
    subnet: Subnet,
    wanted: str,
    container_id: str,
    *,
    write: bool,
) -> int:
    if wanted:
        number = address_number(wanted)
        holder = networks.holder_of(connection, network.id, number)
        if holder and holder != container_id:
            raise InUse(wanted, f"IP address {wanted} is already allocated to container {holder[:12]}")
        if is_local(wanted):
            raise InUse(wanted, f"IP address {wanted} is an address of this host")
        return number
    first, last = subnet.range()
    passed = set()
    while (found := networks.next_address(connection, network.id, first, last)) is not None and found not in passed:
        if not write or not is_local(address_text(found, subnet.subnet)):
            return found
        passed.add(found)
        networks.remember_address(connection, network.id, first, found)
    hint = "remove unused containers, or create a network with a larger subnet"
    raise InUse(network.name, f"no free address in {subnet.subnet} of network {network.name}", hint=hint)


def host_ops(context: Context, attached: tuple[Attachment, ...], *, hairpin: bool = False) -> list[Op]:
    """Return the supervisor's operations once the process has its network namespace.

    ``hairpin`` lets a container that publishes ports reach itself through the host.
    """
    ops = user_bridges.host_ops(context) if attached else []
    for attachment in attached:
        network, made = attachment.network, attachment.made
        if network.driver != BRIDGE:
            words = f"make {network.driver} {made.interface} of {_parent(network)} in the process"
        else:
            end = f"{made.host_interface} on {network.interface}"
            words = f"make veth {end}, its other end {made.interface} in the process"
        data, offsets = host_messages(context, attachment, hairpin=hairpin)
        ops.append(Op("netlink_host", words, ROUTE, data, *offsets))
    return ops


def host_messages(
    context: Context, attachment: Attachment, namespace: int = rtnetlink.BY_PID, *, hairpin: bool = False
) -> rtnetlink.Packed:
    """Return the messages for the host that create an attachment's interface; the process's pid is filled in later.

    With rtnetlink.BY_DESCRIPTOR a descriptor of its network namespace takes the place of the pid.
    """
    network, made = attachment.network, attachment.made
    mtu = int(network.option("mtu") or 0)
    elsewhere = user_bridges.are_elsewhere(context)
    if network.driver == BRIDGE:
        index = user_bridges.index_of(context, network) if elsewhere else links.index_of(network.interface)
        data, offsets = rtnetlink.veth(made.host_interface, index, made.interface, made.mac, mtu, namespace)
        return data + (rtnetlink.hairpin(made.host_interface) if hairpin else b""), offsets
    index = links.index_of(_parent(network))
    return rtnetlink.sublink(network.driver, index, made.interface, made.mac, network.option("mode"), mtu, namespace)


def _parent(network: NetworkSpec) -> str:
    """Return the parent interface of a macvlan or ipvlan: the configured one, or that of the default route."""
    parent = network.interface or default_interface()
    if not parent:
        message = f"network {network.name} has no parent interface, and the host no default route"
        raise InvalidSpec("--opt", message, hint="create it with -o parent=INTERFACE")
    return parent


def refresh_carrier(attached: Iterable[Attachment]) -> None:
    """Have bridges forward to a container that was just started at once, without the kernel's delay."""
    ends = [attachment.made.host_interface for attachment in attached if attachment.made.host_interface]
    if ends:
        links.refresh_carrier(ends)


def inside_ops(attached: tuple[Attachment, ...]) -> list[Op]:
    """Return the operations of the new process in its network namespace."""
    ops = [Op("wait")] if attached else []
    for attachment in attached:
        made = attachment.made
        by = f", default route by {', '.join(made.gateways)}" if made.gateways else ""
        words = f"{made.interface}: set up with {', '.join(made.addresses) or 'no address'}{by}"
        data, offsets = inside_messages(attachment)
        ops.append(Op("netlink", words, ROUTE, data, *offsets))
    return ops


def inside_messages(attachment: Attachment) -> rtnetlink.Packed:
    """Return the messages for the namespace that configure an interface; its index is filled in later."""
    made = attachment.made
    return rtnetlink.configure(made.addresses, made.gateways, attachment.network.routes, _METRIC + made.position)
