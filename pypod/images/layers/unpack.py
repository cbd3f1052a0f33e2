"""Unpack a layer: from its bytes, as stored, to a directory that overlayfs can stack.

Python verifies digests and decompresses, and passes the tar on to a C program that is confined to the directory
(pause/unpack.c). The rules are in docs/layers.md.
"""

from __future__ import annotations

import errno
import os

from pypod.errors import InvalidImage, SystemFailure
from pypod.images.layers.compression import decompressed
from pypod.images.layers.stack import inherit, remove_idle_whiteouts
from pypod.kernel.children import exit_code_of, move_up
from pypod.kernel.descriptors import write_all
from pypod.kernel.programs import path as program_path
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Self

__all__ = ["LAYER_BYTES_LIMIT", "Owners", "Unpacked", "inherit", "add", "fit_to_lowers", "unpack"]

LAYER_BYTES_LIMIT = 64 << 30
_ANY_SIZE = 1 << 62
_PIPE_BYTES = 1 << 20  # the maximum without privileges: /proc/sys/fs/pipe-max-size
_F_SETPIPE_SZ = 1031
_TREE_FD, _REPORT_FD = 3, 4
_REPORT_BYTES_LIMIT = 16 << 20
_SHOWN_CHARACTERS = 80


# Operations that a file system may refuse, but that deletions in a layer need.
_HINTS = {
    ("fsetxattr", errno.EOPNOTSUPP): "this file system has no extended attributes: put the storage elsewhere (--root)",
}


class Unpacked(Value):
    """An unpacked layer.

    ``implied`` are the directories that have no entry in the layer, ``.`` being its root: they are created for root
    with mode 0755, the layer's root itself with 0555 as in podman. ``whitening`` are those that hold whiteouts.
    ``fit_to_lowers`` makes both fit the layers below.
    ``stands_in``: its whiteouts are represented by sockets, since device nodes cannot be created there. It must be
    merged with the layers below. ``root_is_opaque``: the layer hides all layers below. overlayfs ignores the mark on
    the root: leave them out.
    """

    digest: str
    diff_id: str
    compressed_bytes: int
    size_bytes: int
    entries: int
    implied: tuple[str, ...] = ()
    whitening: tuple[str, ...] = ()
    stands_in: bool = False
    root_is_opaque: bool = False


def unpack(
    pieces: Iterable[bytes],
    directory: str,
    *,
    digest: str = "",
    diff_id: str = "",
    size: int = -1,
    limit_bytes: int = LAYER_BYTES_LIMIT,
    owners: Owners | None = None,
) -> Unpacked:
    """Unpack a layer into an empty directory, which becomes its root: mode 0555 unless the layer sets it.

    ``pieces`` are its bytes as stored, compressed or not, each a few MB at most. ``digest`` and ``size`` are the
    manifest's for them, ``diff_id`` is the configuration's for the tar in them; empty (and -1) means unknown.
    ``limit_bytes`` bounds the tar, and the sum of the sizes of its files. Memory does not depend on the layer's size.
    ``owners`` describes a user's ids, None for root.

    When it raises, the content of the directory is worthless and is the caller's to remove. InvalidImage reports a
    problem of the layer; SystemFailure that it could not be written (``errno`` ENOSPC: the disk is full).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     unpack([bytes(1024)], directory).diff_id  # an empty tar
    'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef'
    """
    subject = f"layer {digest}" if digest else "layer"
    stored = _Counted(pieces, subject, "digest", digest=digest, size=size)
    tar = decompressed(stored, subject)
    content = _Counted(tar, subject, "diff id", digest=diff_id, limit_bytes=limit_bytes)
    with _Program(directory, limit_bytes, owners) as program:
        program.feed(content)
        fields = program.report(subject)
    found = stored.check()
    return Unpacked(
        digest=found,
        diff_id=content.check(),
        compressed_bytes=stored.count,
        size_bytes=content.count,
        entries=int(fields[1]),
        implied=tuple(os.fsdecode(field[1:]) for field in fields[4:] if field[:1] == b"i"),
        whitening=tuple(os.fsdecode(field[1:]) for field in fields[4:] if field[:1] == b"w"),
        stands_in=b"s" in fields[4:],
        root_is_opaque=fields[3] == b"1",
    )


def add(pieces: Iterable[bytes], directory: str, *, owners: Owners | None = None) -> None:
    """Add the files of a tar, compressed or not, to a directory, which stays as it is otherwise.

    The archive is no layer: whiteouts are files like others. Errors as of ``unpack``; what was added before stays.
    """
    subject = "archive"
    with _Program(directory, _ANY_SIZE, owners, plain=True) as program:
        program.feed(decompressed(iter(pieces), subject))
        program.report(subject)


class Owners(Value):
    """The owners of files in a user's layers: ``environment`` leads to the user namespace that has the ids.

    With ``one_id`` it maps only the user's own id, which owns everything. Devices are left out in both cases.
    """

    environment: tuple[tuple[str, str], ...] = ()
    one_id: bool = False


def fit_to_lowers(directory: str, layer: Unpacked, lowers: Sequence[str]) -> None:
    """Make an unpacked layer fit the layers below, topmost first, which already fit. Raises OSError."""
    inherit(directory, layer.implied, lowers)
    remove_idle_whiteouts(directory, layer.whitening, lowers)


