"""container prune and pod prune: remove what does not run."""

from __future__ import annotations

from pypod.cli.flags.parser import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

_FORCE = Flag(name="force", short="f", kind="bool", help="Do not prompt for confirmation.  The default is false")
CONTAINER_PRUNE = Command(
    path="pypod container prune",
    summary="Remove all non running containers",
    description="Removes all non running containers, except the members of pods",
    synopsis="[options]",
    flags=(
        Flag(name="filter", kind="stringArray", help="Provide filter values (e.g. 'label=<key>=<value>')"),
        _FORCE,
    ),
    examples=("pypod container prune",),
    max_args=0,
)
POD_PRUNE = Command(
    path="pypod pod prune",
    summary="Remove all stopped pods and their containers",
    description="Removes all exited pods",
    synopsis="[options]",
    flags=(_FORCE,),
    examples=("pypod pod prune",),
    max_args=0,
)


def run_container_prune(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod container prune``."""
    from pypod.api.engine import Engine
    from pypod.cli.flags.filters import compile_prune_filters
    from pypod.cli.render.asking import agreed

    if not options["force"] and not agreed("WARNING! This will remove all non running containers."):
        return 0
    test = compile_prune_filters(options["filter"])
    with Engine(root) as engine:
        for identifier in engine.containers.prune(lambda one: test(one.labels, one.created_ns)):
            print(identifier)
    return 0


def run_pod_prune(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod prune``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.asking import agreed

    if not options["force"] and not agreed("WARNING! This will remove all stopped/exited pods.."):
        return 0
    with Engine(root) as engine:
        for identifier in engine.pods.prune():
            print(identifier)
    return 0
