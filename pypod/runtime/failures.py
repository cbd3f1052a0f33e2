"""Errors for failed programs, in the words of the plan's operations, with hints."""

from __future__ import annotations

import os

from pypod.errors import CommandNotExecutable, CommandNotFound, LaunchFailed, NoSuchUser, PortInUse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.runtime.launcher import Report
    from pypod.runtime.ops import Op, Plan

_EPERM, _ENOENT, _EACCES, _EEXIST, _ENOTDIR, _EISDIR, _EINVAL = 1, 2, 13, 17, 20, 21, 22
_EMFILE, _ELOOP, _ESTALE = 24, 40, 116
_EPROTONOSUPPORT, _EOPNOTSUPP, _EADDRINUSE, _EADDRNOTAVAIL = 93, 95, 98, 99


def failure(plan: Plan, report: Report | None, name: str) -> LaunchFailed | PortInUse:
    """Return the error for the report of program ``name`` on a plan; None means that it ended without a report."""
    if report is None:
        return LaunchFailed(f"start {name}", "read", 32, message=f"{name} ended before it could report")
    op = plan.ops[report.operation] if report.operation < len(plan.ops) else None
    if op is not None and op.name == "execute" and report.call == "execve":
        return _command_failure(op, report)
    if op is not None and op.name in ("sidecar", "mount_program"):
        from pypod.runtime import sidecar

        return sidecar.failure(op, report)
    if op is not None and op.name == "hold" and report.error == _EADDRINUSE:
        protocol, address, port = op.arguments
        return PortInUse(str(protocol), str(address), int(port))
    if op is not None and op.name in _FAILURES:
        return _FAILURES[op.name](plan, report, op)
    return _failure(op, report)


def _failure(op: Op | None, report: Report) -> LaunchFailed:
    words = op.describe() if op is not None else "start"
    special = _SPECIAL.get((op.name if op else "", report.call), "")
    message = special.format(**_words_of(op)) if op else ""
    hint = _hint(op.name if op else "", report)
    kind = NoSuchUser if report.call in ("find user", "find group") else LaunchFailed
    return kind(words, report.call, report.error, message=message, hint=hint)


def _words_of(op: Op) -> dict[str, object]:
    """Return the arguments of an operation by name; of a user, the name and the groups that are names."""
    user, *groups = map(str, op.arguments or ("",))
    account, _, group = user.partition(":")
    named = ", ".join(name for name in (group, *groups) if name and not name.isdigit())
    return {**op.named(), "account": account, "groups": named}


# Failures that are the user's to fix, in podman's words where it has any.
_SPECIAL = {
    ("user", "find user"): "unable to find user {account}: no matching entries in passwd file",
    ("user", "find group"): "unable to find group {groups}: no matching entries in group file",
    ("working_directory", "getcwd"): 'workdir "{PATH}" is not inside the container',
}


_NO_ID = "the user namespace has no such id: /etc/subuid and /etc/subgid list those a user may map (pypod unshare)"


_NOT_OURS = (
    "the root file system lacks a mount point and belongs to an id that the user namespace does not have: use one "
    "owned by its ids, an image, or a storage outside of it (--root)"
)


_NOT_TO_CHANGE = (
    "the root file system lacks a mount point and none can be created in it: with DIR:O the container writes elsewhere"
)


_NO_LINKS = (
    "no symbolic link may replace /proc, /sys or /dev of a root file system, lie on a path in them, or lead there "
    "from elsewhere: the mounts that protect the host would end up in another place"
)


_MOVED = "something else is there now: the root file system changed while the container started, or leads elsewhere"


# Hints for failures whose error number says little.
_HINTS = {
    ("hold", "socket", _EPROTONOSUPPORT): "the kernel does not support this protocol",
    ("hold", "bind", _EADDRNOTAVAIL): "the host does not have this address",
    # before Linux 6.3
    ("netlink_host", "netlink", _EEXIST): "a crash left an entry in the firewall: pypod system check --repair",
    # of the dynamic linker
    ("execute_file", "execveat", _ENOENT): "the infra's root is empty: only a static program can run there",
    ("join_path", "open", _ENOENT): "the process in the namespace has ended, or the file was removed",
    ("join_path", "setns", _EINVAL): (
        "the file is not a namespace, or is one of another kind: name /proc/PID/ns/KIND, or a bind mount of it"
    ),
    ("bind", "openat", _EACCES): _NOT_OURS,
    ("bind", "mkdirat", _EACCES): _NOT_OURS,
    ("capabilities", "setresgid", _EINVAL): _NO_ID,
    ("mount", "mkdirat", _EACCES): _NOT_TO_CHANGE,
    ("mount", "openat2", _EACCES): "you may not search the root file system: use a directory that you may read",
    ("map_tree", "mount_setattr", _EINVAL): (
        "other owners for files need Linux 5.19 and a file system that supports them (mount_setattr(2), "
        "MOUNT_ATTR_IDMAP): ext4, xfs, btrfs; --root chooses the storage directory"
    ),
    ("capabilities", "setresuid", _EINVAL): _NO_ID,
    ("sysctl", "openat2", _ENOENT): (
        "the kernel has no such setting, or hides it in a user namespace, as older kernels do with net.core"
    ),
    ("user", "setgroups", _EINVAL): _NO_ID,
    ("netlink_host", "netlink", _EOPNOTSUPP): (
        "this kernel cannot create such an interface: modprobe veth (or macvlan, ipvlan: the network's driver)"
    ),
    ("propagation", "mount", _EACCES): (
        "a security module forbids mounts in your user namespaces: AppArmor does so for programs without a "
        "profile where /proc/sys/kernel/apparmor_restrict_unprivileged_userns is 1"
    ),
    ("mount", "fsmount", _EPERM): (
        "in a user namespace, proc and sysfs can be mounted only where they are fully visible: not in a container "
        "that masks parts of them"
    ),
    # clone_private_mount in fs/namespace.c, for mounts that came with a new user namespace
    ("root", "mount", _EINVAL): (
        "the kernel does not allow a user's overlay over a directory with mounts in it, such as /: use one without, "
        "such as /usr:O (enough for most host programs), an image, or fuse-overlayfs"
    ),
}