class _Counted:
    """A stream of bytes: hashed, counted, and stopped when it exceeds its limits."""

    def __init__(
        self, pieces: Iterable[bytes], subject: str, what: str, *, digest: str, size: int = -1, limit_bytes: int = -1
    ) -> None:
        import hashlib

        self._pieces = pieces
        self._digest = digest
        self._algorithm = digest.partition(":")[0] or "sha256"
        self._hash = hashlib.new(self._algorithm)
        self._size = size
        self._limit_bytes = limit_bytes
        self._subject = subject
        self._what = what
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.count += len(piece)
            if 0 <= self._size < self.count:
                raise InvalidImage(self._subject, f"it is larger than the stated {self._size} bytes")
            if 0 <= self._limit_bytes < self.count:
                raise InvalidImage(self._subject, f"it is larger than {self._limit_bytes} bytes when unpacked")
            self._hash.update(piece)
            yield piece

    def check(self) -> str:
        """Return the digest. Raises InvalidImage when it, or the size, does not match the stated one."""
        if 0 <= self._size != self.count:
            raise InvalidImage(self._subject, f"it has {self.count} bytes, {self._size} are stated")
        found = f"{self._algorithm}:{self._hash.hexdigest()}"
        if self._digest not in ("", found):
            raise InvalidImage(self._subject, f"its {self._what} is {found}, not {self._digest}")
        return found


class _Program:
    """pypod-unpack at work on a directory. Leaving the block closes its input and waits for it."""

    def __init__(self, directory: str, limit_bytes: int, owners: Owners | None, *, plain: bool = False) -> None:
        self._code: int | None = None
        words = ["root"] if owners is None else ["one" if owners.one_id else "user"]
        words += ["plain"] if plain else []
        executable = program_path("unpack")
        fds: list[int] = []
        try:
            fds.append(move_up(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)))
            fds += map(move_up, _pipe(_PIPE_BYTES))
            fds += map(move_up, _pipe(0))
            tree, tar, self._tar, self._report, report = fds
            actions = [(os.POSIX_SPAWN_DUP2, tar, 0)]
            actions += [(os.POSIX_SPAWN_DUP2, tree, _TREE_FD), (os.POSIX_SPAWN_DUP2, report, _REPORT_FD)]
            self._pid = os.posix_spawn(
                executable,
                ["pypod-unpack", str(limit_bytes), *words],
                dict(owners.environment) if owners else {},
                file_actions=[*((os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (1, 2)), *actions],
            )
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        for fd in (tree, tar, report):
            os.close(fd)

    def feed(self, pieces: Iterable[bytes]) -> None:
        """Write the tar. When the program stops reading, the reason is in the report."""
        with _NoSignal():
            try:
                for piece in pieces:
                    write_all(self._tar, piece)
            except BrokenPipeError:
                return

    def report(self, subject: str) -> list[bytes]:
        """Return the fields of the report. Raises InvalidImage or SystemFailure when it is about a failure."""
        self._close_tar()
        data = bytearray()
        while piece := os.read(self._report, 1 << 16):
            data += piece
            if len(data) > _REPORT_BYTES_LIMIT:
                raise InvalidImage(subject, "too many of its directories have no entry")
        fields = bytes(data).split(b"\0")
        kind = fields[0]
        if kind == b"made":
            return fields[:-1]
        if kind == b"refused":
            raise InvalidImage(subject, _with_name(fields[2].decode(), fields[3]))
        if kind == b"failed":
            number, call = int(fields[1]), fields[2].decode()
            what = _with_name(f"{call}: {os.strerror(number)}", fields[3])
            hint = _HINTS.get((call, number), "")
            raise SystemFailure(f"unpack {subject}", number, f"unpack {subject}: {what}", hint=hint)
        raise SystemFailure(
            f"unpack {subject}", 0, f"unpack {subject}: pypod-unpack ended before it could report{self._signal()}"
        )

    def _signal(self) -> str:
        code = self._wait()
        return f", by signal {-code}" if code < 0 else ""

    def _wait(self) -> int:
        if self._code is None:
            self._code = exit_code_of(self._pid)
        return self._code

    def _close_tar(self) -> None:
        if self._tar >= 0:
            os.close(self._tar)
            self._tar = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_tar()
        os.close(self._report)
        self._wait()


class _NoSignal:
    """Suppress SIGPIPE: a write to a program that has ended is only an error, even where Python does not ignore it."""

    def __enter__(self) -> None:
        import signal

        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGPIPE,))

    def __exit__(self, *_: object) -> None:
        import signal

        if signal.SIGPIPE not in self._before:
            signal.sigtimedwait((signal.SIGPIPE,), 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def _with_name(reason: str, name: bytes) -> str:
    if not name:
        return reason
    shown = repr(name.decode("utf-8", "backslashreplace"))
    if len(shown) > _SHOWN_CHARACTERS:
        shown = f"{shown[: _SHOWN_CHARACTERS - 3]}..."
    return f"{reason}: {shown}"


def _pipe(size_bytes: int) -> tuple[int, int]:
    import fcntl

    ends = os.pipe()
    if size_bytes:
        try:
            fcntl.fcntl(ends[1], _F_SETPIPE_SZ, size_bytes)
        except OSError:  # the user's limit for pipes may be reached: a small pipe is only slower
            return ends
    return ends
