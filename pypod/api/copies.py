"""Copy files into and out of a container."""

from __future__ import annotations

import os
from _collections_abc import Iterable, Iterator

from pypod.api import types
from pypod.api.handle import ContainerHandle
from pypod.engine.core.boundary import Boundary
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pypod.engine.containers.copy_ends import HostPath, Place

_PIECE_BYTES = 1 << 20


class CopyMethods(ContainerHandle):
    """Copy files between a container and the host, another container, or this program."""

    __slots__ = ()

    def copy_to(
        self,
        source: str | os.PathLike[str] | bytes | types.BinaryIO | Iterable[bytes],
        path: str,
        *,
        tar: bool = False,
        archive: bool = True,
        overwrite: bool = False,
        pause: bool = False,
    ) -> None:
        """Copy ``source`` to ``path`` in the container, running or not.

        ``source`` is a path of the host, a file or directory, whose content alone is copied if it ends with ``/.``; or
        the content of a file: bytes, a binary file object, or an iterable of bytes. With ``tar``, it is a tar archive,
        compressed or not, that is unpacked into the directory ``path``. A ``path`` that is not absolute begins at the
        working directory. As with ``cp``, it is the name of the copy, or an existing directory to put it in.

        With ``archive``, everything belongs to the user of the container, else it keeps its ids; ``overwrite`` lets a
        file replace a directory and the reverse; ``pause`` freezes a running container meanwhile.

        Raises InvalidSpec for a path that does not exist, SystemFailure naming a file that could not be created.

        >>> container.copy_to("/etc/hosts", "/tmp/")                    # doctest: +SKIP
        >>> container.copy_to(b"key: value\\n", "/etc/app.yaml")         # doctest: +SKIP
        """
        from pypod.engine.containers import copying

        options = copying.Options(archive=archive, overwrite=overwrite, pause=pause)
        place = self._place(path)
        with Boundary(f"copy to container {self._name}"):
            if isinstance(source, (str, os.PathLike)) and not tar:
                copying.from_host(self._engine, _host_path(source), place, options)
            elif isinstance(source, (str, os.PathLike)):
                with open(source, "rb") as file:
                    copying.from_tar(self._engine, _pieces(file), place, options)
            else:
                copy = copying.from_tar if tar else copying.from_content
                copy(self._engine, _pieces(source), place, options)

    def copy_from(
        self,
        path: str,
        target: str | os.PathLike[str] | types.BinaryIO | None = None,
        *,
        tar: bool = False,
        archive: bool = True,
        overwrite: bool = False,
        pause: bool = False,
    ) -> bytes | None:
        """Copy ``path`` in the container to ``target``: a path of the host, or a binary file object.

        A file object gets the content of a file, or with ``tar`` a tar archive of a file or directory. Without a target
        these bytes are returned. A ``path`` that ends with ``/.`` is the content of a directory. With ``archive``, the
        copies on the host belong to the caller, else they keep their ids. The rest is as for ``copy_to``.

        >>> container.copy_from("/etc/hostname")                        # doctest: +SKIP
        b'3f1c2a9d0b7e\\n'
        >>> container.copy_from("/var/log", "logs")                     # doctest: +SKIP
        """
        from pypod.engine.containers import copying

        options = copying.Options(archive=archive, overwrite=overwrite, pause=pause)
        place = self._place(path)
        with Boundary(f"copy from container {self._name}"):
            if isinstance(target, (str, os.PathLike)):
                if tar:
                    raise InvalidSpec("tar", "an archive is written to a file object, not to a path")
                copying.to_host(self._engine, place, _host_path(target), options)
                return None
            read = copying.as_tar if tar else copying.content
            pieces = read(self._engine, place, options)
            if target is None:
                return b"".join(pieces)
            for piece in pieces:
                target.write(piece)
        return None

    def copy_between(
        self,
        path: str,
        other: types.Container,
        target: str,
        *,
        archive: bool = True,
        overwrite: bool = False,
        pause: bool = False,
    ) -> None:
        """Copy ``path`` in this container to ``target`` in another one, or in this one; as ``copy_to``."""
        from pypod.engine.containers import copying

        options = copying.Options(archive=archive, overwrite=overwrite, pause=pause)
        with Boundary(f"copy from container {self._name} to container {other.id}"):
            copying.between(self._engine, self._place(path), other._place(target), options)

    def _place(self, path: str) -> Place:
        from pypod.engine.containers.copy_ends import Place

        if "\0" in path or not path:
            raise InvalidSpec("path", "a path must not be empty or contain a NUL byte")
        self.record()
        return Place(container=self.id, path=path, name=self._name)


def _host_path(path: str | os.PathLike[str]) -> HostPath:
    """Return an absolute path, with what its end says: ``/`` or ``/.``."""
    from pypod.engine.containers.copy_ends import HostPath

    text = os.fspath(path)
    if "\0" in text or not text:
        raise InvalidSpec("path", "a path must not be empty or contain a NUL byte")
    return HostPath(path=text if text.startswith("/") else f"{os.getcwd()}/{text}", name=text)


def _pieces(source: bytes | types.BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield bytes(source)
    elif hasattr(source, "read"):
        while piece := source.read(_PIECE_BYTES):
            yield piece
    else:
        yield from source
