"""rename: give a container another name."""

from __future__ import annotations

from pypod.cli.flags.parser import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

RENAME = Command(
    path="pypod rename",
    summary="Rename an existing container",
    description="Renames an existing container.",
    synopsis="CONTAINER NAME",
    examples=("pypod rename containerA newName",),
    min_args=2,
    max_args=2,
)


def run_rename(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod rename``."""
    from pypod.api.engine import Engine

    container, name = options.positionals
    with Engine(root) as engine:
        engine.containers.get(container).rename(name)
    return 0
