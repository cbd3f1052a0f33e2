"""Read processes from /proc. A missing process is normal here: every reader returns None for it.

Files are read with os.open and os.read: listing 1,000 containers reads 2,000 stat files, and a file object would triple
the 4 us that each takes.
"""

from __future__ import annotations

import os

from pypod.kernel.abi import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FLAGS = os.O_RDONLY | os.O_CLOEXEC
# ENOENT: no such pid, or hidden by hidepid. ESRCH: it exited between open and read.
VANISHED = (FileNotFoundError, ProcessLookupError)

# Positions in /proc/PID/stat counted from the state letter, which is field 3 of proc_pid_stat(5).
_STATE = 0
_PPID = 1
_NUM_THREADS = 17
_START_TIME = 19


def read_bytes(path: str) -> bytes:
    """Return the whole content of a file of /proc or /sys. Raises OSError."""
    fd = os.open(path, _FLAGS)
    try:
        content = chunk = os.read(fd, 65536)
        # Files made of records (mountinfo, cgroup.procs) are returned a page at a time: only an empty read is the end.
        while chunk:
            chunk = os.read(fd, 65536)
            content += chunk
        return content
    finally:
        os.close(fd)


def read_text(path: str, default: str = "") -> str:
    """Return the text of a file without its final newline, or ``default`` when the file does not exist."""
    try:
        return os.fsdecode(read_bytes(path)).rstrip("\n")
    except VANISHED:
        return default


def parse_net_dev(text: str) -> tuple[int, int]:
    """Return the bytes received and sent by all interfaces but lo, from the text of /proc/PID/net/dev."""
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, _, counters = line.rpartition(":")
        fields = counters.split()
        if name.strip() != "lo" and len(fields) >= 9:
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent


class Stat:
    """A snapshot of /proc/PID/stat. ``start_time`` is in clock ticks since boot."""

    __slots__ = ("comm", "num_threads", "pid", "ppid", "start_time", "state")

    def __init__(self, pid: int, line: bytes) -> None:
        # The name is in parentheses and may contain any byte, even parentheses; the fields after it cannot.
        head, _, tail = line.rpartition(b")")
        fields = tail.split()
        self.pid = pid
        self.comm = _unescape(os.fsdecode(head[head.index(b"(") + 1 :]))
        self.state = fields[_STATE].decode()
        self.ppid = int(fields[_PPID])
        self.num_threads = int(fields[_NUM_THREADS])
        self.start_time = int(fields[_START_TIME])

    @property
    def is_gone(self) -> bool:
        """Whether the process has exited, reaped or not."""
        return _is_gone(self.state, self.num_threads)


class Status:
    """A snapshot of /proc/PID/status.

    ``uids`` and ``gids`` are (real, effective, saved, file system). ``capabilities`` maps inh, prm, eff, bnd and amb to
    bit masks. ``nspid`` is the pid in each pid namespace, from the reader's inwards. ``fields`` has every line.
    """

    __slots__ = ("capabilities", "fields", "gids", "groups", "nspid", "uids")

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields
        self.uids = _numbers(fields, "Uid")
        self.gids = _numbers(fields, "Gid")
        self.groups = _numbers(fields, "Groups")
        self.nspid = _numbers(fields, "NSpid") or _numbers(fields, "Pid")
        self.capabilities = {
            name.lower(): int(fields[f"Cap{name}"], 16)
            for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")
            if f"Cap{name}" in fields
        }

    @property
    def uid(self) -> int:
        """The effective user id."""
        return self.uids[1]

    @property
    def gid(self) -> int:
        """The effective group id."""
        return self.gids[1]

    @property
    def no_new_privs(self) -> bool:
        return self.fields.get("NoNewPrivs") == "1"

    @property
    def seccomp_mode(self) -> int | None:
        """0 none, 1 strict, 2 filter; None when the kernel is built without seccomp."""
        mode = self.fields.get("Seccomp")
        return None if mode is None else int(mode)


