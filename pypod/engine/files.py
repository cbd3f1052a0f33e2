"""/etc/hosts, /etc/hostname, /etc/resolv.conf and /run/.containerenv as containers see them: one set for each pod."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = ("hosts", "hostname", "resolv.conf", "containerenv")
_LIMIT_BYTES = 1 << 20


def write_network_files(directory: str, hostname: str, names: Iterable[str], add_hosts: Iterable[str]) -> None:
    """Write the files into ``directory``. ``add_hosts`` are HOST:IP; ``names`` get the loopback address.

    As podman: the host's own entries stay, what was added comes first and wins.
    """
    lines = []
    for entry in add_hosts:
        name, _, address = entry.partition(":")
        lines.append(f"{address}\t{name}\n")
    base = _host_file("/etc/hosts") or "127.0.0.1\tlocalhost\n::1\tlocalhost\n"
    lines.append(base if base.endswith("\n") else f"{base}\n")
    own = " ".join(dict.fromkeys((hostname, *names)))
    lines.append(f"127.0.0.1\t{own}\n")
    contents = ("".join(lines), f"{hostname}\n", _host_file("/etc/resolv.conf"), "")
    for name, content in zip(NAMES, contents, strict=True):
        _write(f"{directory}/{name}", content)


def _host_file(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, _LIMIT_BYTES).decode("utf-8", "replace")
    finally:
        os.close(fd)


def _write(path: str, content: str) -> None:
    # In place: containers that run have this very inode bound.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.fchmod(fd, 0o644)
        os.write(fd, content.encode())
    finally:
        os.close(fd)
