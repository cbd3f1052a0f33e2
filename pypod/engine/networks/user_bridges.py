"""Bridge networks of a user, who may not make any in the host's network namespace: they are in one of their session's.

A process of ours holds that namespace, which stands in for the host's. Bridges, the ends of veths, the firewall's
table and the name server are in it, and pasta or slirp4netns is its way outside. It is there as long as somebody is
connected.

What is done there is done by Python in a process of its own (engine/session/inside.py), with the same code as root's.
Whether a network has been prepared is told by a file, so that nothing has to be started to find out: it names the
holder, and a later one has prepared nothing.
"""

from __future__ import annotations

import errno
import os

from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.effects import Effect
from pypod.engine.networks import user_network
from pypod.engine.session import session
from pypod.errors import LaunchFailed, Unsupported
from pypod.kernel import pidfd
from pypod.kernel.abi import CLONE_NEWNET, SIGKILL, SIGTERM
from pypod.kernel.netlink import ROUTE
from pypod.kernel.pidfd import Process
from pypod.kernel.proc import read_text
from pypod.model.network import BRIDGE
from pypod.network import links
from pypod.runtime.ops import Op, Plan
from pypod.store import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pypod.api.engine import Engine
    from pypod.model.network import NetworkSpec

_NAME = "pypod-bridges"
_END_TIMEOUT_S = 5.0


def are_elsewhere(engine: Engine) -> bool:
    """Return whether bridges are in another network namespace than this process."""
    return engine.rootless and not engine.at_bridges


def require_bridge(network: NetworkSpec) -> None:
    """Raise Unsupported for a network on an interface of the host's, which no user may divide."""
    if network.driver != BRIDGE:
        what = f"{network.driver} networks"
        raise Unsupported(what, f"network {network.name}: {what} are root's alone", hint="use a bridge network")


def holder(engine: Engine) -> Process | None:
    """Return the process that keeps the namespace, None when there is none."""
    found = observe.running_process(engine.layout.bridges, engine.boot_id)
    return Process(*found) if found else None


def preparations(engine: Engine, specs: Iterable[NetworkSpec]) -> list[Effect]:
    """Return what has to be made for networks: nothing when all of it is there.

    The addresses of who is about to be connected are in the store by now: the namespace stays while there are any.
    """
    missing = [one for one in specs if not (index_of(engine, one) and _answers_names(engine, one))]
    if not missing:
        return []
    names = ", ".join(one.name for one in missing)
    words = f"make bridges for {names} in the network namespace of the user's session, and what goes with them"
    return [Effect(words, "network_namespaces(7)", lambda: _prepare(engine, missing))]


def _answers_names(engine: Engine, network: NetworkSpec) -> bool:
    from pypod.engine.networks import name_service

    return not network.dns or not name_service.preparations(engine, network)


def _prepare(engine: Engine, specs: list[NetworkSpec]) -> None:
    ensure(engine)
    _remember(engine, call(engine, "prepare_networks", [one.id for one in specs]))


def reload(engine: Engine, container_ids: Iterable[str] | None) -> list[str]:
    """Make again what is missing for who runs; see ``reloading.reload``."""
    done, made = call(engine, "reload", None if container_ids is None else list(container_ids))
    _remember(engine, made)
    return list(done)


def amiss(engine: Engine) -> list[str]:
    """Return in words what ``repair`` would mend; see ``network_repair.amiss``."""
    if holder(engine) is not None:
        return list(call(engine, "amiss"))
    from pypod.engine.networks.reloading import running

    return [f"{one.record.name} is cut off from its networks" for one in running(engine)]


def repair(engine: Engine) -> list[str]:
    """Mend it; see ``network_repair.repair``."""
    done, made = call(engine, "repair")
    _remember(engine, made)
    end_unless_needed(engine)
    return list(done)


def _remember(engine: Engine, made: dict[str, int]) -> None:
    from pypod.images.new_file import replace_file

    process = ensure(engine)
    for identifier, index in made.items():
        replace_file(_marker(engine, identifier), f"{process.pid} {process.start_time} {index}")


def index_of(engine: Engine, network: NetworkSpec) -> int:
    """Return the index of a network's bridge, 0 when it has not been made in the namespace that there is now."""
    process = holder(engine)
    words = read_text(_marker(engine, network.id)).split()
    if process is None or words[:2] != [str(process.pid), str(process.start_time)]:
        return 0
    return int(words[2])


def _marker(engine: Engine, network_id: str) -> str:
    return f"{engine.layout.bridges}/{network_id}"


