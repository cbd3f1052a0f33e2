"""Published ports: chosen when a container or pod is created, held and led on while it runs.

A port is held by a socket of the supervisor's (of a pod: the infra's) that is bound and does not listen: nobody else
can have it, and it goes with whom it is held for. What arrives is led on by the firewall. Random ports are chosen once,
at creation, so that they stay the same from one start to the next.
"""

from __future__ import annotations

import errno
import time

from pypod.engine import observe, user_network
from pypod.errors import InvalidSpec, NoSuchContainer, NoSuchPod, PortInUse, Unsupported
from pypod.kernel.netlink import NETFILTER
from pypod.model.namespace import POD, PRIVATE
from pypod.model.network import BRIDGE, packed_address
from pypod.model.port import PROTOCOLS, Port, exposed_but_not_published, joined, parse_exposed, parse_ports
from pypod.runtime.ops import Op
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from pypod.engine.connecting import Wire
    from pypod.engine.engine import Engine
    from pypod.engine.locks import Lock
    from pypod.model.connection import Asked
    from pypod.model.container import ContainerState
    from pypod.runtime.launcher import Launched, Launching
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord, PodRecord

_ATTEMPTS = 15  # podman's, at a range of ports that are free
_SHARED = "network cannot be configured when it is shared with a pod"
_IN_JSON = '"ports":[{'  # of a specification that has some: the text tells without being read
_LOOKS, _PAUSE_S = 10, 0.02  # for a holder that is just starting


# at creation


def of_options(engine: Engine, options: Mapping[str, Any], asked: Asked) -> tuple[Port, ...]:
    """Return the ports that a container's options publish, random ones chosen.

    There are none on the host's network, another's or none at all. Raises InvalidSpec for what cannot be read, for two
    ports in conflict and for a member of a pod; Unsupported for a protocol that this kernel does not have.
    """
    given = parse_ports(options.get("ports", ()))
    every = options.get("publish_all", False)
    if asked.mode == POD and (given or every):
        message = f"published or exposed ports must be defined when the pod is created: {_SHARED}"
        raise InvalidSpec("--publish", message, hint="give them to the pod")
    if asked.mode != PRIVATE or not (asked.connections or asked.program):
        return ()
    if every:
        exposed = [parse_exposed(one) for one in options.get("exposed_ports", ())]
        given = (*given, *exposed_but_not_published(exposed, given))
    return chosen(engine, given, asked.program)


def of_pod(engine: Engine, given: Any, asked: Asked, *, infra: bool, shared: bool) -> tuple[Port, ...]:
    """Return the ports that a pod publishes, random ones chosen. Raises InvalidSpec, Unsupported."""
    ports = parse_ports(given)
    if not ports:
        return ()
    if not infra:
        raise InvalidSpec("--publish", "you must have an infra container to publish port bindings to the host")
    if not shared:
        raise InvalidSpec("--publish", "the pod does not share its net namespace", hint="add net to --share")
    if not (asked.connections or asked.program):
        raise InvalidSpec("--publish", "PortMappings can only be used with Bridge or slirp4netns networking")
    return chosen(engine, ports, asked.program)


def chosen(engine: Engine, ports: Sequence[Port], program: str = "") -> tuple[Port, ...]:
    """Return ports with a free one where the host's was left open. Raises InvalidSpec, Unsupported.

    ``program`` is what connects a user's namespace, if that was asked for.
    """
    for port in ports:
        if port.container_port + port.count - 1 > 65535 or port.host_port + port.count - 1 > 65535:
            raise InvalidSpec("--publish", "port range exceeds maximum allowable port number")
    for protocol in {port.protocol for port in ports}:
        _require_protocol(protocol)
    if engine.rootless and ports:
        user_network.require_for_ports(ports, program)
    found = list(joined(port for port in ports if port.host_port))
    left_open = [port for port in ports if not port.host_port]
    others = [port for _, taken in _all_ports(engine) for port in taken] if left_open else []
    for port in left_open:
        found.append(_free(port, (*found, *others)))
    return joined(found)


def _require_protocol(protocol: str) -> None:
    try:
        _socket_of(protocol, ipv6=False).close()
    except OSError as error:
        hint = f"modprobe {protocol}, or publish tcp or udp"
        message = f"a port of {protocol} cannot be published: the kernel has no {protocol.upper()}: {error.strerror}"
        raise Unsupported(protocol, message, hint=hint) from error


def _socket_of(protocol: str, *, ipv6: bool) -> _socket.socket:
    import _socket

    kind = _socket.SOCK_DGRAM if protocol == "udp" else _socket.SOCK_STREAM
    family = _socket.AF_INET6 if ipv6 else _socket.AF_INET
    return _socket.socket(family, kind | _socket.SOCK_CLOEXEC, PROTOCOLS[protocol])


