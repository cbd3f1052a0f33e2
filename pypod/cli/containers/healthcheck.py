"""healthcheck run."""

from __future__ import annotations

from pypod.cli.flags.parser import Command
from pypod.errors import NoSuchContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

HEALTHCHECK_RUN = Command(
    path="pypod healthcheck run",
    summary="Run the health check of a container",
    description="Run the health check of a container. The exit code is 0 when it succeeds, 1 when it fails. Health "
    "checks are never run automatically: podman uses systemd timers for that.",
    synopsis="CONTAINER",
    examples=("pypod healthcheck run mywebapp",),
    min_args=1,
    max_args=1,
)


def run_healthcheck_run(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod healthcheck run``."""
    from pypod.api.engine import Engine

    name = options.positionals[0]
    with Engine(root) as engine:
        try:
            container = engine.containers.get(name)
        except NoSuchContainer as error:
            error.message = f"unable to look up {name} to perform a health check: {error.message}"
            raise
        if container.healthcheck():
            return 0
    print("unhealthy")
    return 1
