"""What follows from a container's specification, its pod's and this process: hostname and resource limits."""

from __future__ import annotations

import os

from pypod.model.container import Ulimit
from pypod.model.ids import short
from pypod.model.namespace import POD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.store.records import ContainerRecord, PodRecord

# podman's, as root: name, number of resource(2), value
_DEFAULT_LIMITS = (("RLIMIT_NOFILE", 7, 1_048_576), ("RLIMIT_NPROC", 6, 4_194_304))


def hostname_of(context: Context, record: ContainerRecord, spec: ContainerSpec, pod: PodRecord | str | None) -> str:
    """Return the hostname a container has: its pod's, the host's, or its own. ``pod`` is a record or an id."""
    if spec.uts == POD and pod:
        of_pod = context.pod_spec(pod)
        return of_pod.hostname or of_pod.name
    if spec.uts.mode == "host" or (spec.net.mode == "host" and not spec.hostname):
        return os.uname().nodename
    return spec.hostname or short(record.id)


def ulimits(spec: ContainerSpec) -> tuple[Ulimit, ...]:
    """Return the resource limits: those asked for, and podman's defaults as far as this process may give them."""
    import resource

    given = {limit.name for limit in spec.ulimits}
    if "host" in given:
        return tuple(limit for limit in spec.ulimits if limit.name != "host")
    found = list(spec.ulimits)
    for name, number, default in _DEFAULT_LIMITS:
        if name in given:
            continue
        hard = resource.getrlimit(number)[1]
        value = default if hard < 0 else min(default, hard)
        found.append(Ulimit(name=name, soft=value, hard=value))
    return tuple(found)
