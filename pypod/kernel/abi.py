"""Numbers and names of the Linux user-space interface. No ctypes: any layer may import it.

Values are those of include/uapi/linux/sched.h and nsfs.h, and of the generic signal numbering, which x86, Arm, RISC-V,
PowerPC, s390 and LoongArch share (signal(7); Alpha, MIPS, PA-RISC and SPARC differ and are not supported).
"""

from __future__ import annotations

from pypod.errors import InvalidSpec

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# ioctls on a descriptor of /proc/PID/ns/*; the first two return a descriptor, the fourth fills in a uid.
NS_GET_USERNS = 0xB701  # the user namespace that owns this one
NS_GET_PARENT = 0xB702  # of a pid or user namespace
NS_GET_NSTYPE = 0xB703  # its CLONE_NEW* flag
NS_GET_OWNER_UID = 0xB704  # of a user namespace


class NamespaceKind:
    """One kind of namespace with all its names.

    ``kind`` is the name in /proc/PID/ns, in lsns and in ``--share``; ``children_name`` the /proc name of the namespace
    for children, where it may differ from the process's own (empty elsewhere); ``limit_name`` the file in
    /proc/sys/user; ``isolates`` describes what a process no longer shares.
    """

    __slots__ = ("children_name", "clone_flag", "isolates", "kind", "limit_name", "oci_name")

    def __init__(self, kind: str, oci_name: str, clone_flag: int, isolates: str, children_name: str = "") -> None:
        self.kind = kind
        self.oci_name = oci_name
        self.clone_flag = clone_flag
        self.isolates = isolates
        self.children_name = children_name
        self.limit_name = f"max_{kind}_namespaces"

    def __repr__(self) -> str:
        return f"NamespaceKind({self.kind!r}, {self.oci_name!r}, {self.clone_flag:#x})"


NAMESPACES: dict[str, NamespaceKind] = {
    row.kind: row
    for row in (
        NamespaceKind("mnt", "mount", CLONE_NEWNS, "mount points"),
        NamespaceKind("pid", "pid", CLONE_NEWPID, "process ids", "pid_for_children"),
        NamespaceKind("net", "network", CLONE_NEWNET, "interfaces, addresses, ports and routes"),
        NamespaceKind("ipc", "ipc", CLONE_NEWIPC, "System V IPC and POSIX message queues"),
        NamespaceKind("uts", "uts", CLONE_NEWUTS, "host name and domain name"),
        NamespaceKind("user", "user", CLONE_NEWUSER, "user ids, group ids and capabilities"),
        NamespaceKind("cgroup", "cgroup", CLONE_NEWCGROUP, "the root of the cgroup tree"),
        NamespaceKind("time", "time", CLONE_NEWTIME, "the monotonic and boot clocks", "time_for_children"),
    )
}
KINDS: tuple[str, ...] = tuple(NAMESPACES)
KIND_OF_OCI_NAME: dict[str, str] = {row.oci_name: row.kind for row in NAMESPACES.values()}

# What setrlimit(2) limits: sys/resource.h of Linux; the same on every architecture but MIPS, SPARC and Alpha
RESOURCES: dict[str, int] = {
    name: number
    for number, name in enumerate(
        "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME".split()
    )
}

# By number from 1; there are no gaps up to 31.
_CLASSIC = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT "
    "CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()
# The C library's threads use 32 and 33, so that programs see a higher SIGRTMIN than the kernel's (signal(7)).
SIGRTMIN = 34
SIGRTMAX = 64

SIGNALS: dict[str, int] = {
    **{name: number for number, name in enumerate(_CLASSIC, 1)},
    "RTMIN": SIGRTMIN,
    **{f"RTMIN+{offset}": SIGRTMIN + offset for offset in range(1, 16)},
    **{f"RTMAX-{offset}": SIGRTMAX - offset for offset in range(14, 0, -1)},
    "RTMAX": SIGRTMAX,
}
_NAMES = {number: f"SIG{name}" for name, number in SIGNALS.items()}
_ALIASES = {"CLD": SIGNALS["CHLD"], "IOT": SIGNALS["ABRT"], "POLL": SIGNALS["IO"]}

SIGINT, SIGQUIT = 2, 3
SIGKILL = 9
SIGTERM = 15
SIGCONT = 18
SIGSTOP = 19


# of a 64-bit number; int() raises above 4300 digits (CVE-2020-10735), and an image can have as many
DIGITS_LIMIT = 19


def signal_number(signal: str | int, *, argument: str = "signal") -> int:
    """Return the number of a signal in any form that podman accepts: TERM, sigterm, 15, -15, RTMIN+3.

    ``argument`` is named in errors: the flag or field that the text came from.

    Raises InvalidSpec, in podman's words, for an unknown name and for a number outside 1 to 64.
    """
    text = str(signal).removeprefix("-") if isinstance(signal, str) else str(signal)
    digits = text[1:] if text[:1] in ("+", "-") else text
    if digits.isascii() and digits.isdigit():
        number = int(text) if len(digits) <= DIGITS_LIMIT else SIGRTMAX + 1
        if number == 0:
            raise InvalidSpec(argument, f"invalid signal: {text}")
        if not 1 <= number <= SIGRTMAX:
            raise InvalidSpec(argument, "valid signals are 1 through 64")
        return number
    name = text.upper().removeprefix("SIG")
    found = SIGNALS.get(name) or _ALIASES.get(name)
    if found is None:
        raise InvalidSpec(argument, f"invalid signal: {text}")
    return found


def signal_name(number: int) -> str:
    """Return the name of a signal, as SIGTERM or SIGRTMIN+3; the number as text when it has none."""
    return _NAMES.get(number, str(number))
