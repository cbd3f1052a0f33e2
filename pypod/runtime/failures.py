"""What went wrong in a program, as an error: in words of the plan's operations, and with what to do about it."""

from __future__ import annotations

import os

from pypod.errors import CommandNotExecutable, CommandNotFound, LaunchFailed, PortInUse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.runtime.launcher import Report
    from pypod.runtime.ops import Op, Plan

_EPERM, _ENOENT, _EACCES, _EEXIST, _ENOTDIR, _EISDIR, _EINVAL = 1, 2, 13, 17, 20, 21, 22
_EMFILE, _ELOOP, _ESTALE = 24, 40, 116
_EPROTONOSUPPORT, _EOPNOTSUPP, _EADDRINUSE, _EADDRNOTAVAIL = 93, 95, 98, 99


def failure(plan: Plan, report: Report | None, name: str) -> LaunchFailed | PortInUse:
    """Return the error for what a program (``name``) reported of a plan; None: it ended without a word."""
    if report is None:
        return LaunchFailed(f"start {name}", "read", 32, message=f"{name} ended before it could report")
    op = plan.ops[report.operation] if report.operation < len(plan.ops) else None
    if op is not None and op.name == "execute" and report.call == "execve":
        return _command_failure(op, report)
    if op is not None and op.name in ("companion", "mount_program"):
        from pypod.runtime import companion

        return companion.failure(op, report)
    if op is not None and op.name == "hold" and report.error == _EADDRINUSE:
        protocol, address, port = op.arguments
        return PortInUse(str(protocol), str(address), int(port))
    if op is not None and op.name in _MOUNTS:
        return _mount_failure(plan, report, op)
    words = op.describe() if op is not None else "start"
    special = _SPECIAL.get((op.name if op else "", report.call), "")
    message = special.format(**op.named(), groups=_named_groups(op)) if op else ""
    hint = _hint(op.name if op else "", report)
    return LaunchFailed(words, report.call, report.error, message=message, hint=hint)


def _named_groups(op: Op) -> str:
    user, *groups = map(str, op.arguments or ("",))
    return ", ".join(name for name in (user.partition(":")[2], *groups) if name and not name.isdigit())


# Failures that are the user's to mend, in podman's words where it has some.
_SPECIAL = {
    ("user", "find user"): "unable to find user {USER}: no matching entries in passwd file",
    ("user", "find group"): "unable to find group {groups}: no matching entries in group file",
    ("working_directory", "openat2"): 'workdir "{PATH}" does not exist on container',
    ("working_directory", "getcwd"): 'workdir "{PATH}" is not inside the container',
}


_NO_ID = "the user namespace has no such id: /etc/subuid and /etc/subgid say which a user may give (pypod unshare)"


_NOT_OURS = (
    "the root file system lacks a place to mount on, and belongs to an id that the user namespace does not have: give "
    "one of its own ids, an image, or a storage outside of it (--root)"
)


_NOT_TO_CHANGE = (
    "the root file system lacks a place to mount on and lets you make none: with DIR:O the container writes elsewhere"
)


_NO_LINKS = (
    "no link may stand in for /proc, /sys or /dev of a root file system, lie on the way to something in them, or lead "
    "there from elsewhere: what protects the host would end up in another place"
)


_MOVED = "something else is there now: the root file system was changed while the container started, or leads elsewhere"


