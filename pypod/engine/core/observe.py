"""The observed state of a container, read from its status file and the kernel each time it is asked for.

The file has two lines of fixed size, written by the supervisor in C (pause/supervise/record.c): the start, and the
exit, blank until it happens. A process is identified by pid, start time and boot id; the file alone never makes a
container "running". It does not run, either, while it is being set up: its namespaces and its root are not those of the
container yet, and whoever entered them would be on the host.
"""

from __future__ import annotations

import errno
import os
import time

from pypod.kernel import pidfd
from pypod.kernel.proc import Proc, read_bytes
from pypod.model.container import ContainerState
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.engine.core.context import Context

START_LINE, EXIT_LINE = 192, 64
FREEZER_LINK = "freezer"
STOPPING_FILE = "stopping"
INITIALIZED = "initialized"  # its process waits for the start
_STARTING, _ENDING = "starting", "ending"  # for a moment: they are waited for
_SETUP_MARK, _SETUP_POLL_S = slice(START_LINE - 2, START_LINE - 1), 0.0005
_RECORDING_TIMEOUT_S = 2.0
_EXIT_TIMEOUT_S = 5.0
_RECORD_POLL_S = 0.01
_PID_MAX, _STATUS_MAX = 1 << 22, 0xFFFF  # PID_MAX_LIMIT of Linux; what waitpid(2) fills in
# Non-blocking: a pipe in place of the file must not make a reader hang.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATED = ContainerState(status="created")


def container_state(directory: str, boot_id: str, proc: Proc = pidfd.PROC) -> ContainerState:
    """Return the state of the container whose directory is given. Raises OSError when the file cannot be read."""
    state = _read(directory, boot_id, proc)
    if state.status == "running":
        now = "paused" if is_frozen(directory) else "stopping" if is_stopping(directory, proc) else state.status
        return state if now == state.status else state.replace(status=now)
    deadline = time.monotonic() + _RECORDING_TIMEOUT_S
    # The process is being set up, or it is gone and its supervisor is about to write the exit: a moment, unless hooks
    # take long or the supervisor was stopped.
    while state.status in (_STARTING, _ENDING):
        if state.status == _STARTING:
            time.sleep(_SETUP_POLL_S)
        else:
            _wait_for_record(state, deadline - time.monotonic())
        state = _read(directory, boot_id, proc)
        if time.monotonic() > deadline:
            break
    if state.status == _STARTING:
        return _CREATED
    return state if state.status != _ENDING else state.replace(status="exited")


def state_of(context: Context, container_id: str) -> ContainerState:
    """Return the state of a container of this storage. Raises OSError when its status file cannot be read."""
    return container_state(context.layout.container(container_id), context.boot_id)


def running_process(directory: str, boot_id: str, proc: Proc = pidfd.PROC) -> tuple[int, int] | None:
    """Return pid and start time of a container's init process; None when it is not running. Does not wait."""
    try:
        state = _read(directory, boot_id, proc)
    except OSError:
        return None
    return (state.pid, state.start_time) if state.alive else None


def wait_for_process(directory: str, boot_id: str) -> None:
    """Wait for a process that is about to exit, such as the program that forwards ports: only then are they free."""
    found = running_process(directory, boot_id)
    fd = pidfd.open_process(*found) if found else None
    if fd is not None:
        try:
            pidfd.wait(fd, _EXIT_TIMEOUT_S)
        finally:
            os.close(fd)


def is_frozen(directory: str) -> bool:
    """Return whether the container's processes are frozen.

    Pausing leaves a link in the container's directory to the cgroup file that shows the state. The file's content
    decides, so the link may stay after unpausing. Without a link the container was never paused, which saves a listing
    the read.
    """
    try:
        content = read_bytes(f"{directory}/{FREEZER_LINK}")
    except OSError:  # no link, or the cgroup is gone
        return False
    return b"frozen 1" in content or content.startswith(b"FROZEN")


def is_stopping(directory: str, proc: Proc = pidfd.PROC) -> bool:
    """Return whether a process is stopping the container: it names itself in a file, and counts while it is alive."""
    path = f"{directory}/{STOPPING_FILE}"
    if not os.access(path, os.F_OK):  # a listing asks for every container
        return False
    try:
        pid, start_time = map(int, read_bytes(path).split())
    except (OSError, ValueError):
        return False
    return proc.is_running(pid, start_time)


