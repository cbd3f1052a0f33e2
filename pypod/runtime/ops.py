"""Operations of a plan: what the launcher and the monitor can be asked to do, one table.

The numbers are those of pause/common/ops.h (a test compares the two). Each row says how the operation reads to a person
and where the kernel call behind it is documented.
"""

from __future__ import annotations

from pypod.kernel.abi import NAMESPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# name: (number, words, manual page); {0} is the first argument, {*} all of them
OPERATIONS: dict[str, tuple[int, str, str]] = {
    "status": (1, "record start and exit in {0}", "rename(2)"),
    "log": (2, "append output to {0}", "open(2)"),
    "attach": (3, "listen for clients in {0}", "unix(7)"),
    "standard_input": (4, "keep the standard input open for clients", "pipe(2)"),
    "terminal": (5, "give it a terminal of {0} columns and {1} rows", "pty(7)"),
    "owner": (6, "end it when process {0} is gone", "pidfd_open(2)"),
    "finally": (7, "at the very end run {*}", "execve(2)"),
    "mount_program": (8, "serve the root by {3}, which runs beside it and is recorded in {0}", "fuse(4)"),
    "leave": (10, "supervise nothing: exit once the process runs", "_exit(2)"),
    "idmap": (11, "map user ids {0} and group ids {1}", "user_namespaces(7)"),
    "group_kill": (12, "when the first process has ended, kill all of cgroup {0}", "cgroups(7)"),
    "event": (13, "append to {0} that it runs, and its end when that comes", "write(2)"),
    "hold": (14, "hold port {2}/{0} on {1}", "bind(2)"),
    "netlink_host": (15, "{0}", "netlink(7)"),
    "netlink_end": (16, "when it has ended, {0}", "netlink(7)"),
    "session": (17, "go on in the user namespace of process {0}, as root there", "setns(2)"),
    "oom_file": (18, "when it has ended, see in {0} whether the kernel killed in it for want of memory", "cgroups(7)"),
    "idmap_by": (19, "have its ids mapped by {*}", "newuidmap(1)"),
    "clone": (20, "make the process with new namespaces {0} in cgroup {1}", "clone(2)"),
    "wait": (21, "wait for the supervisor's part", "read(2)"),
    "join": (22, "join the namespaces {2} of process {0}", "setns(2)"),
    "join_path": (23, "join the namespace {0} at {1}", "setns(2)"),
    "expect": (24, "be sure that the {0} namespace is number {1}", "namespaces(7)"),
    "join_group": (25, "enter the cgroup of {0}", "cgroups(7)"),
    "unshare": (26, "have own namespaces {0}", "unshare(2)"),
    "keyring": (27, "have an own session keyring {0}", "keyctl(2)"),
    "loopback": (28, "set lo up", "netdevice(7)"),
    "hostname": (29, "set the hostname {0}", "sethostname(2)"),
    "domainname": (30, "set the domain name {0}", "setdomainname(2)"),
    "netlink": (31, "{0}", "rtnetlink(7)"),
    "propagation": (40, "make the mounts of the new mount namespace {0}: nothing of it shows outside", "mount(2)"),
    "capture": (41, "take mount {3} out of the mount namespace of process {1}, as number {0}", "open_tree(2)"),
    "open_tree": (42, "take {1} of the host, as number {0}", "open_tree(2)"),
    "root": (43, "mount the root file system: {0} {1} on {2} with {4}", "mount(2)"),
    "mount": (44, "mount {0} on {2} ({3})", "fsmount(2)"),
    "bind": (45, "mount number {0} on {1} ({2})", "move_mount(2)"),
    "directory": (46, "make directory {0}", "mkdir(2)"),
    "symlink": (47, "make symbolic link {1} to {0}", "symlink(2)"),
    "device": (48, "make device {0} ({1}:{2})", "mknod(2)"),
    "console": (49, "open the terminal", "pty(7)"),
    "sysctl": (50, "set sysctl {0} to {1}", "proc(5)"),
    "mask": (51, "hide {0}, if it is there", "mount(2)"),
    "read_only": (52, "make {0} read-only, if it is there", "mount_setattr(2)"),
    "pivot": (53, "make it the root and let the host's go", "pivot_root(2)"),
    "read_only_root": (54, "make the root file system read-only", "mount_setattr(2)"),
    "mount_with_content": (55, "mount {0} on {2} with a copy of what is there", "fsmount(2)"),
    "bind_with_content": (56, "mount number {0} on {1} ({2}) with a copy of what is there", "move_mount(2)"),
    "base": (57, "name the layers of the root from {0}", "chdir(2)"),
    "account": (58, "give user {0} an entry in the passwd and group files, if there is none", "passwd(5)"),
    "keep_groups": (59, "keep the supplementary groups", "user_namespaces(7)"),
    "resource_limit": (60, "limit resource {0} to {1}, at most {2}", "setrlimit(2)"),
    "user": (61, "find user {0} in the container's passwd and group files", "passwd(5)"),
    "no_new_privileges": (62, "allow no new privileges", "prctl(2)"),
    "seccomp": (63, "filter system calls", "seccomp(2)"),
    "capabilities": (64, "become the user with the capabilities {1} out of {0}", "capabilities(7)"),
    "working_directory": (65, "go to {0}", "chdir(2)"),
    "environment": (66, "set the environment", "environ(7)"),
    "umask": (67, "set the file mode mask {0}", "umask(2)"),
    "oom_score": (68, "set the score of the out-of-memory killer to {0}", "proc(5)"),
    "execute": (69, "run {*}", "execve(2)"),
    "execute_file": (70, "run {0}", "execveat(2)"),
    "companion": (71, "connect it by {3}, which runs beside it and is recorded in {0}", "pid_namespaces(7)"),
    "hand_network": (72, "hand the network namespace to the supervisor", "unix(7)"),
    "host_network": (73, "take the network namespace of process {0} for the host's", "setns(2)"),
    "root_fuse": (78, "mount the root file system on {0}: one that a program serves", "mount(2)"),
    "serve_root": (79, "hand the root file system to the supervisor, for the mount program", "unix(7)"),
    "own_ids": (80, "be user {0} and group {1} of the user namespace", "user_namespaces(7)"),
    "hold_root": (81, "take the root file system along into the next mount namespace", "open_tree(2)"),
    "place_root": (82, "mount the root file system in this one", "move_mount(2)"),
    "map_tree": (83, "have the files in {0} owned by the ids of the user namespace: {1}", "mount_setattr(2)"),
    "verify_mounts": (84, "look from inside: every mount, mask and read-only path is in its place", "stat(2)"),
}

