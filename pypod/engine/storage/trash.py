"""The trash: what is deleted is out of the way at once, and its files are deleted in the background."""

from __future__ import annotations

import os
import time

from pypod.engine.core.locks import AT_ONCE, SHARED, Lock
from pypod.engine.session import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context


def discard(context: Context, directories: Iterable[str], *, wait: bool = False) -> None:
    """Move directories to the trash and have it emptied, in the background unless ``wait``."""
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
    """Return the lock that marks the content of the trash as being deleted; the deleting program takes it, too."""
    return Lock(context.layout.trash, SHARED)


def left_behind(context: Context) -> list[str]:
    """Return the content of the trash that no process is deleting; nothing while any is at work there."""
    try:
        with Lock(context.layout.trash, AT_ONCE) as lock, lock:
            return contents(context)
    except BlockingIOError:
        return []


def contents(context: Context) -> list[str]:
    """Return the paths in the trash."""
    return [f"{context.layout.trash}/{name}" for name in sorted(os.listdir(context.layout.trash))]


def _is_removed(directory: str) -> bool:
    """Remove an empty directory, such as that of a container that never ran, without starting a program."""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _environment(context: Context) -> dict[str, str]:
    """Return what lets a program join a user's session: only inside of it can files of containers' users be deleted."""
    if not inside.is_needed(context):
        return {}
    from pypod.engine.session import session

    return session.environment(context)


def empty_trash(context: Context, paths: Iterable[str], *, wait: bool = False) -> None:
    """Delete paths in the trash: by a program that detaches at once and holds our pipe while it works."""
    from pypod.kernel.children import reap
    from pypod.kernel.programs import path as program_path

    program = program_path("discard")
    ours, theirs = os.pipe2(os.O_CLOEXEC) if wait else (-1, -1)
    try:
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in range(3)
        ]
        if wait:
            actions[1] = (os.POSIX_SPAWN_DUP2, theirs, 1)
        pid = os.posix_spawn(program, ["pypod-discard", *paths], _environment(context), file_actions=actions)
        if wait:
            os.close(theirs)
            theirs = -1
            os.read(ours, 1)
        reap(pid)
    finally:
        for fd in (ours, theirs):
            if fd >= 0:
                os.close(fd)