def write(path: str, content: bytes) -> None:
    """Write a file that says something about a container; without space for it, it goes unsaid."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:  # it may also be in the middle of its removal
        return
    try:
        os.write(fd, content)
    except OSError:
        return
    finally:
        os.close(fd)


def unlink(path: str) -> None:
    """Remove a file of a container, unless the container was removed."""
    try:
        os.unlink(path)
    except OSError:
        return


def _wait_for_record(state: ContainerState, timeout_s: float | None) -> None:
    """Wait for the supervisor to record the exit: afterwards it exits, or becomes the removal of the container."""
    fd = pidfd.open_process(state.supervisor_pid, state.supervisor_start_time)
    if fd is not None:
        try:
            pidfd.wait(fd, _RECORD_POLL_S if timeout_s is None else min(timeout_s, _RECORD_POLL_S))
        finally:
            os.close(fd)


def is_recorded(directory: str) -> bool:
    """Return whether the exit of the last run is recorded."""
    content = _content(f"{directory}/status")
    return content is not None and len(content[START_LINE:].split()) >= 2


def _read(directory: str, boot_id: str, proc: Proc) -> ContainerState:
    path = f"{directory}/status"
    return _conclude(lambda: _content(path), boot_id, proc)


def _conclude(read: Callable[[], bytes | None], boot_id: str, proc: Proc) -> ContainerState:
    """Return the state from a status file; read again once its writer has exited, which may have written in between."""
    for last in (False, True):
        content = read()
        if content is None:
            return _CREATED
        state = parse_state(content, boot_id, proc)
        if last or state.status != "exited" or state.exit_code is not None or not state.supervisor_pid:
            break
    return state


def parse_state(content: bytes, boot_id: str, proc: Proc = pidfd.PROC) -> ContainerState:
    """Return the state from a status file and the kernel.

    It is ``starting`` while the process is set up and ``ending`` while the supervisor is about to record the exit. A
    malformed file still means that the container was started; how it ended is unknown.
    """
    start, end = content[:START_LINE].split(), content[START_LINE:].split()
    try:
        pid, start_time, supervisor, supervisor_start, started_ns = (int(start[i]) for i in (0, 1, 2, 3, 5))
        restarts = int(start[6]) if len(start) > 6 else 0
        status, finished_ns = (int(word) for word in end[:2]) if len(end) >= 2 else (None, 0)
    except (ValueError, IndexError):
        return ContainerState(status="exited")
    if not (0 < pid <= _PID_MAX and 0 <= supervisor <= _PID_MAX):
        return ContainerState(status="exited")
    of_this_boot = start[4].decode("ascii", "replace") == boot_id
    if status is not None and 0 <= status <= _STATUS_MAX:
        return ContainerState(
            status="exited",
            started_ns=started_ns,
            finished_ns=finished_ns,
            exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status),
            signal=0 if os.WIFEXITED(status) else os.WTERMSIG(status),
            oom_killed=b"OOM" in end[2:],
            restarts=restarts,
            restarting=b"AGAIN" in end[2:] and of_this_boot and proc.is_running(supervisor, supervisor_start),
        )
    if not of_this_boot:
        return ContainerState(status="exited", started_ns=started_ns)
    running = proc.is_running(pid, start_time)
    supervised = supervisor > 0 and (not running or content[_SETUP_MARK] == b"S")
    supervised = supervised and proc.is_running(supervisor, supervisor_start)
    if running:
        now = _STARTING if supervised else "running" if started_ns else INITIALIZED
    else:
        now = _ENDING if supervised else "exited"
    return ContainerState(
        status=now,
        pid=pid if running else 0,
        start_time=start_time if running else 0,
        supervisor_pid=supervisor,
        supervisor_start_time=supervisor_start,
        started_ns=started_ns,
        restarts=restarts,
    )


def _content(path: str) -> bytes | None:
    """Return the content of a status file; None when it does not exist, empty when it is not a regular file.

    Any other failure (no descriptor left) is raised: reporting "created" would be wrong.
    """
    try:
        fd = os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
            return b""
        raise
    try:
        return os.read(fd, START_LINE + EXIT_LINE)
    except IsADirectoryError:
        return b""
    finally:
        os.close(fd)


def wait_for_exit(directory: str, boot_id: str, timeout_s: float | None) -> ContainerState | None:
    """Wait until this run of the container has ended; return its state, None when it was never started.

    The status file stays open meanwhile, so the exit is read even if the container is removed at that moment.
    Raises TimeoutError.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    try:
        status_fd = os.open(f"{directory}/status", _READ)
    except FileNotFoundError:
        return None
    try:
        while True:
            state = _conclude(lambda: os.pread(status_fd, START_LINE + EXIT_LINE, 0), boot_id, pidfd.PROC)
            if state.status == "exited":
                return state
            left = None if deadline is None else deadline - time.monotonic()
            if state.status == _ENDING and (left is None or left > 0):
                _wait_for_record(state, left)
            elif state.status == _ENDING or not _wait_for_end(state, left):
                raise TimeoutError
    finally:
        os.close(status_fd)


def _wait_for_end(state: ContainerState, timeout_s: float | None) -> bool:
    fd = pidfd.open_process(state.pid, state.start_time)
    if fd is None:
        return True
    try:
        return pidfd.wait(fd, timeout_s)
    finally:
        os.close(fd)


def record_exit(directory: str, status: int, finished_ns: int) -> None:
    """Record in its status file how a process without a supervisor (an infra) ended.

    On a read-only file system the exit goes unrecorded, as it does for a process that has a monitor.
    """
    try:
        fd = os.open(f"{directory}/status", os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return
    try:
        os.pwrite(fd, f"{status} {finished_ns}".encode().ljust(EXIT_LINE - 1) + b"\n", START_LINE)
    finally:
        os.close(fd)


def forget_run(directory: str) -> None:
    """Remove the status file of a container that has ended: it is as if it had never been started."""
    try:
        os.unlink(f"{directory}/status")
    except FileNotFoundError:  # it was removed at its end
        return


def owner_is_gone(context: Context, text: str) -> bool:
    """Return whether an object is ephemeral and its owner has exited."""
    owner = records.parse_owner(text)
    if owner is None:
        return False
    return owner.boot_id != context.boot_id or not pidfd.is_alive(owner.pid, owner.start_time, proc=context.proc)