def host_ops(engine: Engine) -> list[Op]:
    """Return what has a supervisor send in that namespace what root's sends in the host's."""
    if not are_elsewhere(engine):
        return []
    process = holder(engine)
    known = (process.pid, process.start_time) if process else ("still to be made", 0)
    return [Op("host_network", *known)]


def release(engine: Engine, interface: str) -> None:
    """Take an interface off its bridge, if it is there: what ``links.release`` does for root. Raises LaunchFailed.

    By the launcher: to start Python inside for it would take ten times as long.
    """
    from pypod.runtime import launcher

    process = holder(engine)
    if process is None:
        return
    ops = [
        # its user namespace is the session's, whose own holder may have been killed
        *([] if engine.inside else [Op("session", process.pid, process.start_time)]),
        Op("host_network", process.pid, process.start_time),
        Op("netlink_host", f"take {interface} off its bridge", ROUTE, links.off_its_bridge(interface)),
    ]
    try:
        with launcher.Launching(engine.programs.executable("launch"), "pypod-launch", group="") as launching:
            launching.run(Plan(ops))
    except LaunchFailed as error:
        gone = error.call == "netlink" and error.errno == errno.ENODEV  # with the container's namespace
        if not gone and holder(engine) is not None:
            raise


def call(engine: Engine, task: str, *arguments: object) -> Any:
    """Have a task of engine/session/inside.py done in the namespace; return what it returns. Raises what it raises."""
    from pypod.engine.session import inside

    process = ensure(engine)
    environment = {"PYPOD_SESSION_NETWORK": f"{process.pid}:{process.start_time}"}
    return inside.call(engine, task, *arguments, environment=environment)


def ensure(engine: Engine) -> Process:
    """Return the holder; make the namespace if there is none. Raises what making the session raises."""
    from pypod.engine.core.locks import Lock

    found = holder(engine)
    if found is not None:
        return found
    if not engine.inside:
        session.ensure(engine)
    directory = engine.layout.bridges
    with Boundary("make the namespace of the user's bridges"), Lock(directory) as lock, lock:
        return holder(engine) or _make(engine, directory)


def _make(engine: Engine, directory: str) -> Process:
    from pypod.engine.resources import groups
    from pypod.runtime.compiler import plan
    from pypod.runtime.programs import path

    _end_name_server(engine)
    outside = user_network.default()
    way = [] if outside == user_network.NONE else user_network.companion_ops(engine, directory, outside)
    os.makedirs(f"{directory}/network", 0o700, exist_ok=True)
    settings = [
        *session.ops(engine, session.of(engine)),
        Op("status", f"{directory}/status", engine.boot_id),
        Op("leave"),
        *way,
    ]
    ops = [Op("clone", CLONE_NEWNET, ""), *([Op("hand_network")] if way else []), Op("loopback")]
    ops.append(Op("execute", path("pause"), "-1", _NAME))
    with groups.launching(engine) as launching:
        made = launching.run(plan(settings, ops))
    return Process(made.process_pid, made.start_time)


def end_unless_needed(engine: Engine) -> None:
    """End the holder when nobody is connected any more.

    Who is about to be has written so down before it looks for the holder: either it is seen here, or it finds none.
    """
    from pypod.engine.core.locks import AT_ONCE, Lock

    if not are_elsewhere(engine) or holder(engine) is None or networks.any_attached(engine.database):
        return
    try:
        with Lock(engine.layout.bridges, AT_ONCE) as lock, lock:
            if not networks.any_attached(engine.database):
                end(engine)
    except BlockingIOError:  # somebody else is about to end or make it
        return


def end(engine: Engine) -> None:
    """End the holder and what is beside it; nobody may be connected."""
    _end_process(engine, engine.layout.bridges, SIGTERM)
    user_network.wait_for_end(engine, engine.layout.bridges)
    _end_name_server(engine)


def _end_name_server(engine: Engine) -> None:
    """End a server whose sockets are in a namespace that is gone: it would keep that, and say that names are served."""
    _end_process(engine, engine.layout.names, SIGKILL)


def _end_process(engine: Engine, directory: str, number: int) -> None:
    found = observe.running_process(directory, engine.boot_id)
    if found:
        pidfd.end(*found, number, _END_TIMEOUT_S)


def remove(engine: Engine, network: NetworkSpec) -> None:
    """Take a network's bridge away, if there is one."""
    if index_of(engine, network):
        call(engine, "remove_bridge", network)
    path = _marker(engine, network.id)
    if os.path.lexists(path):
        os.unlink(path)
