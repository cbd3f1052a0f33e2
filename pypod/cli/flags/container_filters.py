"""The filters of ``ps`` (podman-ps(1), --filter)."""

from __future__ import annotations

from pypod.cli.flags.filters import compile_filters, has_labels, matcher, moment_ns, one_of, split
from pypod.cli.render.output import exit_code, image_name
from pypod.errors import InvalidSpec, NoSuchContainer, NoSuchPod
from pypod.model.namespace import POD, Mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pypod.api.engine import Engine
    from pypod.api.summaries import ContainerSummary

    Test = Callable[[ContainerSummary], bool]

__all__ = ["compile_container_filters", "read_filters"]

_STATES = (
    "configured",
    "created",
    "exited",
    "initialized",
    "paused",
    "removing",
    "running",
    "stopped",
    "stopping",
    "unknown",
)
_RESTART_POLICIES = ("none", "always", "no", "on-failure", "unless-stopped")
_HEALTH = ("starting", "healthy", "unhealthy", "none")


def read_filters(entries: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each filter. Raises InvalidSpec."""
    return split(entries)


def compile_container_filters(filters: Mapping[str, Sequence[str]], engine: Engine) -> Test:
    """Return the test that a container must pass.

    Raises InvalidSpec, and NoSuchContainer for before and since.
    """
    table: dict[str, Callable[[Sequence[str]], Test]] = {
        **_TABLE,
        "before": lambda values: _before(_created_ns(engine, values)),
        "since": lambda values: _since(_created_ns(engine, values)),
        "network": lambda values: _network(engine, values),
        "pod": lambda values: _pod(engine, values),
    }
    return compile_filters(filters, table)


def _id(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return lambda one: matches(one.id)


def _name(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return lambda one: matches(one.name)


def _label(values: Sequence[str]) -> Test:
    return lambda one: has_labels(values, one.labels)


def _status(values: Sequence[str]) -> Test:
    wanted = one_of(values, _STATES, "unknown container state: {}: invalid argument")
    if "stopped" in wanted:
        wanted |= {"exited"}
    return lambda one: one.state.status in wanted


def _exited(values: Sequence[str]) -> Test:
    from pypod.cli.go.strconv import parse_int, quote

    codes = set()
    for value in values:
        try:
            codes.add(parse_int(value))
        except ValueError as error:
            raise InvalidSpec("--filter", f"exited code out of range {quote(value)}: {error}") from error
    return lambda one: one.state.status == "exited" and exit_code(one) in codes


def _ancestor(values: Sequence[str]) -> Test:
    def test(one: ContainerSummary) -> bool:
        image = image_name(one)
        name, _, tag = image.rpartition(":")
        return one.image_id in values or any(value == image or (value == name and tag == "latest") for value in values)

    return test


def _created_ns(engine: Engine, values: Sequence[str]) -> int:
    return min(engine.containers.get(value).created_ns for value in values)


def _before(moment: int) -> Test:
    return lambda one: one.created_ns < moment


def _since(moment: int) -> Test:
    return lambda one: one.created_ns > moment


def _until(values: Sequence[str]) -> Test:
    return _before(moment_ns(values))


def _pod(engine: Engine, values: Sequence[str]) -> Test:
    wanted = set()
    for value in values:
        try:
            wanted.add(engine.pods.get(value).id)
        except NoSuchPod:
            continue
    return lambda one: one.pod_id in wanted


def _volume(values: Sequence[str]) -> Test:
    """Match SOURCE, DESTINATION or SOURCE:DESTINATION; podman documents the second and looks at the first."""

    def test(one: ContainerSummary) -> bool:
        mounts = one.spec.mounts if one.spec is not None else ()
        places = {place for mount in mounts for place in (mount.source, mount.target, f"{mount.source}:{mount.target}")}
        return not places.isdisjoint(values)

    return test


def _restart_policy(values: Sequence[str]) -> Test:
    wanted = one_of(values, _RESTART_POLICIES, "{} invalid restart policy")
    # podman's word for a container that was created without a policy is none
    return lambda one: ((one.spec.restart_policy if one.spec is not None else "") or "none") in wanted


def _health(values: Sequence[str]) -> Test:
    wanted = one_of(values, _HEALTH, "{} invalid health status")
    return lambda one: one.health in wanted  # as in podman, "none" does not match a container without a check


def _network(engine: Engine, values: Sequence[str]) -> Test:
    """Match networks by name or id, and container:NAME for joined networks; an unknown network matches nothing."""
    joined = {ref for value in values for kind, _, ref in (value.partition(":"),) if kind == "container" and ref}
    modes = _joining(engine, joined)
    names = engine.networks.names_of(values)

    def test(one: ContainerSummary) -> bool:
        if not names.isdisjoint(one.networks):
            return True
        spec = one.spec if modes else None
        return spec is not None and (spec.net, one.pod_id if spec.net == POD else "") in modes

    return test


def _joining(engine: Engine, refs: Iterable[str]) -> set[tuple[Mode, str]]:
    """Return the network modes that join the containers ``refs``, each with the id of the pod for an infra container.

    The pod id is empty for any other container.
    """
    found = set()
    for ref in refs:
        try:
            container = engine.containers.get(ref)
        except NoSuchContainer:
            continue
        found.add((Mode(mode="container", target=container.id), ""))
        pod = container.pod
        if pod is not None and pod.infra == container:
            found.add((POD, pod.id))
    return found


_TABLE: dict[str, Callable[[Sequence[str]], Test]] = {
    "ancestor": _ancestor,
    "exited": _exited,
    "health": _health,
    "id": _id,
    "label": _label,
    "name": _name,
    "restart-policy": _restart_policy,
    "status": _status,
    "until": _until,
    "volume": _volume,
}
