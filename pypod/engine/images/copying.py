"""Copy an image to a destination: a registry, an archive, a directory.

Blobs are sent as they are stored, and skipped when the destination has them. Layers are recompressed when the
destination or the caller wants another compression. Then, as when the family of media types changes, the image has
another manifest and digest there.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import closing

from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.core.parallel import Stopped, in_parallel
from pypod.errors import InvalidSpec
from pypod.images.blobs import Blobs, BlobSource
from pypod.images.new_file import PIECE_BYTES
from pypod.model.images.form import OCI, V2S2, family_of, rewritten
from pypod.model.images.image import Descriptor, digest_of
from pypod.model.reports.progress import Progress
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pypod.engine.images.stored import StoredImage
    from pypod.images.ends import Destination, Source
    from pypod.model.images.form import Family
    from pypod.model.images.image import Manifest

_MAGIC_BYTES = 16


class Form(Value):
    """The form that an image takes at its destination.

    ``family`` None: as stored. ``compression`` of layers: ``gzip`` or ``zstd`` for all, empty to keep each layer's own;
    ``compress_plain``: uncompressed layers get gzip; ``plain``: all are decompressed. With a ``level``, all compressed
    layers are compressed anew with that. ``workers`` is how many blobs are sent at a time.
    """

    family: Family | None = None
    compression: str = ""
    compress_plain: bool = False
    plain: bool = False
    level: int = 0
    workers: int = 1


def copy(
    image: StoredImage,
    destination: Destination,
    form: Form,
    progress: Callable[[Progress], None] | None = None,
) -> str:
    """Write an image to a destination; return the digest of its manifest there.

    Raises InvalidImage, InvalidSpec, RegistryError; in that case no name was added at the destination.
    """
    with Lock(image.context.layout.images, SHARED) as lock, lock:  # keeps the blobs from being swept
        manifest = image.manifest()
        source = BlobSource(Blobs(image.context.layout.blobs), manifest.digest, manifest.media_type)
        media_type, body = _Copy(source, manifest, destination, form, progress).run()
        destination.put_manifest(media_type, body)
        return digest_of(body)


def copy_member(
    source: Source,
    manifest: Manifest,
    destination: Destination,
    form: Form,
    progress: Callable[[Progress], None] | None = None,
) -> Descriptor:
    """Write one of the images of an index; return the index entry for it at the destination."""
    media_type, body = _Copy(source, manifest, destination, form, progress).run()
    found = Descriptor(media_type=media_type, digest=digest_of(body), size=len(body))
    destination.put_manifest(media_type, body, digest=found.digest)
    return found


class _Copy:
    def __init__(
        self,
        source: Source,
        manifest: Manifest,
        destination: Destination,
        form: Form,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._source = source
        self._manifest = manifest
        self._destination = destination
        self._form = form
        # docker's schema 2 has no zstd: unless that format was asked for, the image becomes OCI there, as with podman
        kept = OCI if form.compression == "zstd" else family_of(manifest)
        self._family = form.family or kept
        self._progress = progress
        self._telling = threading.Lock()
        self._stopped = threading.Event()

    def run(self) -> tuple[str, bytes]:
        """Write the blobs; return media type and body of the manifest that names them at the destination."""
        if self._family is V2S2 and self._form.compression == "zstd":
            raise InvalidSpec("--compression-format", "docker's schema 2 has no zstd", hint="use --format oci")
        config = self._manifest.config.replace(media_type=self._family.config)
        # docker archives take the configuration first
        self._send(config, self._stored(config))
        layers = self._each(self._manifest.layers)
        return self._family.manifest, rewritten(self._manifest, self._family, layers)

    def _each(self, descriptors: Sequence[Descriptor]) -> list[tuple[Descriptor, str]]:
        """Send all layers, several at a time; return their descriptors there. Raises what the first failure raised."""
        found: dict[int, tuple[Descriptor, str]] = {}

        def work(task: tuple[int, Descriptor]) -> None:
            found[task[0]] = self._layer(task[1])

        in_parallel(enumerate(descriptors), work, min(self._form.workers, len(descriptors)), self._stopped)
        return [found[number] for number in range(len(descriptors))]

    def _layer(self, descriptor: Descriptor) -> tuple[Descriptor, str]:
        from pypod.images.layers.compression import kind_of

        form = self._form
        changes = form.compression or form.compress_plain or form.plain or form.level
        if self._family is family_of(self._manifest) and not changes:
            self._send(descriptor, self._stored(descriptor))
            return descriptor, ""
        with closing(self._source.blob(descriptor)) as pieces:  # type: ignore[type-var]
            has = kind_of(next(pieces, b"")[:_MAGIC_BYTES])
        wanted = "" if form.plain else form.compression or ("gzip" if form.compress_plain and not has else has)
        if wanted not in dict(self._family.layers):
            wanted = "gzip"
        if wanted == has and not (has and form.level):
            self._send(descriptor, self._stored(descriptor))
            return descriptor, has
        return self._anew(descriptor, wanted), wanted

    def _anew(self, descriptor: Descriptor, compression: str) -> Descriptor:
        """Send a layer recompressed, through an unnamed file: its digest and size must be known first."""
        from pypod.images.layers.compression import compress, decompressed
        from pypod.images.new_file import temporary_file, write_pieces

        hashed = hashlib.sha256()

        def hashing(pieces: Iterable[bytes]) -> Iterator[bytes]:
            for piece in pieces:
                if self._stopped.is_set():
                    raise Stopped
                hashed.update(piece)
                yield piece

        fd = temporary_file()
        try:
            plain = decompressed(self._source.blob(descriptor), descriptor.digest)
            size = write_pieces(fd, hashing(compress(plain, compression, self._form.level)))
            media_type = dict(self._family.layers)[compression]
            made = descriptor.replace(
                media_type=media_type, digest=f"sha256:{hashed.hexdigest()}", size=size, annotations=()
            )
            self._send(made, lambda: _pieces_of(fd))
            return made
        finally:
            os.close(fd)

    def _stored(self, descriptor: Descriptor) -> Callable[[], Iterator[bytes]]:
        return lambda: self._source.blob(descriptor)

    def _send(self, descriptor: Descriptor, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Write a blob unless the destination has it."""
        if self._destination.has_blob(descriptor):
            self._tell(descriptor, "present", descriptor.size)
            return
        self._destination.put_blob(descriptor, _Told(self, descriptor, pieces))
        self._tell(descriptor, "done", descriptor.size)

    def told(self, descriptor: Descriptor, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield pieces and report progress."""
        done = 0
        self._tell(descriptor, "pushing", done)
        for piece in pieces:
            if self._stopped.is_set():
                raise Stopped
            yield piece
            done += len(piece)
            self._tell(descriptor, "pushing", done)

    def _tell(self, descriptor: Descriptor, state: str, done: int) -> None:
        if self._progress is not None:
            with self._telling:
                self._progress(
                    Progress(
                        digest=descriptor.digest,
                        state=state,
                        done_bytes=done,
                        total_bytes=descriptor.size,
                        is_config=descriptor.media_type == self._family.config,
                    )
                )


class _Told:
    """A blob that can be reread from its beginning, so that a broken connection only costs another attempt."""

    def __init__(self, copying: _Copy, descriptor: Descriptor, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._copying = copying
        self._descriptor = descriptor
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._copying.told(self._descriptor, self._pieces())


def _pieces_of(fd: int) -> Iterator[bytes]:
    offset = 0
    while piece := os.pread(fd, PIECE_BYTES, offset):
        yield piece
        offset += len(piece)
