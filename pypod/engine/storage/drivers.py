"""Storage drivers: the kernel's overlay, fuse-overlayfs, or plain copies.

The first that works for this user and this storage directory is used, as in podman. Each is probed by a plan like that
of a start, once per storage and boot, and the result is kept in a file, so that no start fails half-way.
"""

from __future__ import annotations

import os

from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec, LaunchFailed, Unsupported
from pypod.model.plain_json import dumps, loads
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pypod.engine.core.context import Context

OVERLAY, VFS = "overlay", "vfs"
MOUNT_PROGRAM = "fuse-overlayfs"
DRIVER_VARIABLE, OPTIONS_VARIABLE = "STORAGE_DRIVER", "STORAGE_OPTS"  # podman(1)
_PROGRAM_OPTIONS = ("overlay.mount_program", "overlay2.mount_program", "mount_program")
# Errors that mean "this driver does not work here" rather than "nothing works here".
_TELLING = frozenset(("mount", "mount_setattr", "open", "openat2", "mkdirat", "execve", "exit", "poll"))
_DEVICE = "/dev/fuse"


class Driver(Value):
    """One way of making root file systems, in podman's words: ``overlay``, with or without a mount program, or ``vfs``.

    ``reason`` says why no better one was chosen; it is empty for the first choice and for one that was asked for.
    """

    name: str = OVERLAY
    program: str = ""
    reason: str = ""

    @property
    def copies(self) -> bool:
        """Whether each container gets a copy of all files."""
        return self.name == VFS

    @property
    def is_kernel(self) -> bool:
        """Whether the kernel does it alone."""
        return not self.copies and not self.program

    @property
    def key(self) -> str:
        """What distinguishes it from other drivers."""
        return f"{self.name} by {self.program}" if self.program else self.name

    def __str__(self) -> str:
        words = {OVERLAY: "the kernel's overlay", VFS: "plain copies (vfs)"}
        return self.program or words[self.name]


def of(context: Context) -> Driver:
    """Return the driver of this storage; probes those not probed since the host booted.

    Raises Unsupported when the driver that the environment asks for does not work, InvalidSpec for an unknown one.
    """
    if context.storage_driver is None:
        with Boundary("choose the storage driver"):
            context.storage_driver = _chosen(context, asking=True)
    return context.storage_driver


def expected(context: Context) -> Driver:
    """Return the same without probing: a driver not probed yet is assumed to work."""
    return context.storage_driver or _chosen(context, asking=False)


def program_of(context: Context, *, asking: bool) -> Driver | None:
    """Return the mount program that works here, for roots that the kernel's overlay refuses."""
    wanted = asked()
    found = [one for one in (*([wanted] if wanted else []), *_candidates(context)) if one.program]
    return next((one for one in found if not _reason(context, one, asking=asking)), None)


def program_missing(context: Context, *, asking: bool = False) -> str:
    """Return why there is no mount program for such roots, empty when there is one."""
    if program_of(context, asking=asking) is not None:
        return ""
    return "; ".join(f"{one}: {_reason(context, one, asking=asking)}" for one in _candidates(context) if one.program)


def forget(context: Context) -> None:
    """Have all drivers probed again at the next use."""
    context.storage_driver = None
    with Boundary("reset the storage driver"):
        try:
            os.unlink(context.layout.storage_driver)
        except FileNotFoundError:
            return


def shown(context: Context) -> Driver:
    """Return the driver for display: the one asked for if that does not work."""
    try:
        return expected(context)
    except Unsupported:
        return asked() or Driver()
    except InvalidSpec:
        return Driver()


def asked(environment: Mapping[str, str] = os.environ) -> Driver | None:
    """Return the driver that the environment asks for, in podman's variables. Raises InvalidSpec.

    >>> asked({"STORAGE_OPTS": "overlay.mount_program=/usr/bin/fuse-overlayfs"})
    Driver(name='overlay', program='/usr/bin/fuse-overlayfs')
    """
    name = environment.get(DRIVER_VARIABLE, "")
    options = (one.partition("=") for one in environment.get(OPTIONS_VARIABLE, "").split(","))
    program = next((value for key, _, value in options if key.strip() in _PROGRAM_OPTIONS), "")
    if name not in ("", OVERLAY, VFS):
        raise InvalidSpec(DRIVER_VARIABLE, f"unknown storage driver {name!r}", hint="use overlay or vfs")
    if name == VFS:
        return Driver(name=VFS)
    return Driver(program=program) if name or program else None


def _candidates(context: Context) -> list[Driver]:
    """Return the candidates, the best first. Root needs no program for what the kernel does."""
    from pypod.kernel.programs import installed

    programs = [Driver(program=installed(MOUNT_PROGRAM) or MOUNT_PROGRAM)] if context.rootless else []
    return [Driver(), *programs, Driver(name=VFS)]


