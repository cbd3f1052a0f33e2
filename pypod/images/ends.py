"""Where images come from and go to: what a registry, an archive and a directory have in common."""

from __future__ import annotations

from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol, Self

    from pypod.model.image import Descriptor

    class Source(Protocol):
        """An image that can be read. The bytes are hostile: who reads them compares size and digest.

        A context manager; ``blob`` may be called from several threads at once.
        """

        def manifest(self, digest: str = "") -> tuple[str, bytes]:
            """Return media type (or nothing) and body of the image's manifest or index, or of the one in an index.

            Raises NotInRegistry or InvalidImage.
            """

        def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
            """Yield the bytes of a blob from ``offset`` on, in pieces of at most a few MB, as they are stored."""

        def __enter__(self) -> Self: ...
        def __exit__(self, *_: object) -> None: ...

    class Archived(Source, Protocol):
        """A source that may hold several images."""

        def images(self) -> tuple[StoredImage, ...]:
            """List them. Raises InvalidImage."""

        def select(self, choice: str) -> Source:
            """Return one of them, to be read while this one is open."""

    class Destination(Protocol):
        """Where an image can be written. What is written is visible after ``put_manifest`` only.

        In an archive it is visible when the ``with`` block ends without an error, and calls come one at a time.
        """

        def has_blob(self, descriptor: Descriptor) -> bool:
            """Return whether the blob is there already and need not be written."""

        def put_blob(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
            """Write a blob; its digest is the descriptor's."""

        def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:
            """Write the manifest or index that gets the name; with ``digest`` one that an index names."""

        def __enter__(self) -> Self: ...
        def __exit__(self, *_: object) -> None: ...


class StoredImage(Value):
    """An image in an archive or a layout that may hold several: its names, as they stand there, and how to choose it.

    The names are as hostile as the rest; ``choice`` is what ``select`` takes.
    """

    names: tuple[str, ...]
    choice: str