def _free(port: Port, taken: Sequence[Port]) -> Port:
    """Return ``port`` with ports of the host that nobody has, one after the other."""
    for _ in range(_ATTEMPTS):
        first = _bound(port, 0)
        found = port.replace(host_port=first)
        if first + port.count - 1 > 65535 or any(found.meets(other) for other in taken):
            continue
        if all(_bound(port, first + at) for at in range(1, port.count)):
            return found
    length = f"with range {port.count} " if port.count > 1 else ""
    message = f"failed to find an open port to expose container port {port.container_port} {length}on the host"
    raise InvalidSpec("--publish", message)


def _bound(port: Port, number: int, *, used_before: bool = False) -> int:
    """Return the number of a port that can be had: ``number``, or one the kernel chooses; 0 when it cannot.

    A port that was ``used_before`` counts as free when nothing but ended connections of it are waited out (tcp(7)).
    """
    import _socket

    one = _socket_of(port.protocol, ipv6=":" in port.host_ip)
    try:
        if used_before and port.protocol != "udp":
            one.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        one.bind((port.host_ip, number))
        return int(one.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return 0
        address = port.host_ip
        hint = ""
        if error.errno == errno.EACCES:
            hint = "a user may have ports from net.ipv4.ip_unprivileged_port_start on (ip(7))"
        raise InvalidSpec(
            "--publish", f"listen {port.protocol} {address}: bind: {error.strerror}", hint=hint
        ) from error
    finally:
        one.close()


# at the start


def hold_ops(ports: Iterable[Port]) -> list[Op]:
    """Return what takes ports before anything is made, for the supervisor."""
    return [Op("hold", port.protocol, port.host_ip, port.host_port + at) for port in ports for at in range(port.count)]


def lead_ops(ports: Sequence[Port], wires: Iterable[Wire], name: str, *, watched: bool) -> list[Op]:
    """Return what leads ports to where ``wires`` end, for the supervisor; if it stays (``watched``), also its end."""
    if not ports:
        return []
    from pypod.network import firewall

    four, six = addresses(wires)
    shown = ", ".join(map(str, ports))
    ops = []
    if four or six:
        ways = firewall.publish(ports, four, six, comment=name)
        ops.append(Op("netlink_host", f"publish {shown}", NETFILTER, ways))
    if watched:
        # it may have been connected to other networks meanwhile
        own = ("0.0.0.0", "::") if firewall.has_destroy() else (four, six)  # noqa: S104
        ops.append(Op("netlink_end", f"withdraw {shown}", NETFILTER, firewall.withdraw(ports, *own)))
    return ops


def redirect(engine: Engine, ports: Sequence[Port], wires: Iterable[Wire], *, has_begun: bool = False) -> None:
    """Have clients led on that were there before their port was published, or by whom it was published before.

    Who ``has_begun`` just now has no clients yet: then it takes a tenth of the time to tell them apart.
    """
    if engine.rootless or all(port.protocol != "udp" for port in ports):
        return
    from pypod.network import flows

    four, six = addresses(wires)
    forget = flows.forget_all if has_begun else flows.forget
    try:
        engine.firewall.lend(lambda channel: forget(channel, ports, four, six))
    except (OSError, Unsupported):  # a kernel that tells nothing of them (no nf_conntrack_netlink)
        return


def addresses(wires: Iterable[Wire]) -> tuple[str, str]:
    """Return the addresses that published ports lead to: the first of each family, or empty texts."""
    own = [address for wire in wires if wire.network.driver == BRIDGE for address in wire.made.addresses]
    four = next((one for one in own if ":" not in one), "")
    return four, next((one for one in own if ":" in one), "")


def run(
    engine: Engine, launching: Launching, plan: Plan, lock: Lock, meanwhile: Callable[[], object] | None = None
) -> Launched:
    """Run a plan that holds ports, under a lock. Raises PortInUse naming the holder, and as ``Launching.run``."""
    try:
        return launching.run(plan, meanwhile, lock_fd=lock.fileno())
    except PortInUse as error:
        raise _with_holder(engine, error) from None


def _with_holder(engine: Engine, error: PortInUse, but: str = "") -> PortInUse:
    from pypod.kernel import sockets

    wanted = Port(container_port=1, host_port=error.port, host_ip=error.address, protocol=error.protocol)
    where = packed_address(error.address) if error.address else b""
    for _ in range(_LOOKS):
        ours = _holder(engine, wanted, but)
        if ours is not None:
            record, state = ours
            return PortInUse(error.protocol, error.address, error.port, container=record.name, pid=state.pid)
        process = sockets.holder(error.protocol, where, error.port)
        if process is not None:
            return PortInUse(error.protocol, error.address, error.port, pid=process.pid, command=process.comm)
        time.sleep(_PAUSE_S)
    return error


def _holder(engine: Engine, wanted: Port, but: str) -> tuple[ContainerRecord, ContainerState] | None:
    """Return the container, or the infra, that runs and has a port; not the one with the id ``but``."""
    for record, ports in _all_ports(engine):
        if record.id != but and any(wanted.meets(port) for port in ports):
            state = observe.container_state(engine.layout.container(record.id), engine.boot_id)
            if state.running:
                return record, state
    return None


def _all_ports(engine: Engine) -> list[tuple[ContainerRecord, tuple[Port, ...]]]:
    """Return who publishes ports, running or not; on a pod's behalf its infra."""
    pods = {one.id: one for one in records.all_pods(engine.database)}
    found = []
    for record in records.all_containers(engine.database):
        if _IN_JSON in record.spec_json:
            found.append((record, engine.container_spec(record).ports))
        elif record.kind == records.INFRA and record.pod_id in pods and _IN_JSON in pods[record.pod_id].spec_json:
            found.append((record, engine.pod_spec(pods[record.pod_id]).ports))
    return found


def require_free(engine: Engine, ports: Iterable[Port], but: str = "") -> None:
    """Raise PortInUse, naming the holder, for a port that cannot be had; for who leaves taking them to a program.

    The one with the id ``but`` publishes them, and holds none.
    """
    for port in ports:
        for number in range(port.host_port, port.host_port + port.count):
            if not _bound(port, number, used_before=True):
                raise _with_holder(engine, PortInUse(port.protocol, port.host_ip, number), but)


# afterwards


def own_ports(engine: Engine, record: ContainerRecord, pod: PodRecord | None = None) -> tuple[Port, ...]:
    """Return the ports that are published for a container itself; for a pod's infra, the pod's."""
    if record.kind != records.INFRA:
        return engine.container_spec(record).ports if _IN_JSON in record.spec_json else ()
    try:
        pod = pod or records.find_pod(engine.database, record.pod_id)
    except NoSuchPod:
        return ()
    return engine.pod_spec(pod).ports if _IN_JSON in pod.spec_json else ()


def ports_of(engine: Engine, record: ContainerRecord) -> tuple[Port, ...]:
    """Return the ports that lead to a container: its own, or those of the pod or container whose network it has.

    None while that runs without the program that a user's are led by.
    """
    from pypod.engine.connections import owner

    having = owner(engine, record)
    try:
        ports = own_ports(engine, record if having == record.id else records.find_container(engine.database, having))
    except NoSuchContainer:
        return ()
    return ports if not (ports and engine.rootless) or _are_led(engine, having) else ()


def _are_led(engine: Engine, container_id: str) -> bool:
    place = engine.layout.container(container_id)
    return user_network.is_there(engine, place) or observe.running_process(place, engine.boot_id) is None


def withdraw(engine: Engine, container_id: str, wires: Sequence[Wire]) -> None:
    """Take away what leads to a container that has ended, or to connections of it; somebody else's stays."""
    if engine.rootless:  # a program leads them, which ends with the container
        return
    try:
        ports = own_ports(engine, records.find_container(engine.database, container_id))
    except NoSuchContainer:
        return
    _withdraw(engine, ports, *addresses(wires))


def _withdraw(engine: Engine, ports: Sequence[Port], four: str, six: str) -> None:
    if not ports or not (four or six):
        return
    from pypod.network import firewall

    try:
        engine.firewall.lend(lambda channel: firewall.withdraw_own(channel, ports, four, six))
    except Unsupported:  # then nothing leads anywhere
        return


def move(engine: Engine, record: ContainerRecord, before: Sequence[Wire], after: Sequence[Wire]) -> None:
    """Lead the ports of what runs to where it is connected now, if that is elsewhere than ``before``."""
    ports = () if engine.rootless else own_ports(engine, record)
    pairs = tuple(zip(addresses(before), addresses(after), strict=True))
    if not ports or all(old == new for old, new in pairs):
        return
    from pypod.network import firewall

    old4, old6 = (old if old != new else "" for old, new in pairs)
    new4, new6 = (new if old != new else "" for old, new in pairs)
    _withdraw(engine, ports, old4, old6)
    if new4 or new6:
        with firewall.open_channel() as channel:
            channel.send(firewall.publish(ports, new4, new6, comment=record.name))
    redirect(engine, ports, after)
