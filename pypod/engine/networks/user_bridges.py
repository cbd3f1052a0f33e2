"""Bridge networks of a user: in a network namespace of their session, as users may not make any in the host's.

A process of ours holds that namespace, which takes the place of the host's. It contains the bridges, the host ends of
veths, the firewall's table and the name server, with pasta or slirp4netns as its uplink. It exists as long as a
container is attached.

Python works in there through a process of its own (engine/session/inside.py), running the same code as for root. A file
records that a network has been prepared, so that nothing needs to be started to find out: it names the holder, and does
not count for a later one.
"""

from __future__ import annotations

import errno
import os

from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.effects import Effect
from pypod.engine.networks import user_network
from pypod.engine.session import session
from pypod.errors import LaunchFailed
from pypod.kernel import pidfd
from pypod.kernel.abi import CLONE_NEWNET, SIGKILL, SIGTERM
from pypod.kernel.netlink import ROUTE
from pypod.kernel.pidfd import Process
from pypod.kernel.proc import read_text
from pypod.network import links, rtnetlink
from pypod.runtime.ops import Op, Plan
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Concatenate, ParamSpec, TypeVar

    from pypod.engine.core.context import Context
    from pypod.engine.session.session import Invocation
    from pypod.model.network import NetworkSpec

    P = ParamSpec("P")
    T = TypeVar("T")
    Prepare = Callable[[Context, list[str]], dict[str, int]]

_NAME = "pypod-bridges"
_END_TIMEOUT_S = 5.0


def are_elsewhere(context: Context) -> bool:
    """Return whether bridges are in another network namespace than this process."""
    return context.rootless and not context.at_bridges


def holder(context: Context) -> Process | None:
    """Return the process that holds the namespace, None when there is none."""
    found = observe.running_process(context.layout.bridges, context.boot_id)
    return Process(*found) if found else None


def preparations(context: Context, specs: Iterable[NetworkSpec], prepare: Prepare) -> list[Effect]:
    """Return what has to be made for networks, by ``prepare`` inside: nothing when all of it exists.

    The addresses of the container being attached are in the store by now: the namespace is kept while there are any.
    """
    missing = [one for one in specs if not (index_of(context, one) and _answers_names(context, one))]
    if not missing:
        return []
    names = ", ".join(one.name for one in missing)
    words = f"make bridges for {names} in the network namespace of the user's session, and what goes with them"
    return [Effect(words, "network_namespaces(7)", lambda: _prepare(context, missing, prepare))]


def _answers_names(context: Context, network: NetworkSpec) -> bool:
    from pypod.engine.networks.names import service

    return not network.dns or not service.preparations(context, network)


def _prepare(context: Context, specs: list[NetworkSpec], prepare: Prepare) -> None:
    ensure(context)
    remember(context, call(context, prepare, [one.id for one in specs]))


def remember(context: Context, made: dict[str, int]) -> None:
    """Record the bridges that exist: their indices by network id, as ``made`` returns them."""
    from pypod.images.new_file import replace_file

    process = ensure(context)
    for identifier, index in made.items():
        replace_file(_marker(context, identifier), f"{process.pid} {process.start_time} {index}")


def index_of(context: Context, network: NetworkSpec) -> int:
    """Return the index of a network's bridge, 0 when it has not been made in the current namespace."""
    process = holder(context)
    words = read_text(_marker(context, network.id)).split()
    if process is None or words[:2] != [str(process.pid), str(process.start_time)]:
        return 0
    return int(words[2])


def _marker(context: Context, network_id: str) -> str:
    return f"{context.layout.bridges}/{network_id}"


def host_ops(context: Context) -> list[Op]:
    """Return the supervisor's operations that direct messages for the host's namespace to this one."""
    if not are_elsewhere(context):
        return []
    process = holder(context)
    known = (process.pid, process.start_time) if process else ("still to be made", 0)
    return [Op("host_network", *known)]


def release(context: Context, interface: str) -> None:
    """Detach an interface from its bridge, if it exists: ``links.release`` for users. Raises LaunchFailed.

    The launcher does it: starting Python inside would take ten times as long.
    """
    from pypod.runtime import launcher

    process = holder(context)
    if process is None:
        return
    ops = [
        # the namespace's user namespace is the session's, whose own holder may have been killed
        *([] if context.inside else [Op("session", process.pid, process.start_time)]),
        Op("host_network", process.pid, process.start_time),
        Op("netlink_host", f"take {interface} off its bridge", ROUTE, rtnetlink.off_its_bridge(interface)),
    ]
    try:
        with launcher.Launching(context.programs.executable("launch"), "pypod-launch", group="") as launching:
            launching.run(Plan(ops))
    except LaunchFailed as error:
        gone = error.call == "netlink" and error.errno == errno.ENODEV  # with the container's namespace
        if not gone and holder(context) is not None:
            raise


