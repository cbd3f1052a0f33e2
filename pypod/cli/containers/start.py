"""start."""

from __future__ import annotations

import os

from pypod.cli.flags import selection
from pypod.cli.flags.objects import ALL, EXPLAIN, FILTER, LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.render.terminal import DEFAULT_DETACH_KEYS
from pypod.errors import PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.api.container import Container
    from pypod.cli.flags.parser import Parsed

START = Command(
    path="pypod start",
    summary="Start one or more containers",
    synopsis="[options] CONTAINER [CONTAINER...]",
    flags=(
        ALL.replace(short=""),  # -a is --attach
        EXPLAIN,
        FILTER,
        LATEST,
        Flag(name="attach", short="a", kind="bool", help="Attach container's STDOUT and STDERR"),
        Flag(name="interactive", short="i", kind="bool", help="Make STDIN available to the container"),
        Flag(name="detach-keys", default=DEFAULT_DETACH_KEYS, help="Select the key sequence for detaching a container"),
        Flag(name="sig-proxy", kind="bool", default=True, help="Proxy received signals to the process"),
    ),
    examples=("pypod start --attach mywebserver", "pypod start --all"),
)


def run_start(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod start``."""
    from pypod.api.engine import Engine
    from pypod.errors import InvalidSpec

    attach = options["attach"]
    if options.changed("sig-proxy") and options["sig-proxy"] and not options["attach"]:
        raise InvalidSpec("--sig-proxy", "you cannot use sig-proxy without --attach: invalid argument")
    _check(options)
    given = _of_systemd()
    with Engine(root) as engine:
        found, problems = selection.containers(engine, options, filter_names=True)
        if options["all"]:
            found = [one for one in found if not one.state().running]
        if options["explain"]:
            return selection.each(found, problems, lambda _: None, lambda one: str(one.explain(attended=attach)))
        if not attach:
            names = {} if options["filter"] else selection.as_given(options, found)
            running: set[str] = set()

            def start(one: Container) -> None:
                (running.add if one.state().status == "running" else running.discard)(one.id)
                _start(one, given)

            # as in podman: one that is running already is not named
            def shown(one: Container) -> str | None:
                return None if one.id in running else names.get(one.id, one.id)

            return selection.each(found, problems, start, shown)
        if problems:
            raise problems[0]
        if len(found) != 1:
            raise InvalidSpec("--attach", "you cannot start and attach multiple containers at once")
        return _start_attached(found[0], options, given)


def _of_systemd() -> dict[str, Any]:
    """Return the arguments of a start that hand on the sockets of systemd's activation, if there are any."""
    if not any(name.startswith("LISTEN_") for name in os.environ):
        return {}
    from pypod.cli.flags.descriptors import listening

    passed, variables = listening({})
    return {"pass_fds": passed, "environment": variables}


def _start(container: Container, given: dict[str, Any]) -> None:
    try:
        container.start(**given)
    except PypodError as error:
        error.message = f'unable to start container "{container.id}": {error.message}'
        raise


def _check(options: Parsed) -> None:
    """Raise UsageError for a combination that podman refuses, in its words."""
    message = ""
    if options["all"] and options.positionals:
        message = "either start all containers or the container(s) provided in the arguments"
    elif options["all"] and options["attach"]:
        message = "you cannot start and attach all containers at once"
    elif not (options.positionals or options["all"] or options["latest"] or options["filter"]):
        message = "start requires at least one argument"
    if message:
        raise UsageError("", message)


def _start_attached(container: Container, options: Parsed, given: dict[str, Any]) -> int:
    from pypod.cli.containers.following import follow
    from pypod.cli.render.terminal import detach_keys, size

    keys = detach_keys(options)
    log = container.open_log(at_end=True)
    columns, rows = size(0)
    runs = container.state().running
    try:
        container.start(columns=columns, rows=rows, attended=True, **given)
    except PypodError as error:
        error.message = f"unable to start container {container.id}: {error.message}"
        return selection.report(error)
    return follow(container, options, keys, log, stdin=options["interactive"], announced=not runs)
