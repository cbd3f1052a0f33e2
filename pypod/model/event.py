"""Something that happened to a pod or container."""

from __future__ import annotations

from pypod.model.value import Value

CONTAINER, POD = "container", "pod"


class Event(Value):
    """One thing that happened, in podman's words.

    ``time_ns`` is nanoseconds since the epoch; ``type`` is container or pod; ``action`` is what podman calls the
    status: create, start, attach, exec, exec_died, kill, died, restart, stop, remove. ``exit_code`` comes with died
    and exec_died, 128 + n after signal n. ``pod_id`` is the pod of a container, ``attributes`` are its labels.

    >>> event = Event(time_ns=1, type="container", action="died", id="5a70", name="web", exit_code=3)
    >>> event.action, event.exit_code, dict(event.attributes)
    ('died', 3, {})
    """

    time_ns: int
    type: str
    action: str
    id: str
    name: str
    image: str = ""
    pod_id: str = ""
    exit_code: int | None = None
    attributes: tuple[tuple[str, str], ...] = ()