# What to do about failures whose error number says little.
_HINTS = {
    ("hold", "socket", _EPROTONOSUPPORT): "the kernel does not have this protocol",
    ("hold", "bind", _EADDRNOTAVAIL): "the host does not have this address",
    # before Linux 6.3
    ("netlink_host", "netlink", _EEXIST): "a crash left an entry in the firewall: pypod system check --repair",
    # of the dynamic linker
    ("execute_file", "execveat", _ENOENT): "the infra's root is empty: only a static program can run there",
    ("join_path", "open", _ENOENT): "whoever had the namespace has ended, or the file was removed",
    ("join_path", "setns", _EINVAL): (
        "what is there is no namespace, or one of another kind: name /proc/PID/ns/KIND, or what that is mounted on"
    ),
    ("bind", "openat", _EACCES): _NOT_OURS,
    ("bind", "mkdirat", _EACCES): _NOT_OURS,
    ("capabilities", "setresgid", _EINVAL): _NO_ID,
    ("mount", "mkdirat", _EACCES): _NOT_TO_CHANGE,
    ("mount", "openat2", _EACCES): "you may not look into the root file system: give a directory that you may read",
    ("map_tree", "mount_setattr", _EINVAL): (
        "other owners for files need Linux 5.19 and a file system that can have them (mount_setattr(2), "
        "MOUNT_ATTR_IDMAP): ext4, xfs, btrfs; --root says where the storage is"
    ),
    ("capabilities", "setresuid", _EINVAL): _NO_ID,
    ("sysctl", "openat2", _ENOENT): (
        "the kernel has no such setting, or does not show it in a user namespace, as older ones those of net.core"
    ),
    ("user", "setgroups", _EINVAL): _NO_ID,
    ("netlink_host", "netlink", _EOPNOTSUPP): (
        "this kernel makes no such interface: modprobe veth (or macvlan, ipvlan: the network's driver)"
    ),
    ("propagation", "mount", _EACCES): (
        "a security module allows no mounts in user namespaces of yours: AppArmor does that to programs without a "
        "profile where /proc/sys/kernel/apparmor_restrict_unprivileged_userns is 1"
    ),
    ("mount", "fsmount", _EPERM): (
        "in a user namespace proc and sysfs can be mounted only where the whole of them is seen: not in a container "
        "that hides parts"
    ),
    # clone_private_mount in fs/namespace.c, of mounts that came with a new user namespace
    ("root", "mount", _EINVAL): (
        "the kernel puts no overlay of a user over a directory with mounts in it, as / is: install fuse-overlayfs, "
        "or give one without, such as /usr:O, whose bin and lib are enough for most programs of the host, or an image"
    ),
}


# The same of whatever operation comes upon a path of the root.
_PATH_HINTS = {
    (
        "open_tree",
        _EMFILE,
    ): "each mount takes a descriptor until it is in its place: raise the limit of open files (ulimit -n)",
    ("openat2", _ELOOP): _NO_LINKS,
    ("fstatat", _ESTALE): _MOVED,
    ("statvfs", _ESTALE): _MOVED,
}


_OTHER_VERSION = "the C programs are of another version of pypod than its Python code: install it again (make -C pause)"


def _hint(operation: str, report: Report) -> str:
    if report.call == "plan_read":
        return _OTHER_VERSION
    return _HINTS.get((operation, report.call, report.error), "") or _PATH_HINTS.get((report.call, report.error), "")


_MOUNTS = ("bind", "bind_with_content", "mount", "mount_with_content")
_MISFITS = {
    _ENOTDIR: "a file is there, or on the way there, where a directory is needed",
    _EISDIR: "it is a file, and a directory is there",
}


def _mount_failure(plan: Plan, report: Report, op: Op) -> LaunchFailed:
    """Name what was to be mounted where, in the plan a number; and say which of the two is no directory."""
    words, given = op.describe(), op.named()
    if op.name.startswith("bind"):
        trees = [one.named() for one in plan.ops if one.name == "open_tree"]
        taken = [tree["PATH"] for tree in trees if tree["SLOT"] == given["SLOT"]]
        words = f"mount {taken[-1]!s} on {given['TARGET']!s}" if taken else words
    misfit = _MISFITS.get(report.error, "")
    message = f"{words}: {misfit}: {os.strerror(report.error)}" if misfit else ""
    hint = _hint(op.name, report)
    return LaunchFailed(words, report.call, report.error, message=message, hint=hint)


def _command_failure(op: Op, report: Report) -> LaunchFailed:
    command = str(op.arguments[0])
    text = os.strerror(report.error)
    where = "" if "/" in command else " in $PATH"
    if report.error in (_ENOENT, _ENOTDIR):
        message = (
            f"executable file `{command}` not found{where}: {text}: "
            "OCI runtime attempted to invoke a command that was not found"
        )
        return CommandNotFound(op.describe(), "execve", report.error, message=message)
    message = f"open executable `{command}`: {text}: OCI permission denied"
    return CommandNotExecutable(op.describe(), "execve", report.error, message=message)
