"""Seccomp filters of containers: compile a profile to a classic BPF program.

Starting a container loads this module alone: its filter is nearly always in the cache, and neither JSON nor the
compiler is imported then. The cache is an optimisation only: failures of it are never errors, and an entry that is not
exactly what was written counts as absent.
"""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.kernel.release import version_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.runtime.seccomp.profile import Profile

_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
BUNDLED_PROFILE = os.path.join(_DIRECTORY, "data", "seccomp.json")

MAX_PROFILE_BYTES = 1 << 20

# Increment this when a change of the compiler changes its output. The files below are in the key of a cached filter as
# well, by size and modification time, for those who work on them.
COMPILER_VERSION = b"1"
_COMPILER_FILES = tuple(
    os.path.join(_DIRECTORY, name) for name in ("data/syscalls.tsv", "bpf.py", "abi.py", "profile.py", "filter.py")
)

# A cache entry is the program, the filter flags and a digest of both. All are multiples of an instruction's 8 bytes.
_FLAGS_BYTES = 8
_DIGEST_BYTES = 16
_MAX_ENTRY_BYTES = 4096 * 8 + _FLAGS_BYTES + _DIGEST_BYTES


def load_profile(path: str) -> dict[str, Any]:
    """Return the profile in the file at ``path``, checked only for being a JSON object.

    Raises:
        InvalidSpec: the file cannot be read, is not a regular file, is larger than 1 MiB, or is not a JSON object.
    """
    return parse_profile(_read_profile(path), path)


def compile_profile(
    profile: dict[str, Any],
    capabilities: frozenset[str],
    architecture: str,
    *,
    kernel: str | None = None,
    source: str = "loading seccomp profile failed",
) -> bytes:
    """Return the filter for ``profile``, as an array of struct sock_filter.

    ``capabilities`` is the bounding set of the container, ``architecture`` and ``kernel`` (this host's unless given)
    are in uname's spelling, and ``source`` is the beginning of error messages.

    Raises:
        InvalidSpec: the profile has a value that is malformed or unknown, or needs a filter too long for the kernel.
        Unsupported: the architecture is not supported, or the profile wants SCMP_ACT_NOTIFY.
    """
    return _compile(_apply_profile(profile, capabilities, architecture, kernel, source), architecture)


def filter_for(path: str | None, capabilities: frozenset[str], cache_dir: str) -> bytes:
    """Return the filter for the profile at ``path``, or for podman's default one, on this host.

    Raises as load_profile and compile_profile do.
    """
    return filter_and_flags(path, capabilities, cache_dir)[0]


def filter_and_flags(
    path: str | None, capabilities: frozenset[str], cache_dir: str, content: bytes | None = None
) -> tuple[bytes, int]:
    """Return the filter, as filter_for does, and the SECCOMP_FILTER_FLAG_* to load it with.

    ``content`` is that of a profile which is in no file; ``path`` then says where it is from.
    """
    if content is None and path is not None:
        content = _read_profile(path)
    name = _entry_name(content, capabilities)
    entry = os.path.join(cache_dir, name)
    cached = _read_entry(entry, name)
    if cached is not None:
        return cached
    where = BUNDLED_PROFILE if path is None else path
    profile = load_profile(where) if content is None else parse_profile(content, where)
    machine = os.uname().machine
    applied = _apply_profile(profile, capabilities, machine, None, f"loading seccomp profile ({where}) failed")
    program = _compile(applied, machine)
    _write_entry(entry, name, program, applied.flags)
    return program, applied.flags


def _read_profile(path: str) -> bytes:
    try:
        content = _read_regular(path, MAX_PROFILE_BYTES + 1)
    except (OSError, ValueError) as error:
        # ValueError: the path contains a NUL.
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidSpec("seccomp", f"opening seccomp profile ({path}) failed: open {path}: {reason}") from error
    if content is None:
        raise InvalidSpec("seccomp", f"opening seccomp profile ({path}) failed: not a regular file")
    if len(content) > MAX_PROFILE_BYTES:
        raise InvalidSpec("seccomp", f"loading seccomp profile ({path}) failed: larger than {MAX_PROFILE_BYTES} bytes")
    return content


