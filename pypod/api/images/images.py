"""The images of an engine: pull, find, list, load, prune."""

from __future__ import annotations

import os
from _collections_abc import Callable, Iterable, Sequence

from pypod.api import types
from pypod.api.images.image import Image
from pypod.engine.core.boundary import Boundary
from pypod.engine.images import stored
from pypod.errors import InvalidImage, InvalidSpec, NoSuchImage, PypodError, RegistryError
from pypod.model.images.reference import full_name, parse, split_transport
from pypod.store import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pypod.api.images.summary import ImageSummary
    from pypod.images.config.registries import Choose, Registries
    from pypod.images.registry.access import Access
    from pypod.model.images.image import Platform
    from pypod.model.images.reference import Reference
    from pypod.model.reports.progress import Progress

POLICIES = ("always", "missing", "never", "newer")


class Images:
    """The images of an engine."""

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine) -> None:
        self._engine = engine

    def pull(
        self,
        ref: str,
        *,
        platform: str = "",
        access: types.Access | None = None,
        progress: Callable[[types.Progress], None] | None = None,
        choose: types.Choose | None = None,
    ) -> Image:
        """Pull an image from a registry, or from another transport (``oci-archive:FILE``), and return it.

        A short name is resolved as registries.conf says; if there are several candidates, ``choose`` is called with
        their full names and returns one, which is remembered. ``platform`` is OS/ARCHITECTURE[/VARIANT], by default
        this machine's. What exists locally is not fetched again.

        Raises InvalidSpec, NotInRegistry, Unauthorized, RegistryError, InvalidImage, and PermissionDenied for an image
        that policy.json does not accept.
        """
        from pypod.engine.core import announce
        from pypod.images.config import registries

        wanted, policy = _platform(platform), access.signature_policy if access else ""
        transport, rest = split_transport(ref)
        if transport not in ("", "docker"):
            image = self._pull_from(transport, rest, wanted, progress, policy)
        else:
            image = self._pull_first(registries.load(), ref, wanted, access, progress, choose)
        announce.image(self._engine, announce.PULL, "", ref)
        return image

    def _pull_first(
        self,
        configured: Registries,
        ref: str,
        platform: Platform | None,
        access: Access | None,
        progress: Callable[[Progress], None] | None,
        choose: Choose | None,
    ) -> Image:
        """Pull the first candidate for ``ref`` that a registry has; if none has one, raise all their errors."""
        from pypod.images.config import registries
        from pypod.model.reports.progress import Progress

        problems: list[PypodError] = []
        resolved = configured.resolve(ref, choose)
        if progress is not None and resolved.told:
            progress(Progress(state="resolved", name=resolved.told))
        for candidate in resolved.candidates:
            try:
                image = self._pull_one(configured, candidate, platform, access, progress)
            except RegistryError as error:
                problems.append(error)
                continue
            if resolved.chosen_for:
                registries.remember(resolved.chosen_for, candidate)
            return image
        if len(problems) == 1:
            raise problems[0]
        from pypod.engine.images.registries import none_of_them

        raise none_of_them(ref, f"{len(problems)} errors occurred while pulling", problems)

    def _pull_one(
        self,
        configured: Registries,
        reference: Reference,
        platform: Platform | None,
        access: Access | None,
        progress: Callable[[Progress], None] | None,
    ) -> Image:
        from pypod.engine.images import pulling, trusting
        from pypod.images.registry.access import Access
        from pypod.images.registry.client import RegistrySource
        from pypod.model.reports.progress import Progress

        # an image pulled by digest is named by it, as in podman: it is not dangling
        names = (f"{reference.name}@{reference.digest}" if reference.digest else str(reference),)
        if progress is not None:
            progress(Progress(state="trying", name=str(reference)))
        with RegistrySource(reference, access or Access(), configured) as source:
            try:
                source.manifest()
            except RegistryError as error:
                error.message = f"initializing source docker://{reference}: {error.message}"
                raise
            identifier = pulling.pull(
                self._engine,
                source,
                str(reference),
                names=names,
                repository=reference.name,
                platform=platform,
                progress=progress,
                candidate=trusting.of_registry(reference, access.signature_policy if access else ""),
            )
        return Image(self._engine, identifier, str(reference))

    def _pull_from(
        self,
        transport: str,
        rest: str,
        platform: Platform | None,
        progress: Callable[[Progress], None] | None,
        policy: str,
    ) -> Image:
        from pypod.engine.images.archives import pull_from

        found = pull_from(self._engine, transport, rest, platform, progress, policy)
        return Image(self._engine, found.id, found.called)

    def load(
        self,
        path: str = "",
        *,
        fd: int = -1,
        progress: Callable[[types.Progress], None] | None = None,
        signature_policy: str = "",
    ) -> Sequence[Image]:
        """Load all images, with their names, from an archive or directory written by ``save``, podman or docker.

        A directory with a single image in the OCI layout is named by its path, as in podman. ``path`` may be a URL
        (``https://``). With ``fd`` the archive is read from a descriptor, which may be a pipe, and ``path`` is only its
        name in errors.

        Raises InvalidImage for an invalid archive, InvalidSpec when it does not exist, and PermissionDenied when
        policy.json, or the policy at the path ``signature_policy``, does not accept it.
        """
        from pypod.engine.core import announce
        from pypod.engine.images.archives import load

        found = load(self._engine, path, fd, progress, signature_policy)
        loaded = [Image(self._engine, one.id, one.called, names) for one, names in found]
        announce.image(self._engine, announce.LOAD, "", path)
        return loaded

    def save(
        self,
        refs: str | Sequence[str],
        path: str,
        *,
        format: str = "docker-archive",
        fd: int = -1,
        tags: Sequence[str] = (),
        compress: bool = False,
        uncompressed: bool = False,
        progress: Callable[[types.Progress], None] | None = None,
    ) -> None:
        """Save an image, or several in one docker archive, to a file or directory that ``load`` reads.

        ``format`` is docker-archive, oci-archive, docker-dir or oci-dir. Layers are written as they are stored, except
        in a docker archive, where they are uncompressed; an OCI image keeps its digest in the OCI formats. Each image
        gets the name by which ``refs`` refers to it, and the ``tags``. ``compress`` compresses uncompressed layers,
        ``uncompressed`` decompresses all. With ``fd`` an archive is written to that descriptor, and ``path`` is only
        its name in errors.

        Raises NoSuchImage, InvalidSpec, SystemFailure; then no archive was created.
        """
        from pypod.engine.core import announce
        from pypod.engine.images.archives import save

        found = [self.get(ref) for ref in ([refs] if isinstance(refs, str) else refs)]
        extra = [full_name(tag) for tag in tags]
        names = [[*extra, *one.tagged_names()] for one in found]
        kinds = {"compress": compress, "uncompressed": uncompressed}
        save(found, path, format, fd=fd, names=names, progress=progress, **kinds)
        for one in found:
            announce.image(self._engine, announce.SAVE, one.id, path)

    def push(
        self,
        ref: str,
        destination: str = "",
        *,
        access: types.Access | None = None,
        format: str = "",
        compression: str = "",
        compression_level: int = 0,
        compress: bool = False,
        sign_by: str = "",
        sigstore_key: str | os.PathLike[str] = "",
        passphrase_file: str | os.PathLike[str] = "",
        progress: Callable[[types.Progress], None] | None = None,
    ) -> str:
        """Push an image to a registry, or to another transport's destination (``dir:PATH``); return its digest there.

        The default destination is the registry in its name. Blobs that exist there are not sent; uncompressed layers
        are compressed on the way to a registry, and with ``compress`` to a directory. ``format`` is oci or v2s2, by
        default that of the image; ``compression`` is gzip or zstd, by default that of its layers, which are
        compressed anew with a ``compression_level`` (of gzip 1 to 9, of zstd 1 to 20).

        With ``sign_by``, a key of the caller's gpg keyring, the destination is a registry and each manifest is signed
        where registries.d says, before it is sent; with ``sigstore_key``, the path of a private key that cosign or
        skopeo made, the signatures are attached to the image in its repository. The first line of ``passphrase_file``
        unlocks the key.

        Raises NoSuchImage, InvalidSpec, Unauthorized, RegistryError.
        """
        from pypod.engine.core import announce
        from pypod.engine.images.pushing import push
        from pypod.model.images.signing import Signing

        image = self.get(ref)
        digest = push(
            image,
            destination,
            access=access,
            format=format,
            compression=compression,
            compression_level=compression_level,
            compress=compress,
            signing=Signing(
                gpg_key=sign_by, sigstore_key=os.fspath(sigstore_key), passphrase_file=os.fspath(passphrase_file)
            ),
            progress=progress,
        )
        announce.image(self._engine, announce.PUSH, image.id, destination or image.used_name)
        return digest

    def import_tree(
        self,
        pieces: Iterable[bytes] | str,
        name: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: types.Platform | None = None,
        progress: Callable[[types.Progress], None] | None = None,
    ) -> Image:
        """Create an image from a tar archive of a root file system, in pieces as ``Container.export`` yields them.

        The archive may be compressed. ``pieces`` may be its URL (``https://``). ``changes`` is a list of Dockerfile
        instructions; ``progress`` is called with the progress, as by ``pull``. Raises InvalidImage, InvalidSpec.
        """
        from pypod.engine.images.making import import_tree

        if isinstance(pieces, str):
            from pypod.images.registry.fetch import fetched

            pieces = fetched(pieces)
        found = import_tree(
            self._engine, pieces, name, message=message, changes=changes, platform=platform, progress=progress
        )
        return Image(self._engine, found.id, found.called)

    def for_container(
        self,
        ref: str,
        policy: str = "missing",
        *,
        platform: str = "",
        access: types.Access | None = None,
        progress: Callable[[types.Progress], None] | None = None,
        choose: types.Choose | None = None,
    ) -> Image:
        """Return the image to create a container from, pulled first if the policy says so (podman-run(1), --pull)."""
        policy = policy.lower() or "missing"  # as podman takes it from a command line
        if policy not in POLICIES:
            from pypod.model.words import quoted

            raise InvalidSpec("--pull", f"unsupported pull policy {quoted(policy)}", hint=f"use {', '.join(POLICIES)}")
        if split_transport(ref)[0] not in ("", "docker"):  # a file is read whatever the policy
            return self.pull(ref, platform=platform, access=access, progress=progress)
        here = None
        if policy != "always":
            try:
                here = self._here(ref, platform)
            except NoSuchImage:
                if policy == "never":
                    raise
        if here is not None and (policy != "newer" or not self._has_newer(here, access)):
            return here
        return self.pull(ref, platform=platform, access=access, progress=progress, choose=choose)

    def _here(self, ref: str, platform: str) -> Image:
        try:
            image = self.find(ref).instance(platform)
        except InvalidImage as error:  # the list has no such member; a registry's list may have one
            if not platform:
                raise
            raise NoSuchImage(ref, reason=error.message, hint=error.hint) from error
        if platform and not _runs_on(image, platform):
            raise NoSuchImage(ref, hint=f"the local image is for {image.config.platform}")
        return image

    def _has_newer(self, image: Image, access: Access | None) -> bool:
        """Return whether a registry has another manifest under this name; False when the registry fails, once."""
        from pypod.images.config import registries
        from pypod.images.registry.access import Access
        from pypod.images.registry.client import RegistrySource

        known = {digest for _, digest in image.named().digests}
        once = (access or Access()).replace(retries=0)
        try:
            with RegistrySource(parse(image.used_name), once, registries.load()) as source:
                return source.digest() not in known
        except RegistryError:
            return False

    def get(self, ref: str) -> Image:
        """Return the image with this name, NAME@DIGEST, id or id prefix.

        A short name is looked up in localhost, in docker.io, and then as the end of any name. Of a manifest list, the
        member for this machine is returned. Raises NoSuchImage, AmbiguousName, and InvalidSpec for an invalid name.
        """
        return self.find(ref).instance()

    def find(self, ref: str) -> Image:
        """Return the image, or the manifest list itself, with this name, NAME@DIGEST, id or id prefix; see ``get``."""
        found = stored.find(self._engine, ref)
        return Image(self._engine, found.id, found.called)

    def exists(self, ref: str) -> bool:
        """Return whether ``find`` would find an image or a manifest list."""
        try:
            self.find(ref)
        except (NoSuchImage, InvalidSpec):
            return False
        return True

    def list(self, *, with_lists: bool = False) -> list[Image]:
        """Return all images, newest first; ``with_lists`` includes manifest lists, which have names like images."""
        found = images.all_images(self._engine.database)
        return [Image(self._engine, one.record.id) for one in found if with_lists or one.record.config]

    def summaries(self) -> Sequence[types.ImageSummary]:
        """Return a summary of every image as ``pypod images`` shows it, newest first, manifest lists included.

        >>> [(one.names, one.size_bytes) for one in engine.images.summaries()]      # doctest: +SKIP
        [(('docker.io/library/busybox:latest',), 4495360)]
        """
        from pypod.api.images.summary import summaries

        return summaries(self._engine)

    def prune(self, *, all: bool = False, only: Callable[[types.ImageSummary], bool] | None = None) -> Sequence[str]:
        """Remove unnamed images from which no container was created and no other image was built.

        With ``all`` also those with names, and those from which others were built. ``only`` selects among them. Returns
        the ids of the removed images.
        """
        from pypod.engine.images.removal import sweep

        removed: Sequence[str] = []
        with Boundary("prune images"):
            while found := self._prune_once(all, only):  # the parents of those removed may be unused now
                removed = [*removed, *found]
            sweep(self._engine)
            self._engine.database.shrink()
        return removed

    def _prune_once(self, all: bool, only: Callable[[ImageSummary], bool] | None) -> Sequence[str]:
        from pypod.engine.core import announce
        from pypod.engine.images.removal import forget
        from pypod.errors import InUse

        removed = []
        for one in self.summaries():
            if (one.names or one.is_intermediate) and not all:
                continue
            if only is not None and not only(one):
                continue
            try:
                forget(self._engine, one.id)
            except (InUse, NoSuchImage):
                continue
            announce.image_removed(self._engine, one.id, one.names)
            removed.append(one.id)
        return removed


def _platform(text: str) -> Platform | None:
    if not text:
        return None
    from pypod.model.images.platform import parse as parse_platform

    return parse_platform(text)


def _runs_on(image: Image, text: str) -> bool:
    """Return whether an image is for a platform, of any variant unless the platform names one."""
    wanted = _platform(text)
    if wanted is None:
        return True
    from pypod.model.images.platform import is_for

    return is_for(image.config.platform, wanted)
