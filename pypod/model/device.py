"""Devices of a container, and rules of access to devices, in podman's notation."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.mount import plain_path
from pypod.model.value import Value

ALL_ACCESS = "rwm"  # read, write, mknod
_LARGEST = 2**31 - 1
# config-linux.md, "Default Devices", and what podman's runtimes allow besides: network tunnels, pseudo-terminals,
# and the creation of any node.
DEFAULT_RULES = (
    *("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm"),
    *("c 5:0 rwm", "c 5:2 rwm", "c 10:200 rwm", "c 136:* rwm"),
)


class Device(Value):
    """A device of the host as ``path`` in a container: a node, or in a user namespace a bind of ``source``.

    ``type`` is c or b, ``mode`` the permissions of its node, ``access`` what the container may do with it.
    """

    path: str
    source: str
    type: str
    major: int
    minor: int
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    access: str = ALL_ACCESS

    @property
    def rule(self) -> str:
        """The rule that allows the access."""
        return f"{self.type} {self.major}:{self.minor} {self.access}"


def parse_device(text: str, argument: str = "--device") -> tuple[str, str, str]:
    """Parse ``HOST[:CONTAINER][:ACCESS]``: paths on the host and in the container, and the access.

    >>> parse_device("/dev/sdc:/dev/xvdc:r"), parse_device("/dev/fuse:rw")
    (('/dev/sdc', '/dev/xvdc', 'r'), ('/dev/fuse', '/dev/fuse', 'rw'))
    """
    parts = text.split(":")
    source, target, access = parts[0], "", ALL_ACCESS
    if len(parts) > 3 or (len(parts) == 3 and _is_access(parts[1])):
        raise InvalidSpec(argument, f"invalid device specification: {text}")
    if len(parts) == 3:
        access = parts[2]
        if not _is_access(access):
            raise InvalidSpec(argument, f"invalid device mode: {access}")
    if len(parts) > 1:
        if _is_access(parts[1]):
            access = parts[1]
        elif parts[1] and not parts[1].startswith("/"):
            raise InvalidSpec(argument, f"invalid device mode: {parts[1]}")
        else:
            target = parts[1]
    if not source.startswith("/"):
        if "=" in source and "/" in source:  # the name of a CDI device
            raise InvalidSpec(argument, f"setting up CDI devices: unresolvable CDI devices {source}")
        if source:
            raise InvalidSpec(argument, f"stat {source}: no such file or directory", hint="name it by its path")
        raise InvalidSpec(argument, f"invalid device specification: {text}")
    if "\0" in text or ".." in (target or source).split("/"):
        raise InvalidSpec(argument, f"invalid device specification: {text}")
    return source, plain_path(target or source), access


def _is_access(text: str) -> bool:
    return bool(text) and len(set(text)) == len(text) and set(text) <= set(ALL_ACCESS)


def parse_rule(text: str, argument: str = "--device-cgroup-rule") -> str:
    """Return a rule of Documentation/admin-guide/cgroup-v1/devices.rst, ``TYPE MAJOR:MINOR ACCESS``, with both numbers.

    >>> parse_rule("c 10 rw"), parse_rule("a 1:2 r")
    ('c 10:* rw', 'a *:* r')
    """
    parts = text.split(" ", 2)
    if len(parts) != 3:
        words = "invalid device cgroup rule requires type, major:Minor, and access rules"
        raise InvalidSpec(argument, f'{words}: "{text}"')
    kind, numbers, access = parts
    if kind not in ("a", "b", "c"):
        raise InvalidSpec(argument, f"invalid device type in device-access-add: {kind}")
    for letter in access:
        if letter not in ALL_ACCESS:
            raise InvalidSpec(argument, f"invalid device access in device-access-add: {letter}")
    if kind == "a":
        return f"a *:* {access}"
    major, colon, minor = numbers.partition(":")
    found = [_number(word, argument) for word in (major, minor if colon else "*")]
    return f"{kind} {':'.join(found)} {access}"


def _number(word: str, argument: str) -> str:
    if word == "*":
        return word
    if not (word.isascii() and word.isdecimal()):
        raise InvalidSpec(argument, f'strconv.ParseUint: parsing "{word}": invalid syntax')
    if len(word) > 10 or int(word) > _LARGEST:
        raise InvalidSpec(argument, f'strconv.ParseUint: parsing "{word}": value out of range')
    return str(int(word))


def split_rule(rule: str) -> tuple[str, int, int, str]:
    """Return type, major, minor (-1 for all) and access of a parsed rule."""
    kind, numbers, access = rule.split(" ")
    major, minor = (-1 if word == "*" else int(word) for word in numbers.split(":"))
    return kind, major, minor, access
