"""Connect what is there to another network, and take it off one: at once when it runs, else at its next start."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack

from pypod.engine.containers import kept_records
from pypod.engine.containers.enter import enter, open_namespace
from pypod.engine.core import effects, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.networks import attachments, bridge_sweep, bridges, claims, published, user_bridges
from pypod.engine.networks.attachments import Wire
from pypod.errors import AlreadyExists, InvalidSpec, WrongState
from pypod.kernel.netlink import Channel, patched
from pypod.network import links
from pypod.network.user_mode import PASTA, SLIRP4NETNS
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine
    from pypod.model.container import ContainerSpec, ContainerState
    from pypod.model.network import Connection, NetworkSpec
    from pypod.model.pod import PodSpec
    from pypod.store.records import ContainerRecord


_BEGIN_SO = "create it on a bridge network (--network NAME), which can be changed"
_INSTEAD = {"pod": "connect its pod, whose network it shares", PASTA: _BEGIN_SO, SLIRP4NETNS: _BEGIN_SO}


def connect(engine: Engine, record: ContainerRecord, asked: Connection, network: NetworkSpec) -> None:
    """Connect a container, or a pod by its infra, to one more network.

    Raises InvalidSpec when it has no network namespace of its own, AlreadyExists when it is connected already, InUse
    when there is no address for it. Then nothing was changed.
    """
    _require_own_network(engine, record)
    attachments.check_static(asked, network)
    with Boundary(f"connect {record.name}"), Lock(attachments.lock_of(engine, record)) as lock, lock:
        if any(one.network == network.id for one, _ in networks.connections_of(engine.database, record.id)):
            raise AlreadyExists("connection", network.name, "container", record.id)
        state = observe.container_state(engine.layout.container(record.id), engine.boot_id)
        with claims.connecting(engine) as sharing, sharing, ExitStack() as undo:
            undo.callback(networks.disconnect, engine.database, record.id, network.id)
            with engine.database.transaction() as connection, connection:
                networks.connect(connection, record.id, asked.replace(network=network.id))
            if state.running:
                before = attachments.wires_of(engine, record.id)
                wire = attachments.attach_one(engine, record.id, network)
                effects.perform(bridges.preparations(engine, (wire.network,)))
                undo.callback(unplug, engine, record, state, wire)
                plug(engine, record, state, wire)
                published.move(engine, record, before, (*before, wire))
                _write_files(engine, record)
            undo.pop_all()


def _write_files(engine: Engine, record: ContainerRecord) -> None:
    """Tell a running container's /etc/hosts and /etc/resolv.conf which networks it has now."""
    from pypod.engine.containers import infra, starting

    wires = attachments.wires_of(engine, record.id)
    pod = records.find_pod(engine.database, record.pod_id) if record.pod_id else None
    if record.kind == records.INFRA and pod is not None:
        infra.files_of(engine, pod, record, wires, running=True).perform()
    else:
        spec = engine.container_spec(record)
        effects.perform(starting.files_of(engine, record, spec, pod, wires, running=True))
    kept_records.renew(engine, record.id)


def _require_own_network(engine: Engine, record: ContainerRecord) -> None:
    spec: PodSpec | ContainerSpec
    if record.kind == records.INFRA:
        spec = records.pod_spec(records.find_pod(engine.database, record.pod_id))
        mode = "private" if spec.net == "private" and "net" in spec.share else "host"
    else:
        spec = engine.container_spec(record)
        mode = str(spec.net)
    mode = spec.net_program.partition(":")[0] or mode  # its interface may have the name that the connection's would
    if mode != "private":
        hint = _INSTEAD.get(mode, "")
        raise InvalidSpec("container", f'"{mode}" is not supported: invalid network mode', hint=hint)


def plug(engine: Engine, record: ContainerRecord, state: ContainerState, wire: Wire) -> None:
    """Make the interface of a connection, in what runs already. The bridge is there. Raises OSError, WrongState.

    What the caller has to undo then: ``unplug``.
    """
    if user_bridges.are_elsewhere(engine):
        user_bridges.call(engine, "plug", record, state, wire)
        return
    hairpin = bool(published.own_ports(engine, record))
    namespace = open_namespace(record.name, state, "net")
    try:
        with Channel() as channel:
            messages = attachments.host_messages(engine, wire, links.BY_DESCRIPTOR, hairpin=hairpin)
            channel.send(patched(*messages, namespace))
    finally:
        os.close(namespace)
    set_up_inside(record, state, wire)
    attachments.settle([wire])


def set_up_inside(record: ContainerRecord, state: ContainerState, wire: Wire) -> None:
    """Give a connection's interface inside what it lacks of addresses and routes. Raises OSError, WrongState."""
    with enter(record.name, state, ("net",)), Channel() as channel:
        index = links.index_of(wire.made.interface)
        channel.send(patched(*attachments.inside_messages(wire), index), tolerated=(errno.EEXIST,))


def disconnect(engine: Engine, record: ContainerRecord, network: NetworkSpec) -> None:
    """Take a container, or a pod by its infra, off a network. Raises WrongState when it is not connected to it."""
    with Boundary(f"disconnect {record.name}"), Lock(attachments.lock_of(engine, record)) as lock, lock:
        found = [made for one, made in networks.connections_of(engine.database, record.id) if one.network == network.id]
        if not found:
            raise WrongState(record.name, "", f"container {record.name} is not connected to network {network.name}")
        state = observe.container_state(engine.layout.container(record.id), engine.boot_id)
        if state.running and found[0] is not None:
            before = attachments.wires_of(engine, record.id)
            published.move(engine, record, before, [wire for wire in before if wire.network.id != network.id])
            unplug(engine, record, state, Wire(network=network, made=found[0]))
        networks.disconnect(engine.database, record.id, network.id)
        user_bridges.end_unless_needed(engine)
        bridge_sweep.begin_unless_used(engine, [network])
        if state.running:
            _write_files(engine, record)


def unplug(engine: Engine, record: ContainerRecord, state: ContainerState, wire: Wire) -> None:
    """Take the interface of a connection away, if it is there. Raises OSError, WrongState."""
    if user_bridges.are_elsewhere(engine):
        user_bridges.call(engine, "unplug", record, state, wire)
        return
    if wire.made.host_interface:
        links.remove_link(wire.made.host_interface)
        return
    with enter(record.name, state, ("net",)):
        links.remove_link(wire.made.interface)
