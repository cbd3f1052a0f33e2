"""Groups as directories: the common part of v1 and v2 trees."""

from __future__ import annotations

import errno
import os
import time

from pypod.errors import InUse, InvalidSpec, PermissionDenied, Unsupported
from pypod.kernel.abi import SIGKILL
from pypod.kernel.pidfd import open_pid, send_signal
from pypod.kernel.proc import read_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from pypod.kernel.cgroups.settings import Setting

DEFAULT_PARENT = "/pypod"
_FIRST_PAUSE_S = 0.0002
_LONGEST_PAUSE_S = 0.01
_ROUND_S = 0.05
HOLD_S = 0.05  # how long a kill waits for a freeze before it goes on without, in another round
_MAKE_ATTEMPTS = 1000  # of some 20 us each
_BATCH = 256  # descriptors open at once while killing; the soft limit is 1024 on most hosts


def locate(root: str, path: str) -> str:
    """Return the directory of a group. Raises InvalidSpec for the root of a tree: killing it would kill the host."""
    first, *components = path.split("/")
    if first or not components or not {"", ".", ".."}.isdisjoint(components):
        raise InvalidSpec("path", f"{path!r} is not the path of a cgroup below the root")
    return root + path


def exists(directory: str) -> bool:
    return os.access(directory, os.F_OK)


def make(root: str, path: str) -> None:
    """Create a group and its parents below ``root``, unless they exist."""
    directory = locate(root, path)
    parent = path.rpartition("/")[0]
    # The parents usually exist. Another process may remove one between two steps, so this is retried.
    for _attempt in range(_MAKE_ATTEMPTS):
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            return
        except FileNotFoundError:
            if not parent:
                raise
            make(root, parent)
        else:
            return
    raise InUse(path, f"cgroup {path}: its parents are removed as fast as they are created")


def write(path: str, text: str) -> bool:
    """Write one value to a control file; return False when the group or the file does not exist. Raises OSError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        os.write(fd, text.encode())
    except OSError as error:
        # The group was removed while its file was open: ENODEV of kernfs, ENOENT of cgroup_kn_lock_live.
        if error.errno not in (errno.ENODEV, errno.ENOENT):
            raise
        return False
    finally:
        os.close(fd)
    return True


NO_CONTROLLER_HINT = "leave it out, or boot a kernel with the controller enabled"


def available(
    found: Iterable[Setting], controllers: Collection[str], where: str, hint: str = NO_CONTROLLER_HINT
) -> tuple[Setting, ...]:
    """Return the settings whose controllers exist. Raises Unsupported for another one that is not optional."""
    kept = []
    for setting in found:
        if setting.controller in controllers:
            kept.append(setting)
        elif not setting.optional:
            raise Unsupported(
                setting.controller,
                f"{setting.flag}: cgroup controller {setting.controller} is not available on this host ({where})",
                hint=hint,
            )
    return tuple(kept)


def apply(directory: str, setting: Setting) -> None:
    """Write a setting to the first of its files that the group has. Errors of the kernel are reported with the flag."""
    for file, text in setting.choices:
        path = f"{directory}/{file}"
        try:
            if write(path, text):
                return
        except OSError as error:
            message = f"{setting.flag}: write {text!r} into {path}: {error.strerror}"
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise PermissionDenied(setting.flag, message) from error
            raise InvalidSpec(setting.flag, message, hint=_HINTS.get(error.errno or 0, "")) from error
    if not setting.optional:
        files = " or ".join(file for file, _ in setting.choices)
        raise Unsupported(
            setting.controller,
            f"{setting.flag}: cgroup controller {setting.controller} has no {files} in {directory}",
            hint="this kernel cannot limit it: leave it out",
        )


# the meaning of errors of control files
_HINTS = {
    errno.EBUSY: "the processes in it use more, and it cannot be reclaimed",
    errno.EINVAL: "the group above may allow less, or another limit contradicts it",
    errno.ENODEV: "there is no such device, or it is a partition: use the whole disk",
    errno.EOPNOTSUPP: "this device cannot be limited",
}


def read(path: str) -> str:
    """Return the text of a control file, empty when its group does not exist."""
    try:
        return read_bytes(path).decode()
    except OSError as error:
        # ENODEV: the group was removed while its file was open.
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return ""
        raise


def descend(directory: str) -> Iterator[str]:
    """Yield a group and the groups below it, parents first; nothing when it does not exist."""
    try:
        # A kernfs directory has two links plus one per subdirectory: most groups need not be listed.
        links = os.stat(directory).st_nlink
        names = [] if links == 2 else _subdirectories(directory)
    except FileNotFoundError:
        return
    yield directory
    for name in names:
        yield from descend(f"{directory}/{name}")


def _subdirectories(directory: str) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def processes(directory: str) -> list[int]:
    """Return the pids in a group and below, except processes outside the caller's pid namespace, which have none."""
    pids: set[int] = set()
    for group in descend(directory):
        try:
            pids.update(map(int, read(f"{group}/cgroup.procs").split()))
        except OSError as error:
            # A threaded group lists no processes of its own: its nearest domain ancestor does (cgroups(7)).
            if error.errno != errno.EOPNOTSUPP:
                raise
    pids.discard(0)
    return sorted(pids)


