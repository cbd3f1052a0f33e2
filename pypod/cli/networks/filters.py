"""The filters of ``network ls`` and ``network prune`` (podman-network-ls(1), --filter)."""

from __future__ import annotations

from pypod.cli.flags.filters import FORM, compile_filters, has_labels, matcher, moment_ns, split
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.api.engine import Engine
    from pypod.model.network import NetworkSpec

    Test = Callable[[NetworkSpec], bool]

__all__ = ["compile_network_filters", "compile_prune_filters"]

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def compile_network_filters(entries: Sequence[str], engine: Engine) -> Test:
    """Return the test that a network must pass to be listed. Raises InvalidSpec."""
    return _compiled(entries, {**_PRUNE_TABLE, **_TABLE, "dangling": lambda values: _dangling(engine, values)})


def compile_prune_filters(entries: Sequence[str]) -> Test:
    """Return the test that an unused network must pass to be removed. Raises InvalidSpec."""
    return _compiled(entries, _PRUNE_TABLE)


def _compiled(entries: Sequence[str], table: dict[str, Callable[[Sequence[str]], Test]]) -> Test:
    filters = split(entries, message=FORM)
    for name in filters:
        if name not in table:
            raise InvalidSpec("--filter", f'invalid filter "{name}"')
    return compile_filters(filters, table)


def _driver(values: Sequence[str]) -> Test:
    return lambda spec: spec.driver in values


def _id(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return lambda spec: matches(spec.id)


def _name(values: Sequence[str]) -> Test:
    matches = matcher(values)
    return lambda spec: matches(spec.name)


def _label(values: Sequence[str]) -> Test:
    return lambda spec: has_labels(values, dict(spec.labels))


def _no_label(values: Sequence[str]) -> Test:
    return lambda spec: not has_labels(values, dict(spec.labels))


def _until(values: Sequence[str]) -> Test:
    moment = moment_ns(values)
    return lambda spec: spec.created_ns < moment


def _dangling(engine: Engine, values: Sequence[str]) -> Test:
    """Test whether nothing is connected to a network; the default network never counts as unused."""
    for value in values:
        if value not in _TRUTHS:
            raise InvalidSpec("--filter", f'invalid dangling filter value "{value}"')
    wanted = {_TRUTHS[value] for value in values}
    unused = {one.id for one in engine.networks.unused()}
    return lambda spec: (spec.id in unused) in wanted


_PRUNE_TABLE: dict[str, Callable[[Sequence[str]], Test]] = {"label": _label, "label!": _no_label, "until": _until}
_TABLE: dict[str, Callable[[Sequence[str]], Test]] = {"driver": _driver, "id": _id, "name": _name}
