"""The filters of ``pod ps`` (podman-pod-ps(1), --filter)."""

from __future__ import annotations

from pypod.cli.flags.filters import FORM, compile_filters, has_labels, matcher, moment_ns, one_of, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.api.engine import Engine
    from pypod.api.summaries import ContainerSummary, PodSummary

    Test = Callable[[PodSummary], bool]

__all__ = ["compile_pod_filters"]

_POD_STATES = ("broken", "created", "dead", "degraded", "exited", "paused", "running", "stopped")
_CONTAINER_STATES = ("created", "exited", "paused", "running", "stopped", "unknown")


def compile_pod_filters(entries: Sequence[str], engine: Engine) -> Test:
    """Return the test that a pod must pass. Raises InvalidSpec."""
    filters = split(entries, message=FORM)
    return compile_filters(filters, {**_TABLE, "network": lambda values: _network(engine, values)})


def _any_container(test: Callable[[ContainerSummary], bool]) -> Test:
    return lambda pod: any(map(test, pod.members))


def _container_ids(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return _any_container(lambda one: matches(one.id))


def _container_names(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return _any_container(lambda one: matches(one.name))


def _container_number(values: Sequence[str]) -> Test:
    return lambda pod: str(len(pod.members)) in values


def _container_status(values: Sequence[str]) -> Test:
    wanted = one_of(values, _CONTAINER_STATES, "{} is not a valid status")
    if "stopped" in wanted:
        wanted |= {"exited"}
    return _any_container(lambda one: one.state.status in wanted)


def _id(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return lambda pod: matches(pod.id)


def _label(values: Sequence[str]) -> Test:
    return lambda pod: has_labels(values, dict(pod.spec.labels))


def _name(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return lambda pod: matches(pod.name)


def _network(engine: Engine, values: Sequence[str]) -> Test:
    names = engine.networks.names_of(values)
    return lambda pod: not names.isdisjoint(pod.networks)


def _status(values: Sequence[str]) -> Test:
    wanted = one_of(values, _POD_STATES, "{} is not a valid pod status")
    return lambda pod: pod.status.lower() in wanted


def _until(values: Sequence[str]) -> Test:
    moment = moment_ns(values)
    return lambda pod: pod.created_ns < moment


_TABLE: dict[str, Callable[[Sequence[str]], Test]] = {
    "ctr-ids": _container_ids,
    "ctr-names": _container_names,
    "ctr-number": _container_number,
    "ctr-status": _container_status,
    "id": _id,
    "label": _label,
    "name": _name,
    "status": _status,
    "until": _until,
}