# The same for any operation on a path of the root.
_PATH_HINTS = {
    (
        "open_tree",
        _EMFILE,
    ): "each mount takes a file descriptor until it is in place: raise the limit of open files (ulimit -n)",
    ("openat2", _ELOOP): _NO_LINKS,
    ("fstatat", _ESTALE): _MOVED,
    ("statvfs", _ESTALE): _MOVED,
}


_OTHER_VERSION = "the C programs are from another version than the Python code: install pypod again (make -C pause)"


def _hint(operation: str, report: Report) -> str:
    if report.call == "plan_read":
        return _OTHER_VERSION
    return _HINTS.get((operation, report.call, report.error), "") or _PATH_HINTS.get((report.call, report.error), "")


_MOUNTS = ("bind", "bind_with_content", "mount", "mount_with_content")
_MISFITS = {
    _ENOTDIR: "the target or a parent of it is a file where a directory is needed",
    _EISDIR: "the source is a file, but the target is a directory",
}


def _mount_failure(plan: Plan, report: Report, op: Op) -> LaunchFailed:
    """Return the error of a mount: name its source, a number in the plan, and say which side is not a directory."""
    words, given = op.describe(), op.named()
    if op.name.startswith("bind"):
        trees = [one.named() for one in plan.ops if one.name == "open_tree"]
        taken = [tree["PATH"] for tree in trees if tree["SLOT"] == given["SLOT"]]
        words = f"mount {taken[-1]!s} on {given['TARGET']!s}" if taken else words
    misfit = _MISFITS.get(report.error, "")
    message = f"{words}: {misfit}: {os.strerror(report.error)}" if misfit else ""
    hint = _hint(op.name, report)
    return LaunchFailed(words, report.call, report.error, message=message, hint=hint)


def _directory_failure(plan: Plan, report: Report, op: Op) -> LaunchFailed:
    """Return the error of a working directory that cannot be opened, of a container or of a command in it."""
    if report.call != "openat2":
        return _failure(op, report)
    path, words = str(op.arguments[0]), op.describe()
    container = [os.path.basename(os.path.dirname(str(one.arguments[0]))) for one in plan.ops if one.name == "status"]
    if container:
        message = f'workdir "{path}" does not exist on container {container[0]}'
        if report.error == _ENOTDIR:
            message = f'workdir "{path}" exists on container {container[0]}, but is not a directory'
        return LaunchFailed(words, report.call, report.error, message=message)
    message = f"chdir `{path}`: {os.strerror(report.error)}: OCI runtime"
    if report.error == _ENOENT:
        message += " attempted to invoke a command that was not found"
        return CommandNotFound(words, report.call, report.error, message=message)
    return LaunchFailed(words, report.call, report.error, message=f"{message} error")


def _command_failure(op: Op, report: Report) -> LaunchFailed:
    command = str(op.arguments[0])
    code = report.error if command else _EPERM  # as crun has it: the kernel says ENOENT
    text = os.strerror(code)
    if code in (_ENOENT, _ENOTDIR):
        message = (
            f"executable file `{command}` not found in $PATH: {text}: "
            "OCI runtime attempted to invoke a command that was not found"
        )
        return CommandNotFound(op.describe(), "execve", code, message=message)
    what = f"executable `{command}`" if command else "executable"
    message = f"open {what}: {text}: OCI permission denied"
    return CommandNotExecutable(op.describe(), "execve", code, message=message)


def _hook_failure(_plan: Plan, report: Report, op: Op) -> LaunchFailed:
    stage, timeout_s, _, _, variables, *words = map(str, op.arguments)
    path, how = words[int(variables)], report.call
    if how == "exit 127":
        how = "exit code: 127, which also says that it could not be run"
    elif how.startswith("exit "):
        how = f"exit code: {how[5:]}"
    elif how == "poll":
        how = f"not ended after {timeout_s} s"
    message = f"error executing hook `{path}` of {stage} ({how}): OCI runtime error"
    return LaunchFailed(op.describe(), report.call, report.error, message=message)


_FAILURES = {**dict.fromkeys(_MOUNTS, _mount_failure), "hook": _hook_failure, "working_directory": _directory_failure}
