"""HTTP to one registry and to wherever it redirects: connections, proxies, time limits, repetitions. No redirects here.

urllib3 keeps the connections; it is told to do nothing by itself, because what follows a redirect or an error is a
question of credentials (pypod.images.session).
"""

from __future__ import annotations

import os

from pypod.errors import RegistryError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import NoReturn

    import urllib3
    from urllib3.util import Url

    from pypod.images.access import Access

__all__ = ["Transport", "origin", "parse_url", "shown"]

_CONNECTIONS = 16  # threads that may read at once without opening a connection each time
_REPEATED_STATUS = frozenset((429, 500, 502, 503, 504))
_RETRY_AFTER_LIMIT_S = 60.0
_DELAY_LIMIT_S = 30.0
PORTS = {"http": 80, "https": 443}


def parse_url(text: str) -> Url:
    """Read an absolute http or https URL; raise RegistryError for any other, and for one with a password in it.

    The same parser decides where a connection goes, so no two readings of a URL can differ.
    """
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url as parse

    try:
        found = parse(text)
    except (LocationParseError, ValueError) as error:
        raise RegistryError(ascii(text[:200]), "invalid URL") from error
    if found.scheme not in PORTS or not found.host or found.auth:
        raise RegistryError(ascii(text[:200]), "invalid URL")
    return found


def origin(url: Url) -> tuple[str, str, int]:
    """Return what credentials are bound to: scheme, host and port."""
    scheme = url.scheme or ""
    return scheme, (url.host or "").lower().rstrip("."), url.port or PORTS[scheme]


def shown(url: Url) -> str:
    """Return a URL for messages: without its query, which is a secret where a store signs its addresses."""
    return f"{url.scheme}://{url.netloc}{url.path or ''}"


