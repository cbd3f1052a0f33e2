"""A survey of namespaces: which exist, which processes are in them, and what keeps them alive.

A namespace lives as long as a process is in it, a bind mount or an open descriptor refers to it, or one below it (a
child, or one it owns) lives (namespaces(7)). lsns(8) only lists those with processes; this finds all of them.
"""

from __future__ import annotations

import os
import sys

from pypod.kernel.abi import KINDS, NS_GET_OWNER_UID, NS_GET_PARENT, NS_GET_USERNS
from pypod.kernel.pidfd import PROC
from pypod.kernel.proc import VANISHED, read_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pypod.kernel.proc import Proc

PROCESS, THREAD, BIND, DESCRIPTOR, BELOW = "process", "thread", "bind", "fd", "below"
_HIERARCHICAL = ("pid", "user")
_GETNSID, _RTGENMSG_BYTES, _NETNSA_NSID, _NETNSA_FD = 90, 4, 1, 3  # linux/rtnetlink.h, net_namespace.h


class SurveyedProcess:
    """A process found by the survey: ``uid`` owns its files in /proc, ``inodes`` are its namespaces by kind."""

    __slots__ = ("inodes", "pid", "ppid", "threads", "uid")

    def __init__(self, pid: int, ppid: int, threads: int, uid: int, inodes: dict[str, int]) -> None:
        self.pid = pid
        self.ppid = ppid
        self.threads = threads
        self.uid = uid
        self.inodes = inodes


class Namespace:
    """One namespace.

    ``processes`` are those in it, by ascending pid. ``binds`` are the mount points in this process's mount namespace
    that keep it alive; ``holders`` other references, as paths in /proc: descriptors, threads, mount points of other
    mount namespaces. ``parent`` and ``owner`` are inodes, 0 where there is none or it is not visible to the caller;
    ``uid`` is the creator of a user namespace, if requested.
    """

    __slots__ = ("binds", "holders", "inode", "kind", "owner", "parent", "processes", "uid", "why")

    def __init__(self, kind: str, inode: int) -> None:
        self.kind = kind
        self.inode = inode
        self.processes: list[SurveyedProcess] = []
        self.binds: list[str] = []
        self.holders: list[str] = []
        self.why: list[str] = []
        self.parent = self.owner = 0
        self.uid: int | None = None

    @property
    def path(self) -> str:
        """A path that opens it, empty when none is known."""
        if self.processes:
            return f"/proc/{self.processes[0].pid}/ns/{self.kind}"
        return (self.binds or self.holders or [""])[0]

    def held(self, why: str, path: str = "") -> None:
        """Record what keeps it alive."""
        if why not in self.why:
            self.why.append(why)
        if path:
            (self.binds if why == BIND and not path.startswith("/proc/") else self.holders).append(path)

    def __repr__(self) -> str:
        return f"<Namespace {self.kind}:[{self.inode}] {','.join(self.why)}>"


