"""Layers for tests, well-formed and not, and snapshots of the unpacked trees."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from pathlib import Path

_LARGE = 1 << 16


class Layer:
    """A tar under construction. ``add`` adds an entry; ``raw`` appends bytes unchanged."""

    def __init__(self, format: int = tarfile.PAX_FORMAT) -> None:
        self._format = format
        self._bytes = bytearray()

    def add(
        self,
        name: str,
        data: bytes = b"",
        kind: bytes = tarfile.REGTYPE,
        *,
        pax: dict[str, str] | None = None,
        **fields,
    ) -> Layer:
        info = tarfile.TarInfo(name)
        info.type = kind
        info.size = len(data)
        info.mode = fields.pop("mode", 0o755 if kind == tarfile.DIRTYPE else 0o644)
        info.pax_headers = pax or {}
        for field, value in fields.items():
            setattr(info, field, value)
        self._bytes += info.tobuf(self._format, "utf-8", "surrogateescape")
        return self.raw(data + bytes(-len(data) % 512))

    def directory(self, name: str, **fields) -> Layer:
        return self.add(name, kind=tarfile.DIRTYPE, **fields)

    def symlink(self, name: str, target: str) -> Layer:
        return self.add(name, kind=tarfile.SYMTYPE, linkname=target)

    def link(self, name: str, target: str) -> Layer:
        return self.add(name, kind=tarfile.LNKTYPE, linkname=target)

    def raw(self, data: bytes) -> Layer:
        self._bytes += data
        return self

    def bytes(self) -> bytes:
        """Return the archive with its end blocks."""
        return bytes(self._bytes) + bytes(1024)


def header(name: bytes = b"f", *, kind: bytes = b"0", size: bytes = b"0", **fields: bytes) -> bytes:
    """Return a hand-made header with a correct checksum."""
    info = tarfile.TarInfo("f").tobuf(tarfile.USTAR_FORMAT)
    block = bytearray(info)
    places = {"mode": 100, "uid": 108, "gid": 116, "mtime": 136, "link": 157, "magic": 257, "major": 329, "minor": 337}
    block[0:100] = name.ljust(100, b"\0")
    block[124:136] = size.rjust(11, b"0") + b"\0" if len(size) < 12 else size
    block[156:157] = kind
    for key, value in fields.items():
        block[places[key] : places[key] + len(value)] = value
    return checked(block)


def checked(block: bytes | bytearray) -> bytes:
    """Return the block with the correct checksum."""
    block = bytearray(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(*records: tuple[bytes, bytes]) -> bytes:
    """Return a pax header with these records."""
    body = b""
    for key, value in records:
        size = len(key) + len(value) + 3
        size += len(str(size + len(str(size))))
        body += b"%d %b=%b\n" % (size, key, value)
    return header(b"pax", kind=b"x", size=b"%o" % len(body)) + body + bytes(-len(body) % 512)


def snapshot(top: Path | str, *, times: bool = True) -> dict[str, tuple]:
    """Return a tree's state: for each path its kind, mode, owner, content, links, time, extended attributes."""
    found = {}
    links: dict[int, str] = {}
    for directory, names, files in os.walk(os.fsencode(top)):
        names.sort()
        for name in [b".", *names, *sorted(files)] if directory == os.fsencode(top) else [*names, *sorted(files)]:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            shown = os.fsdecode(os.path.relpath(path, os.fsencode(top)))
            content: object = None
            if stat.S_ISREG(status.st_mode):
                content = _content(os.fsdecode(path), status.st_size)
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                content = status.st_rdev
            attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in _attributes(path)}
            first = "" if stat.S_ISDIR(status.st_mode) else links.setdefault(status.st_ino, shown)
            found[shown] = (
                *(oct(status.st_mode), status.st_uid, status.st_gid, content),
                *(status.st_mtime_ns if times else 0, tuple(sorted(attributes.items())), first),
            )
    return found


def _content(path: str, size: int) -> object:
    """Return the bytes of a file; for a large one their hash, because a whole image may not fit into memory."""
    with open(path, "rb") as file:
        return file.read() if size <= _LARGE else (size, hashlib.file_digest(file, "sha256").hexdigest())


def _attributes(path: bytes) -> list[str]:
    return [name for name in os.listxattr(path, follow_symlinks=False) if name != "security.selinux"]


def merged(layers: list[Path]) -> dict[str, tuple]:
    """Return a snapshot of an overlay of layers, the lowest first; the mount is in its own namespace."""
    import pickle
    import subprocess
    import sys

    base = layers[0].parent
    (base / "none").mkdir(exist_ok=True)
    target = base / "merged"
    target.mkdir(exist_ok=True)
    lower = ":".join(layer.name for layer in [*reversed(layers), base / "none"])
    code = (
        "import pickle, sys; sys.path.insert(0, sys.argv[1]); from tests.images.layers import snapshot;"
        "sys.stdout.buffer.write(pickle.dumps(snapshot(sys.argv[2])))"
    )
    script = f'cd {base} && mount -t overlay none -o lowerdir={lower} merged && exec "$@"'
    root = str(Path(__file__).parents[2])
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", code, root, str(target)]
    return pickle.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S301
