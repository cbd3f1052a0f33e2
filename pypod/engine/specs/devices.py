"""The devices that a container's options name, as the host has them now."""

from __future__ import annotations

import os
import stat

from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.idmap import in_user_namespace
from pypod.model.device import Device, parse_device, parse_rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_RULE_FLAG = "--device-cgroup-rule"
_MOST = 1000  # devices of one directory


def devices(texts: Sequence[str]) -> tuple[Device, ...]:
    """Return the devices of --device; the last one for a path counts. A link is followed, a directory searched.

    Raises InvalidSpec for what is not a device.
    """
    found = {one.path: one for text in texts for one in _devices(text)}
    return tuple(found.values())


def _devices(text: str) -> Iterator[Device]:
    source, target, access = parse_device(text)
    try:
        resolved = os.path.realpath(source, strict=True)
        status = os.stat(resolved)
    except (OSError, ValueError):
        raise InvalidSpec("--device", f"stat {source}: no such file or directory") from None
    if not stat.S_ISDIR(status.st_mode):
        # a link keeps its name in the container
        yield _device(source, resolved, target, access, status)
        return
    count = 0
    for directory, _, names in os.walk(resolved):
        for name in sorted(names):
            path = f"{directory}/{name}"
            status = os.lstat(path)
            if _is_device(status):
                count += 1
                yield _device(path, path, f"{target.rstrip('/')}{path.removeprefix(resolved)}", access, status)
            if count > _MOST:
                raise InvalidSpec("--device", f"more than {_MOST} devices in {source}")
    if not count:
        raise InvalidSpec("--device", f"no devices found in {source}: invalid argument")


def _device(source: str, resolved: str, target: str, access: str, status: os.stat_result) -> Device:
    if not _is_device(status):
        raise InvalidSpec("--device", f"{source} is not a valid device: not a device node")
    return Device(
        path=target,
        source=resolved,
        type="b" if stat.S_ISBLK(status.st_mode) else "c",
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        access=access,
    )


def _is_device(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)


def rules(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the rules of --device-cgroup-rule. Raises InvalidSpec, and Unsupported for an ordinary user."""
    if texts and in_user_namespace():
        message = "device cgroup rules are not supported in rootless mode or in a user namespace"
        raise Unsupported(_RULE_FLAG, message)
    return tuple(parse_rule(text) for text in texts)
