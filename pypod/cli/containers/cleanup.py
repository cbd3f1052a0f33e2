"""container cleanup: undo what is left of containers that have ended."""

from __future__ import annotations

from pypod.cli.flags import selection
from pypod.cli.flags.objects import ALL, LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.container import Container
    from pypod.cli.flags.parser import Parsed

CLEANUP = Command(
    path="pypod container cleanup",
    summary="Clean up network and mountpoints of one or more containers",
    description=(
        "Releases the addresses, ports, cgroups and volumes of containers that have ended.\n"
        "  The next listing does that, too, after a monitor was killed; this does it at once."
    ),
    synopsis="[options] CONTAINER [CONTAINER...]",
    flags=(
        ALL.replace(help="Clean up all containers"),
        Flag(name="exec", help="Clean up the given exec session instead of the container", metavar="string"),
        LATEST,
        Flag(name="rm", kind="bool", help="After cleanup, remove the container entirely"),
        Flag(name="rmi", kind="bool", help="After cleanup, remove the image entirely"),
    ),
    examples=("pypod container cleanup ctrID1 ctrID2", "pypod container cleanup --all"),
)


def run_cleanup(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod container cleanup``."""
    from pypod.api.engine import Engine

    if options["exec"]:
        _check_exec(options)
    with Engine(root) as engine:
        found, problems = selection.containers(engine, options)
        names = selection.as_given(options, found)
        images = {one.id: one.record().image for one in found}

        def clean(one: Container) -> None:
            if options["exec"]:
                one.cleanup_exec(options["exec"])
            one.cleanup(remove=options["rm"])
            if options["rmi"] and images[one.id]:
                from pypod.cli.images.rmi import remove_named

                for error in remove_named(engine, images[one.id]):
                    raise error

        return selection.each(found, problems, clean, lambda one: names[one.id])


def _check_exec(options: Parsed) -> None:
    if options["rmi"]:
        raise UsageError("", "exec and rmi options conflict")
    if options["all"]:
        raise UsageError("", "exec and all options conflict")
    if len(options.positionals) > 1:
        raise UsageError("", "cannot use exec option when more than one container is given")
