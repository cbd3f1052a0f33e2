"""Start again what carried the network of a user's pod and has ended: pasta, slirp4netns.

Who has lost one runs on, with lo. It is known by its watcher (pause/supervise/watcher.c), which ends when the program
does.
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


class Companion(Value):
    """A program that is to be beside a process: ``text`` says which, as --network does.

    ``container_id`` is empty for the namespace of the user's bridges. ``place`` is the directory of the process, and
    ``lock`` the one that who starts it holds.
    """

    container_id: str
    name: str
    place: str
    lock: str
    text: str
    ports: tuple[Port, ...] = ()


def missing(context: Context, container_ids: Collection[str] | None = None) -> list[Companion]:
    """Return the programs that are not there beside processes that run, of ``container_ids`` or of all.

    What is just being started is not missing.
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


def _wanted(context: Context) -> list[Companion]:
    """Return what was started, or should have been, beside whom, running or not."""
    found: list[Companion] = []
    if not user_bridges.are_elsewhere(context):
        return found
    for record in records.all_containers(context.database):
        with suppress(NoSuchPod, StoreError):  # removed this moment; damaged, which others are not to suffer from
            found += _of(context, record)
    outside, place = user_network.default(), context.layout.bridges
    if outside != user_network.NONE:
        words = "the namespace of bridges"
        found.append(Companion(container_id="", name=words, place=place, lock=place, text=outside))
    return found


def _of(context: Context, record: ContainerRecord) -> list[Companion]:
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
    return [Companion(container_id=record.id, name=record.name, place=place, lock=lock, text=text, ports=spec.ports)]


def _is_missing(context: Context, one: Companion) -> bool:
    running = observe.running_process(one.place, context.boot_id) is not None
    return running and not user_network.is_there(context, one.place)


def restore(context: Context, one: Companion) -> None:
    """Start a program again, with its published ports. Nothing to do when it is there, or nobody runs.

    Raises PortInUse, naming who has a port by now, and what a start raises; then nothing has changed.
    """
    with Boundary(f"connect {one.name}"), Lock(one.lock, EXCLUSIVE) as lock, lock:
        process = observe.running_process(one.place, context.boot_id)
        if process is None or user_network.is_there(context, one.place):
            return
        forwarded = port_holders.ForwardedPorts(ports=one.ports, program=one.text)
        with groups.launching(context) as launching:  # which sees to the session
            ops = [
                *session.ops(context, session.of(context)),
                Op("leave"),
                *user_network.companion_ops(context, one.place, one.text, one.ports),
                Op("join", *process, CLONE_NEWNET),
            ]
            published.run(context, launching, Plan(ops), lock, one.container_id, forwarded)


def reload(context: Context, container_ids: Collection[str] | None = None) -> list[str]:
    """Start again what is missing; return the ids of the containers that run and have such a program."""
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
    """Return in words what ``repair`` would mend."""
    return [f"{_program(one)} of {one.name} has ended" for one in missing(context)]


def repair(context: Context) -> list[str]:
    """Mend it; return in words what was done, and what could not be."""
    done = []
    for one in missing(context):
        try:
            restore(context, one)
            done.append(f"started {_program(one)} of {one.name} again")
        except PypodError as error:
            done.append(f"{_program(one)} of {one.name} could not be started: {error}")
    return done


def _program(one: Companion) -> str:
    return one.text.partition(":")[0]
