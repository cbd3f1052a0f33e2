"""Published ports: chosen when a container or pod is created, held and forwarded while it runs.

The supervisor (for a pod, the infra) holds a port with a socket that is bound but does not listen: no other process can
take the port, and it is released when the process ends. The firewall forwards what arrives. Random ports are chosen
once, at creation, so that they stay the same from one start to the next.
"""

from __future__ import annotations

from pypod.engine.networks import port_holders
from pypod.engine.networks.ports import own_ports
from pypod.errors import LaunchFailed, NoSuchContainer, PortInUse, Unsupported
from pypod.kernel.netlink import NETFILTER
from pypod.model.network import BRIDGE
from pypod.model.port import Port
from pypod.runtime.ops import Op
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.core.locks import Lock
    from pypod.engine.networks.running import Attachment
    from pypod.runtime.launcher import Launched, Launching
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord

_NONE = port_holders.ForwardedPorts()


# at the start


def hold_ops(ports: Iterable[Port]) -> list[Op]:
    """Return the supervisor's operations that reserve ports, before anything is made."""
    return [Op("hold", port.protocol, port.host_ip, port.host_port + at) for port in ports for at in range(port.count)]


def forward_ops(ports: Sequence[Port], attached: Iterable[Attachment], name: str, *, watched: bool) -> list[Op]:
    """Return the supervisor's operations that forward ports; if it stays (``watched``), also those that undo it."""
    if not ports:
        return []
    from pypod.network import firewall, nftables

    four, six = addresses(attached)
    shown = ", ".join(map(str, ports))
    ops = []
    if four or six:
        ways = firewall.publish(ports, four, six, comment=name)
        ops.append(Op("netlink_host", f"publish {shown}", NETFILTER, ways))
    if watched:
        # further networks may have been connected meanwhile
        own = ("0.0.0.0", "::") if nftables.has_destroy() else (four, six)  # noqa: S104
        ops.append(Op("netlink_end", f"withdraw {shown}", NETFILTER, firewall.withdraw(ports, *own)))
    return ops


def redirect(
    context: Context, ports: Sequence[Port], attached: Iterable[Attachment], *, has_begun: bool = False
) -> None:
    """Forward clients that were there before their port was published, or are bound to its previous publisher.

    A container that ``has_begun`` just now has no clients of its own yet, which makes finding them ten times as fast.
    """
    if context.rootless or all(port.protocol != "udp" for port in ports):
        return
    from pypod.network import flows

    four, six = addresses(attached)
    forget = flows.forget_all if has_begun else flows.forget
    try:
        context.firewall.lend(lambda channel: forget(channel, ports, four, six))
    except (OSError, Unsupported):  # a kernel that does not list connections (no nf_conntrack_netlink)
        return


def addresses(attached: Iterable[Attachment]) -> tuple[str, str]:
    """Return the addresses that published ports are forwarded to: the first of each family, or empty strings."""
    own = [
        address
        for attachment in attached
        if attachment.network.driver == BRIDGE
        for address in attachment.made.addresses
    ]
    four = next((one for one in own if ":" not in one), "")
    return four, next((one for one in own if ":" in one), "")


def run(
    context: Context,
    launching: Launching,
    plan: Plan,
    lock: Lock,
    container_id: str,
    forwarded: port_holders.ForwardedPorts = _NONE,
    meanwhile: Callable[[], object] | None = None,
) -> Launched:
    """Run a plan that starts or connects a container, under a lock that keeps its ports from other starts.

    Either the plan holds the ports itself, or a program binds those that are ``forwarded``. Raises PortInUse naming the
    holder, and what ``Launching.run`` raises.
    """
    try:
        with port_holders.HeldPorts(context, forwarded, container_id):
            try:
                return launching.run(plan, meanwhile, lock_fd=lock.fileno())
            except PortInUse as error:
                raise port_holders.with_holder(context, error, container_id) from None
    except LaunchFailed:
        # another start may have been faster, which the program's error does not say
        port_holders.require_free(context, forwarded, container_id)
        raise


# afterwards


def withdraw(context: Context, container_id: str, attached: Sequence[Attachment]) -> None:
    """Remove the forwarding to an ended container or to some of its attachments, but not to other containers."""
    if context.rootless:  # a program forwards them, which ends with the container
        return
    try:
        ports = own_ports(context, records.find_container(context.database, container_id))
    except NoSuchContainer:
        return
    _withdraw(context, ports, *addresses(attached))


def _withdraw(context: Context, ports: Sequence[Port], four: str, six: str) -> None:
    if not ports or not (four or six):
        return
    from pypod.network import firewall

    try:
        context.firewall.lend(lambda channel: firewall.withdraw_own(channel, ports, four, six))
    except Unsupported:  # then there is no forwarding
        return


def move(context: Context, record: ContainerRecord, before: Sequence[Attachment], after: Sequence[Attachment]) -> None:
    """Forward the ports of a running container to its current attachments if these differ from ``before``."""
    ports = () if context.rootless else own_ports(context, record)
    pairs = tuple(zip(addresses(before), addresses(after), strict=True))
    if not ports or all(old == new for old, new in pairs):
        return
    from pypod.network import firewall

    old4, old6 = (old if old != new else "" for old, new in pairs)
    new4, new6 = (new if old != new else "" for old, new in pairs)
    _withdraw(context, ports, old4, old6)
    if new4 or new6:
        with firewall.open_channel() as channel:
            channel.send(firewall.publish(ports, new4, new6, comment=record.name))
    redirect(context, ports, after)
