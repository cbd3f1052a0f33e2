"""The filters of ``pod ps`` (podman-pod-ps(1), --filter)."""

from __future__ import annotations

from pypod.cli.flags.filters import compile_filters, has_labels, matcher, moment_ns, one_of, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.api.engine import Engine
    from pypod.cli.pods.ps import PodRow
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord

    Test = Callable[[PodRow], bool]

__all__ = ["compile_pod_filters"]

_POD_STATES = ("broken", "created", "dead", "degraded", "exited", "paused", "running", "stopped")
_CONTAINER_STATES = ("created", "exited", "paused", "running", "stopped", "unknown")


def compile_pod_filters(entries: Sequence[str], engine: Engine) -> Test:
    """Return the test that a row must pass. Raises InvalidSpec."""
    filters = split(entries, message="filter input must be in the form of filter=value: {} is invalid")
    return compile_filters(filters, {**_TABLE, "network": lambda values: _network(engine, values)})


def _any_container(test: Callable[[ContainerRecord, ContainerState], bool]) -> Test:
    return lambda row: any(test(one, state) for one, state in row.members)


def _container_ids(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return _any_container(lambda one, _: matches(one.id))


def _container_names(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return _any_container(lambda one, _: matches(one.name))


def _container_number(values: Sequence[str]) -> Test:
    return lambda row: str(len(row.members)) in values


def _container_status(values: Sequence[str]) -> Test:
    wanted = one_of(values, _CONTAINER_STATES, "{} is not a valid status")
    if "stopped" in wanted:
        wanted |= {"exited"}
    return _any_container(lambda _, state: state.status in wanted)


def _id(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return lambda row: matches(row.record.id)


def _label(values: Sequence[str]) -> Test:
    return lambda row: has_labels(values, row["Labels"])


def _name(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return lambda row: matches(row.record.name)


def _network(engine: Engine, values: Sequence[str]) -> Test:
    from pypod.store.networks import names_of

    names = names_of(engine.database, values)
    return lambda row: not names.isdisjoint(row.networks)


def _status(values: Sequence[str]) -> Test:
    wanted = one_of(values, _POD_STATES, "{} is not a valid pod status")
    return lambda row: row.status.lower() in wanted


def _until(values: Sequence[str]) -> Test:
    moment = moment_ns(values)
    return lambda row: row.record.created_ns < moment


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
