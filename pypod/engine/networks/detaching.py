"""Detach a pod or container from its networks when it has ended.

Detaching goes in the reverse order of ``attachments``: whatever leads to an address on the host is removed before the
address can be allocated again. What does that is imported for containers that are attached only: most are not, and
`rm` is often waited for.
"""

from __future__ import annotations

from pypod.engine.core import observe
from pypod.engine.core.locks import AT_ONCE, Lock
from pypod.engine.networks.connections import lock_of
from pypod.engine.networks.running import networks_of, of_container
from pypod.errors import NoSuchContainer
from pypod.store import networks, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.model.network import NetworkSpec


def sweep(context: Context, specs: Iterable[NetworkSpec]) -> list[str]:
    """Detach containers that ended without a supervisor to do so; return their ids.

    A container being started is not running yet: it is skipped, as its starter holds its lock.
    """
    holders = {one: None for network in specs for one in networks.holders(context.database, network.id) if one}
    return [one for one in holders if detach_if_ended(context, one)]


def detach_if_ended(context: Context, container_id: str) -> bool:
    """Detach a container if it has ended; return whether it was attached. One being started is skipped."""
    directory = context.layout.container(container_id)
    if observe.container_state(directory, context.boot_id).active:
        return False
    try:
        with Lock(lock_of(context, records.find_container(context.database, container_id)), AT_ONCE) as lock, lock:
            if observe.container_state(directory, context.boot_id).active:
                return False
            unplug_and_detach(context, container_id)
            return True
    except (NoSuchContainer, BlockingIOError):
        return False


def unplug_and_detach(context: Context, container_id: str) -> None:
    """Detach a container that has ended, though other processes may live on in its network namespace.

    They still have its addresses, which will be allocated again, so they are made unreachable. Raises OSError, and
    LaunchFailed for a user's.
    """
    made = [one for _, one in networks.connections_of(context.database, container_id) if one]
    for interface in filter(None, (one.host_interface for one in made)):
        from pypod.engine.networks import user_bridges
        from pypod.network import links

        if user_bridges.are_elsewhere(context):
            user_bridges.release(context, interface)
        else:
            links.release(interface)
    _wait_for_ports(context, container_id)
    if made:
        _give_back(context, container_id)


def detach(context: Context, container_id: str) -> None:
    """Detach a container that has ended: release its addresses and remove what leads to them. Idempotent."""
    _wait_for_ports(context, container_id)
    if any(made for _, made in networks.connections_of(context.database, container_id)):
        _give_back(context, container_id)


def _wait_for_ports(context: Context, container_id: str) -> None:
    observe.wait_for_process(f"{context.layout.container(container_id)}/network", context.boot_id)


def _give_back(context: Context, container_id: str) -> None:
    from pypod.engine.networks import bridge_sweep, published, user_bridges

    attached = of_container(context, container_id)
    published.withdraw(context, container_id, attached)
    networks.give_back(context.database, container_id)
    user_bridges.end_unless_needed(context)
    bridge_sweep.begin_unless_used(context, networks_of(attached))
