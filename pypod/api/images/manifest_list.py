"""The handle of a manifest list. Its index is a blob; the members stay where they are until a push."""

from __future__ import annotations

import os
from _collections_abc import Callable, Iterable, Mapping, Sequence

from pypod.api import types
from pypod.api.images.image import Image
from pypod.engine.core.boundary import Boundary
from pypod.engine.core.locks import SHARED, Lock
from pypod.engine.images.stored import StoredList, index_of
from pypod.errors import AlreadyExists, InvalidImage, InvalidSpec, NoSuchImage
from pypod.images.blobs import Blobs
from pypod.model.images.form import OCI, index_body
from pypod.model.images.image import MANIFEST_BYTES_LIMIT, Manifest, check_digest, parse_manifest
from pypod.model.images.manifest_list import EntryChange
from pypod.store import images, manifest_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from sqlite3 import Connection

    from pypod.model.images.image import Descriptor

    Entries = dict[str, Descriptor]


class ManifestList(StoredList):
    """A manifest list: an engine and an id.

    >>> images = engine.manifests.create("web", ["web:amd64"])                         # doctest: +SKIP
    >>> images.add("docker://quay.io/me/web:arm", architecture="arm64", variant="v8")  # doctest: +SKIP
    >>> images.push("quay.io/me/web")                                                  # doctest: +SKIP
    """

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine, identifier: str, name: str = "") -> None:
        super().__init__(engine, identifier, name)
        self._engine = engine

    @property
    def engine(self) -> types.Engine:
        """The engine it belongs to."""
        return self._engine

    def add(
        self,
        ref: str,
        *,
        all: bool = False,
        access: types.Access | None = None,
        os: str = "",
        architecture: str = "",
        variant: str = "",
        os_version: str = "",
        os_features: Sequence[str] = (),
        features: Sequence[str] = (),
        annotations: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> Sequence[str]:
        """Add an image, or of another list the one for this machine, with ``all`` every one; return their digests.

        ``ref`` names a local image, one in a registry (``docker://`` makes sure of that, and so does ``all`` unless a
        list exists locally), or one in a file, as ``oci-archive:FILE``. Of an image in a registry only what the list
        states is read; a push fetches the rest. The other arguments are those of ``annotate``, for the new entry.

        Raises NoSuchImage, InvalidSpec, RegistryError, InvalidImage.
        """
        change = _change(os, architecture, variant, os_version, os_features, features, annotations)
        return self.extend([ref], all=all, access=access, change=change)

    def extend(
        self,
        refs: Iterable[str],
        *,
        all: bool = False,
        access: types.Access | None = None,
        change: EntryChange | None = None,
        created_ns: int = 0,
        annotations: Mapping[str, str] | None = None,
    ) -> Sequence[str]:
        """Add several images, and annotations of the list itself; with ``created_ns`` the list is new.

        Return the digests of the members added.
        """
        from pypod.engine.images.list_members import find

        with Boundary(f"add to {self.name}"), Lock(self._engine.layout.images, SHARED) as lock, lock:
            found = [one for ref in refs for one in find(self._engine, ref, all=all, access=access)]
            added = {one.entry.digest: (change.applied(one.entry) if change else one.entry) for one in found}

            def grow(entries: Entries) -> Entries:
                return {**entries, **added}

            self._edit(grow, {one.entry.digest: one.source for one in found}, created_ns, (annotations or {}).items())
        return tuple(added)

    def remove(self, digest: str) -> None:
        """Remove a member from the list. Raises InvalidSpec for a digest that no member has."""

        def shrink(entries: Entries) -> Entries:
            self._require(digest, entries)
            return {name: entry for name, entry in entries.items() if name != digest}

        with Boundary(f"remove from {self.name}"), Lock(self._engine.layout.images, SHARED) as lock, lock:
            self._edit(shrink)

    def annotate(
        self,
        digest: str,
        *,
        os: str = "",
        architecture: str = "",
        variant: str = "",
        os_version: str = "",
        os_features: Sequence[str] = (),
        features: Sequence[str] = (),
        annotations: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> None:
        """Change what the list states about a member; empty arguments change nothing, and ``annotations`` are added.

        Raises InvalidSpec for a digest that no member has.
        """
        change = _change(os, architecture, variant, os_version, os_features, features, annotations)

        def say(entries: Entries) -> Entries:
            self._require(digest, entries)
            return {**entries, digest: change.applied(entries[digest])}

        with Boundary(f"annotate {self.name}"), Lock(self._engine.layout.images, SHARED) as lock, lock:
            self._edit(say)

    def annotate_index(
        self,
        *,
        annotations: Mapping[str, str] | None = None,
        subject: str = "",
        access: types.Access | None = None,
    ) -> None:
        """Annotate the list itself, and name the image that it is about: ``subject`` is as ``ref`` of ``add``.

        Raises NoSuchImage, RegistryError.
        """
        from pypod.engine.images.list_members import find

        with Boundary(f"annotate {self.name}"), Lock(self._engine.layout.images, SHARED) as lock, lock:
            about = find(self._engine, subject, access=access)[0].entry if subject else None
            self._edit(dict, annotations=(annotations or {}).items(), subject=about)

    def push(
        self,
        destination: str = "",
        *,
        all: bool = True,
        access: types.Access | None = None,
        format: str = "",
        compression: str = "",
        compression_level: int = 0,
        add_compression: Sequence[str] = (),
        sign_by: str = "",
        sigstore_key: str | os.PathLike[str] = "",
        passphrase_file: str | os.PathLike[str] = "",
        progress: Callable[[types.Progress], None] | None = None,
    ) -> str:
        """Push its members and then the list to a registry or another transport's destination; return its digest there.

        Without ``all`` only the list is pushed: its members must exist there. Members keep their digests unless
        ``format`` (oci or v2s2) or ``compression`` (gzip or zstd) requires a conversion, or a local one has
        uncompressed layers. ``compression_level`` is as of ``Images.push``. For each of ``add_compression`` (gzip,
        zstd) the list at the destination has another variant of each member, unless its layers have that already.

        With ``sign_by``, a key of the caller's gpg keyring, the destination is a registry and each manifest is signed
        where registries.d says, before it is sent; with ``sigstore_key``, the path of a private key that cosign or
        skopeo made, the signatures are attached to the image in its repository. The first line of ``passphrase_file``
        unlocks the key.

        Raises InvalidSpec, NoSuchImage, Unauthorized, RegistryError; then the destination has no new name.
        """
        from pypod.engine.core import announce
        from pypod.engine.images.list_pushing import push
        from pypod.model.images.signing import Signing

        digest = push(
            self,
            destination,
            all=all,
            access=access,
            format=format,
            compression=compression,
            level=compression_level,
            added=tuple(add_compression),
            signing=Signing(
                gpg_key=sign_by, sigstore_key=os.fspath(sigstore_key), passphrase_file=os.fspath(passphrase_file)
            ),
            progress=progress,
        )
        announce.image(self._engine, announce.PUSH, self.id, destination or self.name)
        return digest

    def delete(self) -> None:
        """Remove the list, but not its members. Does nothing if it no longer exists."""
        Image(self._engine, self.id, self._name).remove()

    def _require(self, digest: str, entries: Entries) -> None:
        try:
            check_digest(digest, "digest")
        except InvalidImage:
            raise InvalidSpec("DIGEST", f'invalid image digest "{digest}": invalid checksum digest format') from None
        if digest not in entries:
            raise InvalidSpec("DIGEST", f'no instance matching digest "{digest}" found in manifest list {self.name}')

    def _edit(
        self,
        change: Callable[[Entries], Entries],
        sources: Mapping[str, str] | None = None,
        created_ns: int = 0,
        annotations: Iterable[tuple[str, str]] = (),
        subject: Descriptor | None = None,
    ) -> None:
        """Rewrite the index, one editor at a time; the caller holds the lock against sweeping."""
        with self._engine.database.transaction() as connection, connection:
            record = manifest_lists.read(connection, self.id)
            if record is None and not created_ns:
                raise NoSuchImage(self.name)
            index = index_of(self._engine, record.manifest) if record else None
            before = index.manifests if index else ()
            said = dict((*(index.annotations if index else ()), *annotations))
            known = {**manifest_lists.sources(connection, self.id), **(sources or {})}
            entries = change({entry.digest: entry for entry in before})
            about = subject.replace(platform=None, annotations=()) if subject else index.subject if index else None
            body = index_body(OCI, entries.values(), said.items(), about)
            self._write(connection, body, entries, known, record.created_ns if record else created_ns)
            if record is None:
                holder = images.holder_of(connection, self.name)
                if holder:  # another process was quicker
                    raise AlreadyExists("image", self.name, "image", holder)
                images.tag(connection, self.id, self.name)

    def _write(
        self, connection: Connection, body: bytes, entries: Entries, sources: Mapping[str, str], created_ns: int
    ) -> None:
        blobs = Blobs(self._engine.layout.blobs)
        record = images.ImageRecord(
            id=self.id, manifest=blobs.put(body), chain="", created_ns=created_ns, size_bytes=len(body), config=""
        )
        used = {record.manifest}
        for digest in entries:
            if not sources[digest]:
                used |= _blobs_of(blobs, digest)
        manifest_lists.put(connection, record, used, {digest: sources[digest] for digest in entries})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ManifestList) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<ManifestList {self.name}>"


def _change(
    os: str,
    architecture: str,
    variant: str,
    os_version: str,
    os_features: Sequence[str],
    features: Sequence[str],
    annotations: Mapping[str, str] | Iterable[tuple[str, str]],
) -> EntryChange:
    return EntryChange(
        os=os,
        architecture=architecture,
        variant=variant,
        os_version=os_version,
        os_features=tuple(os_features),
        features=tuple(features),
        annotations=tuple(dict(annotations).items()),
    )


def _blobs_of(blobs: Blobs, digest: str) -> set[str]:
    """Return the digests of all blobs of a local image."""
    found = parse_manifest(blobs.read(digest, MANIFEST_BYTES_LIMIT), what=f"manifest {digest}")
    if not isinstance(found, Manifest):
        raise InvalidImage(f"manifest {digest}", "it is an index")
    return {digest, found.config.digest, *(layer.digest for layer in found.layers)}
