"""What makes the root file systems of containers here: the kernel's overlay, fuse-overlayfs, or plain copies.

The first of them that works for this user and this storage directory, as podman chooses. Whether one works is tried by
a plan like that of a start, once for each storage and boot, and remembered in a file: a start never finds out half-way.
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
# What says that the way of making a root does not work here, not that nothing does.
_TELLING = frozenset(("mount", "mount_setattr", "open", "openat2", "mkdirat", "execve", "exit", "poll"))
_DEVICE = "/dev/fuse"


class Driver(Value):
    """One way of making root file systems, in podman's words: ``overlay``, with or without a mount program, or ``vfs``.

    ``reason`` says why it is not one of those that come first, empty for what was asked for and for the first.
    """

    name: str = OVERLAY
    program: str = ""
    reason: str = ""

    @property
    def copies(self) -> bool:
        """Whether each container has a copy of all files."""
        return self.name == VFS

    @property
    def is_kernel(self) -> bool:
        """Whether the kernel does it all."""
        return not self.copies and not self.program

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.name} by {self.program}" if self.program else self.name

    def __str__(self) -> str:
        words = {OVERLAY: "the kernel's overlay", VFS: "plain copies (vfs)"}
        return self.program or words[self.name]


def of(context: Context) -> Driver:
    """Return what makes root file systems in this storage; tries what nobody has tried since the host booted.

    Raises Unsupported when what the environment asks for does not work, InvalidSpec when there is no such thing.
    """
    if context.storage_driver is None:
        with Boundary("see what can make root file systems"):
            context.storage_driver = _chosen(context, asking=True)
    return context.storage_driver


def expected(context: Context) -> Driver:
    """Return the same without doing anything: what was not tried yet is taken to work."""
    return context.storage_driver or _chosen(context, asking=False)


def program_of(context: Context, *, asking: bool) -> Driver | None:
    """Return the mount program that works here, for a root that the kernel's overlay refuses."""
    wanted = asked()
    found = [one for one in (*([wanted] if wanted else []), *_candidates(context)) if one.program]
    return next((one for one in found if not _reason(context, one, asking=asking)), None)


def forget(context: Context) -> None:
    """Have everything tried again when it is needed next."""
    context.storage_driver = None
    with Boundary("try anew what can make root file systems"):
        try:
            os.unlink(context.layout.storage_driver)
        except FileNotFoundError:
            return


def shown(context: Context) -> Driver:
    """Return the same for who only looks: what was asked for, should that not work."""
    try:
        return expected(context)
    except Unsupported:
        return asked() or Driver()
    except InvalidSpec:
        return Driver()


def asked(environment: Mapping[str, str] = os.environ) -> Driver | None:
    """Return what the environment asks for, as podman's does. Raises InvalidSpec.

    >>> asked({"STORAGE_OPTS": "overlay.mount_program=/usr/bin/fuse-overlayfs"})
    Driver(name='overlay', program='/usr/bin/fuse-overlayfs')
    """
    name = environment.get(DRIVER_VARIABLE, "")
    options = (one.partition("=") for one in environment.get(OPTIONS_VARIABLE, "").split(","))
    program = next((value for key, _, value in options if key.strip() in _PROGRAM_OPTIONS), "")
    if name not in ("", OVERLAY, VFS):
        raise InvalidSpec(DRIVER_VARIABLE, f"there is no storage driver {name!r}", hint="overlay or vfs")
    if name == VFS:
        return Driver(name=VFS)
    return Driver(program=program) if name or program else None


def _candidates(context: Context) -> list[Driver]:
    """Return what can be had, the best first. Root needs no program for what the kernel has."""
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
    hint = f"leave ${DRIVER_VARIABLE} and ${OPTIONS_VARIABLE} away, and what works is chosen"
    raise Unsupported("storage driver", f"no root file system can be made with {'; '.join(reasons)}", hint=hint)


def _reason(context: Context, driver: Driver, *, asking: bool) -> str:
    """Return why a driver does not work here, empty when it does, or nobody has tried and we may not."""
    reason = _missing(driver) or ("" if driver.copies else _facts(context).get(driver.key))
    if reason is None:
        return _tried(context, driver) if asking else ""
    return reason


def is_tried(context: Context, driver: Driver) -> bool:
    """Return whether it is known to work since the host booted; copies always do."""
    return driver.copies or driver.key in _facts(context)


def _missing(driver: Driver) -> str:
    """Return what a driver needs and an administrator can give any time: nothing to be remembered."""
    if driver.program and not driver.program.startswith("/"):
        return f"not installed (Debian: {MOUNT_PROGRAM})"
    if driver.program and not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} must be there, and yours to open: an administrator can chmod it to 666"
    return ""


def _facts(context: Context) -> dict[str, str]:
    """Return what is known of this boot: why a driver does not work, or nothing when it does."""
    try:
        with open(context.layout.storage_driver, encoding="utf-8") as file:
            boot_id, facts = loads(file.read())
    except (OSError, ValueError, TypeError):  # none yet, or no such file of ours
        return {}
    return dict(facts) if boot_id == context.boot_id and isinstance(facts, dict) else {}


def _tried(context: Context, driver: Driver) -> str:
    """Try a driver, remember what came of it and return that: why it does not work."""
    from pypod.images.new_file import replace_file

    reason = _attempt(context, driver)
    replace_file(context.layout.storage_driver, dumps([context.boot_id, {**_facts(context), driver.key: reason}]))
    return reason


def _attempt(context: Context, driver: Driver) -> str:
    """Make a root of two layers in a mount namespace of its own, and a directory in it that has to be copied up."""
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
    """Return why the file system cannot note what overlayfs has to: without, a removed directory would come back."""
    name = "user.overlay.opaque" if context.rootless else "trusted.overlay.opaque"
    try:
        os.setxattr(f"{place}/lower/in", name, b"n")
    except OSError as error:
        return f"setxattr {name}: {error.strerror}"
    return ""


def _no_whiteouts(place: str) -> str:
    """Return why nobody can make a whiteout: a mount program then notes what was removed in a way that only it knows.

    An overlay refuses (ovl_mknod in fs/overlayfs/dir.c); elsewhere everybody may (Linux 5.8).
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
        if error.call not in _TELLING or error.operation == propagation.describe():  # then no driver works
            raise
        told = str(error)
        return f"{error.call}: {os.strerror(error.errno)}" if told.startswith(error.operation) else told
    return ""
