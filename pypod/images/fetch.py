"""A file that is named by an address, as ``load`` and ``import`` take it: no registry, no credentials."""

from __future__ import annotations

from pypod.errors import RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    import urllib3

_PIECE_BYTES = 1 << 20
_TIMEOUT_S = 60.0


def is_address(path: str) -> bool:
    """Return whether a path is an address.

    >>> is_address("https://example.com/x.tar"), is_address("./http:")
    (True, False)
    """
    return path.startswith(("http://", "https://"))


def fetched(url: str) -> Iterator[bytes]:
    """Yield the bytes of what lies at an address; redirects are followed. Raises RegistryError."""
    from urllib3.exceptions import HTTPError

    from pypod.images.transport import in_words

    try:
        answer = _pool(url).request("GET", url, preload_content=False)
        if answer.status != 200:
            raise RegistryError(url, f"the server answers {answer.status} {answer.reason}", status=answer.status)
        yield from answer.stream(_PIECE_BYTES, decode_content=False)
    except HTTPError as error:
        raise RegistryError(url, f"no answer: {in_words(error)}") from error


def _pool(url: str) -> urllib3.PoolManager:
    import os

    import urllib3

    from pypod.images.proxies import proxy_for
    from pypod.images.transport import PORTS, proxy_url

    found = urllib3.util.parse_url(url)
    scheme, host = found.scheme or "", (found.host or "").strip("[]")
    proxy = proxy_for(scheme, host, found.port or PORTS[scheme], os.environ)
    if not proxy:
        return urllib3.PoolManager(timeout=_TIMEOUT_S)
    address = proxy_url(proxy)
    headers = urllib3.make_headers(proxy_basic_auth=address.auth) if address.auth else None
    return urllib3.ProxyManager(address._replace(auth=None).url, proxy_headers=headers, timeout=_TIMEOUT_S)
