"""The table of operations of the launcher and the monitor.

The numbers and the kinds of arguments are those of pause/common/ops.h (a test compares the two). Each row has the
description shown to users, and the manual page of the kernel call behind the operation.
"""

from __future__ import annotations

# name: (number, kinds of its arguments, their names, description, manual page)
#
# A kind is a letter: s string, b bytes, n number, i signed number, o string with an octal number, x with a
# hexadecimal one. The last may be repeated: NAME... (+) is one argument or more, [NAME...] (*) any number of them.
OPERATIONS: dict[str, tuple[int, str, str, str, str]] = {
    "status": (1, "ss", "PATH BOOT_ID", "record start and exit in {PATH}", "rename(2)"),
    "log": (2, "s", "PATH", "append output to {PATH}", "open(2)"),
    "attach": (3, "s", "DIRECTORY", "listen for clients in {DIRECTORY}", "unix(7)"),
    "standard_input": (4, "", "", "keep the standard input open for clients", "pipe(2)"),
    "terminal": (5, "nn", "COLUMNS ROWS", "give it a terminal of {COLUMNS} columns and {ROWS} rows", "pty(7)"),
    "owner": (6, "nn", "PID START_TIME", "end it when process {PID} is gone", "pidfd_open(2)"),
    "finally": (7, "s+", "ARGV...", "at the very end run {ARGV}", "execve(2)"),
    "mount_program": (
        8,
        "sssss*",
        "DIRECTORY BOOT_ID REQUESTS PROGRAM [ARGUMENT...]",
        "serve the root with {PROGRAM}, a sidecar process recorded in {DIRECTORY}",
        "fuse(4)",
    ),
    "leave": (10, "", "", "supervise nothing: exit once the process runs", "_exit(2)"),
    "idmap": (
        11,
        "sss",
        "UID_MAP GID_MAP SETGROUPS",
        "map user ids {UID_MAP} and group ids {GID_MAP}",
        "user_namespaces(7)",
    ),
    "group_kill": (
        12,
        "s",
        "DIRECTORY",
        "when the first process has ended, kill all of cgroup {DIRECTORY}",
        "cgroups(7)",
    ),
    "event": (
        13,
        "ssss",
        "FILE START END REST",
        "append its start to {FILE}, and its end later",
        "write(2)",
    ),
    "hold": (14, "ssn", "PROTOCOL ADDRESS PORT", "hold port {PORT}/{PROTOCOL} on {ADDRESS}", "bind(2)"),
    "netlink_host": (15, "snbn*", "WORDS FAMILY MESSAGES [OFFSET...]", "{WORDS}", "netlink(7)"),
    "netlink_end": (16, "snb", "WORDS FAMILY MESSAGES", "when it has ended, {WORDS}", "netlink(7)"),
    "session": (
        17,
        "nn",
        "PID START_TIME",
        "continue in the user namespace of process {PID}, as root there",
        "setns(2)",
    ),
    "oom_file": (
        18,
        "s",
        "FILE",
        "when it has ended, read from {FILE} whether the OOM killer struck in its cgroup",
        "cgroups(7)",
    ),
    "idmap_by": (19, "sn+", "PROGRAM RANGE...", "map its ids with {PROGRAM} {RANGE}", "newuidmap(1)"),
    "clone": (
        20,
        "ns",
        "FLAGS CGROUP_DIRECTORY",
        "create the process with new namespaces {FLAGS} in cgroup {CGROUP_DIRECTORY}",
        "clone(2)",
    ),
    "wait": (21, "", "", "wait for the supervisor's part", "read(2)"),
    "join": (22, "nnn", "PID START_TIME FLAGS", "join the namespaces {FLAGS} of process {PID}", "setns(2)"),
    "join_path": (23, "ns", "FLAG PATH", "join the namespace {FLAG} at {PATH}", "setns(2)"),
    "expect": (24, "sn", "KIND INODE", "check that the {KIND} namespace has inode {INODE}", "namespaces(7)"),
    "join_group": (25, "s", "FILE", "enter the cgroup of {FILE}", "cgroups(7)"),
    "unshare": (26, "n", "FLAGS", "create new namespaces {FLAGS}", "unshare(2)"),
    "keyring": (27, "s", "NAME", "create a session keyring {NAME}", "keyctl(2)"),
    "loopback": (28, "", "", "set lo up", "netdevice(7)"),
    "hostname": (29, "s", "NAME", "set the hostname {NAME}", "sethostname(2)"),
    "domainname": (30, "s", "NAME", "set the domain name {NAME}", "setdomainname(2)"),
    "netlink": (31, "snbn*", "WORDS FAMILY MESSAGES [OFFSET...]", "{WORDS}", "rtnetlink(7)"),
    "propagation": (
        40,
        "n",
        "PROPAGATION",
        "make the mounts of the new mount namespace {PROPAGATION}: its changes do not show outside",
        "mount(2)",
    ),
    "capture": (
        41,
        "nnnsn",
        "SLOT PID START_TIME PATH RECURSIVE",
        "take mount {PATH} out of the mount namespace of process {PID}, as number {SLOT}",
        "open_tree(2)",
    ),
    "open_tree": (42, "nsn", "SLOT PATH RECURSIVE", "take {PATH} from the host, as number {SLOT}", "open_tree(2)"),
    "root": (
        43,
        "sssns",
        "TYPE SOURCE TARGET MOUNT_FLAGS DATA",
        "mount the root file system: {TYPE} {SOURCE} on {TARGET} with {DATA}",
        "mount(2)",
    ),
    "mount": (
        44,
        "sssns*",
        "TYPE SOURCE TARGET ATTRIBUTES [OPTION...]",
        "mount {TYPE} on {TARGET} ({ATTRIBUTES})",
        "fsmount(2)",
    ),
    "bind": (
        45,
        "nsnnn",
        "SLOT TARGET ATTRIBUTES PROPAGATION RECURSIVE",
        "mount number {SLOT} on {TARGET} ({ATTRIBUTES})",
        "move_mount(2)",
    ),
    "directory": (46, "s", "TARGET", "make directory {TARGET}", "mkdir(2)"),
    "symlink": (47, "ss", "TEXT TARGET", "make symbolic link {TARGET} to {TEXT}", "symlink(2)"),
    "device": (
        48,
        "snnnn*",
        "TARGET MAJOR MINOR MODE [OWNER...]",
        "make device {TARGET} ({MAJOR}:{MINOR})",
        "mknod(2)",
    ),
    "console": (49, "n", "BIND", "open the terminal", "pty(7)"),
    "sysctl": (50, "ss", "KEY VALUE", "set sysctl {KEY} to {VALUE}", "proc(5)"),
    "mask": (51, "s", "TARGET", "hide {TARGET}, if it exists", "mount(2)"),
    "read_only": (52, "s", "TARGET", "make {TARGET} read-only, if it exists", "mount_setattr(2)"),
    "pivot": (53, "", "", "make it the root and detach the host's", "pivot_root(2)"),
    "read_only_root": (54, "", "", "make the root file system read-only", "mount_setattr(2)"),
    "mount_with_content": (
        55,
        "sssns*",
        "TYPE SOURCE TARGET ATTRIBUTES [OPTION...]",
        "mount {TYPE} on {TARGET} with a copy of the content there",
        "fsmount(2)",
    ),
    "bind_with_content": (
        56,
        "nsnnnnn",
        "SLOT TARGET ATTRIBUTES PROPAGATION RECURSIVE CONTENT OWNER",
        "mount number {SLOT} on {TARGET} ({ATTRIBUTES}), new, like the directory there",
        "move_mount(2)",
    ),
    "base": (57, "s", "DIRECTORY", "name the layers of the root from {DIRECTORY}", "chdir(2)"),
    "account": (
        58,
        "sss+",
        "USER DIRECTORY PIECE...",
        "give user {USER} an entry in the passwd and group files, if it has none",
        "passwd(5)",
    ),
    "keep_groups": (59, "", "", "keep the supplementary groups", "user_namespaces(7)"),
    "resource_limit": (
        60,
        "nnn",
        "RESOURCE SOFT HARD",
        "limit resource {RESOURCE} to {SOFT}, at most {HARD}",
        "setrlimit(2)",
    ),
    "user": (
        61,
        "ss*",
        "USER [GROUP_ADD...]",
        "find user {USER} in the container's passwd and group files",
        "passwd(5)",
    ),
    "no_new_privileges": (62, "", "", "allow no new privileges", "prctl(2)"),
    "seccomp": (63, "bn", "FILTER FILTER_FLAGS", "filter system calls", "seccomp(2)"),
    "capabilities": (
        64,
        "xxxxx",
        "BOUNDING EFFECTIVE PERMITTED INHERITABLE AMBIENT",
        "become the user with the capabilities {EFFECTIVE} out of {BOUNDING}",
        "capabilities(7)",
    ),
    "working_directory": (65, "sn", "PATH CREATE", "go to {PATH}", "chdir(2)"),
    "environment": (66, "s*", "[VARIABLE...]", "set the environment", "environ(7)"),
    "umask": (67, "o", "MASK", "set the file mode mask {MASK}", "umask(2)"),
    "oom_score": (68, "i", "ADJUSTMENT", "set the score of the out-of-memory killer to {ADJUSTMENT}", "proc(5)"),
    "execute": (69, "s+", "ARGV...", "run {ARGV}", "execve(2)"),
    "execute_file": (70, "ss+", "PATH ARGV...", "run {PATH}", "execveat(2)"),
    "sidecar": (
        71,
        "sssss*",
        "DIRECTORY BOOT_ID REQUESTS PROGRAM [ARGUMENT...]",
        "connect it with {PROGRAM}, a sidecar process recorded in {DIRECTORY}",
        "pid_namespaces(7)",
    ),
    "hand_network": (72, "", "", "hand the network namespace to the supervisor", "unix(7)"),
    "host_network": (
        73,
        "nn",
        "PID START_TIME",
        "use the network namespace of process {PID} as the host's",
        "setns(2)",
    ),
    "open_file": (74, "ns", "SLOT PATH", "open {PATH} of the host, as number {SLOT}", "open(2)"),
    "secret": (
        75,
        "nsnnn",
        "SLOT TARGET UID GID FILE_MODE",
        "copy number {SLOT} to {TARGET}, for user {UID} and group {GID} with mode {FILE_MODE}",
        "sendfile(2)",
    ),
    "secret_variable": (
        76,
        "ns",
        "SLOT NAME",
        "set the environment variable {NAME} to the content of number {SLOT}",
        "environ(7)",
    ),
    "root_fuse": (78, "s", "TARGET", "mount the root file system that a program serves on {TARGET}", "mount(2)"),
    "serve_root": (79, "", "", "hand the root file system to the supervisor, for the mount program", "unix(7)"),
    "own_ids": (
        80,
        "nnn",
        "UID GID ALONE",
        "be user {UID} and group {GID} of the user namespace",
        "user_namespaces(7)",
    ),
    "hold_root": (81, "", "", "take the root file system along into the next mount namespace", "open_tree(2)"),
    "place_root": (82, "", "", "mount the root file system in the new mount namespace", "move_mount(2)"),
    "map_tree": (
        83,
        "sss",
        "PATH UID_MAP GID_MAP",
        "map the owners of the files in {PATH} to the user namespace: {UID_MAP}",
        "mount_setattr(2)",
    ),
    "verify_mounts": (
        84,
        "",
        "",
        "verify from inside that every mount, mask and read-only path is in place",
        "stat(2)",
    ),
    "personality": (85, "n", "DOMAIN", "set the execution domain {DOMAIN}", "personality(2)"),
    "entries": (
        86,
        "sss+",
        "PATH DIRECTORY LINE...",
        "add to {PATH}, unless it has their names: {LINE}",
        "passwd(5)",
    ),
    "descriptors": (87, "n+", "NUMBER...", "pass descriptors of the caller on, as {NUMBER}", "unix(7)"),
    "pid_file": (88, "s", "PATH", "write its pid into {PATH}", "write(2)"),
    "supervisor_pid_file": (89, "s", "PATH", "write the pid of its monitor into {PATH}", "write(2)"),
    "device_filter": (
        91,
        "snb",
        "DIRECTORY REQUIRED PROGRAM",
        "limit the access to devices in cgroup {DIRECTORY}",
        "bpf(2)",
    ),
    "timeout": (90, "n", "SECONDS", "kill it after {SECONDS} s", "poll(2)"),
    "host_mount": (92, "ns", "SLOT PATH", "mount number {SLOT}, writable, on {PATH} of the host", "move_mount(2)"),
    "open_subtree": (
        97,
        "nssn",
        "SLOT PATH SUBPATH RECURSIVE",
        "take {SUBPATH} in {PATH} from the host, as number {SLOT}",
        "openat2(2)",
    ),
    "open_overlay": (
        98,
        "nsss",
        "SLOT DIRECTORY SUBPATH OPTIONS",
        "make an overlay with {OPTIONS}, as number {SLOT}",
        "mount(2)",
    ),
    "give_tree": (
        99,
        "nsnss",
        "SLOT USER RECURSIVE UID_MAP GID_MAP",
        "give number {SLOT} to user {USER}",
        "chown(2)",
    ),
}


REPEATED = {"+": 1, "*": 0}  # the least number of repetitions


def names_of(operation: str) -> list[str]:
    """Return the names of an operation's arguments."""
    return [word.strip("[.]") for word in OPERATIONS[operation][2].split()]


def kinds_of(operation: str, count: int) -> str:
    """Return the kinds of ``count`` arguments of an operation, one letter each."""
    kinds = OPERATIONS[operation][1]
    return kinds[:-1] + kinds[-2] * (count - len(kinds) + 1) if kinds[-1:] in REPEATED else kinds
