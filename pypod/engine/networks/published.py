"""Published ports: chosen when a container or pod is created, held and forwarded while it runs.

The supervisor (for a pod, the infra) holds a port with a socket that is bound but does not listen: no other process can
take the port, and it is released when the process ends. The firewall forwards what arrives. Random ports are chosen
once, at creation, so that they stay the same from one start to the next.
"""

from __future__ import annotations

from pypod.engine.networks import port_holders, user_network
from pypod.engine.networks.ports import own_ports
from pypod.errors import InvalidSpec, LaunchFailed, NoSuchContainer, PortInUse, Unsupported
from pypod.kernel.netlink import NETFILTER
from pypod.model.namespace import POD, PRIVATE
from pypod.model.network import BRIDGE
from pypod.model.port import Port, exposed_but_not_published, joined, parse_exposed
from pypod.runtime.ops import Op
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.core.locks import Lock
    from pypod.engine.networks.running import Attachment
    from pypod.model.network_flags import Asked
    from pypod.model.options.container import ContainerOptions
    from pypod.runtime.launcher import Launched, Launching
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord

_ATTEMPTS = 15  # to find a free range of ports, as podman
_NONE = port_holders.ForwardedPorts()
_SHARED = "network cannot be configured when it is shared with a pod"


# at creation


def of_options(context: Context, options: ContainerOptions, asked: Asked) -> tuple[Port, ...]:
    """Return the ports that a container's options publish, with random ones chosen.

    There are none on the host's network, another container's, or without a network. Raises InvalidSpec for what cannot
    be parsed, for conflicting ports and for a member of a pod; Unsupported for a protocol missing in this kernel, and
    where a user cannot have a network.
    """
    given = tuple(options.ports)
    every = options.publish_all
    if asked.mode == POD and (given or every):
        message = f"published or exposed ports must be defined when the pod is created: {_SHARED}"
        raise InvalidSpec("--publish", message, hint="publish them on the pod")
    if every:
        exposed = [parse_exposed(one) for one in options.exposed_ports]
        given = (*given, *exposed_but_not_published(exposed, given))
    if given:
        _require_default(asked)
    if asked.mode != PRIVATE or not (asked.connections or asked.program):
        return ()
    return chosen(context, given, asked.program)


def of_pod(context: Context, ports: Sequence[Port], asked: Asked, *, infra: bool, shared: bool) -> tuple[Port, ...]:
    """Return the ports that a pod publishes, with random ones chosen. Raises InvalidSpec, Unsupported."""
    if not ports:
        return ()
    if not infra:
        raise InvalidSpec("--publish", "you must have an infra container to publish port bindings to the host")
    if not shared:
        raise InvalidSpec("--publish", "the pod does not share its net namespace", hint="add net to --share")
    _require_default(asked)
    if not (asked.connections or asked.program):
        raise InvalidSpec("--publish", "PortMappings can only be used with Bridge or slirp4netns networking")
    return chosen(context, ports, asked.program)


def _require_default(asked: Asked) -> None:
    if asked.missing:
        raise Unsupported("published ports", f"ports cannot be published: {asked.missing}")


def chosen(context: Context, ports: Sequence[Port], program: str = "") -> tuple[Port, ...]:
    """Return the ports, with free ones filled in where the host port was left open. Raises InvalidSpec, Unsupported.

    ``program`` is the one that connects a user's namespace, if the options name one.
    """
    for port in ports:
        if port.container_port + port.count - 1 > 65535 or port.host_port + port.count - 1 > 65535:
            raise InvalidSpec("--publish", "port range exceeds maximum allowable port number")
    for protocol in {port.protocol for port in ports}:
        _require_protocol(protocol)
    if context.rootless and ports:
        user_network.require_for_ports(ports, program)
    found = list(joined(port for port in ports if port.host_port))
    left_open = [port for port in ports if not port.host_port]
    others = [port for _, taken in port_holders.all_ports(context) for port in taken] if left_open else []
    for port in left_open:
        found.append(_free(port, (*found, *others)))
    return joined(found)


def _require_protocol(protocol: str) -> None:
    try:
        port_holders.socket_of(protocol, ipv6=False).close()
    except OSError as error:
        hint = f"modprobe {protocol}, or publish tcp or udp"
        message = f"cannot publish a port of {protocol}: the kernel has no {protocol.upper()}: {error.strerror}"
        raise Unsupported(protocol, message, hint=hint) from error


def _free(port: Port, taken: Sequence[Port]) -> Port:
    """Return ``port`` with a consecutive range of free host ports."""
    for _ in range(_ATTEMPTS):
        first = _number(port, 0)
        found = port.replace(host_port=first)
        if first + port.count - 1 > 65535 or any(found.meets(other) for other in taken):
            continue
        if all(_number(port, first + at) for at in range(1, port.count)):
            return found
    length = f"with range {port.count} " if port.count > 1 else ""
    message = f"failed to find an open port to expose container port {port.container_port} {length}on the host"
    raise InvalidSpec("--publish", message)


def _number(port: Port, number: int) -> int:
    """Return the number of a port that is free: ``number``, or one chosen by the kernel; 0 when it is taken."""
    one = port_holders.bound(port, number)
    if one is None:
        return 0
    try:
        return int(one.getsockname()[1])
    finally:
        one.close()


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
