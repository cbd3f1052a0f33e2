"""Sources and destinations of images: the common interface of registries, archives and directories."""

from __future__ import annotations

from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol, Self

    from pypod.model.images.image import Descriptor

    class Source(Protocol):
        """An image that can be read. The bytes are untrusted: the reader verifies size and digest.

        A context manager; ``blob`` may be called from several threads at once.
        """

        def manifest(self, digest: str = "") -> tuple[str, bytes]:
            """Return media type (or nothing) and body of the image's manifest or index, or of one named in an index.

            Raises NotInRegistry or InvalidImage.
            """

        def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
            """Yield the bytes of a blob from ``offset`` on, in pieces of at most a few MB, as they are stored."""

        def __enter__(self) -> Self: ...
        def __exit__(self, *_: object) -> None: ...

    class Archived(Source, Protocol):
        """A source that may hold several images; ``transport`` is the kind of file or directory."""

        transport: str

        def images(self) -> tuple[StoredImage, ...]:
            """List them. Raises InvalidImage."""

        def select(self, choice: str) -> Source:
            """Return one of them, to be read while this one is open."""

    class Destination(Protocol):
        """An image to be written. It becomes visible only with ``put_manifest``.

        In an archive it becomes visible when the ``with`` block ends without an error, and calls must not overlap.
        """

        def has_blob(self, descriptor: Descriptor) -> bool:
            """Return whether the blob exists already and need not be written."""

        def put_blob(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
            """Write a blob; its digest is the descriptor's."""

        def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:
            """Write the manifest or index that gets the name; with ``digest``, a manifest named in an index."""

        def __enter__(self) -> Self: ...
        def __exit__(self, *_: object) -> None: ...


class StoredImage(Value):
    """An image in an archive or a layout that may hold several: its names, as stored there, and its selector.

    The names are as untrusted as the rest; ``choice`` is the argument for ``select``.
    """

    names: tuple[str, ...]
    choice: str