def _chosen(context: Context, *, asking: bool) -> Driver:
    wanted = asked()
    reasons: list[str] = []
    for driver in [wanted] if wanted else _candidates(context):
        reason = _reason(context, driver, asking=asking)
        if not reason:
            return driver.replace(reason="; ".join(reasons))
        reasons.append(f"{driver}: {reason}")
    hint = f"unset ${DRIVER_VARIABLE} and ${OPTIONS_VARIABLE} to have a working driver chosen"
    raise Unsupported("storage driver", f"no root file system can be made with {'; '.join(reasons)}", hint=hint)


def _reason(context: Context, driver: Driver, *, asking: bool) -> str:
    """Return why a driver does not work here, empty when it does, or was not probed and may not be now."""
    reason = _missing(driver) or ("" if driver.copies else _facts(context).get(driver.key))
    if reason is None:
        return _tried(context, driver) if asking else ""
    return reason


def is_tried(context: Context, driver: Driver) -> bool:
    """Return whether it was probed since the host booted; copies need no probing."""
    return driver.copies or driver.key in _facts(context)


def _missing(driver: Driver) -> str:
    """Return a requirement that is not met but could be at any time: nothing to be remembered for the boot."""
    if driver.program and not driver.program.startswith("/"):
        return f"not installed (Debian: {MOUNT_PROGRAM})"
    if driver.program and not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} must exist and be accessible to you: an administrator can chmod it to 666"
    return ""


def _facts(context: Context) -> dict[str, str]:
    """Return the probe results of this boot: why a driver does not work, or empty when it does."""
    try:
        with open(context.layout.storage_driver, encoding="utf-8") as file:
            boot_id, facts = loads(file.read())
    except (OSError, ValueError, TypeError):  # not written yet, or malformed
        return {}
    return dict(facts) if boot_id == context.boot_id and isinstance(facts, dict) else {}


def _tried(context: Context, driver: Driver) -> str:
    """Probe a driver, store the result and return it: why it does not work."""
    from pypod.images.new_file import replace_file

    reason = _attempt(context, driver)
    replace_file(context.layout.storage_driver, dumps([context.boot_id, {**_facts(context), driver.key: reason}]))
    return reason


def _attempt(context: Context, driver: Driver) -> str:
    """Make a root of two layers in a new mount namespace, and a directory in it that requires a copy-up."""
    import time

    from pypod.engine.session import session
    from pypod.engine.storage import mounting, trash

    if context.rootless and not context.inside:
        session.ensure(context)
    place = f"{context.layout.trash}/driver.{os.getpid()}.{time.monotonic_ns():x}"
    with trash.at_work(context) as lock, lock:
        for name in ("", "/lower", "/lower/in", "/upper", "/work", f"/{mounting.PROGRAM_DIRECTORY}"):
            os.mkdir(f"{place}{name}", 0o700)
        try:
            missing = _no_attributes(context, place) if driver.is_kernel else _no_whiteouts(place)
            return missing or _mounted(context, driver, place)
        finally:
            trash.empty_trash(context, [place])


def _no_attributes(context: Context, place: str) -> str:
    """Return why overlayfs's attributes cannot be stored: without them, removed directories would reappear."""
    name = "user.overlay.opaque" if context.rootless else "trusted.overlay.opaque"
    try:
        os.setxattr(f"{place}/lower/in", name, b"n")
    except OSError as error:
        return f"setxattr {name}: {error.strerror}"
    return ""


def _no_whiteouts(place: str) -> str:
    """Return why whiteouts cannot be made: a mount program then marks removals in a way of its own.

    An overlay refuses them (ovl_mknod in fs/overlayfs/dir.c); elsewhere anyone may make them (Linux 5.8).
    """
    import stat

    try:
        os.mknod(f"{place}/lower/in/whiteout", stat.S_IFCHR, 0)
    except OSError as error:
        return f"mknod of a whiteout: {error.strerror}"
    return ""


def _mounted(context: Context, driver: Driver, place: str) -> str:
    from pypod.engine.session import session
    from pypod.engine.storage import mounting
    from pypod.kernel.abi import CLONE_NEWNS
    from pypod.runtime.ops import MS_REC, MS_SLAVE, Op
    from pypod.runtime.probe import probe

    root = mounting.of_layers(context, driver, [f"{place}/lower"], place)
    propagation = Op("propagation", MS_REC | MS_SLAVE)
    settings = [*session.ops(context, session.of(context)), *root.settings]
    made = Op("directory", "/in/made")
    ops = [Op("clone", CLONE_NEWNS, ""), propagation, *root.mounting, *root.serving, made]
    try:
        probe(context.programs.executable("launch"), settings, ops)
    except LaunchFailed as error:
        if error.call not in _TELLING or error.operation == propagation.describe():  # no driver works then
            raise
        told = str(error)
        return f"{error.call}: {os.strerror(error.errno)}" if told.startswith(error.operation) else told
    return ""