class Transport:
    """Connections for one registry. ``own`` is its host: only there a client certificate is shown.

    ``name`` is what directories of certificates call it (docker.io, not the host that answers for it). Usable from
    several threads.
    """

    def __init__(self, access: Access, own: str, *, verify: bool, name: str = "") -> None:
        self._access = access
        self._own = own
        self._name = name or own
        self._verify = verify
        self._pools: dict[tuple[str, bool, bool], urllib3.PoolManager] = {}

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._pools:
            pools = self._pools.popitem()[1].pools
            for key in pools.keys():  # noqa: SIM118  (urllib3's mapping cannot be iterated)
                # clear() leaves that to the garbage collector, which may come late (urllib3 2: PoolManager.clear)
                pools[key].close()
            pools.clear()

    def send(
        self,
        method: str,
        url: Url,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
        *,
        retries: int | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send one request and return the response, unread, whatever its status.

        Repeated after connection errors, 429 and 5xx, each time after a longer while; a body that is not bytes is sent
        once. Raises RegistryError when there is no answer.
        """
        from urllib3.exceptions import HTTPError

        left = self._access.retries if retries is None else retries
        if body is not None and not isinstance(body, bytes):
            left = 0
        delay_s = self._access.retry_delay_s
        pool = self._pool(url)
        while True:
            try:
                response = pool.urlopen(
                    method,
                    url.url,
                    body=body,
                    headers=dict(headers),
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
            except (HTTPError, OSError, ValueError) as error:
                if not left or not _is_passing(error):
                    _fail(url, error)
                wait_s = delay_s
            else:
                if response.status not in _REPEATED_STATUS or not left:
                    return response
                wait_s = _retry_after_s(response.headers.get("Retry-After"), delay_s)
                response.close()
            left -= 1
            self.sleep(wait_s)
            delay_s = min(2 * delay_s, _DELAY_LIMIT_S)

    def sleep(self, seconds: float) -> None:
        """Wait, as the user's ``Access`` says."""
        self._access.sleep(seconds)

    def _pool(self, url: Url) -> urllib3.PoolManager:
        from pypod.images.proxies import proxy_for

        scheme, host, port = origin(url)
        proxy = proxy_for(scheme, host.strip("[]"), port, os.environ)
        with_client_key = f"{host}:{port}" == self._own or (host == self._own and port == PORTS[scheme])
        key = (proxy, scheme == "https", with_client_key)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools.setdefault(key, self._make_pool(*key))
        return pool

    def _make_pool(self, proxy: str, secure: bool, with_client_key: bool) -> urllib3.PoolManager:
        import urllib3

        access = self._access
        limits = urllib3.Timeout(connect=access.connect_timeout_s, read=access.read_timeout_s)
        context = self._context(with_client_key) if secure else None
        if not proxy:
            pool = urllib3.PoolManager(4, maxsize=_CONNECTIONS, timeout=limits, ssl_context=context)
        else:
            address = proxy_url(proxy)
            headers = urllib3.make_headers(proxy_basic_auth=address.auth) if address.auth else None
            pool = urllib3.ProxyManager(
                address._replace(auth=None).url,
                4,
                proxy_headers=headers,
                maxsize=_CONNECTIONS,
                timeout=limits,
                ssl_context=context,
            )
        if secure and not self._verify:
            pool.pool_classes_by_scheme = {**pool.pool_classes_by_scheme, "https": _silent_pool()}
        return pool

    def _context(self, with_client_key: bool) -> ssl.SSLContext:
        from pypod.images.tls import certificate_directories, context

        directories = certificate_directories(self._name, self._access.cert_dir)
        return context(directories, verify=self._verify, with_client_key=with_client_key)


def _silent_pool() -> type[urllib3.HTTPSConnectionPool]:
    """Return a pool whose connections call themselves verified.

    The user asked for unverified TLS; urllib3 would write a warning to stderr for each request.
    """
    from urllib3.connection import HTTPSConnection
    from urllib3.connectionpool import HTTPSConnectionPool

    class Connection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            self.is_verified = True

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


def proxy_url(text: str) -> Url:
    from urllib3.util import parse_url as parse

    try:
        found = parse(text)
    except ValueError:
        found = None
    if found is None or found.scheme not in PORTS or not found.host:
        bare = text.rpartition("@")[2]
        raise Unsupported("proxy", f"proxy {bare[:200]!a}: only http and https proxies are supported")
    return found


def _retry_after_s(header: str | None, otherwise_s: float) -> float:
    """Return how long a server wants us to wait (RFC 9110, section 10.2.3), within reason."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), _RETRY_AFTER_LIMIT_S)
    if not text:
        return otherwise_s
    from email.utils import mktime_tz, parsedate_tz
    from time import time

    try:
        moment = parsedate_tz(text)
        wait_s = mktime_tz(moment) - time() if moment else otherwise_s
    except (ValueError, OverflowError):
        return otherwise_s
    return min(max(wait_s, otherwise_s), _RETRY_AFTER_LIMIT_S)


def _is_passing(error: Exception) -> bool:
    """Return whether another attempt may succeed: not with a certificate or a name that is wrong."""
    import socket

    from urllib3.exceptions import LocationValueError, NameResolutionError, ProxyError, SSLError

    if isinstance(error, ProxyError):
        error = error.original_error
    if isinstance(error, SSLError | LocationValueError | ValueError):
        return False
    if isinstance(error, NameResolutionError):
        reason = error.__cause__
        return not isinstance(reason, socket.gaierror) or reason.errno != socket.EAI_NONAME
    return True


def in_words(error: Exception) -> str:
    """Return what urllib3 says without the objects it names."""
    text = str(getattr(error, "reason", None) or error)
    # urllib3 writes the connection object first: "<urllib3...HTTPConnection object at 0x7f...>: Failed to ..."
    for lead in ("HTTPConnection(", "HTTPSConnection(", "HTTPSConnectionPool(", "HTTPConnectionPool(", "<urllib3."):
        if text.startswith(lead):
            return text.partition(": ")[2] or text
    return text


def _fail(url: Url, error: Exception) -> NoReturn:
    text, hint = in_words(error), ""
    if "WRONG_VERSION_NUMBER" in text:  # OpenSSL's words for an answer that is not TLS
        text, hint = "the server speaks http, not https", "--tls-verify=false allows that"
    elif "CERTIFICATE_VERIFY_FAILED" in text:
        hint = "give its authority with --cert-dir, or allow it with --tls-verify=false"
    raise RegistryError(shown(url), f"no answer: {text[:300]}", hint=hint) from error


if TYPE_CHECKING:
    import ssl
