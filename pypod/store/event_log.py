"""The event log: one JSON line per event, appended by the process that causes it, in Python or in C.

There is no daemon to ask, so past events are in a file. Each line is written in one write(2) with O_APPEND, for which
Linux locks the inode: lines of several processes do not mix. Each begins with its own newline, so that it stays
intact after a line that a full disk or SIGKILL cut short. Nobody waits for a lock, because a stopped process could
hold it. The file is renamed when it is large, and its predecessor is lost; a process that still has it open writes
into the renamed one, where readers look as well.
"""

from __future__ import annotations

import fcntl
import os
import time

from pypod.model.plain_json import loads, quoted

__all__ = ["LINE_LIMIT", "SIZE_LIMIT", "append", "line", "old", "rest"]

LINE_LIMIT = 4096
SIZE_LIMIT = 1 << 20
_HEAD_LIMIT = 128  # as in pause/supervise/record.c
_NAME_LIMIT = 1024
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def old(path: str) -> str:
    """Return the path of the generation before the file at ``path``."""
    return f"{path}.1"


def rest(kind: str, identifier: str, name: str, *, image: str = "", pod_id: str = "", labels: str = "[]") -> str:
    """Return a line without its time and action; ``labels`` are pairs in JSON, as in the records.

    Labels are left out when they would make the line too long.
    """
    text = (
        f'"type":"{kind}","id":"{identifier}","name":{quoted(name[:_NAME_LIMIT])},'
        f'"image":{quoted(image[:_NAME_LIMIT])},"pod":"{pod_id}","attributes":'
    )
    attributes = _labels(labels)
    if len(text) + len(attributes) > LINE_LIMIT - _HEAD_LIMIT:
        attributes = "{}"
    return f"{text}{attributes}}}\n"


def _labels(text: str) -> str:
    """Return labels as a JSON object."""
    if text == "[]":
        return "{}"
    try:
        return "{" + ",".join([f"{quoted(key)}:{quoted(value)}" for key, value in loads(text)]) + "}"
    except (ValueError, TypeError):  # damaged
        return "{}"


def line(action: str, about: str, *, exit_code: int | None = None) -> str:
    """Return the line for an event that happens now; ``about`` is from ``rest``."""
    code = "" if exit_code is None else f'"exit_code":{exit_code},'
    return f'\n{{"time":{time.time_ns()},"action":"{action}",{code}{about}'


def append(path: str, text: str, *, size_limit: int = SIZE_LIMIT) -> None:
    """Append lines. When that is impossible they are lost: nothing fails because of an event."""
    try:
        fd = os.open(path, _FLAGS, 0o600)
        try:
            os.write(fd, text.encode())
            if os.fstat(fd).st_size > size_limit:
                _rotate(fd, path)
        finally:
            os.close(fd)
    except OSError:
        return


def _rotate(fd: int, path: str) -> None:
    """Rename the file behind ``fd`` unless another process did or does; only the holder of its lock may rename it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    try:
        if os.path.samestat(os.fstat(fd), os.stat(path)):
            os.rename(path, old(path))
    finally:
        # a process forked by another thread meanwhile has a copy of the descriptor: closing ours would not unlock it
        fcntl.flock(fd, fcntl.LOCK_UN)
