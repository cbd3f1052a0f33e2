"""An event of a pod, a container, an image or a volume."""

from __future__ import annotations

from pypod.model.value import Value

CONTAINER, POD, IMAGE, VOLUME = "container", "pod", "image", "volume"
# Where podman writes events (containers.conf(5), events_logger). Here it is a file in any case but the last.
LOGGERS = ("file", "journald", "none")


class Event(Value):
    """One event, with podman's names.

    ``time_ns`` is nanoseconds since the epoch; ``type`` is container, pod, image or volume; ``action`` is podman's
    status: create, start, attach, exec, exec_died, kill, pause, unpause, died, restart, stop, commit, remove; for
    images pull, push, tag, untag, save, loadfromarchive, mount, unmount, remove; for volumes create, remove, prune; and
    oom before died when the kernel killed a process for lack of memory. ``exit_code`` is set for died and exec_died,
    128 + n after signal n. ``pod_id`` is the pod of a container, ``attributes`` are its labels. An image's ``name`` is
    the one that was used, or its source or destination; its ``id`` is empty when it was pulled or loaded, and that of a
    volume always.

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
