"""container exists, image exists, pod exists and wait."""

from __future__ import annotations

import sys

from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import InvalidSpec, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed

CONTAINER_EXISTS = Command(
    path="pypod container exists",
    summary="Check if a container exists in local storage",
    description="The exit code is 0 if the named container exists, otherwise 1.",
    synopsis="[options] CONTAINER",
    flags=(Flag(name="external", kind="bool", help="Accepted for compatibility with podman; has no effect"),),
    examples=("pypod container exists myctr || pypod run --name myctr [etc...]",),
    min_args=1,
    max_args=1,
)
POD_EXISTS = Command(
    path="pypod pod exists",
    summary="Check if a pod exists in local storage",
    description="The exit code is 0 if the named pod exists, otherwise 1.",
    synopsis="POD",
    examples=("pypod pod exists mypod || pypod pod create --name mypod",),
    min_args=1,
    max_args=1,
)
IMAGE_EXISTS = Command(
    path="pypod image exists",
    summary="Check if an image exists in local storage",
    description="The exit code is 0 if the named image exists, otherwise 1.",
    synopsis="IMAGE",
    examples=("pypod image exists IMAGE || pypod pull IMAGE",),
    min_args=1,
    max_args=1,
)
WAIT = Command(
    path="pypod wait",
    summary="Block on one or more containers",
    description="Block until one or more containers stop and then print their exit codes.",
    synopsis="[options] CONTAINER [CONTAINER...]",
    flags=(
        Flag(name="condition", kind="strings", help="Condition to wait on"),
        Flag(name="ignore", kind="bool", help="Print -1 for a container that does not exist instead of failing"),
        Flag(
            name="interval",
            short="i",
            default="250ms",
            help="Time interval to wait between polls, except when waiting for the container's end",
        ),
        LATEST,
    ),
    examples=("pypod wait --interval 5s ctrID", "pypod wait ctrID1 ctrID2"),
)
# The states in podman's libpod/define/containerstate.go; its manual page has one more, which it refuses: configured.
_CONDITIONS = (
    "created",
    "exited",
    "healthy",
    "initialized",
    "paused",
    "removing",
    "running",
    "stopped",
    "stopping",
    "unhealthy",
    "unknown",
)
_ENDED = frozenset(("exited", "stopped"))
_NOT_RUN = frozenset(("created", "exited"))  # what was never started does not run either: podman prints 0 at once
_OF_HEALTH = frozenset(("healthy", "unhealthy"))
_UNKNOWN_CODE = -1


def run_container_exists(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod container exists``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        return 0 if engine.containers.exists(_name(options)) else 1


def run_image_exists(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod image exists``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        return 0 if engine.images.exists(_name(options)) else 1


def run_pod_exists(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod exists``."""
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        return 0 if engine.pods.exists(_name(options)) else 1


def _name(options: Parsed) -> str:
    name: str = options.positionals[0]
    if not name:
        raise InvalidSpec("NAME", "name or ID cannot be empty")
    return name


def run_wait(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod wait``."""
    from pypod.api.engine import Engine
    from pypod.cli.flags.selection import latest

    names = options.positionals
    if options["latest"] and names:
        raise UsageError("", "--latest and containers cannot be used together")
    if not options["latest"] and not names:
        raise UsageError("", f'"{options.command.path}" requires a name, id, or the "--latest" flag')
    interval_s = _interval_s(options["interval"])
    conditions = frozenset(options["condition"]) or _ENDED
    for condition in sorted(conditions.difference(_CONDITIONS)):
        raise InvalidSpec("--condition", f"unknown container state: {condition}: invalid argument")
    with Engine(root) as engine:
        containers = [_find(engine, name, options) for name in names] if names else [latest(engine)]
        codes = [_UNKNOWN_CODE if one is None else _wait(one, conditions, interval_s) for one in containers]
    # all containers have ended before the first code is printed, as in podman
    sys.stdout.write("".join([f"{code}\n" for code in codes]))
    return 0


def _find(engine: Engine, name: str, options: Parsed) -> Container | None:
    try:
        return engine.containers.get(name)
    except NotFound:
        if options["ignore"]:
            return None
        raise


def _interval_s(text: str) -> float:
    """Parse a duration; a bare number is in milliseconds. Raises InvalidSpec."""
    from pypod.cli.flags.times import parse_duration_ns

    try:
        nanoseconds = parse_duration_ns(f"{text}ms" if text.isascii() and text.isdigit() else text)
    except ValueError as error:
        raise InvalidSpec("--interval", str(error)) from error
    return max(nanoseconds, 1_000_000) / 1_000_000_000


def _wait(container: Container, conditions: frozenset[str], interval_s: float) -> int:
    """Wait until a container is in one of the states; return its exit code, or -1 while it has not ended."""
    import time

    if conditions <= _ENDED:
        return 0 if container.state().status == "created" else _exit_code(container)
    while (status := container.state().status) not in conditions:
        if status in _NOT_RUN and conditions & _ENDED:
            return 0 if status == "created" else _exit_code(container)
        if conditions & _OF_HEALTH and container.inspect()["State"]["Health"]["Status"] in conditions:
            break
        time.sleep(interval_s)
    return _exit_code(container) if status == "exited" else _UNKNOWN_CODE


def _exit_code(container: Container) -> int:
    code = container.wait()
    if code is None:
        print(
            f"Error: the exit code of container {container.name} is unknown: its end was not observed",
            file=sys.stderr,
        )
        return _UNKNOWN_CODE
    return code