MOUNT_ATTRIBUTES = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 16, "strictatime": 32}
MS_REC, MS_BIND, MS_PRIVATE, MS_SLAVE = 0x4000, 0x1000, 1 << 18, 1 << 19


class Op:
    """One operation: a name of the table and its arguments, text or bytes."""

    __slots__ = ("arguments", "name")

    def __init__(self, name: str, *arguments: str | int | bytes) -> None:
        self.name = name
        self.arguments = arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Op) and (self.name, self.arguments) == (other.name, other.arguments)

    def __hash__(self) -> int:
        return hash((self.name, self.arguments))

    def __repr__(self) -> str:
        return f"Op({', '.join(map(repr, (self.name, *self.arguments)))})"

    def encode(self) -> bytes:
        """Return the record that pause/common/plan.c reads."""
        parts = [
            OPERATIONS[self.name][0].to_bytes(4, "little"),
            len(self.arguments).to_bytes(4, "little"),
        ]
        for argument in self.arguments:
            data = argument if isinstance(argument, bytes) else str(argument).encode("utf-8", "surrogateescape")
            parts += (len(data).to_bytes(4, "little"), data, b"\0")
        return b"".join(parts)

    @property
    def page(self) -> str:
        """The manual page of the kernel call behind it."""
        return OPERATIONS[self.name][2]

    def describe(self) -> str:
        """Return the operation in words, for one line."""
        words = OPERATIONS[self.name][1]
        shown = [self._shown(at, argument) for at, argument in enumerate(self.arguments)]
        if "{*}" in words:
            return words.replace("{*}", " ".join(shown))
        return (
            words.format(*shown, *[""] * 8)
            .replace(" ()", "")
            .replace(" with new namespaces none", "")
            .removesuffix(" in cgroup ")
        )

    def _shown(self, at: int, argument: str | int | bytes) -> str:
        try:
            return _SHOWN.get((self.name, at), _show)(argument)
        except ValueError:  # no number where one belongs
            return _show(argument)


def _show(argument: str | int | bytes) -> str:
    return f"{len(argument)} bytes" if isinstance(argument, bytes) else str(argument)


def _kinds(argument: str | int | bytes) -> str:
    """CLONE_NEW* bits: for a reader they are kinds of namespaces."""
    bits = int(argument)
    return ", ".join(row.kind for row in NAMESPACES.values() if row.clone_flag & bits) or "none"


def _attributes(argument: str | int | bytes) -> str:
    bits = int(argument)
    return ",".join(name for name, bit in MOUNT_ATTRIBUTES.items() if bits & bit)


def _propagation(argument: str | int | bytes) -> str:
    return "private" if int(argument) & MS_PRIVATE else "slave"


def _resource(argument: str | int | bytes) -> str:
    from pypod.runtime.compiler import RESOURCES

    return {number: name for name, number in RESOURCES.items()}.get(int(argument), str(argument))


def _capabilities(argument: str | int | bytes) -> str:
    from pypod.kernel.capabilities import names

    found = names(int(argument, 16)) if isinstance(argument, str) else ()
    return ",".join(name.removeprefix("CAP_") for name in found) or "none"


def _address(argument: str | int | bytes) -> str:
    return str(argument) or "all addresses"


def _map(argument: str | int | bytes) -> str:
    return ", ".join(str(argument).splitlines())


# (operation, argument): how it is shown, where that is not as it is.
_SHOWN: dict[tuple[str, int], Callable[[str | int | bytes], str]] = {
    ("clone", 0): _kinds,
    ("join", 2): _kinds,
    ("join_path", 0): _kinds,
    ("unshare", 0): _kinds,
    ("propagation", 0): _propagation,
    ("mount", 3): _attributes,
    ("bind", 2): _attributes,
    ("resource_limit", 0): _resource,
    ("capabilities", 0): _capabilities,
    ("capabilities", 1): _capabilities,
    ("hold", 1): _address,
    ("idmap", 0): _map,
    ("idmap", 1): _map,
    ("map_tree", 1): _map,
}


class Plan:
    """A tuple of operations. A value: making one does nothing."""

    __slots__ = ("ops",)

    def __init__(self, ops: Iterable[Op]) -> None:
        self.ops = tuple(ops)

    def encode(self) -> bytes:
        """Return the plan as the C programs read it."""
        return b"".join([op.encode() for op in self.ops])

    def describe(self) -> list[str]:
        """Return one line per operation with its manual page."""
        return [f"{op.describe()}  [{op.page}]" for op in self.ops]
