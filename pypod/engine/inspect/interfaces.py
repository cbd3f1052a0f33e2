"""The interfaces of a running container or pod, as the kernel reports them."""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.engine.core.enter import open_namespace
from pypod.engine.session import inside
from pypod.errors import WrongState
from pypod.network.interfaces import interfaces, interfaces_after_entering

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerState
    from pypod.network.interfaces import Interface


def of_process(context: Context, name: str, state: ContainerState) -> tuple[Interface, ...]:
    """Return the interfaces in the network namespace of a container's first process, by index.

    Raises WrongState when it does not run.
    """
    if not state.alive:
        raise WrongState(name, state.status, f"{name} is not running: it has no interfaces")
    if inside.is_needed(context):  # a user enters a network namespace only as root of the session that owns it
        return inside.call(context, _in_session, name, state)
    return _read(name, state, interfaces)


def _in_session(_: Context, name: str, state: ContainerState) -> tuple[Interface, ...]:
    return _read(name, state, interfaces_after_entering)


def _read(name: str, state: ContainerState, read: Callable[[int], tuple[Interface, ...]]) -> tuple[Interface, ...]:
    with Boundary(f"list the interfaces of {name}"):
        namespace = open_namespace(name, state, "net")
        try:
            return read(namespace)
        finally:
            os.close(namespace)