def others(directory: str) -> list[int]:
    """Return the pids in a group and below, without the calling process."""
    own = os.getpid()
    return [pid for pid in processes(directory) if pid != own]


def refuse_caller(directory: str, path: str) -> None:
    """Raise InUse when the calling process is in the group or below it."""
    if os.getpid() in processes(directory):
        raise InUse(path, f"cgroup {path}: the calling process is in it")


def kill_members(
    directory: str, timeout_s: float, *, hold: Callable[[], object], release: Callable[[], object]
) -> bool:
    """SIGKILL all members of a group but the caller, one pidfd each, until none is left.

    ``hold`` stops them from forking while they are listed, ``release`` lets them run so that they die. Returns False
    when some are left after ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while others(directory):
        try:
            hold()
            _signal_members(directory)
        finally:
            release()
        # Signalled processes need a moment to exit; another round at once would only delay them.
        if wait_until(lambda: not others(directory), min(_ROUND_S, deadline - time.monotonic())):
            return True
        if time.monotonic() >= deadline:
            return False
    return True


def _signal_members(directory: str) -> None:
    pids = others(directory)
    for start in range(0, len(pids), _BATCH):
        opened = {pid: fd for pid in pids[start : start + _BATCH] if (fd := open_pid(pid)) is not None}
        try:
            # A pid may have been reused before its pidfd was opened. A process that is a member afterwards is a right
            # one.
            for pid in processes(directory):
                if pid in opened:
                    send_signal(opened[pid], SIGKILL)
        finally:
            for fd in opened.values():
                os.close(fd)


def remove(directory: str, deadline_s: float) -> bool:
    """Remove a group and those below it, trying until the monotonic time ``deadline_s``; return whether it is gone."""
    return _try_remove(directory) or wait_until(lambda: _try_remove(directory), deadline_s - time.monotonic())


def _try_remove(directory: str) -> bool:
    if _rmdir(directory):
        return True
    for group in list(descend(directory))[:0:-1]:
        _rmdir(group)
    return _rmdir(directory)


def _rmdir(directory: str) -> bool:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        # It contains processes or groups.
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Return whether ``condition`` became true within ``timeout_s``; it is checked at least once.

    Polls at intervals that grow from 0.2 to 10 ms. Waiting for the kernel's notification would be slower: it delays
    changes of cgroup.events by 10 ms (CGROUP_FILE_NOTIFY_MIN_INTV in kernel/cgroup/cgroup.c).
    """
    deadline = time.monotonic() + timeout_s
    pause = _FIRST_PAUSE_S
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE_S)
    return True
