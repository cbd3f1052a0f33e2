"""Registry queries: tags, repositories, search results, and checking a login."""

from __future__ import annotations

from pypod.errors import RegistryError
from pypod.images.registry.client import open_session, pull_scopes, repository
from pypod.images.registry.session import read_once
from pypod.images.registry.transport import PING
from pypod.model import plain_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPMessage
    from typing import Any

    from pypod.images.config.registries import Registries
    from pypod.images.registry.access import Access
    from pypod.images.registry.session import Session
    from pypod.images.registry.url import Url
    from pypod.model.images.reference import Reference

_LIST_BYTES_LIMIT = 32 << 20
_PAGES_LIMIT = 10_000
_SEARCH_HOST = "index.docker.io"


def tags(reference: Reference, access: Access, registries: Registries) -> list[str]:
    """Return the tags of a repository, in the registry's order. Raises RegistryError."""
    with open_session(registries.endpoints(reference)[-1], reference, access) as session:
        return list(_names(session, f"{repository(session)}/tags/list", pull_scopes(session), "tags"))


def catalogue(domain: str, access: Access, registries: Registries) -> Iterator[str]:
    """Yield the repositories of a registry that lists them; few public ones do. Raises RegistryError."""
    endpoint = registries.registry(domain)
    with open_session(endpoint, endpoint.reference, access) as session:
        yield from _names(session, "/v2/_catalog", ("registry:catalog:*",), "repositories")


def search(
    domain: str, term: str, access: Access, registries: Registries, *, limit: int = 25
) -> list[dict[str, object]]:
    """Return at most ``limit`` repositories with ``term`` in their name, each with ``name`` and other known fields.

    docker.io is queried by its search (``description``, ``star_count``, ``is_official``), others by their catalogue.
    """
    from itertools import islice

    if domain == "docker.io":
        return _search_docker(term, access, registries, limit)
    found = (name for name in catalogue(domain, access, registries) if term in name)
    return [{"name": f"{domain}/{name}"} for name in islice(found, limit)]


def check_login(domain: str, user: str, password: str, access: Access, registries: Registries) -> None:
    """Check credentials with a registry. Raises Unauthorized when it refuses them, RegistryError."""
    endpoint = registries.registry(domain)
    chosen = access.replace(credentials=(user, password))
    with open_session(endpoint, endpoint.reference, chosen) as session:
        session.read("GET", PING)


def _names(session: Session, address: str, scopes: tuple[str, ...], key: str) -> Iterator[str]:
    """Yield the strings of a paginated list (distribution-spec: end-8b)."""
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
