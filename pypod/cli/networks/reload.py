"""network reload."""

from __future__ import annotations

from pypod.cli.flags import selection
from pypod.cli.flags.objects import ALL, LATEST
from pypod.cli.flags.parser import Command
from pypod.errors import NoSuchContainer, WrongState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed

NETWORK_RELOAD = Command(
    path="pypod network reload",
    summary="Reload firewall rules for one or more containers",
    description="Recreates missing bridges, veths, firewall rules and name servers of running containers, and restarts "
    "pasta or slirp4netns for rootless containers.",
    synopsis="[options] [CONTAINER|POD...]",
    flags=(ALL, LATEST),
    examples=("pypod network reload web", "pypod network reload --all"),
)


def run_network_reload(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network reload``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        if options["all"]:
            print("".join(f"{one}\n" for one in engine.networks.reload()), end="")
            return 0
        containers, problems = selection.containers(engine, options, get=lambda name: _named(engine, name))
        done = engine.networks.reload(containers)
        return selection.each(containers, problems, lambda one: _require_reloaded(one, done), lambda one: one.id)


def _named(engine: Engine, name: str) -> Container:
    """Return the container of that name, or the infra of the pod of that name. Raises NoSuchContainer."""
    try:
        return engine.containers.get(name)
    except NoSuchContainer:
        infra = engine.pods.get(name).infra if engine.pods.exists(name) else None
        if infra is None:
            raise
        return infra


def _require_reloaded(container: Container, done: Sequence[str]) -> None:
    if container.id not in done:
        message = "cannot reload network unless container network has been configured: container state improper"
        raise WrongState(container.name, container.state().status, message)
