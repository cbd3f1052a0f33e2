"""Connect existing containers and pods to networks, and disconnect them: at once if running, else at the next start."""

from __future__ import annotations

from contextlib import ExitStack

from pypod.engine.core import effects, kept_records, observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import Lock
from pypod.engine.lifecycle import files
from pypod.engine.networks import attachments, bridge_sweep, bridges, claims, known, plugging, published, user_bridges
from pypod.engine.networks.connections import lock_of
from pypod.engine.networks.options import check_static
from pypod.engine.networks.running import Attachment, of_container
from pypod.errors import AlreadyExists, InvalidSpec, WrongState
from pypod.model.network import Connection
from pypod.model.network_flags import check_alias, parse_address, parse_mac, static_addresses
from pypod.network.user_mode import PASTA, SLIRP4NETNS
from pypod.store import networks, records, stored_specs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.model.network import NetworkSpec
    from pypod.model.pod import PodSpec
    from pypod.store.records import ContainerRecord

_BEGIN_SO = "create it on a bridge network (--network NAME), which can be changed"
_INSTEAD = {"pod": "connect its pod, whose network it shares", PASTA: _BEGIN_SO, SLIRP4NETNS: _BEGIN_SO}


def connect_to(
    context: Context,
    record: ContainerRecord,
    network: str,
    *,
    ip: str,
    ip6: str,
    mac_address: str,
    aliases: Sequence[str],
) -> None:
    """Connect a container, or a pod by its infra; see ``Container.connect``."""
    spec = known.find(context, network)
    given = [parse_address(text, flag) for flag, text in (("--ip", ip), ("--ip6", ip6)) if text]
    asked = Connection(
        network=spec.id,
        addresses=static_addresses(given, "--ip"),
        mac=parse_mac(mac_address) if mac_address else "",
        aliases=tuple(check_alias(one, "--alias") for one in aliases),
    )
    connect(context, record, asked, spec)


def disconnect_from(context: Context, record: ContainerRecord, network: str) -> None:
    """Disconnect a container, or a pod by its infra, from a network; see ``Container.disconnect``."""
    disconnect(context, record, known.find(context, network))


def connect(context: Context, record: ContainerRecord, asked: Connection, network: NetworkSpec) -> None:
    """Connect a container, or a pod by its infra, to another network.

    Raises InvalidSpec when it has no network namespace of its own, AlreadyExists when it is connected already, InUse
    when no address is available. Then nothing has changed.
    """
    _require_own_network(context, record)
    check_static(asked, network)
    with Boundary(f"connect {record.name}"), Lock(lock_of(context, record)) as lock, lock:
        if any(one.network == network.id for one, _ in networks.connections_of(context.database, record.id)):
            raise AlreadyExists("connection", network.name, "container", record.id)
        state = observe.state_of(context, record.id)
        with claims.connecting(context) as sharing, sharing, ExitStack() as undo:
            undo.callback(networks.disconnect, context.database, record.id, network.id)
            with context.database.transaction() as connection, connection:
                networks.connect(connection, record.id, asked.replace(network=network.id))
            if state.alive:
                before = of_container(context, record.id)
                attachment = attachments.attach_one(context, record.id, network)
                effects.perform(bridges.preparations(context, (attachment.network,)))
                undo.callback(plugging.unplug, context, record, state, attachment)
                plugging.plug(context, record, state, attachment)
                published.move(context, record, before, (*before, attachment))
                _write_files(context, record)
            undo.pop_all()


def _write_files(context: Context, record: ContainerRecord) -> None:
    """Update the /etc/hosts and /etc/resolv.conf of a running container after a change of its networks."""
    attached = of_container(context, record.id)
    pod = records.find_pod(context.database, record.pod_id) if record.pod_id else None
    if record.kind == records.INFRA and pod is not None:
        files.of_pod(context, pod, context.pod_spec(pod), record, attached, running=True).perform()
    else:
        spec, pod_spec = context.container_spec(record), context.pod_spec(pod) if pod else None
        effects.perform(files.of_container(context, record, spec, pod_spec, attached, running=True))
    kept_records.renew(context, record.id)


def _require_own_network(context: Context, record: ContainerRecord) -> None:
    spec: PodSpec | ContainerSpec
    if record.kind == records.INFRA:
        spec = stored_specs.pod_spec(records.find_pod(context.database, record.pod_id))
        mode = "private" if spec.net == "private" and "net" in spec.share else "host"
    else:
        spec = context.container_spec(record)
        mode = str(spec.net)
    mode = spec.net_program.partition(":")[0] or mode  # its interface may have the name that a connection would get
    if mode != "private":
        hint = _INSTEAD.get(mode, "")
        raise InvalidSpec("container", f'"{mode}" is not supported: invalid network mode', hint=hint)


def disconnect(context: Context, record: ContainerRecord, network: NetworkSpec) -> None:
    """Disconnect a container, or a pod by its infra, from a network. Raises WrongState unless it is connected."""
    with Boundary(f"disconnect {record.name}"), Lock(lock_of(context, record)) as lock, lock:
        found = [
            made for one, made in networks.connections_of(context.database, record.id) if one.network == network.id
        ]
        if not found:
            raise WrongState(record.name, "", f"container {record.name} is not connected to network {network.name}")
        state = observe.state_of(context, record.id)
        if state.alive and found[0] is not None:
            before = of_container(context, record.id)
            published.move(
                context, record, before, [attachment for attachment in before if attachment.network.id != network.id]
            )
            plugging.unplug(context, record, state, Attachment(network=network, made=found[0]))
        networks.disconnect(context.database, record.id, network.id)
        user_bridges.end_unless_needed(context)
        bridge_sweep.begin_unless_used(context, [network])
        if state.alive:
            _write_files(context, record)
