"""The host's files and directories that a container mounts."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.model.mount import BIND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.model.mount import Mount


# What :U never gives to a container's user: the host would not work any more (those that podman refuses).
_SYSTEM = frozenset(
    """/ /bin /boot /dev /etc /etc/passwd /etc/pki /etc/shadow /home /lib /lib64 /media /opt /proc /root /run /sbin
    /srv /sys /tmp /usr /var /var/lib /var/log""".split()
)


def require_sources(mounts: Iterable[Mount]) -> None:
    """Raise InvalidSpec when the source of a mount does not exist on the host, or is not to change its owner."""
    for mount in mounts:
        if mount.type != BIND:
            continue
        if not os.path.lexists(mount.source):
            raise InvalidSpec(mount.argument, f"statfs {mount.source}: no such file or directory")
        if mount.chown and not mount.overlay:
            _require_own(mount)


def _require_own(mount: Mount) -> None:
    """Refuse to change the owners of a directory of the system, or of the whole home directory of its user."""
    path = os.path.realpath(mount.source)
    homes = {os.path.realpath(home) for home in (os.environ.get("HOME"), _home_before_sudo()) if home}
    if path in homes or path in {os.path.realpath(directory) for directory in _SYSTEM}:
        message = f'chowning host path "{path}" is not allowed'
        hint = f"change its owner on the host if that is intended: chown -R USER {path}"
        raise InvalidSpec(mount.argument, message, hint=hint)


def _home_before_sudo() -> str:
    name = os.environ.get("SUDO_USER")
    if not name:
        return ""
    import pwd

    try:
        return pwd.getpwnam(name).pw_dir
    except KeyError:
        return ""