def _read_regular(path: str, size: int, flags: int = 0) -> bytes | None:
    """Return up to ``size`` bytes of a file, or None when it is not a regular one."""
    from stat import S_ISREG

    # O_NONBLOCK: opening a FIFO would wait for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    try:
        if not S_ISREG(os.fstat(fd).st_mode):
            return None
        content = b""
        while len(content) < size and (piece := os.read(fd, size - len(content))):
            content += piece
        return content
    finally:
        os.close(fd)


def parse_profile(content: bytes, path: str) -> dict[str, Any]:
    """Return the profile in ``content``, which is from ``path``. Raises as load_profile does."""
    import json

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        profile = json.loads(content.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        # ValueError: JSON's own, bad UTF-8, and integers of more than 4,300 digits.
        problem = f"decoding seccomp profile failed: {error}"
        raise InvalidSpec("seccomp", f"loading seccomp profile ({path}) failed: {problem}") from error
    if not isinstance(profile, dict):
        raise InvalidSpec("seccomp", f"loading seccomp profile ({path}) failed: the profile is not an object")
    return profile


def _apply_profile(
    profile: dict[str, Any], capabilities: frozenset[str], architecture: str, kernel: str | None, source: str
) -> Profile:
    from pypod.runtime.seccomp.profile import Target, read_profile

    version = version_of(os.uname().release if kernel is None else kernel)
    if version is None:
        raise InvalidSpec("kernel", f"not a kernel version: {kernel}")
    return read_profile(profile, Target(architecture=architecture, capabilities=capabilities, kernel=version), source)


def _compile(profile: Profile, architecture: str) -> bytes:
    from pypod.runtime.seccomp.abi import FOREIGN_ACTION, decide
    from pypod.runtime.seccomp.bpf import compile_filter

    return compile_filter(decide(profile, architecture), profile.default, FOREIGN_ACTION)


def _entry_name(content: bytes | None, capabilities: frozenset[str]) -> str:
    """Return the name of a cache entry, a digest of everything its program depends on. None is the bundled profile."""
    uname = os.uname()
    parts = [COMPILER_VERSION, uname.machine.encode(), uname.release.encode(), ",".join(sorted(capabilities)).encode()]
    for path in _COMPILER_FILES if content is not None else (*_COMPILER_FILES, BUNDLED_PROFILE):
        status = os.stat(path)
        parts.append(b"%d %d" % (status.st_size, status.st_mtime_ns))
    if content is not None:
        parts.append(b"profile")
        parts.append(content)
    return _digest(b"\0".join(parts))[:20].hex()


def _digest(data: bytes) -> bytes:
    try:
        # hashlib imports OpenSSL, which costs more than all the rest of a cache hit.
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b
    return blake2b(data, digest_size=32).digest()


def _read_entry(path: str, name: str) -> tuple[bytes, int] | None:
    try:
        data = _read_regular(path, _MAX_ENTRY_BYTES + 1, os.O_NOFOLLOW)
    except OSError:
        return None
    if data is None or len(data) > _MAX_ENTRY_BYTES or len(data) % 8:
        return None
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    program, flags = body[:-_FLAGS_BYTES], body[-_FLAGS_BYTES:]
    if not program or _digest(name.encode() + body)[:_DIGEST_BYTES] != digest:
        return None
    return program, int.from_bytes(flags, "little")


def _write_entry(path: str, name: str, program: bytes, flags: int) -> None:
    from _thread import get_ident

    body = program + flags.to_bytes(_FLAGS_BYTES, "little")
    data = body + _digest(name.encode() + body)[:_DIGEST_BYTES]
    # No fsync: the digest reveals a torn entry.
    temporary = f"{path}.{os.getpid()}.{get_ident()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            complete = os.write(fd, data) == len(data)
        finally:
            os.close(fd)
        if complete:
            os.rename(temporary, path)
        else:
            os.unlink(temporary)
    except OSError:
        _unlink_quietly(temporary)


def _unlink_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
