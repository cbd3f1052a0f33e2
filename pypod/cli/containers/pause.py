"""pause and unpause for containers and pods."""

from __future__ import annotations

from pypod.cli.flags import selection
from pypod.cli.flags.objects import ALL, CIDFILE, FILTER, LATEST
from pypod.cli.flags.parser import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.api.container import Container
    from pypod.api.pod import Pod
    from pypod.cli.flags.parser import Parsed

_SYNOPSIS = "[options] CONTAINER [CONTAINER...]"
_POD_SYNOPSIS = "[options] POD [POD...]"

PAUSE = Command(
    path="pypod pause",
    summary="Pause all the processes in one or more containers",
    description="Pauses one or more running containers.  The container name or ID can be used.",
    synopsis=_SYNOPSIS,
    flags=(ALL.replace(help="Pause all running containers"), CIDFILE, FILTER, LATEST),
    examples=("pypod pause mywebserver", "pypod pause --all"),
)
UNPAUSE = Command(
    path="pypod unpause",
    summary="Unpause the processes in one or more containers",
    description="Unpauses one or more previously paused containers.  The container name or ID can be used.",
    synopsis=_SYNOPSIS,
    flags=(ALL.replace(help="Unpause all paused containers"), CIDFILE, FILTER, LATEST),
    examples=("pypod unpause ctrID", "pypod unpause --all"),
)
POD_PAUSE = Command(
    path="pypod pod pause",
    summary="Pause one or more pods",
    description="All running containers within each specified pod will be paused, including the infra container.",
    synopsis=_POD_SYNOPSIS,
    flags=(ALL.replace(help="Pause all running pods"), LATEST),
    examples=("pypod pod pause mipod", "pypod pod pause --all"),
)
POD_UNPAUSE = Command(
    path="pypod pod unpause",
    summary="Unpause one or more pods",
    description="All paused containers within each specified pod will be unpaused.",
    synopsis=_POD_SYNOPSIS,
    flags=(ALL.replace(help="Unpause all paused pods"), LATEST),
    examples=("pypod pod unpause mipod", "pypod pod unpause --all"),
)


def run_pause(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pause``."""
    return _containers(options, root, lambda one: one.pause(), "running")


def run_unpause(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod unpause``."""
    return _containers(options, root, lambda one: one.unpause(), "paused")


def _containers(options: Parsed, root: str | None, action: Callable[[Container], None], status: str) -> int:
    from pypod.api.engine import Engine

    with Engine(root) as engine:
        found, problems = selection.containers(engine, options, id_flag="cidfile", filter_names=True)
        if options["all"]:
            found = [one for one in found if one.state().status == status]
        names = selection.as_given(options, found)
        return selection.each(found, problems, action, lambda one: names[one.id])


def run_pod_pause(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod pause``."""
    return _pods(options, root, lambda pod: pod.pause(), shows_all=True)


def run_pod_unpause(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod unpause``."""
    return _pods(options, root, lambda pod: pod.unpause(), shows_all=False)


def _pods(options: Parsed, root: str | None, action: Callable[[Pod], None], *, shows_all: bool) -> int:
    """Apply ``action`` to pods. As in podman, one in which there is nothing to do is no failure."""
    from pypod.api.engine import Engine
    from pypod.errors import WrongState

    shown = []

    def act(pod: Pod) -> None:
        try:
            action(pod)
            shown.append(pod)
        except WrongState:
            if shows_all:
                shown.append(pod)

    with Engine(root) as engine:
        found, problems = selection.pods(engine, options)
        return selection.each(found, problems, act, lambda pod: pod.id if pod in shown else None)
