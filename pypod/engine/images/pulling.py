"""Pull an image from a source into the store: blobs as received, and each layer unpacked once for all images.

Each layer passes through a directory of its own (``engine.incoming``). Its lock keeps two clients from doing the same
work, and what a crash leaves in it is where the next attempt resumes. A layer becomes visible when its row is written,
and so does an image.
"""

from __future__ import annotations

import os
import threading
from contextlib import closing, suppress

from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.core.parallel import Stopped, in_parallel
from pypod.engine.images import trusting
from pypod.engine.images.incoming import Incoming, is_full, make_room
from pypod.engine.images.removal import sweep
from pypod.engine.session import inside, session
from pypod.engine.storage.trash import discard
from pypod.errors import InvalidImage, NoSuchImage, PypodError, StoreError, SystemFailure
from pypod.images.blobs import Blobs
from pypod.images.layers.unpack import Owners, fit_to_lowers, unpack
from pypod.model.images.config import parse_config
from pypod.model.images.image import CONFIG_BYTES_LIMIT, DOCKER_CONFIG, OCI_CONFIG, Index, digest_of, parse_manifest
from pypod.model.images.platform import choose, host
from pypod.model.moment import created_ns
from pypod.model.reports.progress import Progress
from pypod.store import image_layers, images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pypod.engine.core.context import Context
    from pypod.engine.images.trusting import Candidate
    from pypod.images.ends import Source
    from pypod.images.layers.unpack import Unpacked
    from pypod.model.images.config import ImageConfig
    from pypod.model.images.image import Descriptor, Manifest, Platform

_WORKERS = 3
_INDEX_DEPTH_LIMIT = 2
_LAYERS_LIMIT = 400  # overlay options are limited to a page (docs/design.md), which holds the names of that many layers
_EMPTY_CONFIGS = (OCI_CONFIG, DOCKER_CONFIG, "")


def resolve(source: Source, platform: Platform | None, what: str) -> tuple[Manifest, str]:
    """Return the manifest of a source for a platform, and the digest that its name refers to, possibly an index's.

    Raises InvalidImage, also when an index has no entry for the platform.
    """
    media_type, body = source.manifest()
    found = parse_manifest(body, media_type, what)
    named = found.digest
    for _ in range(_INDEX_DEPTH_LIMIT):
        if not isinstance(found, Index):
            return found, named
        entry = choose(found, platform or host(), what)
        media_type, body = source.manifest(entry.digest)
        if digest_of(body) != entry.digest:
            raise InvalidImage(what, f"the manifest is not that of digest {entry.digest}")
        found = parse_manifest(body, media_type or entry.media_type, what)
    if isinstance(found, Index):
        raise InvalidImage(what, "indexes are nested too deeply")
    return found, named


def pull(
    context: Context,
    source: Source,
    what: str,
    *,
    names: Sequence[str] = (),
    repository: str = "",
    platform: Platform | None = None,
    progress: Callable[[Progress], None] | None = None,
    candidate: Candidate | None = None,
) -> str:
    """Import an image from a source into the store, name it, and return its id.

    ``what`` names it in errors. With a ``repository``, the digest is recorded for that repository. ``progress`` is
    called from the threads of the pull, one call at a time. The policy must accept the ``candidate``, if there is one.

    Raises InvalidImage, RegistryError, SystemFailure, PermissionDenied; the layers that were completed stay in the
    store then, unless the disk is full, but no image is added.
    """
    with Boundary(f"pull {what}"):
        try:
            with Lock(context.layout.images, SHARED) as lock, lock:
                manifest, named = resolve(source, platform, what)
                if candidate is not None:
                    trusting.require(candidate, manifest.digest, source)
                return _Pull(context, source, what, manifest, progress).run(names, {manifest.digest, named}, repository)
        except (OSError, PypodError) as error:
            if is_full(error):
                with suppress(OSError, PypodError):
                    sweep(context)
            raise


def chains(diff_ids: Iterable[str]) -> list[str]:
    """Return the chain of each layer, the lowest first (image-spec, config.md, "Layer ChainID").

    >>> a, b = chains(["sha256:" + "0" * 64, "sha256:" + "1" * 64])
    >>> a, len(b)
    ('sha256:0000000000000000000000000000000000000000000000000000000000000000', 71)
    """
    found: list[str] = []
    for diff_id in diff_ids:
        found.append(digest_of(f"{found[-1]} {diff_id}".encode()) if found else diff_id)
    return found


