"""update: change the limits of a container or pod, and a container's environment."""

from __future__ import annotations

from pypod.cli.flags.options import flags_of, options_given
from pypod.cli.flags.parser import Command
from pypod.model.options.limits import LimitOptions
from pypod.model.options.update import UpdateOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

UPDATE_FLAGS = flags_of(UpdateOptions, without=("oom_kill_disable",))
POD_UPDATE_FLAGS = flags_of(LimitOptions, without=("oom_kill_disable",))
UPDATE = Command(
    path="pypod update",
    summary="Update an existing container",
    description="Updates the cgroup configuration and the environment of a given container, also for later starts.",
    synopsis="[options] CONTAINER",
    flags=UPDATE_FLAGS,
    examples=("pypod update --cpus=5 foobar_container",),
    min_args=1,
    max_args=1,
)
POD_UPDATE = Command(
    path="pypod pod update",
    summary="Update an existing pod",
    description="Updates the cgroup that contains the containers of a pod, at once and for later starts.",
    synopsis="[options] POD",
    flags=POD_UPDATE_FLAGS,
    examples=("pypod pod update --memory=512m mipod",),
    min_args=1,
    max_args=1,
)


def run_update(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod update``."""
    from pypod.api.engine import Engine

    changes = options_given(UpdateOptions, options)
    with Engine(root) as engine:
        container = engine.containers.get(options.positionals[0])
        container.update(**changes)
        print(container.id)
    return 0


def run_pod_update(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod update``."""
    from pypod.api.engine import Engine

    limits = options_given(LimitOptions, options)
    with Engine(root) as engine:
        pod = engine.pods.get(options.positionals[0])
        pod.update(**limits)
        print(pod.id)
    return 0
