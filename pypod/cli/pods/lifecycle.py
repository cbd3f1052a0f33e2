"""start, stop, restart, kill and rm for pods."""

from __future__ import annotations

from pypod.cli.flags import selection
from pypod.cli.flags.objects import ALL, EXPLAIN, IGNORE, LATEST, POD_ID_FILE, TIME
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import NotFound, WrongState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.api.pod import Pod
    from pypod.cli.flags.parser import Parsed

_SYNOPSIS = "[options] POD [POD...]"

POD_START = Command(
    path="pypod pod start",
    summary="Start one or more pods",
    description="Starts the infra and all members of each pod.",
    synopsis=_SYNOPSIS,
    flags=(ALL, EXPLAIN, LATEST, POD_ID_FILE),
    examples=("pypod pod start mipod", "pypod pod start --all"),
)
POD_STOP = Command(
    path="pypod pod stop",
    summary="Stop one or more pods",
    synopsis=_SYNOPSIS,
    flags=(ALL, IGNORE, LATEST, POD_ID_FILE, TIME),
    examples=("pypod pod stop mipod", "pypod pod stop --time 1 mipod"),
)
POD_RESTART = Command(
    path="pypod pod restart",
    summary="Restart one or more pods",
    description="Stops all containers and starts them in new namespaces. This repairs a pod that is Broken.",
    synopsis=_SYNOPSIS,
    flags=(ALL, LATEST),
    examples=("pypod pod restart mipod",),
)
POD_KILL = Command(
    path="pypod pod kill",
    summary="Send the specified signal or SIGKILL to containers in pod",
    synopsis=_SYNOPSIS,
    flags=(ALL, LATEST, Flag(name="signal", short="s", default="KILL", help="Signal to send to the containers")),
    examples=("pypod pod kill mipod",),
)
POD_RM = Command(
    path="pypod pod rm",
    summary="Remove one or more pods",
    synopsis=_SYNOPSIS,
    flags=(
        ALL,
        IGNORE,
        LATEST,
        POD_ID_FILE,
        TIME,
        Flag(name="force", short="f", kind="bool", help="Force removal of a running pod by stopping it first"),
    ),
    examples=("pypod pod rm mipod", "pypod pod rm --force --all"),
)


def _timeout(options: Parsed) -> float | None:
    return float(options["time"]) if options.changed("time") else None


def _each(
    options: Parsed,
    root: str | None,
    action: Callable[[Pod], object],
    *,
    id_flag: str = "",
    removal: bool = False,
    force: bool = False,
    show: Callable[[Pod], str] = lambda pod: pod.id,
) -> int:
    from pypod.api.engine import Engine
    from pypod.cli.render.plain_text import warn

    with Engine(root, warn=warn) as engine:
        found, problems = selection.pods(engine, options, id_flag=id_flag)
        if force:  # as in podman: a missing pod needs no removal
            problems = [error for error in problems if not isinstance(error, NotFound)]
        return selection.each(found, problems, action, show, removal=removal)


def run_pod_start(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod start``."""
    if options["explain"]:
        return _each(options, root, lambda _: None, id_flag="pod-id-file", show=lambda pod: str(pod.explain()))
    return _each(options, root, lambda pod: pod.start(), id_flag="pod-id-file")


def run_pod_stop(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod stop``."""
    return _each(options, root, lambda pod: pod.stop(_timeout(options)), id_flag="pod-id-file")


def run_pod_restart(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod restart``."""
    return _each(options, root, lambda pod: pod.restart())


def run_pod_kill(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod kill``."""
    from pypod.kernel.abi import signal_number

    number = signal_number(options["signal"], argument="--signal")

    def kill(pod: Pod) -> None:
        try:
            pod.kill(number)
        except WrongState:
            return  # nothing is running: not a failure, as in podman

    return _each(options, root, kill)


def run_pod_rm(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod rm``."""
    force = options["force"]
    if options.changed("time") and not force:
        raise UsageError("pypod pod rm", "--force option must be specified to use the --time option")

    def remove(pod: Pod) -> None:
        pod.remove(force=force, timeout=_timeout(options))

    return _each(options, root, remove, id_flag="pod-id-file", removal=True, force=force)