class _Pull:
    def __init__(
        self,
        context: Context,
        source: Source,
        what: str,
        manifest: Manifest,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._context = context
        self._source = source
        self._what = what
        self._manifest = manifest
        self._blobs = Blobs(context.layout.blobs)
        self._progress = progress
        self._telling = threading.Lock()

    def run(self, names: Sequence[str], digests: Iterable[str], repository: str) -> str:
        config = self._config()
        self._chains = chains(config.diff_ids)
        for is_last in (False, True):
            try:
                self._work(list(enumerate(zip(self._manifest.layers, config.diff_ids, strict=True))))
                return self._record(config, names, digests, repository)
            except (OSError, SystemFailure, StoreError) as error:
                # the partial layers that this deletes, ours included, are worth less than completing the pull
                if not is_full(error) or not make_room(self._context) or is_last:
                    raise
        raise AssertionError("unreachable")

    def _config(self) -> ImageConfig:
        descriptor = self._manifest.config
        if descriptor.media_type not in _EMPTY_CONFIGS:
            raise InvalidImage(
                self._what, f"unsupported image-specific operation on artifact with type {descriptor.media_type!r}"
            )
        try:
            body = self._blobs.read(descriptor.digest, CONFIG_BYTES_LIMIT)
        except InvalidImage:  # missing or damaged here
            self._tell(descriptor, "pulling", 0)
            body = read_blob(self._source, descriptor, CONFIG_BYTES_LIMIT, self._what)
            if self._blobs.has(descriptor.digest):
                self._blobs.write([body])
        config = parse_config(body, f"{self._what}: configuration")
        if len(config.diff_ids) != len(self._manifest.layers):
            raise InvalidImage(
                self._what,
                f"its configuration has {len(config.diff_ids)} layers, its manifest {len(self._manifest.layers)}",
            )
        if len(config.diff_ids) > _LAYERS_LIMIT:
            reason = f"it has {len(config.diff_ids)} layers; overlayfs can stack at most {_LAYERS_LIMIT}"
            raise InvalidImage(self._what, reason, hint="build it with fewer layers (podman build --squash)")
        self._tell(descriptor, "done", descriptor.size)
        return config

    def _work(self, tasks: list[tuple[int, tuple[Descriptor, str]]]) -> None:
        """Pull all layers, the lower ones first, several at a time; raise what the first failure raised."""
        self._stopped = threading.Event()
        self._finished = [threading.Event() for _ in tasks]

        def work(task: tuple[int, tuple[Descriptor, str]]) -> None:
            number, (descriptor, diff_id) = task
            self._layer(number, descriptor, diff_id)
            self._finished[number].set()

        in_parallel(tasks, work, min(_WORKERS, len(tasks)), self._stopped)

    def _layer(self, number: int, descriptor: Descriptor, diff_id: str) -> None:
        """Pull one layer."""
        chain = self._chains[number]
        if self._is_present(chain, descriptor):
            self._tell(descriptor, "present", descriptor.size)
            return
        incoming = Incoming(self._context, chain, descriptor)
        with incoming.lock() as lock, lock:
            if self._is_present(chain, descriptor):  # another process pulled it meanwhile
                self._tell(descriptor, "present", descriptor.size)
                return
            incoming.prepare()
            stored = self._blobs.has(descriptor.digest)
            has_begun = stored or incoming.begun_bytes > 0
            try:
                self._attempt(number, descriptor, diff_id, incoming, from_store=stored)
            except (InvalidImage, OSError, SystemFailure):
                if not has_begun:
                    raise
                self._attempt(number, descriptor, diff_id, incoming)

    def _is_present(self, chain: str, descriptor: Descriptor) -> bool:
        found = image_layers.find(self._context.database, chain)
        return found is not None and self._blobs.has(descriptor.digest)

    def _attempt(
        self, number: int, descriptor: Descriptor, diff_id: str, incoming: Incoming, *, from_store: bool = False
    ) -> None:
        """Create a layer from its blob: the stored one, or the part received earlier and the rest from the source."""
        blobs = self._blobs
        pieces = blobs.pieces(descriptor.digest) if from_store else self._pieces(descriptor, incoming)
        try:
            tree = incoming.tree()
            with closing(pieces):  # type: ignore[type-var]  # a traceback that is kept would keep the file open
                unpacked = unpack(
                    pieces,
                    tree,
                    digest=descriptor.digest,
                    diff_id=diff_id,
                    size=descriptor.size,
                    owners=_owners(self._context),
                )
            tree, unpacked = self._fitted(number, tree, unpacked, incoming)
            if not from_store:
                blobs.commit(incoming.blob, descriptor.digest)
            self._publish(number, diff_id, tree, unpacked)
        except BaseException as error:
            incoming.fail(error)
            raise
        with suppress(OSError):  # another attempt's files may be in it
            os.rmdir(incoming.directory)
        self._tell(descriptor, "done", descriptor.size)

    def _fitted(self, number: int, tree: str, unpacked: Unpacked, incoming: Incoming) -> tuple[str, Unpacked]:
        """Return an unpacked layer in the form that fits on the layers below it, once these are complete."""
        self._wait_for(number - 1)
        below = image_layers.of_chain(self._context.database, self._chains[number - 1]) if number else []
        directories = [f"{self._context.layout.image_layers}/{name}" for name in image_layers.shown(below)]
        self._fit_to_lowers(tree, unpacked, directories)
        if not unpacked.stands_in:
            return tree, unpacked
        from pypod.engine.storage.layers import lay

        # a copy of everything that the layer and those below it show, so it needs no whiteouts
        whole = incoming.new_path()
        lay(self._context, tree, directories, whole)
        discard(self._context, [tree])
        return whole, unpacked.replace(root_is_opaque=True)

    def _fit_to_lowers(self, tree: str, unpacked: Unpacked, directories: list[str]) -> None:
        if inside.is_needed(self._context) and (unpacked.implied or unpacked.whitening):
            inside.call(self._context, _fit_to_lowers, tree, unpacked, directories)
        else:
            fit_to_lowers(tree, unpacked, directories)

    def _publish(self, number: int, diff_id: str, tree: str, unpacked: Unpacked) -> None:
        """Make a layer visible, unless it arrived meanwhile in a blob with another compression."""
        layers, name = self._context.layout.image_layers, os.path.basename(tree)
        os.makedirs(layers, 0o700, exist_ok=True)
        inside.move(self._context, tree, f"{layers}/{name}")
        is_added = False
        try:
            is_added = image_layers.add(
                self._context.database,
                image_layers.LayerRecord(
                    chain=self._chains[number],
                    parent=self._chains[number - 1] if number else "",
                    diff_id=diff_id,
                    directory=name,
                    size_bytes=unpacked.size_bytes,
                    opaque=int(unpacked.root_is_opaque),
                ),
            )
        finally:
            if not is_added:
                discard(self._context, [f"{layers}/{name}"])

    def _wait_for(self, number: int) -> None:
        while number >= 0 and not self._finished[number].wait(0.1):
            if self._stopped.is_set():
                raise Stopped

    def _pieces(self, descriptor: Descriptor, incoming: Incoming) -> Iterator[bytes]:
        """Yield a layer: the part received earlier, then the rest from the source."""

        def rest(done: int) -> Iterator[bytes]:
            self._tell(descriptor, "pulling", done)
            with closing(self._source.blob(descriptor, done)) as pieces:  # type: ignore[type-var]
                for piece in pieces:
                    if self._stopped.is_set():
                        raise Stopped
                    yield piece
                    done += len(piece)
                    self._tell(descriptor, "pulling", done)

        return incoming.pieces(rest)

    def _record(self, config: ImageConfig, names: Sequence[str], digests: Iterable[str], repository: str) -> str:
        manifest = self._manifest
        self._blobs.put(manifest.body)
        self._blobs.put(config.body)
        identifier = manifest.config.digest.partition(":")[2]
        record = images.ImageRecord(
            id=identifier,
            manifest=manifest.digest,
            chain=self._chains[-1] if self._chains else "",
            created_ns=created_ns(config.created),
            size_bytes=sum(one.size_bytes for one in image_layers.of_chain(self._context.database, self._chains[-1]))
            if self._chains
            else 0,
            config=config.body.decode(),
        )
        blobs = {manifest.digest, manifest.config.digest, *(layer.digest for layer in manifest.layers)}
        known_as = [(repository, one) for one in digests if repository]
        if images.has_image(self._context.database, record, blobs, known_as, names):
            return identifier
        with self._context.database.transaction() as connection, connection:
            try:
                images.add_image(connection, record, blobs, known_as)
            except NoSuchImage:
                raise InvalidImage(self._what, "a layer was removed meanwhile", hint="pull again") from None
            for name in names:
                images.bring_name(connection, identifier, name)
        return identifier

    def _tell(self, descriptor: Descriptor, state: str, done: int) -> None:
        if self._progress is not None:
            with self._telling:
                self._progress(
                    Progress(
                        digest=descriptor.digest,
                        state=state,
                        done_bytes=done,
                        total_bytes=descriptor.size,
                        is_config=descriptor is self._manifest.config,
                    )
                )


def _owners(context: Context) -> Owners | None:
    own = session.of(context)
    if own is None:
        return None
    return Owners(environment=tuple(session.environment(context).items()), one_id=own.has_one_id)


def read_blob(source: Source, descriptor: Descriptor, limit_bytes: int, what: str) -> bytes:
    """Return a small blob, checked against its descriptor. Raises InvalidImage."""
    if descriptor.size > limit_bytes:
        raise InvalidImage(what, f"blob {descriptor.digest} is larger than {limit_bytes} bytes")
    body = bytearray()
    for piece in source.blob(descriptor):
        body += piece
        if len(body) > descriptor.size:
            break
    if len(body) != descriptor.size or digest_of(bytes(body)) != descriptor.digest:
        raise InvalidImage(what, f"blob {descriptor.digest} does not match its size or digest")
    return bytes(body)


def _fit_to_lowers(context: Context, tree: str, unpacked: Unpacked, lowers: list[str]) -> None:
    del context
    fit_to_lowers(tree, unpacked, lowers)
