"""Images in registries: reading, writing, and what tags and repositories there are (OCI distribution-spec 1.1)."""

from __future__ import annotations

from pypod.errors import InvalidImage, NotInRegistry, RegistryError, Unauthorized
from pypod.images.registry.session import Session, finish, read_once
from pypod.model import plain_json
from pypod.model.image import DOCKER_INDEX, DOCKER_MANIFEST, MANIFEST_BYTES_LIMIT, OCI_INDEX, OCI_MANIFEST, check_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from http.client import HTTPMessage
    from typing import Any, Self

    from pypod.images.config.registries import Endpoint, Registries
    from pypod.images.registry.access import Access
    from pypod.images.registry.url import Url
    from pypod.model.credentials import Credentials
    from pypod.model.image import Descriptor
    from pypod.model.reference import Reference

__all__ = ["RegistryDestination", "RegistrySource", "catalogue", "check_login", "search", "tags"]

_ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
_LIST_BYTES_LIMIT = 32 << 20
_PAGES_LIMIT = 10_000
_SEARCH_HOST = "index.docker.io"


class RegistrySource:
    """An image in a registry or in one of its mirrors (pypod.images.ends.Source).

    The first place that has the image serves all of it. Its manifest is read once: a tag that moves meanwhile changes
    nothing. Nothing is asked before the first call.

    >>> with RegistrySource(parse("quay.io/podman/stable"), Access(), load()) as source:  # doctest: +SKIP
    ...     media_type, body = source.manifest()
    """

    def __init__(self, reference: Reference, access: Access, registries: Registries) -> None:
        from threading import Lock

        self.reference = reference
        self._sessions = [_session(one, reference, access) for one in registries.endpoints(reference)]
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

    def digest(self) -> str:
        """Return the digest of the image's manifest or index, without reading it where the registry can tell."""
        sessions = self._sessions if self._chosen is None else [self._chosen[0]]
        for session in sessions:
            try:
                return _head_digest(session) or _digest_of(self.manifest()[1])
            except (RegistryError, InvalidImage):
                if session is sessions[-1]:
                    raise
        raise AssertionError("unreachable")

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """Yield a blob from ``offset`` on in pieces of at most 1 MiB; a connection that is cut is taken up again.

        Never more than the descriptor's size; raises InvalidImage when the blob has another one.
        """
        from pypod.images.registry.download import pieces

        digest = check_digest(descriptor.digest, "blob")
        session = self._choose()[0]
        return pieces(session, f"{_repository(session)}/blobs/{digest}", _pull(session), descriptor, offset)

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

    ``mount_from`` are images of the same registry whose blobs need not be sent again.
    """

    def __init__(
        self, reference: Reference, access: Access, registries: Registries, *, mount_from: Iterable[Reference] = ()
    ) -> None:
        self.reference = reference
        self._session = _session(registries.destination(reference), reference, access)
        self._paths = [one.path for one in mount_from if one.domain == reference.domain and one.path != reference.path]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.__exit__()

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Return whether the registry has the blob in this repository, or could take it over from another one."""
        from pypod.images.registry import upload

        return upload.has_blob(self._session, descriptor) or any(
            upload.mount(self._session, descriptor, path) for path in self._paths
        )

    def put_blob(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        """Send a blob. What can be iterated again (a list, no generator) is sent again when the connection is cut."""
        from pypod.images.registry import upload

        upload.put_blob(self._session, descriptor, pieces)

    def put_manifest(self, media_type: str, body: bytes, *, digest: str = "") -> None:
        """Send the manifest or index under the name's tag, or one that an index names under its ``digest``."""
        from pypod.images.registry import upload

        version = digest or self.reference.tag or self.reference.version
        upload.put_manifest(self._session, media_type, body, version)


def tags(reference: Reference, access: Access, registries: Registries) -> list[str]:
    """Return the tags of a repository, in the registry's order. Raises RegistryError."""
    with _session(registries.endpoints(reference)[-1], reference, access) as session:
        return list(_names(session, f"{_repository(session)}/tags/list", _pull(session), "tags"))


def catalogue(domain: str, access: Access, registries: Registries) -> Iterator[str]:
    """Yield the repositories of a registry that lists them; few public ones do. Raises RegistryError."""
    endpoint = registries.registry(domain)
    with _session(endpoint, endpoint.reference, access) as session:
        yield from _names(session, "/v2/_catalog", ("registry:catalog:*",), "repositories")


def search(
    domain: str, term: str, access: Access, registries: Registries, *, limit: int = 25
) -> list[dict[str, object]]:
    """Return at most ``limit`` repositories whose name has ``term`` in it, each with ``name`` and what is known of it.

    docker.io is asked its search (``description``, ``star_count``, ``is_official``), other registries their catalogue.
    """
    from itertools import islice

    if domain == "docker.io":
        return _search_docker(term, access, registries, limit)
    found = (name for name in catalogue(domain, access, registries) if term in name)
    return [{"name": f"{domain}/{name}"} for name in islice(found, limit)]


def check_login(domain: str, user: str, password: str, access: Access, registries: Registries) -> None:
    """Ask a registry whether it takes these credentials. Raises Unauthorized when not, RegistryError."""
    endpoint = registries.registry(domain)
    chosen = access.replace(credentials=(user, password))
    with _session(endpoint, endpoint.reference, chosen) as session:
        session.read("GET", "/v2/")


def _session(endpoint: Endpoint, reference: Reference, access: Access) -> Session:
    return Session(endpoint, access, lambda: _credentials(endpoint, reference, access))


def _credentials(endpoint: Endpoint, reference: Reference, access: Access) -> Credentials | None:
    """Return what is stored for the place that is really asked; what the user typed is for the name's own host."""
    from pypod.images.config import credentials

    there = endpoint.reference
    if access.credentials is not None and there.domain == reference.domain:
        from pypod.model.credentials import Credentials

        return Credentials(user=access.credentials[0], password=access.credentials[1])
    return credentials.get(there.name if there.path else there.domain, access.authfile)


def _repository(session: Session) -> str:
    return f"/v2/{session.endpoint.repository}"


def _pull(session: Session) -> tuple[str, ...]:
    return (f"repository:{session.endpoint.repository}:pull",)


def _manifest(session: Session, version: str) -> tuple[str, bytes]:
    """Read a manifest by tag or digest, and compare what can be compared."""
    address, scopes = f"{_repository(session)}/manifests/{version}", _pull(session)
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
        if _digest_of(body, check_digest(digest, what).partition(":")[0]) != digest:
            raise InvalidImage(what, f"its digest is not {digest}")
    return media_type, body


def _head_digest(session: Session) -> str:
    """Return the digest that a registry says the image has, or nothing when it does not say."""
    reference = session.endpoint.reference
    address = f"{_repository(session)}/manifests/{reference.version}"
    # Some registries answer HEAD with 404 or 405 where they answer GET.
    response, _ = session.open(
        "HEAD", address, scopes=_pull(session), headers={"Accept": _ACCEPT}, expected=(200, 404, 405)
    )
    finish(response)
    stated = response.headers.get("Docker-Content-Digest", "") if response.status == 200 else ""
    if not stated:
        return ""
    check_digest(stated, str(reference))
    if reference.digest not in ("", stated):
        raise InvalidImage(str(reference), "the registry has another digest for it")
    return stated


def _digest_of(body: bytes, algorithm: str = "sha256") -> str:
    import hashlib

    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def _names(session: Session, address: str, scopes: tuple[str, ...], key: str) -> Iterator[str]:
    """Yield the strings of a list that comes in pages (distribution-spec: end-8b)."""
    for _ in range(_PAGES_LIMIT):
        headers, body, url = session.read("GET", address, scopes=scopes, limit_bytes=_LIST_BYTES_LIMIT)
        names = _json(body, url).get(key) or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise RegistryError(url.shown, f"the answer has no list of {key}")
        yield from names
        following = _next(headers)
        if not following:
            return
        following_url = session.resolve(url, following)
        if (following_url.scheme, following_url.netloc) != (url.scheme, url.netloc):
            raise RegistryError(url.shown, "the next page is on another host: refused")
        address = str(following_url)
    raise RegistryError(url.shown, f"more than {_PAGES_LIMIT} pages")


def _next(headers: HTTPMessage) -> str:
    import re

    found = re.search(r'<([^>]*)>\s*;\s*rel="?next"?', headers.get("Link", "")[:4096])
    return found[1] if found else ""


def _json(body: bytes, url: Url) -> dict[str, Any]:
    try:
        found = plain_json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RegistryError(url.shown, "the answer is not JSON") from error
    if not isinstance(found, dict):
        raise RegistryError(url.shown, "the answer is not a JSON object")
    return found


def _search_docker(term: str, access: Access, registries: Registries, limit: int) -> list[dict[str, object]]:
    from urllib.parse import urlencode

    from pypod.images.registry.transport import Transport
    from pypod.images.registry.url import parse_url

    host = registries.registry("docker.io")
    verify = not host.insecure if access.tls_verify is None else access.tls_verify
    transport = Transport(access, _SEARCH_HOST, verify=verify)
    url = parse_url(f"https://{_SEARCH_HOST}/v1/search?{urlencode({'q': term, 'n': min(limit, 100)})}")
    try:
        response = transport.send("GET", url, {"Accept-Encoding": "identity", "User-Agent": access.user_agent})
        body = read_once(response, _LIST_BYTES_LIMIT, url)
    finally:
        transport.close()
    if response.status != 200:
        raise RegistryError(url.shown, f"status {response.status}", status=response.status)
    results = _json(body, url).get("results") or []
    if not isinstance(results, list):
        raise RegistryError(url.shown, "the answer has no list of results")
    found = [one for one in results if isinstance(one, dict) and isinstance(one.get("name"), str)]
    return [{**one, "name": f"docker.io/{one['name']}"} for one in found[:limit]]