def call(context: Context, task: Callable[Concatenate[Context, P], T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call a function of a module in the namespace; return its result. Raises what it raises."""
    from pypod.engine.session import inside

    process = ensure(context)
    return inside.call_at_bridges(context, f"{process.pid}:{process.start_time}", task, *arguments, **options)


def made(context: Context) -> dict[str, int]:
    """Return the indices of the bridges in this process's namespace, by network id."""
    found = {one.id: links.index_of(one.interface) for one in networks.all_networks(context.database)}
    return {identifier: index for identifier, index in found.items() if index}


def ensure(context: Context) -> Process:
    """Return the holder, with the namespace made if there is none. Raises what making the session raises."""
    from pypod.engine.core.locks import Lock

    found = holder(context)
    if found is not None:
        return found
    if not context.inside:
        session.ensure(context)
    directory = context.layout.bridges
    with Boundary("make the namespace of the user's bridges"), Lock(directory) as lock, lock:
        return holder(context) or _make(context, directory)


def _make(context: Context, directory: str) -> Process:
    from pypod.engine.resources import groups
    from pypod.kernel.programs import path
    from pypod.runtime.ops import plan

    _end_name_server(context)
    outside = user_network.default()
    way = [] if outside == user_network.NONE else user_network.sidecar_ops(context, directory, outside)
    os.makedirs(f"{directory}/network", 0o700, exist_ok=True)
    settings = [
        *session.ops(context, session.of(context)),
        Op("status", f"{directory}/status", context.boot_id),
        Op("leave"),
        *way,
    ]
    ops = [Op("clone", CLONE_NEWNET, ""), *([Op("hand_network")] if way else []), Op("loopback")]
    ops.append(Op("execute", path("pause"), "-1", _NAME))
    with groups.launching(context) as launching:
        made = launching.run(plan(settings, ops))
    return Process(made.process_pid, made.start_time)


def unshared(context: Context, command: Sequence[str]) -> Invocation:
    """Return what runs a command as root of the session, in the namespace. Raises WrongState for root."""
    from pypod.engine.session.inside import AT_BRIDGES

    invocation = session.unshared(context, command)
    process = ensure(context)
    there = (AT_BRIDGES, f"{process.pid}:{process.start_time}")
    return invocation.replace(environment=(*invocation.environment, there))


def end_unless_needed(context: Context) -> None:
    """End the holder when no container is attached any more.

    A start records its attachments before it looks for the holder: either they are seen here, or it finds no holder.
    """
    from pypod.engine.core.locks import AT_ONCE, Lock

    if not are_elsewhere(context) or holder(context) is None or networks.any_attached(context.database):
        return
    try:
        with Lock(context.layout.bridges, AT_ONCE) as lock, lock:
            if not networks.any_attached(context.database):
                end(context)
    except BlockingIOError:  # another process is about to end or make it
        return


def end(context: Context) -> None:
    """End the holder and its sidecar; no container may be attached."""
    _end_process(context, context.layout.bridges, SIGTERM)
    observe.wait_for_process(f"{context.layout.bridges}/network", context.boot_id)
    _end_name_server(context)


def _end_name_server(context: Context) -> None:
    """End a name server left in a namespace that ended: it would keep that alive and seem to serve names."""
    _end_process(context, context.layout.names, SIGKILL)


def _end_process(context: Context, directory: str, number: int) -> None:
    found = observe.running_process(directory, context.boot_id)
    if found:
        pidfd.end(*found, number, _END_TIMEOUT_S)


def remove(context: Context, network: NetworkSpec, remove_inside: Callable[[Context, NetworkSpec], None]) -> None:
    """Remove a network's bridge, if there is one."""
    if index_of(context, network):
        call(context, remove_inside, network)
    path = _marker(context, network.id)
    if os.path.lexists(path):
        os.unlink(path)


def end_session(context: Context) -> bool:
    """End a user's session with its bridges; see ``session.end``. Return whether it ran."""
    end(context)
    return session.end(context)
