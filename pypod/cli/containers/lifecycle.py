"""stop, restart and kill for containers."""

from __future__ import annotations

from pypod.cli.flags import selection
from pypod.cli.flags.objects import ALL, CIDFILE, EXPLAIN, FILTER, IGNORE, LATEST, TIME
from pypod.cli.flags.parser import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    flags=(ALL, CIDFILE, EXPLAIN, FILTER, IGNORE, LATEST, TIME.replace(aliases=("timeout",))),
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


def timeout_of(options: Parsed) -> float | None:
    """Return the value of --time, None when it is not given."""
    return float(options["time"]) if options.changed("time") else None


def run_stop(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod stop``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.plain_text import warn

    with Engine(root, warn=warn) as engine:
        found, problems = selection.containers(engine, options, id_flag="cidfile")
        if options["explain"]:
            return selection.each(
                found, problems, lambda _: None, lambda one: str(one.explain_stop(timeout_of(options)))
            )
        names = selection.as_given(options, found)
        return selection.each(found, problems, lambda one: one.stop(timeout_of(options)), lambda one: names[one.id])


def run_restart(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod restart``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.plain_text import warn

    with Engine(root, warn=warn) as engine:
        if options["running"] and not options.positionals:
            return selection.each(
                engine.containers.list(), [], lambda one: one.restart(timeout_of(options)), lambda one: one.id
            )
        found, problems = selection.containers(engine, options, id_flag="cidfile")
        names = selection.as_given(options, found)
        return selection.each(found, problems, lambda one: one.restart(timeout_of(options)), lambda one: names[one.id])


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
