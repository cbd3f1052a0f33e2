"""Push a manifest list to a destination: its members first, so that it never refers to a missing one."""

from __future__ import annotations

from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.images import copying
from pypod.engine.images.list_members import member
from pypod.engine.images.pushing import check_form, in_registry, require_registry, target
from pypod.errors import InvalidSpec, RegistryError
from pypod.images.blobs import Blobs, BlobSource
from pypod.model.images.form import FAMILIES, OCI, index_body
from pypod.model.images.image import digest_of
from pypod.model.images.reference import parse, split_transport
from pypod.model.reports.progress import Progress
from pypod.store import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypod.engine.images.stored import StoredList
    from pypod.images.ends import Destination, Source
    from pypod.images.registry.access import Access
    from pypod.model.images.image import Descriptor, Index
    from pypod.model.images.signing import Signing

    Report = Callable[[Progress], None] | None

_WORKERS = 3
_ZSTD, _HAS_ZSTD = "zstd", "io.github.containers.compression.zstd"  # marks what newer clients prefer


def push(
    members: StoredList,
    destination: str,
    *,
    all: bool,
    access: Access | None,
    format: str,
    compression: str,
    level: int,
    added: Sequence[str],
    signing: Signing,
    progress: Report,
) -> str:
    """Write a list; return its digest at the destination. See ``ManifestList.push``."""
    from pypod.images.registry.access import Access

    check_form(format, compression, level)
    _check_added(added, all=all, format=format)
    transport, rest = split_transport(destination or members.name)
    form = copying.Form(family=FAMILIES.get(format), compression=compression, level=level)
    chosen = access or Access()
    with Boundary(f"push {members.name}"), Lock(members.context.layout.images, SHARED) as lock, lock:
        if transport in ("", "docker"):
            reference = target(rest)
            pushing = _Push(members, form.replace(workers=_WORKERS), chosen, added, progress)
            known = [parse(source).name for source in pushing.sources.values() if source]
            there = in_registry(reference, known, chosen, signing)
            try:
                digest = pushing.run(there, all=all, plain_layers=False)
            except RegistryError as error:
                error.message = f"writing to docker://{reference}: {error.message}"
                raise
            with members.context.database.transaction() as connection, connection:
                images.add_digest(connection, members.id, reference.name, digest)
            return digest
        require_registry(destination, signing)
        if transport == "docker-archive":
            raise InvalidSpec("DESTINATION", "a docker archive cannot hold a list", hint="use oci-archive:FILE")
        from pypod.images.archive.detect import open_destination

        if transport in ("oci", "oci-archive"):
            form = form.replace(family=OCI)
        pushing = _Push(members, form, chosen, added, progress)
        return pushing.run(open_destination(transport, rest), all=all, plain_layers=True)


def _check_added(added: Sequence[str], *, all: bool, format: str) -> None:
    for kind in added:
        check_form("", kind)
    if added and not all:
        raise InvalidSpec("--add-compression", "variants can only be added to images that are pushed", hint="use --all")
    if _ZSTD in added and format == "v2s2":
        raise InvalidSpec("--add-compression", "docker's schema 2 has no zstd", hint="use --format oci")


class _Push:
    def __init__(
        self, members: StoredList, form: copying.Form, access: Access, added: Sequence[str], progress: Report
    ) -> None:
        self._blobs = Blobs(members.context.layout.blobs)
        self._index: Index = members.index()
        self.sources = members.sources()
        self._form = form
        self._access = access
        self._added = added
        self._progress = progress

    def run(self, destination: Destination, *, all: bool, plain_layers: bool) -> str:
        """Write the members, if ``all``, with their added variants, and the index; return its digest."""
        entries = self._index.manifests
        with destination:
            if all:
                self._tell("listing", f"{len(entries)} of {len(entries)}")
                made = [
                    self._member(destination, entry, f"{entry.digest} ({number}/{len(entries)})", plain_layers)
                    for number, entry in enumerate(entries, 1)
                ]
                made += [self._variant(destination, entry, kind) for kind in self._added for entry in entries]
                entries = tuple({one.digest: one for one in made}.values())
            family = self._form.family or OCI
            body = index_body(family, entries, self._index.annotations, self._index.subject)
            self._tell("listed", "list")
            destination.put_manifest(family.index, body)
        return digest_of(body)

    def _member(self, destination: Destination, entry: Descriptor, shown: str, plain_layers: bool) -> Descriptor:
        self._tell("copying", shown)
        name = self.sources[entry.digest]
        form = self._form if name or plain_layers else self._form.replace(compress_plain=True)
        with self._source(entry, name) as source:
            there = copying.copy_member(source, member(source, entry), destination, form, self._progress)
        return there.replace(platform=entry.platform, annotations=entry.annotations)

    def _variant(self, destination: Destination, entry: Descriptor, kind: str) -> Descriptor:
        """Write a member with its layers in another compression; it is the member itself if they have that."""
        self._tell("copying", f"{entry.digest} ({kind})")
        form = self._form.replace(compression=kind, family=OCI if kind == _ZSTD else self._form.family)
        with self._source(entry, self.sources[entry.digest]) as source:
            there = copying.copy_member(source, member(source, entry), destination, form, self._progress)
        marks = ((_HAS_ZSTD, "true"),) if kind == _ZSTD else ()
        return there.replace(platform=entry.platform, annotations=(*entry.annotations, *marks))

    def _source(self, entry: Descriptor, name: str) -> Source:
        if not name:
            return BlobSource(self._blobs, entry.digest, entry.media_type)
        from pypod.images.config import registries
        from pypod.images.registry.client import RegistrySource

        return RegistrySource(parse(name), self._access, registries.load())

    def _tell(self, state: str, name: str) -> None:
        if self._progress is not None:
            self._progress(Progress(state=state, name=name))
