"""stop, restart, kill and rm for containers."""

from __future__ import annotations

from pypod.cli.flags import selection
from pypod.cli.flags.objects import ALL, CIDFILE, EXPLAIN, FILTER, IGNORE, LATEST, TIME
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import InUse, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.container import Container
    from pypod.cli.flags.parser import Parsed

_SYNOPSIS = "[options] CONTAINER [CONTAINER...]"

STOP = Command(
    path="pypod stop",
    summary="Stop one or more containers",
    description=(
        "Sends the stop signal, and SIGKILL to containers that have not ended after --time seconds.\n"
        "  An init process that neither handles, blocks nor ignores the signal never gets it: it is killed without\n"
        "  waiting once it has been up for 2 seconds, the time a program is given to install its handler."
    ),
    synopsis=_SYNOPSIS,
    flags=(ALL, CIDFILE, EXPLAIN, FILTER, IGNORE, LATEST, TIME),
    examples=("pypod stop ctrID", "pypod stop --time 2 wonderful_otter"),
)
RESTART = Command(
    path="pypod restart",
    summary="Restart one or more containers",
    synopsis=_SYNOPSIS,
    flags=(
        ALL,
        CIDFILE,
        FILTER,
        LATEST,
        TIME,
        Flag(name="running", kind="bool", help="Restart only running containers"),
    ),
    examples=("pypod restart ctrID",),
)
KILL = Command(
    path="pypod kill",
    summary="Kill one or more running containers with a specific signal",
    synopsis=_SYNOPSIS,
    flags=(
        ALL,
        CIDFILE,
        LATEST,
        Flag(name="signal", short="s", default="KILL", help="Signal to send to the container"),
    ),
    examples=("pypod kill mywebserver", "pypod kill --signal TERM mywebserver"),
)
RM = Command(
    path="pypod rm",
    summary="Remove one or more containers",
    synopsis=_SYNOPSIS,
    flags=(
        ALL,
        CIDFILE,
        FILTER.replace(short=""),
        IGNORE,
        LATEST,
        TIME,
        Flag(name="force", short="f", kind="bool", help="Force removal of a running or unusable container"),
        Flag(name="depend", kind="bool", help="Remove container and all containers that depend on it"),
        Flag(name="volumes", short="v", kind="bool", help="Remove anonymous volumes associated with the container"),
    ),
    examples=("pypod rm ctrID", "pypod rm --force --all"),
)


def _timeout(options: Parsed) -> float | None:
    return float(options["time"]) if options.changed("time") else None


def run_stop(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod stop``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        found, problems = selection.containers(engine, options, id_flag="cidfile")
        if options["explain"]:
            return selection.each(found, problems, lambda _: None, lambda one: str(one.explain_stop(_timeout(options))))
        names = selection.as_given(options, found)
        return selection.each(found, problems, lambda one: one.stop(_timeout(options)), lambda one: names[one.id])


def run_restart(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod restart``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        if options["running"] and not options.positionals:
            return selection.each(
                engine.containers.list(), [], lambda one: one.restart(_timeout(options)), lambda one: one.id
            )
        found, problems = selection.containers(engine, options, id_flag="cidfile")
        names = selection.as_given(options, found)
        return selection.each(found, problems, lambda one: one.restart(_timeout(options)), lambda one: names[one.id])


def run_kill(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod kill``."""
    from pypod.api.engine import Engine
    from pypod.kernel.abi import signal_number

    number = signal_number(options["signal"], argument="--signal")
    with Engine(root) as engine:
        found, problems = selection.containers(engine, options, id_flag="cidfile")
        if options["all"]:
            found = [one for one in found if one.state().running]
        names = selection.as_given(options, found)
        return selection.each(found, problems, lambda one: one.kill(number), lambda one: names[one.id])


def run_rm(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod rm``."""
    from pypod.api.engine import Engine

    if options.changed("time") and not options["force"]:
        raise UsageError("pypod rm", "--force option must be specified to use the --time option")

    with Engine(root) as engine:
        found, problems = selection.containers(engine, options, id_flag="cidfile")
        names = selection.as_given(options, found)

        def remove(one: Container) -> None:
            others = one.dependents()
            if others and not options["depend"]:
                raise InUse(
                    one.name,
                    f"container {one.id} has dependent containers which must be removed before it: "
                    f"{', '.join(other.id for other in others)}: container already exists",
                )
            for other in others:
                remove(other)
            one.remove(force=options["force"], timeout=_timeout(options))

        if options["all"]:
            found.reverse()  # a container is younger than those it joined
        if options["force"]:  # as in podman: a missing container needs no removal
            problems = [error for error in problems if not isinstance(error, NotFound)]
        return selection.each(found, problems, remove, lambda one: names[one.id], removal=True)
