"""The trash: what is deleted is out of everybody's way at once, and emptied behind their backs."""

from __future__ import annotations

import os
import time

from pypod.engine.core.locks import AT_ONCE, SHARED, Lock
from pypod.engine.session import inside, session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context


def discard(context: Context, directories: Iterable[str], *, wait: bool = False) -> None:
    """Move directories to the trash and have it emptied, without anybody waiting for that unless ``wait`` says so."""
    there = [directory for directory in directories if not _is_removed(directory)]
    if not there:
        return
    with at_work(context) as lock, lock:
        moved = []
        for directory in there:
            target = f"{context.layout.trash}/{os.path.basename(directory)}.{time.monotonic_ns():x}"
            try:
                inside.move(context, directory, target)
            except FileNotFoundError:
                continue
            moved.append(target)
        if moved:
            empty_trash(context, moved, wait=wait)


def at_work(context: Context) -> Lock:
    """Return what says that the things in the trash are not left behind; the program that empties it says so, too."""
    return Lock(context.layout.trash, SHARED)


def left_behind(context: Context) -> list[str]:
    """Return what lies in the trash and nobody is at work on: nothing while somebody is at work there."""
    try:
        with Lock(context.layout.trash, AT_ONCE) as lock, lock:
            return contents(context)
    except BlockingIOError:
        return []


def contents(context: Context) -> list[str]:
    """Return what lies in the trash."""
    return [f"{context.layout.trash}/{name}" for name in sorted(os.listdir(context.layout.trash))]


def _is_removed(directory: str) -> bool:
    """Remove an empty directory, as that of a container that never ran: no program has to be started for it."""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def empty_trash(context: Context, paths: Iterable[str], *, wait: bool = False) -> None:
    """Delete what lies in the trash: by a program that leaves us at once, and holds our pipe as long as it works."""
    from pypod.kernel.programs import path as program_path
    from pypod.runtime.launcher import reap

    program = program_path("discard")
    ours, theirs = os.pipe2(os.O_CLOEXEC) if wait else (-1, -1)
    try:
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in range(3)
        ]
        if wait:
            actions[1] = (os.POSIX_SPAWN_DUP2, theirs, 1)
        environment = session.environment(context)  # what users of a container owned is not ours to delete outside
        pid = os.posix_spawn(program, ["pypod-discard", *paths], environment, file_actions=actions)
        if wait:
            os.close(theirs)
            theirs = -1
            os.read(ours, 1)
        reap(pid)
    finally:
        for fd in (ours, theirs):
            if fd >= 0:
                os.close(fd)
