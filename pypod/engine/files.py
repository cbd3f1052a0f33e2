"""/etc/hosts, /etc/hostname and /etc/resolv.conf as containers see them, one set for each pod; /run/.containerenv."""

from __future__ import annotations

import os

from pypod.engine.effects import Effect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = ("hosts", "hostname", "resolv.conf")
_LIMIT_BYTES = 1 << 20


def network_files(directory: str, hostname: str, names: Iterable[str], add_hosts: Iterable[str]) -> Effect:
    """Return what writes the files into ``directory``. ``add_hosts`` are HOST:IP; ``names`` get the loopback address.

    As podman: the host's own entries stay, what was added comes first and wins.
    """
    return Effect(
        f"write {', '.join(NAMES)} in {directory}",
        "hosts(5)",
        lambda: _write_network_files(directory, hostname, names, add_hosts),
    )


def _write_network_files(directory: str, hostname: str, names: Iterable[str], add_hosts: Iterable[str]) -> None:
    _unlink(f"{directory}/{NAMES[-1]}")
    lines = []
    for entry in add_hosts:
        name, _, address = entry.partition(":")
        lines.append(f"{address}\t{name}\n")
    base = _host_file("/etc/hosts") or "127.0.0.1\tlocalhost\n::1\tlocalhost\n"
    lines.append(base if base.endswith("\n") else f"{base}\n")
    own = " ".join(dict.fromkeys((hostname, *names)))
    lines.append(f"127.0.0.1\t{own}\n")
    contents = ("".join(lines), f"{hostname}\n", _host_file("/etc/resolv.conf"))
    for name, content in zip(NAMES, contents, strict=True):
        _write(f"{directory}/{name}", content)


def are_complete(directory: str) -> bool:
    """Return whether ``write_network_files`` came to its end: the last one is there only then."""
    return os.path.exists(f"{directory}/{NAMES[-1]}")


def container_env(path: str, name: str, identifier: str, image: str) -> Effect:
    """Return what writes a privileged container's own, in podman's form; the others' file is empty."""
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in (name, identifier, image))
    name, identifier, image = (f'"{text}"' for text in quoted)
    content = f'engine="pypod"\nname={name}\nid={identifier}\nimage={image}\nimageid=""\nrootless=0\n'
    return Effect(f"write {path}", "open(2)", lambda: _write(path, content))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


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
