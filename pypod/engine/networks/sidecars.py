"""Restart sidecar processes that carried the network of a user's pod and have exited: pasta, slirp4netns.

A pod that has lost its sidecar runs on with lo only. A sidecar is identified by its watcher
(pause/supervise/watcher.c), which exits when the program does.
"""

from __future__ import annotations

from contextlib import suppress

from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import AT_ONCE, EXCLUSIVE, Lock
from pypod.engine.networks import connections, port_holders, published, user_bridges, user_network
from pypod.engine.resources import groups
from pypod.engine.session import session
from pypod.errors import NoSuchPod, PypodError, StoreError
from pypod.kernel.abi import CLONE_NEWNET
from pypod.model.value import Value
from pypod.runtime.ops import Op, Plan
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.model.port import Port
    from pypod.store.records import ContainerRecord


class Sidecar(Value):
    """A sidecar process: ``text`` names the program, as in --network.

    ``container_id`` is empty for the namespace of the user's bridges. ``place`` is the directory of the process that it
    serves, and ``lock`` the path locked while that is started.
    """

    container_id: str
    name: str
    place: str
    lock: str
    text: str
    ports: tuple[Port, ...] = ()


def missing(context: Context, container_ids: Collection[str] | None = None) -> list[Sidecar]:
    """Return the missing sidecars of running processes, of ``container_ids`` or of all.

    A process that is being started is skipped.
    """
    found = []
    for one in _wanted(context):
        if container_ids is not None and one.container_id and one.container_id not in container_ids:
            continue
        with suppress(BlockingIOError):
            if _is_missing(context, one):
                with Lock(one.lock, AT_ONCE) as lock, lock:
                    found += [one] if _is_missing(context, one) else []
    return found


def _wanted(context: Context) -> list[Sidecar]:
    """Return all sidecars that were or should have been started, running or not."""
    found: list[Sidecar] = []
    if not user_bridges.are_elsewhere(context):
        return found
    for record in records.all_containers(context.database):
        with suppress(NoSuchPod, StoreError):  # just removed; or damaged, which must not affect the others
            found += _of(context, record)
    outside, place = user_network.default(), context.layout.bridges
    if outside != user_network.NONE:
        words = "the namespace of bridges"
        found.append(Sidecar(container_id="", name=words, place=place, lock=place, text=outside))
    return found


def _of(context: Context, record: ContainerRecord) -> list[Sidecar]:
    spec: ContainerSpec | PodSpec
    if record.kind == records.INFRA:
        spec = context.pod_spec(records.find_pod(context.database, record.pod_id))
    else:
        spec = context.container_spec(record)
    text = user_network.program_of(context, spec)
    if not text:
        return []
    place = context.layout.container(record.id)
    lock = connections.lock_of(context, record)
    return [Sidecar(container_id=record.id, name=record.name, place=place, lock=lock, text=text, ports=spec.ports)]


def _is_missing(context: Context, one: Sidecar) -> bool:
    running = observe.running_process(one.place, context.boot_id) is not None
    return running and not user_network.is_there(context, one.place)


def restore(context: Context, one: Sidecar) -> None:
    """Restart a sidecar with its published ports. Does nothing when it runs, or the process it serves does not.

    Raises PortInUse, naming the holder, for a port taken meanwhile, and what a start raises; then nothing has changed.
    """
    with Boundary(f"connect {one.name}"), Lock(one.lock, EXCLUSIVE) as lock, lock:
        process = observe.running_process(one.place, context.boot_id)
        if process is None or user_network.is_there(context, one.place):
            return
        forwarded = port_holders.ForwardedPorts(ports=one.ports, program=one.text)
        with groups.launching(context) as launching:  # makes the session if need be
            ops = [
                *session.ops(context, session.of(context)),
                Op("leave"),
                *user_network.sidecar_ops(context, one.place, one.text, one.ports),
                Op("join", *process, CLONE_NEWNET),
            ]
            published.run(context, launching, Plan(ops), lock, one.container_id, forwarded)


def reload(context: Context, container_ids: Collection[str] | None = None) -> list[str]:
    """Restart missing sidecars; return the ids of the running containers that have one."""
    for one in missing(context, container_ids):
        restore(context, one)
    return [
        one.container_id
        for one in _wanted(context)
        if one.container_id
        and (container_ids is None or one.container_id in container_ids)
        and user_network.is_there(context, one.place)
    ]


def amiss(context: Context) -> list[str]:
    """Describe what ``repair`` would do."""
    return [f"{_program(one)} of {one.name} has exited" for one in missing(context)]


def repair(context: Context) -> list[str]:
    """Restart missing sidecars; return descriptions of what was done, and of what failed."""
    done = []
    for one in missing(context):
        try:
            restore(context, one)
            done.append(f"restarted {_program(one)} of {one.name}")
        except PypodError as error:
            done.append(f"{_program(one)} of {one.name} could not be restarted: {error}")
    return done


def _program(one: Sidecar) -> str:
    return one.text.partition(":")[0]
