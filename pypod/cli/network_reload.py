"""network reload."""

from __future__ import annotations

from pypod.cli import selection
from pypod.cli.flags import Command
from pypod.cli.selection import ALL, LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags import Parsed
    from pypod.errors import PypodError

NETWORK_RELOAD = Command(
    path="pypod network reload",
    summary="Reload firewall rules for one or more containers",
    description="Makes anew what of a container's connections was taken away: bridges and firewall rules.",
    synopsis="[options] [CONTAINER...]",
    flags=(ALL, LATEST),
    examples=("pypod network reload web", "pypod network reload --all"),
)


def run_network_reload(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod network reload``."""
    from pypod.engine import live_connections
    from pypod.engine.engine import Engine
    from pypod.engine.listing import listed_containers

    with Engine(root) as engine:
        if options["all"]:
            containers = [
                engine.containers.get(record.id)
                for record, state in listed_containers(engine)
                if state.running and live_connections.is_attached(engine, record)
            ]
            problems: list[PypodError] = []
        else:
            containers, problems = selection.containers(engine, options)
        return selection.each(
            containers, problems, lambda one: live_connections.reload(engine, one.record()), lambda one: one.id
        )
