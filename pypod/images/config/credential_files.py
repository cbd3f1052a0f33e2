"""Read and change auth.json: other programs read and write it, too, so a change takes a lock and a rename."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

_FILE_BYTES_LIMIT = 4 << 20


def load(path: str) -> dict[str, Any]:
    """Return the content of a file; empty when it does not exist. Raises InvalidSpec or SystemFailure."""
    import json

    try:
        # O_NONBLOCK: a FIFO here must not block us
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            body = file.read(_FILE_BYTES_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SystemFailure("read credentials", error.errno or 0, f"{path}: {error.strerror}") from error
    if len(body) > _FILE_BYTES_LIMIT:
        raise InvalidSpec("authfile", f"{path}: it is larger than {_FILE_BYTES_LIMIT} bytes")
    try:
        found = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidSpec("authfile", f"unmarshaling JSON at {path}: it is not JSON") from error
    if not isinstance(found, dict):
        raise InvalidSpec("authfile", f"unmarshaling JSON at {path}: expected an object")
    return found


class Change:
    """The file's content under a lock, from reading to renaming; changes are discarded unless ``write`` is called.

    A symbolic link at the end of the path is refused: root's login would write through it. The new file is readable
    only by its owner, whatever the old one was.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: dict[str, Any] = {}
        self._lock = -1

    def __enter__(self) -> Self:
        import fcntl

        directory = os.path.dirname(self.path) or "."
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            if os.path.islink(self.path):
                raise InvalidSpec("authfile", f"{self.path} is a symbolic link", hint="name the file it points to")
            # The directory is locked, not the file: the rename replaces the file, and with it its lock.
            self._lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            self.__exit__()
            raise _failed(self.path, error) from error
        try:
            self.found = load(self.path)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def section(self, name: str) -> dict[str, Any]:
        """Return a section of the file, creating it if missing."""
        section = self.found.setdefault(name, {})
        if not isinstance(section, dict):
            raise InvalidSpec("authfile", f"{self.path}: {name}: expected an object")
        return section

    def write(self) -> None:
        """Replace the file by the content."""
        import json
        from secrets import token_hex

        fresh = f"{self.path}.{token_hex(8)}"
        body = json.dumps(self.found, indent="\t", ensure_ascii=False).encode("utf-8", "surrogateescape")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                with open(fd, "wb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(fd)
                os.rename(fresh, self.path)
            except BaseException:
                os.unlink(fresh)
                raise
        except OSError as error:
            raise _failed(self.path, error) from error


def _failed(path: str, error: OSError) -> SystemFailure:
    return SystemFailure("write credentials", error.errno or 0, f"{path}: {error.strerror}")
