"""The ports that a container or pod publishes: the options' checked, and random ones chosen."""

from __future__ import annotations

from pypod.errors import InvalidSpec, Unsupported
from pypod.model.namespace import POD, PRIVATE
from pypod.model.port import Port, exposed_but_not_published, joined, parse_exposed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.model.network_flags import Asked
    from pypod.model.options.container import ContainerOptions

_ATTEMPTS = 15  # to find a free range of ports, as podman
_SHARED = "network cannot be configured when it is shared with a pod"


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

    ``program`` is the one that connects the namespace, if the options name one.
    """
    for port in ports:
        if port.container_port + port.count - 1 > 65535 or port.host_port + port.count - 1 > 65535:
            raise InvalidSpec("--publish", "port range exceeds maximum allowable port number")
    if not ports:
        return ()
    from pypod.engine.networks import port_holders, user_network

    for protocol in {port.protocol for port in ports}:
        _require_protocol(protocol)
    if context.rootless or program:
        user_network.require_for_ports(ports, program)
    found = list(joined(port for port in ports if port.host_port))
    left_open = [port for port in ports if not port.host_port]
    others = [port for _, taken in port_holders.all_ports(context) for port in taken] if left_open else []
    for port in left_open:
        found.append(_free(port, (*found, *others)))
    return joined(found)


def _require_protocol(protocol: str) -> None:
    from pypod.engine.networks import port_holders

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
    from pypod.engine.networks import port_holders

    one = port_holders.bound(port, number)
    if one is None:
        return 0
    try:
        return int(one.getsockname()[1])
    finally:
        one.close()
