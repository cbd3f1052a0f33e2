"""Perform the steps of a start (``steps.py``) in order, such that all of them can be undone."""

from __future__ import annotations

from pypod.engine.core import effects
from pypod.engine.lifecycle.steps import Launch
from pypod.engine.networks import published
from pypod.engine.networks.port_holders import ForwardedPorts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.engine.core.effects import Undoing
    from pypod.engine.core.locks import Lock
    from pypod.engine.lifecycle.steps import Step
    from pypod.runtime.launcher import Launching

_NO_PORTS = ForwardedPorts()


def perform(context: Context, steps: Iterable[Step], undoing: Undoing, launching: Launching, lock: Lock) -> None:
    """Perform steps; the plan is run by ``launching``, a program that is already started.

    ``undoing`` collects the undo actions. ``lock`` is that of the container or pod being started: the program holds it,
    too, until the start is recorded. Raises what the steps raise.
    """
    for step in steps:
        undoing.add(step.undo)
        if isinstance(step, Launch):
            _launch(context, step, launching, lock)
        else:
            step.perform()


def _launch(context: Context, step: Launch, launching: Launching, lock: Lock) -> None:
    launched = published.run(
        context,
        launching,
        step.plan(),
        lock,
        step.identifier,
        step.forwarded or _NO_PORTS,
        lambda: effects.perform(step.meanwhile),
    )
    if launched.late_failure:
        context.warn(str(launched.late_failure))
