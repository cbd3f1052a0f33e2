"""Volumes that are file systems: mounted on the host by mount(8), as podman's, while they are used.

Such a volume is mounted when a container that uses it starts, or when the user asks for it. A container's end is
recorded by its monitor, which runs no Python. So the file system stays mounted until the next command that stops or
removes one of its containers, starts one when none is running, or unmounts it; by then it has no users.
"""

from __future__ import annotations

import os
from contextlib import suppress

from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.effects import Effect
from pypod.engine.core.locks import Lock
from pypod.engine.session import inside
from pypod.engine.storage import volume_files, volume_options
from pypod.engine.storage.mount_points import as_shown, points
from pypod.errors import SystemFailure, Unsupported
from pypod.kernel.programs import installed
from pypod.store import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any

    from pypod.engine.core.context import Context
    from pypod.kernel.pidfd import Process
    from pypod.model.volume import VolumeRecord

_DETACH, _NOFOLLOW = 2, 8  # umount(2)
_MOUNTS_LIMIT = 64  # on top of each other


def _is_mount(record: VolumeRecord) -> bool:
    return record.options != "[]" and volume_options.is_mount(record.option_map())


def require_directory(record: VolumeRecord) -> None:
    """Raise Unsupported for a volume with a file system, which is in an ordinary user's session only."""
    if _is_mount(record):
        message = f"volume {record.name} has a file system of its own, which is mounted in your session"
        raise Unsupported("--opt type", message, hint=f"pypod unshare pypod volume export {record.name}")


def _in_session(context: Context) -> bool:
    """Return whether file systems are mounted in the mount namespace of a user's session instead of the host's."""
    return inside.is_needed(context)


def _holder(context: Context) -> Process | None:
    """Return the process that holds the user's session, None when there is no session."""
    from pypod.engine.session import session

    own = session.of(context)
    return own.holder if own is not None else None


def _is_mounted(context: Context, path: str) -> bool:
    """Return whether a file system is mounted on a path."""
    process = "self"
    if _in_session(context):
        holder = _holder(context)
        if holder is None:
            return False
        process = str(holder.pid)
    return as_shown(path) in points(process)


def _run(context: Context, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a program where the file systems of volumes are mounted."""
    import subprocess

    program = installed(words[0]) or f"/bin/{words[0]}"
    streams: dict[str, Any] = {"capture_output": True, "stdin": subprocess.DEVNULL}
    if not _in_session(context):
        return subprocess.run([program, *words[1:]], check=False, **streams)
    from pypod.engine.session import session

    made = session.unshared(context, [program, *words[1:]])
    variables = dict(made.environment)
    return subprocess.run(made.arguments, executable=made.program, env=variables, check=False, **streams)


def taken(context: Context, record: VolumeRecord) -> tuple[str, tuple[str | int, ...]] | None:
    """Return the operation, without its slot, that takes a volume's file system out of a user's session."""
    if not _is_mount(record) or not _in_session(context):
        return None
    holder = _holder(context)
    if holder is None:
        return None
    return "capture", (holder.pid, holder.start_time, volume_files.place(context.layout, record), 1)


def _asked(context: Context, record: VolumeRecord) -> int:
    """Return how often the user has mounted a volume since the host booted."""
    number, _, boot_id = record.mounts.partition(" ")
    return int(number) if boot_id == context.boot_id and number.isdecimal() else 0


def _running(context: Context, name: str, but: str = "") -> int:
    """Return how many containers that run, or are about to, use a volume, not counting ``but``."""
    users = [one for one in volumes.users(context.database, name) if one != but]
    return sum(observe.state_of(context, one).active for one in users)


def count(context: Context, record: VolumeRecord) -> int:
    """Return the number of uses that keep a volume's file system mounted; 0 for a directory."""
    if not _is_mount(record):
        return 0
    return _asked(context, record) + _running(context, record.name)


class Attachments:
    """The volumes with file systems of a container that is about to start: mounted, and locked until it runs.

    Otherwise another start, which sees no running container yet, would take them for unused and mount them anew.
    """

    def __init__(self, context: Context, records: Iterable[VolumeRecord]) -> None:
        self._context = context
        self._records = [record for record in records if _is_mount(record)]
        self._held: dict[str, _Held] = {}

    def __bool__(self) -> bool:
        return bool(self._records)

    def preparations(self) -> list[Effect]:
        """Return what mounts them."""
        return [self._mounting(record) for record in self._records]

    def _mounting(self, record: VolumeRecord) -> Effect:
        kind, device, options = volume_options.mount_words(record.option_map())
        words = f"mount {kind or device} with {options or 'no options'} for volume {record.name}"
        return Effect(words, "mount(8)", lambda: self._attach(record), lambda: self._give_up(record))

    def _attach(self, record: VolumeRecord) -> None:
        held = _Held(self._context, record.name)
        held.__enter__()
        self._held[record.name] = held
        _attach(self._context, record)

    def _give_up(self, record: VolumeRecord) -> None:
        self.release()
        release(self._context, record.name)

    def release(self) -> None:
        """Unlock them."""
        while self._held:
            self._held.popitem()[1].__exit__(None, None, None)


def _attach(context: Context, record: VolumeRecord) -> str:
    """Mount a volume's file system unless it is in use already; return where."""
    path = volume_files.place(context.layout, record)
    volume_files.ensure(context, record)
    now = volumes.named(context.database, record.name) or record
    if _is_mounted(context, path) and not count(context, now):
        _unmount(context, path)  # its users have ended: a tmpfs begins anew
    if not _is_mounted(context, path):
        _mount(context, record, path)
    return path


class _Held:
    """The lock of a volume's mount, taken on a directory of its own: a start holds that of the volume."""

    def __init__(self, context: Context, name: str) -> None:
        self._lock = Lock(f"{context.layout.volume(name)}/mounting")

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)