class Survey:
    """A snapshot of all namespaces, by (kind, inode). What disappears during the survey is left out."""

    def __init__(self, kinds: Collection[str] = KINDS, proc: Proc = PROC) -> None:
        self._proc = proc
        self._kinds = tuple(kind for kind in KINDS if kind in kinds)
        self.processes: list[SurveyedProcess] = []
        self._found: dict[tuple[str, int], Namespace] = {}
        self._read_processes()

    @property
    def namespaces(self) -> list[Namespace]:
        """The namespaces, by ascending inode as in lsns."""
        return sorted(self._found.values(), key=lambda one: (one.inode, one.kind))

    def get(self, kind: str, inode: int) -> Namespace:
        """Return the namespace, added if it is new."""
        found = self._found.get((kind, inode))
        if found is None:
            found = self._found[kind, inode] = Namespace(kind, inode)
        return found

    def _read_processes(self) -> None:
        for pid in self._proc.pids():
            process = self._read_process(pid)
            if process is None:
                continue
            self.processes.append(process)
            for kind, inode in process.inodes.items():
                namespace = self.get(kind, inode)
                namespace.processes.append(process)
                namespace.held(PROCESS)

    def _read_process(self, pid: int) -> SurveyedProcess | None:
        try:
            uid = os.stat(f"{self._proc.root}/{pid}").st_uid
            stat = self._proc.stat(pid)
        except VANISHED:
            return None
        if stat is None:
            return None
        return SurveyedProcess(pid, stat.ppid, stat.num_threads, uid, self._inodes(f"{self._proc.root}/{pid}/ns"))

    def _inodes(self, directory: str) -> dict[str, int]:
        found = {}
        for kind in self._kinds:
            # readlink is three times as fast as stat, which has to instantiate the inode
            try:
                found[kind] = int(os.readlink(f"{directory}/{kind}")[len(kind) + 2 : -1])
            except PermissionError:
                return {}  # the others are as inaccessible
            except OSError:
                continue  # gone, given up by a zombie, or a kind missing in this kernel
        return found

    def find_holders(self) -> None:
        """Find namespaces without processes: bind mounts, descriptors, threads."""
        self._find_binds()
        for process in self.processes:
            self._find_descriptors(process)
            if process.threads > 1:
                self._find_threads(process)

    def _find_binds(self) -> None:
        own = f"{self._proc.root}/self"
        self._add_binds(f"{own}/mountinfo", "")
        seen = {self._inodes_of_mounts(own)}
        for process in self.processes:
            mounts = process.inodes.get("mnt") or self._inodes_of_mounts(f"{self._proc.root}/{process.pid}")
            if mounts not in seen:
                seen.add(mounts)
                self._add_binds(f"{self._proc.root}/{process.pid}/mountinfo", f"{self._proc.root}/{process.pid}/root")

    @staticmethod
    def _inodes_of_mounts(directory: str) -> int:
        try:
            return int(os.readlink(f"{directory}/ns/mnt")[5:-1])
        except OSError:
            return 0

    def _add_binds(self, mountinfo: str, root: str) -> None:
        try:
            content = read_bytes(mountinfo)
        except OSError:
            return
        for kind, inode, target in nsfs_mounts(content):
            if kind in self._kinds:
                self.get(kind, inode).held(BIND, f"{root}{target}")

    def _find_descriptors(self, process: SurveyedProcess) -> None:
        directory = f"{self._proc.root}/{process.pid}/fd"
        for name in _listed(directory):
            try:
                text = os.readlink(f"{directory}/{name}")
            except OSError:
                continue
            kind, inode = parse_link(text)
            if kind in self._kinds:
                self.get(kind, inode).held(DESCRIPTOR, f"{directory}/{name}")

    def _find_threads(self, process: SurveyedProcess) -> None:
        directory = f"{self._proc.root}/{process.pid}/task"
        for name in _listed(directory):
            for kind, inode in self._inodes(f"{directory}/{name}/ns").items():
                if inode != process.inodes.get(kind):
                    self.get(kind, inode).held(THREAD, f"{directory}/{name}/ns/{kind}")

    def find_relations(self) -> None:
        """Query owners and parents, and add those not found otherwise."""
        for namespace in list(self._found.values()):
            try:
                fd = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                self._relate(namespace, fd)
            finally:
                os.close(fd)

    def _relate(self, namespace: Namespace, fd: int) -> None:
        if namespace.kind == "user":
            namespace.uid = _owner_uid(fd)
        namespace.owner = self._relative("user", fd, NS_GET_USERNS)
        if namespace.kind in _HIERARCHICAL:
            namespace.parent = self._relative(namespace.kind, fd, NS_GET_PARENT)

    def _relative(self, kind: str, fd: int, request: int) -> int:
        """Return the inode of the namespace that an ioctl_ns(2) request returns, 0 when there is none."""
        import fcntl

        try:
            other = fcntl.ioctl(fd, request)
        except OSError:  # EPERM: outside of the caller's namespace, or nonexistent
            return 0
        try:
            inode = os.fstat(other).st_ino
            if kind in self._kinds and (kind, inode) not in self._found:
                added = self.get(kind, inode)
                added.held(BELOW)
                self._relate(added, other)
            return inode
        finally:
            os.close(other)


def _owner_uid(fd: int) -> int | None:
    import fcntl

    try:
        return int.from_bytes(fcntl.ioctl(fd, NS_GET_OWNER_UID, bytes(4)), sys.byteorder)
    except OSError:
        return None


def parent_inode(path: str) -> int:
    """Return the inode of the parent of the user or pid namespace at ``path``. Raises OSError.

    PermissionError when the parent is not the caller's own namespace or below it.
    """
    import fcntl

    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parent = fcntl.ioctl(fd, NS_GET_PARENT)
    finally:
        os.close(fd)
    try:
        return os.fstat(parent).st_ino
    finally:
        os.close(parent)


def netnsid(path: str) -> int | None:
    """Return the id that this process's network namespace has assigned to the one at ``path``.

    -1 when it has not assigned one; None when the kernel does not provide it. See RTM_GETNSID in rtnetlink(7).
    """
    from pypod.kernel.netlink import Channel, attribute, attributes, message

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with Channel() as channel:
            answer = channel.ask(message(_GETNSID, b"\0", attribute(_NETNSA_FD, fd), flags=0))
    except OSError:
        return None
    finally:
        os.close(fd)
    number = attributes(answer[_RTGENMSG_BYTES:]).get(_NETNSA_NSID)
    return None if number is None else int.from_bytes(number, sys.byteorder, signed=True)


def _listed(directory: str) -> list[str]:
    """Return the names in a directory of /proc; none when the process is gone or closed to the caller."""
    try:
        return os.listdir(directory)
    except OSError:
        return []


def parse_link(text: str) -> tuple[str, int]:
    """Parse a namespace link of /proc: ``net:[4026531840]``; ("", 0) for anything else."""
    kind, colon, rest = text.partition(":[")
    if colon and kind in KINDS and rest.endswith("]") and rest[:-1].isdigit():
        return kind, int(rest[:-1])
    return "", 0


def nsfs_mounts(mountinfo: bytes) -> Iterator[tuple[str, int, str]]:
    """Yield kind, inode and mount point of each mounted namespace (proc_pid_mountinfo(5))."""
    for line in mountinfo.split(b"\n"):
        if b" - nsfs " not in line:
            continue
        fields = line.split(b" ")
        kind, inode = parse_link(fields[3].decode())
        if kind:
            yield kind, inode, _unescape(fields[4])


def _unescape(field: bytes) -> str:
    # mangle() in fs/proc_namespace.c escapes space, tab, newline, backslash and # in octal
    head, *rest = field.split(b"\\")
    return os.fsdecode(head + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest))
