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
from pypod.engine.storage import volume_files, volume_options
from pypod.errors import SystemFailure, Unsupported
from pypod.store import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from pypod.engine.core.context import Context
    from pypod.model.volume import VolumeRecord

_DETACH, _NOFOLLOW = 2, 8  # umount(2)


def _is_mount(record: VolumeRecord) -> bool:
    return record.options != "[]" and volume_options.is_mount(record.option_map())


def require_directory(record: VolumeRecord) -> None:
    """Raise Unsupported for a volume with a file system: an ordinary user mounts nothing on the host."""
    if _is_mount(record):
        message = f"volume {record.name} has a file system of its own, which only root can mount"
        raise Unsupported("--opt type", message, hint="use a volume without type, device and o, or run as root")


def _require_root(context: Context, record: VolumeRecord) -> None:
    if context.rootless:
        require_directory(record)


def _asked(context: Context, record: VolumeRecord) -> int:
    """Return how often the user has mounted a volume since the host booted."""
    number, _, boot_id = record.mounts.partition(" ")
    return int(number) if boot_id == context.boot_id and number.isdecimal() else 0


def _running(context: Context, name: str, but: str = "") -> int:
    """Return how many running containers use a volume, not counting ``but``."""
    users = [one for one in volumes.users(context.database, name) if one != but]
    return sum(observe.running_process(context.layout.container(one), context.boot_id) is not None for one in users)


def count(context: Context, record: VolumeRecord) -> int:
    """Return the number of uses that keep a volume's file system mounted; 0 for a directory."""
    if not _is_mount(record):
        return 0
    return _asked(context, record) + _running(context, record.name)


def preparations(context: Context, record: VolumeRecord) -> list[Effect]:
    """Return what mounts a volume's file system for a container that is about to start."""
    if not _is_mount(record):
        return []
    _require_root(context, record)
    kind, device, options = volume_options.mount_words(record.option_map())
    words = f"mount {kind or device} with {options or 'no options'} for volume {record.name}"
    return [
        Effect(words, "mount(8)", lambda: attach(context, record), lambda: release(context, record.name)),
    ]


def attach(context: Context, record: VolumeRecord) -> str:
    """Mount a volume's file system unless it is in use already; return where."""
    path = volume_files.place(context.layout, record)
    volume_files.ensure(context, record)
    with _Held(context, record.name):
        now = volumes.named(context.database, record.name) or record
        if os.path.ismount(path) and not count(context, now):
            _unmount(path)  # its users have ended: a tmpfs begins anew
        if not os.path.ismount(path):
            _mount(record, path)
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


def _mount(record: VolumeRecord, path: str) -> None:
    """Run mount(8), which finds file systems and helpers such as mount.nfs. Raises SystemFailure with its words."""
    import subprocess

    from pypod.kernel.programs import installed

    kind, device, options = volume_options.mount_words(record.option_map())
    program = installed("mount") or "/bin/mount"
    words = [program, *(["-t", kind] if kind else []), *(["-o", options] if options else []), "--", device, path]
    done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip() or f"mount exited with {done.returncode}"
        raise SystemFailure("mount", 0, f"mounting volume {record.name}: {reason}")
    record_owner(record, path)


def record_owner(record: VolumeRecord, path: str) -> None:
    """Give the root of a file system to the owner that the volume was created with."""
    options = record.option_map()
    if "UID" in options or "GID" in options:
        with suppress(OSError):  # a file system without owners
            os.chown(path, int(options.get("UID", -1)), int(options.get("GID", -1)), follow_symlinks=False)


def _unmount(path: str) -> None:
    from pypod.kernel.syscalls import umount2

    umount2(path, _DETACH | _NOFOLLOW)


def release(context: Context, name: str, but: str = "") -> None:
    """Unmount a volume's file system unless the user or a running container, not counting ``but``, needs it."""
    record = volumes.named(context.database, name)
    if record is None or not _is_mount(record):
        return
    path = volume_files.place(context.layout, record)
    with _Held(context, name):
        if os.path.ismount(path) and not _asked(context, record) and not _running(context, name, but):
            _unmount(path)


def detach(context: Context, record: VolumeRecord) -> None:
    """Unmount a volume that is being removed."""
    path = volume_files.place(context.layout, record)
    while os.path.ismount(path):
        _unmount(path)


def mount(context: Context, record: VolumeRecord) -> str:
    """Mount a volume for the user; return where."""
    if not _is_mount(record):
        volume_files.ensure(context, record)
        return volume_files.place(context.layout, record)
    _require_root(context, record)
    with Boundary(f"mount volume {record.name}"):
        path = attach(context, record)
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
