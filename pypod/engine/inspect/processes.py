"""The processes of a container, read from the host's /proc.

Ids are those of the container's namespaces. Its passwd and group files are hostile: they are opened below its root
without following symbolic links, and read up to a limit.
"""

from __future__ import annotations

import os
import stat as modes
import time

from pypod.engine.core import observe
from pypod.engine.core.boundary import Boundary
from pypod.errors import WrongState
from pypod.kernel import capabilities, idmap
from pypod.kernel.pid_namespaces import members
from pypod.kernel.pidfd import PROC
from pypod.kernel.proc import VANISHED, read_bytes, read_text
from pypod.model.process import ContainerProcess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.engine.core.context import Context
    from pypod.kernel.idmap import Range
    from pypod.kernel.proc import Status
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord

_FILE_BYTES_LIMIT = 1 << 20
_COMMAND_BYTES_LIMIT = 1 << 16
_SECOND_NS = 1_000_000_000
_SECCOMP = ("disabled", "strict", "filter")
_OVERFLOW_ID = 65534
# Fields of /proc/PID/stat from the state letter on, field 3 of proc_pid_stat(5).
_STATE, _PPID, _TTY, _UTIME, _STIME, _NICE, _START, _VSIZE, _RSS = 0, 1, 4, 11, 12, 16, 19, 20, 21
# Majors of Documentation/admin-guide/devices.txt; 136 to 143 are pseudoterminals with 256 minors each.
_PTS_FIRST, _PTS_LAST, _TTY_MAJOR, _ALTERNATE_MAJOR, _SERIAL_FIRST = 136, 143, 4, 5, 64
_ALTERNATE = {0: "tty", 1: "console", 2: "ptmx"}


def of_container(context: Context, record: ContainerRecord) -> tuple[ContainerProcess, ...]:
    """Return the processes in a container's pid namespace, by pid. Raises WrongState when it does not run."""
    with Boundary(f"read the processes of container {record.name}"):
        state = observe.state_of(context, record.id)
        if state.status != "running":
            raise WrongState(record.name, state.status, "top can only be used on running containers")
        return tuple(_View(state).processes(members(state.pid)))


def of_containers(context: Context, records: Sequence[ContainerRecord]) -> tuple[ContainerProcess, ...]:
    """Return the processes of the running ones of several containers; those of a shared pid namespace once."""
    found: list[ContainerProcess] = []
    seen: set[int] = set()
    for record in records:
        with Boundary(f"read the processes of container {record.name}"):
            state = observe.state_of(context, record.id)
            if state.running:
                pids = [pid for pid in members(state.pid) if pid not in seen]
                seen.update(pids)
                found += _View(state).processes(pids)
    return tuple(found)


class _View:
    """What the processes of one container have in common: its id maps, user names, and depth of pid namespaces."""

    def __init__(self, state: ContainerState) -> None:
        at = f"{PROC.root}/{state.pid}"
        self._uid_map = idmap.parse_map(read_text(f"{at}/uid_map"))
        self._gid_map = idmap.parse_map(read_text(f"{at}/gid_map"))
        own = PROC.status(state.pid)
        self._level = len(own.nspid) - 1 if own else 0
        users, groups = _names_in(at)
        self._user = _named(users, self._uid_map)
        self._group = _named(groups, self._gid_map)
        self._now_ns = time.time_ns()
        self._boot_ns = self._now_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._tick_ns = _SECOND_NS // os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")

    def processes(self, pids: Sequence[int]) -> list[ContainerProcess]:
        """Return the facts about processes, those left out that have exited."""
        found = []
        inside: dict[int, int] = {}
        for pid in pids:
            try:
                status, fields = PROC.status(pid), _stat_fields(pid)
                if status is None or self._level >= len(status.nspid):
                    continue
                inside[pid] = status.nspid[self._level]
                found.append((pid, status, fields))
            except VANISHED:
                continue
        rows = [self._process(pid, status, fields, inside) for pid, status, fields in found]
        return sorted(rows, key=lambda one: one.pid)

    def _process(self, pid: int, status: Status, fields: list[bytes], inside: dict[int, int]) -> ContainerProcess:
        started_ns = self._boot_ns + int(fields[_START]) * self._tick_ns
        groups = status.fields.get("NSpgid", "").split()
        mode = status.seccomp_mode
        return ContainerProcess(
            pid=inside[pid],
            ppid=inside.get(int(fields[_PPID]), 0),
            pgid=int(groups[self._level]) if self._level < len(groups) else 0,
            host_pid=pid,
            comm=status.fields.get("Name", ""),
            arguments=_arguments(pid),
            state=fields[_STATE].decode(),
            user=self._user(status.uid),
            real_user=self._user(status.uids[0]),
            group=self._group(status.gid),
            real_group=self._group(status.gids[0]),
            groups=tuple(map(self._group, status.groups)),
            host_uid=status.uid,
            host_gid=status.gid,
            host_groups=status.groups,
            started_ns=started_ns,
            elapsed_ns=max(self._now_ns - started_ns, 0),
            cpu_ns=(int(fields[_UTIME]) + int(fields[_STIME])) * self._tick_ns,
            tty=_terminal(int(fields[_TTY])),
            nice=int(fields[_NICE]),
            virtual_bytes=int(fields[_VSIZE]),
            resident_bytes=int(fields[_RSS]) * self._page_bytes,
            capabilities={kind: capabilities.names(mask) for kind, mask in status.capabilities.items()},
            seccomp=_SECCOMP[mode] if mode is not None and mode < len(_SECCOMP) else "",
            label=_label(pid),
        )


