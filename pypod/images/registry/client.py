"""Images in registries: reading and writing (OCI distribution-spec 1.1)."""

from __future__ import annotations

from pypod.errors import InvalidImage, NotInRegistry, RegistryError, Unauthorized
from pypod.images.registry.session import Session, finish
from pypod.model.images.image import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    MANIFEST_BYTES_LIMIT,
    OCI_INDEX,
    OCI_MANIFEST,
    check_digest,
    digest_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from pypod.images.config.registries import Endpoint, Registries
    from pypod.images.registry.access import Access
    from pypod.model.credentials import Credentials
    from pypod.model.images.image import Descriptor
    from pypod.model.images.reference import Reference

_ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"


class RegistrySource:
    """An image in a registry or in one of its mirrors (pypod.images.ends.Source).

    The first place that has the image serves all of it. Its manifest is read once: a tag that moves meanwhile has no
    effect. No request is sent before the first call.

    >>> with RegistrySource(parse("quay.io/podman/stable"), Access(), load()) as source:  # doctest: +SKIP
    ...     media_type, body = source.manifest()
    """

    def __init__(self, reference: Reference, access: Access, registries: Registries) -> None:
        from threading import Lock

        self.reference = reference
        self._sessions = [open_session(one, reference, access) for one in registries.endpoints(reference)]
        self._lock = Lock()
        self._chosen: tuple[Session, str, bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.__exit__()

    def manifest(self, digest: str = "") -> tuple[str, bytes]:
        """Return media type and body of the image's manifest or index, or of the one with ``digest`` in an index.

        Raises NotInRegistry and other RegistryErrors, and InvalidImage when the bytes are not what was asked for.
        """
        session, media_type, body = self._choose()
        if not digest:
            return media_type, body
        return _manifest(session, check_digest(digest, "manifest"))

    def tagged(self, tag: str) -> tuple[str, bytes]:
        """Return media type and body of another manifest of the repository. Raises NotInRegistry."""
        return _manifest(self._choose()[0], tag)

    def digest(self) -> str:
        """Return the digest of the image's manifest or index, without reading it if the registry states it."""
        sessions = self._sessions if self._chosen is None else [self._chosen[0]]
        for session in sessions:
            try:
                return _head_digest(session) or digest_of(self.manifest()[1])
            except (RegistryError, InvalidImage):
                if session is sessions[-1]:
                    raise
        raise AssertionError("unreachable")

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """Yield a blob from ``offset`` on in pieces of at most 1 MiB; an interrupted transfer is resumed.

        Yields at most the descriptor's size; raises InvalidImage when the blob has another one.
        """
        from pypod.images.registry.download import pieces

        digest = check_digest(descriptor.digest, "blob")
        session = self._choose()[0]
        return pieces(session, f"{repository(session)}/blobs/{digest}", pull_scopes(session), descriptor, offset)

    def _choose(self) -> tuple[Session, str, bytes]:
        with self._lock:
            if self._chosen is None:
                self._chosen = self._first_that_has_it()
            return self._chosen

    def _first_that_has_it(self) -> tuple[Session, str, bytes]:
        failures: list[str] = []
        for session in self._sessions:
            try:
                media_type, body = _manifest(session, session.endpoint.reference.version)
            except (RegistryError, InvalidImage) as error:
                if session is self._sessions[-1]:
                    if failures:
                        error.add_note(f"mirrors also failed: {'; '.join(failures)}")
                    raise
                failures.append(str(error))
            else:
                return session, media_type, body
        raise AssertionError("unreachable")


class RegistryDestination:
    """A name in a registry that an image is written to (pypod.images.ends.Destination); mirrors are not written to.

    ``mount_from`` are images in the same registry whose blobs need not be uploaded.
    """

    def __init__(
        self, reference: Reference, access: Access, registries: Registries, *, mount_from: Iterable[Reference] = ()
    ) -> None:
        self.reference = reference
        self._session = open_session(registries.destination(reference), reference, access)
        self._paths = [one.path for one in mount_from if one.domain == reference.domain and one.path != reference.path]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.__exit__()

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Return whether the registry has the blob in this repository, or could mount it from another one."""
        from pypod.images.registry import upload

        return upload.has_blob(self._session, descriptor) or any(
            upload.mount(self._session, descriptor, path) for path in self._paths
        )

    def put_blob(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        """Send a blob. A list of pieces, unlike a generator, is resent after a lost connection."""
        from pypod.images.registry import upload

        upload.put_blob(self._session, descriptor, pieces)

    def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:
        """Send the manifest or index under the name's tag, or one that an index refers to under its ``digest``."""
        from pypod.images.registry import upload

        version = digest or self.reference.tag or self.reference.version
        upload.put_manifest(self._session, media_type, body, version)

    def tagged(self, tag: str) -> tuple[str, bytes]:
        """Return media type and body of another manifest of the repository. Raises NotInRegistry."""
        return _manifest(self._session, tag)

    def put_tagged(self, tag: str, media_type: str, body: bytes) -> None:
        """Send another manifest of the repository."""
        from pypod.images.registry import upload

        upload.put_manifest(self._session, media_type, body, tag)


def open_session(endpoint: Endpoint, reference: Reference, access: Access) -> Session:
    """Return a session with the stored credentials, or those that the user gave for the named registry."""
    return Session(endpoint, access, lambda: _credentials(endpoint, reference, access))


def _credentials(endpoint: Endpoint, reference: Reference, access: Access) -> Credentials | None:
    """Return the stored credentials for the actual endpoint; those from the user are only for the name's own host."""
    from pypod.images.config import credentials

    there = endpoint.reference
    if access.credentials is not None and there.domain == reference.domain:
        from pypod.model.credentials import Credentials

        return Credentials(user=access.credentials[0], password=access.credentials[1])
    return credentials.get(there.name if there.path else there.domain, access.authfile)


def repository(session: Session) -> str:
    """Return the path of the repository in the registry's API."""
    return f"/v2/{session.endpoint.repository}"


def pull_scopes(session: Session) -> tuple[str, ...]:
    """Return the scopes of a token for reading the repository."""
    return (f"repository:{session.endpoint.repository}:pull",)


def _manifest(session: Session, version: str) -> tuple[str, bytes]:
    """Read a manifest by tag or digest, and verify what can be verified."""
    address, scopes = f"{repository(session)}/manifests/{version}", pull_scopes(session)
    try:
        headers, body, _ = session.read(
            "GET", address, scopes=scopes, headers={"Accept": _ACCEPT}, limit_bytes=MANIFEST_BYTES_LIMIT
        )
    except (NotInRegistry, Unauthorized) as error:
        error.message = f"reading manifest {version} in {session.endpoint.reference.name}: {error.reason}"
        raise
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    what = f"manifest {version}"
    if media_type.startswith(_SCHEMA_1):
        raise InvalidImage(what, "schema version 1 is not supported, only 2 is")
    stated = headers.get("Docker-Content-Digest", "")
    for digest in {version} if ":" in version else {stated} - {""}:
        if digest_of(body, check_digest(digest, what).partition(":")[0]) != digest:
            raise InvalidImage(what, f"its digest is not {digest}")
    return media_type, body


def _head_digest(session: Session) -> str:
    """Return the digest that a registry states for the image, or an empty string."""
    reference = session.endpoint.reference
    address = f"{repository(session)}/manifests/{reference.version}"
    # Some registries answer HEAD with 404 or 405 although they answer GET.
    response, _ = session.open(
        "HEAD", address, scopes=pull_scopes(session), headers={"Accept": _ACCEPT}, expected=(200, 404, 405)
    )
    finish(response)
    stated = response.headers.get("Docker-Content-Digest", "") if response.status == 200 else ""
    if not stated:
        return ""
    check_digest(stated, str(reference))
    if reference.digest not in ("", stated):
        raise InvalidImage(str(reference), "the registry has another digest for it")
    return stated