class Proc:
    """A mounted proc file system, or a directory that resembles one.

    ``pid`` may be ``"self"`` where a str is accepted. A file that the caller may not read raises PermissionError.
    """

    __slots__ = ("root",)

    def __init__(self, root: str = "/proc") -> None:
        self.root = root

    def pids(self) -> list[int]:
        """Return the pids that exist now, in ascending order."""
        return sorted(int(name) for name in os.listdir(self.root) if name.isdigit())

    def stat(self, pid: int) -> Stat | None:
        line = self._stat_line(pid)
        return None if line is None else Stat(pid, line)

    def start_time(self, pid: int) -> int | None:
        """Return the start time of a process, in clock ticks since boot; zombies still have one.

        With the pid and the boot id it identifies a process for good. The kernel adds the offset of the *reader's* time
        namespace (do_task_stat in fs/proc/array.c), so only compare values read in the same time namespace.
        """
        line = self._stat_line(pid)
        return None if line is None else int(line[line.rindex(b")") + 2 :].split(b" ", 20)[_START_TIME])

    def is_running(self, pid: int, start_time: int) -> bool:
        """Return whether this very process is running: same start time, and not a zombie."""
        line = self._stat_line(pid)
        if line is None:
            return False
        fields = line[line.rindex(b")") + 2 :].split(b" ", 20)
        return int(fields[_START_TIME]) == start_time and not _is_gone(
            fields[_STATE].decode(), int(fields[_NUM_THREADS])
        )

    def namespaces(self, pid: int | str, kinds: Iterable[str] = KINDS) -> dict[str, tuple[int, int]] | None:
        """Return kind -> (device, inode) of the namespaces of a process: of all kinds, or of those wanted.

        Kinds that this kernel lacks are left out, as are those that a zombie has given up already (it keeps user and
        pid).
        """
        found = {}
        for kind in kinds:
            try:
                info = os.stat(f"{self.root}/{pid}/ns/{kind}")
            except VANISHED:
                continue
            found[kind] = (info.st_dev, info.st_ino)
        return found or None

    def status(self, pid: int | str) -> Status | None:
        try:
            text = os.fsdecode(read_bytes(f"{self.root}/{pid}/status"))
        except VANISHED:
            return None
        pairs = (line.partition(":") for line in text.split("\n"))
        return Status({name: value.strip() for name, _, value in pairs if name})

    def cgroups(self, pid: int | str) -> dict[str, str] | None:
        """Return controller -> path in its hierarchy; the key of the v2 tree is the empty string.

        The path of a group that was removed under a process ends in " (deleted)".
        """
        try:
            return parse_cgroup(os.fsdecode(read_bytes(f"{self.root}/{pid}/cgroup")))
        except VANISHED:
            return None

    def boot_id(self) -> str:
        """Return the id of this boot of the machine, empty when the kernel does not provide it."""
        return read_text(f"{self.root}/sys/kernel/random/boot_id")

    def _stat_line(self, pid: int) -> bytes | None:
        try:
            fd = os.open(f"{self.root}/{pid}/stat", _FLAGS)
        except VANISHED:
            return None
        try:
            return os.read(fd, 4096) or None
        except VANISHED:
            return None
        finally:
            os.close(fd)


def parse_cgroup(text: str) -> dict[str, str]:
    """Parse /proc/PID/cgroup: controller -> path, with co-mounted controllers separated."""
    found = {}
    for line in text.splitlines():
        _hierarchy, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _is_gone(state: str, num_threads: int) -> bool:
    # A leader that called pthread_exit is shown as Z while its threads run on: the process ends with the last of them.
    return state in ("Z", "X", "x") and num_threads <= 1


def _numbers(fields: dict[str, str], name: str) -> tuple[int, ...]:
    return tuple(int(word) for word in fields.get(name, "").split())


def _unescape(comm: str) -> str:
    # The kernel escapes newline and backslash as \n and \\ (proc_task_name, ESCAPE_SPACE | ESCAPE_SPECIAL).
    if "\\" not in comm:
        return comm
    return "\\".join(part.replace("\\n", "\n") for part in comm.split("\\\\"))
