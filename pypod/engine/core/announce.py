"""Events for ``pypod events``: lines appended to the event file, in podman's terms.

The supervisor in C records the start and the end of its process itself: ``event_op``.
"""

from __future__ import annotations

from pypod.model.reports.event import CONTAINER, IMAGE, POD, VOLUME
from pypod.store import event_log
from pypod.store.records import INFRA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.runtime.ops import Op
    from pypod.store.records import ContainerRecord, PodRecord

CREATE, START, DIED, REMOVE, RESTART, KILL, STOP = "create", "start", "died", "remove", "restart", "kill", "stop"
INIT = "init"
ATTACH, EXEC, EXEC_DIED, COMMIT = "attach", "exec", "exec_died", "commit"
PAUSE, UNPAUSE, RENAME = "pause", "unpause", "rename"
PULL, PUSH, LOAD, SAVE, TAG, UNTAG = "pull", "push", "loadfromarchive", "save", "tag", "untag"
MOUNT, UNMOUNT = "mount", "unmount"
PRUNE = "prune"
STARTED, ATTENDED = (INIT, START), (INIT, START, ATTACH)  # what a start is, and one whose caller attaches


def container(
    context: Context,
    action: str,
    record: ContainerRecord,
    pod: PodRecord | None = None,
    *,
    exit_code: int | None = None,
) -> None:
    """Record an event of a container with the current time; an infra carries the labels of ``pod``."""
    event_log.append(context.event_file, event_log.line(action, _about(record, pod), exit_code=exit_code))


def pod(context: Context, action: str, record: PodRecord, containers: Iterable[ContainerRecord] = ()) -> None:
    """Record an event of each of ``containers`` and then of their pod."""
    lines = [event_log.line(action, _about(one, record)) for one in containers]
    lines.append(event_log.line(action, event_log.rest(POD, record.id, record.name)))
    event_log.append(context.event_file, "".join(lines))


def image(context: Context, action: str, identifier: str, *names: str) -> None:
    """Record an event of an image, once under each name."""
    lines = [event_log.line(action, event_log.rest(IMAGE, identifier, name)) for name in names]
    event_log.append(context.event_file, "".join(lines))


def image_removed(context: Context, identifier: str, names: Iterable[str], called: str = "") -> None:
    """Record that an image loses its names, and then that it is removed."""
    lines = [event_log.line(UNTAG, event_log.rest(IMAGE, identifier, name)) for name in names]
    lines.append(event_log.line(REMOVE, event_log.rest(IMAGE, identifier, called)))
    event_log.append(context.event_file, "".join(lines))


def volume(context: Context, action: str, *names: str) -> None:
    """Record an event of each of some volumes."""
    lines = [event_log.line(action, event_log.rest(VOLUME, "", name)) for name in names]
    if lines:
        event_log.append(context.event_file, "".join(lines))


def event_op(
    context: Context,
    record: ContainerRecord,
    pod: PodRecord | None = None,
    *,
    start: tuple[str, ...] = STARTED,
    end: str = DIED,
) -> Op:
    """Return the operation by which a supervisor records the start and the end of its process; empty for no events."""
    from pypod.runtime.ops import Op

    return Op("event", context.event_file, " ".join(start), end, _about(record, pod))


def _about(record: ContainerRecord, pod: PodRecord | None) -> str:
    labels = pod.labels if pod is not None and record.kind == INFRA else record.labels
    return event_log.rest(CONTAINER, record.id, record.name, image=record.image, pod_id=record.pod_id, labels=labels)
