"""Values derived from the specifications of a container and its pod: hostname, resource limits, seccomp filter."""

from __future__ import annotations

import os

from pypod.model.container import Ulimit
from pypod.model.ids import HOSTNAME_LIMIT, short
from pypod.model.namespace import POD
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.store.records import ContainerRecord

# podman's as root: name, number of the resource in getrlimit(2), value
_DEFAULT_LIMITS = (("RLIMIT_NOFILE", 7, 1_048_576), ("RLIMIT_NPROC", 6, 4_194_304))


def hostname_of(record: ContainerRecord, spec: ContainerSpec, pod: PodSpec | None) -> str:
    """Return a container's hostname: its pod's, the host's, or its own."""
    if spec.uts == POD and pod is not None:
        return pod_hostname(pod)
    if spec.uts.mode == "host" or (spec.net.mode == "host" and not spec.hostname):
        return os.uname().nodename
    return spec.hostname or short(record.id)


def known_hostname(context: Context, record: ContainerRecord, spec: ContainerSpec) -> str:
    """Return the same as ``hostname_of``, without the pod's specification; a pod's hostname is looked up once."""
    if spec.uts != POD or not record.pod_id:
        return hostname_of(record, spec, None)
    found = context.hostnames.get(record.pod_id)
    if found is None:
        pod = context.pod_spec(records.find_pod(context.database, record.pod_id))
        found = context.hostnames[record.pod_id] = pod_hostname(pod)
    return found


def pod_hostname(spec: PodSpec) -> str:
    """Return a pod's hostname; by default its name, truncated to the kernel's limit."""
    return spec.hostname or spec.name[:HOSTNAME_LIMIT]


def ulimits(spec: ContainerSpec) -> tuple[Ulimit, ...]:
    """Return the requested resource limits and podman's defaults, capped at this process's own hard limits."""
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


def filter_of(context: Context, spec: ContainerSpec) -> tuple[bytes, int]:
    """Return the seccomp program of a container, empty for none, and the flags to load it with."""
    if spec.privileged or spec.seccomp == "unconfined":
        return b"", 0
    if spec.seccomp_profile:
        from pypod.runtime.seccomp.filter import filter_and_flags

        content = spec.seccomp_profile.encode("utf-8", "surrogateescape")
        return filter_and_flags(spec.image, frozenset(spec.capabilities), context.layout.cache, content)
    if not spec.seccomp:
        return context.default_filter(spec.capabilities)
    from pypod.runtime.seccomp.filter import filter_and_flags

    return filter_and_flags(spec.seccomp, frozenset(spec.capabilities), context.layout.cache)