def _stat_fields(pid: int) -> list[bytes]:
    line = read_bytes(f"{PROC.root}/{pid}/stat")
    if not line:
        raise ProcessLookupError(pid)
    return line[line.rindex(b")") + 2 :].split()


def _arguments(pid: int) -> tuple[str, ...]:
    """Return the command line; empty for a zombie, and when the process has exited or is another user's."""
    try:
        content = read_bytes(f"{PROC.root}/{pid}/cmdline")[:_COMMAND_BYTES_LIMIT]
    except OSError:
        return ()
    return tuple(os.fsdecode(content).removesuffix("\0").split("\0")) if content else ()


def _label(pid: int) -> str:
    try:
        return os.fsdecode(read_bytes(f"{PROC.root}/{pid}/attr/current")).rstrip("\0\n")
    except OSError:  # EINVAL where no security module gives labels
        return ""


def _terminal(number: int) -> str:
    major, minor = os.major(number), os.minor(number)
    if _PTS_FIRST <= major <= _PTS_LAST:
        return f"pts/{(major - _PTS_FIRST) * 256 + minor}"
    if major == _TTY_MAJOR:
        return f"tty{minor}" if minor < _SERIAL_FIRST else f"ttyS{minor - _SERIAL_FIRST}"
    return _ALTERNATE.get(minor, "") if major == _ALTERNATE_MAJOR else ""


def _named(names: dict[int, str], ids: Sequence[Range]) -> Callable[[int], str]:
    """Return a function from an id outside to the name of its user or group inside."""

    def name(outside: int) -> str:
        number = idmap.inside(ids, outside)
        number = _OVERFLOW_ID if number is None else number
        return names.get(number, str(number))

    return name


def _names_in(process: str) -> tuple[dict[int, str], dict[int, str]]:
    """Return the names of users and groups by number, from the files in the root of a process."""
    try:
        root = os.open(f"{process}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return {}, {}
    try:
        etc = os.open("etc", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    except OSError:
        return {}, {}
    finally:
        os.close(root)
    try:
        return _names(_read_hostile(etc, "passwd")), _names(_read_hostile(etc, "group"))
    finally:
        os.close(etc)


def _read_hostile(directory: int, name: str) -> str:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return ""
    with open(fd, "rb") as file:
        if not modes.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.fsdecode(file.read(_FILE_BYTES_LIMIT))


def _names(text: str) -> dict[int, str]:
    """Parse a passwd or group file: number -> name; of several names the first counts, as in getpwuid(3)."""
    found: dict[int, str] = {}
    for line in text.splitlines():
        words = line.split(":")
        if len(words) >= 3 and words[2].isascii() and words[2].isdecimal() and len(words[2]) <= 10:
            found.setdefault(int(words[2]), words[0])
    return found
