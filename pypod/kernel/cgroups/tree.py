"""Groups as directories: what v1 and v2 trees have in common."""

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

_FIRST_PAUSE_S = 0.0002
_LONGEST_PAUSE_S = 0.01
_ROUND_S = 0.05
HOLD_S = 0.05  # how long a kill waits for a freeze: it goes on without, in another round
_MAKE_ATTEMPTS = 1000  # some 20 us each
_BATCH = 256  # descriptors held at once while killing; the soft limit is 1024 on most hosts


def locate(root: str, path: str) -> str:
    """Return the directory of a group. Raises InvalidSpec for the root of a tree: killing that is killing the host."""
    first, *components = path.split("/")
    if first or not components or not {"", ".", ".."}.isdisjoint(components):
        raise InvalidSpec("path", f"{path!r} is not the path of a cgroup below the root")
    return root + path


def exists(directory: str) -> bool:
    return os.access(directory, os.F_OK)


def make(root: str, path: str) -> None:
    """Make a group and its parents below ``root``; it may be there already."""
    directory = locate(root, path)
    parent = path.rpartition("/")[0]
    # The parents are there in the common case. Another process may remove one between two steps, so ask again.
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
    raise InUse(path, f"cgroup {path}: its parents are removed as fast as they are made")


def write(path: str, text: str) -> bool:
    """Write one value to a control file; return False when the group or the file is not there. Raises OSError."""
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


NO_CONTROLLER_HINT = "leave it out, or boot a kernel that has the controller on"


def available(
    found: Iterable[Setting], controllers: Collection[str], where: str, hint: str = NO_CONTROLLER_HINT
) -> tuple[Setting, ...]:
    """Return the settings whose controllers there are. Raises Unsupported for another that is not optional."""
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
    """Write a setting into the first of its files that the group has. What the kernel answers is told with the flag."""
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


# what the kernel means by an error of a control file
_HINTS = {
    errno.EBUSY: "the processes in it use more, and it cannot be taken from them",
    errno.EINVAL: "the group above may allow less, or another limit contradicts",
    errno.ENODEV: "there is no such device, or it is a partition: name the whole disk",
    errno.EOPNOTSUPP: "this device cannot be limited",
}


def read(path: str) -> str:
    """Return a control file as text, empty when its group is not there."""
    try:
        return read_bytes(path).decode()
    except OSError as error:
        # ENODEV: the group was removed while its file was open.
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return ""
        raise


def descend(directory: str) -> Iterator[str]:
    """Yield a group and the groups below it, parents first; nothing when it is not there."""
    try:
        # A directory of kernfs has two links and one for each directory in it: most groups need no listing.
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
    """Return the pids in a group and below. Processes outside the caller's pid namespace have none and are left out."""
    pids: set[int] = set()
    for group in descend(directory):
        try:
            pids.update(map(int, read(f"{group}/cgroup.procs").split()))
        except OSError as error:
            # A threaded group has no processes of its own: its nearest domain above lists them (cgroups(7)).
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
    """SIGKILL all members of a group but the caller, one descriptor each, until none is left.

    ``hold`` stops them from forking while they are counted, ``release`` lets them go to die. Returns False when some
    are left after ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while others(directory):
        try:
            hold()
            _signal_members(directory)
        finally:
            release()
        # What was signalled needs a moment to go; a new round would only hold it up.
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
            # A pid may have passed to a stranger before its descriptor was open. Who is a member after that is one.
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
        # Processes or groups are in it.
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Return whether ``condition`` came true within ``timeout_s``; it is asked at least once.

    The pauses grow from 0.2 to 10 ms. Waiting for the kernel's own notice would be slower: it holds back changes of
    cgroup.events for 10 ms (CGROUP_FILE_NOTIFY_MIN_INTV in kernel/cgroup/cgroup.c).
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
