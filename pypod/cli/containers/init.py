"""init."""

from __future__ import annotations

from pypod.cli.flags import selection
from pypod.cli.flags.objects import ALL, LATEST
from pypod.cli.flags.parser import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.container import Container
    from pypod.cli.flags.parser import Parsed

INIT = Command(
    path="pypod init",
    summary="Initialize one or more containers",
    description="Initialize one or more containers, creating the OCI spec and mounts for inspection. Container names "
    "or IDs can be used.",
    synopsis="[options] CONTAINER [CONTAINER...]",
    flags=(ALL.replace(help="Initialize all containers"), LATEST),
    examples=("pypod init --latest", "pypod init 3c45ef19d893", "pypod init test1"),
)


def run_init(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod init``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        found, problems = selection.containers(engine, options)
        names = selection.as_given(options, found)

        # as in podman: --all names those, too, that were initialized or started before
        def init(one: Container) -> None:
            if not (options["all"] and one.state().alive):
                one.init()

        return selection.each(found, problems, init, lambda one: names[one.id])