def _mount(context: Context, record: VolumeRecord, path: str) -> None:
    """Run mount(8), which finds file systems and helpers such as mount.nfs. Raises SystemFailure with its words."""
    kind, device, options = volume_options.mount_words(record.option_map())
    words = [*(["-t", kind] if kind else []), *(["-o", options] if options else []), "--", device, path]
    done = _run(context, "mount", *words)
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip() or f"mount exited with {done.returncode}"
        raise SystemFailure("mount", 0, f"mounting volume {record.name}: {reason}")
    if not _in_session(context):
        _give_root(record, path)


def _give_root(record: VolumeRecord, path: str) -> None:
    """Give the root of a file system to the owner that the volume was created with."""
    options = record.option_map()
    if "UID" in options or "GID" in options:
        with suppress(OSError):  # a file system without owners
            os.chown(path, int(options.get("UID", -1)), int(options.get("GID", -1)), follow_symlinks=False)


def _unmount(context: Context, path: str) -> None:
    if _in_session(context):
        _run(context, "umount", "-l", "--", path)
        return
    from pypod.kernel.syscalls import umount2

    umount2(path, _DETACH | _NOFOLLOW)


def release(context: Context, name: str, but: str = "") -> None:
    """Unmount a volume's file system unless the user or a running container, not counting ``but``, needs it."""
    record = volumes.named(context.database, name)
    if record is None or not _is_mount(record):
        return
    path = volume_files.place(context.layout, record)
    with _Held(context, name):
        if _is_mounted(context, path) and not _asked(context, record) and not _running(context, name, but):
            _unmount(context, path)


def detach(context: Context, record: VolumeRecord) -> None:
    """Unmount a volume that is being removed. Raises SystemFailure when it stays mounted: its files must not go."""
    if record.options == "[]":
        return
    path = volume_files.place(context.layout, record)
    for _ in range(_MOUNTS_LIMIT):
        if not _is_mounted(context, path):
            return
        _unmount(context, path)
    raise SystemFailure("umount", 0, f"volume {record.name} is still mounted on {path}")


def mount(context: Context, record: VolumeRecord) -> str:
    """Mount a volume for the user; return where."""
    if not _is_mount(record):
        volume_files.ensure(context, record)
        return volume_files.place(context.layout, record)
    with Boundary(f"mount volume {record.name}"), _Held(context, record.name):
        path = _attach(context, record)
        _add(context, record, 1)
    return path


def unmount(context: Context, record: VolumeRecord) -> None:
    """Undo one mount of the user's."""
    if not _is_mount(record):
        return
    with Boundary(f"unmount volume {record.name}"):
        if _asked(context, record):
            _add(context, record, -1)
        release(context, record.name)


def _add(context: Context, record: VolumeRecord, change: int) -> None:
    now = _asked(context, volumes.named(context.database, record.name) or record) + change
    volumes.set_mounts(context.database, record.name, f"{now} {context.boot_id}" if now > 0 else "")


class Mounted:
    """A context with the directory of a volume's files, mounted meanwhile."""

    def __init__(self, context: Context, record: VolumeRecord) -> None:
        self._context = context
        self._record = record

    def __enter__(self) -> str:
        return mount(self._context, self._record)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unmount(self._context, volumes.named(self._context.database, self._record.name) or self._record)
