"""HTTP to one registry and to its redirect targets: connections, proxies, time limits, retries. No redirects here.

Redirects and errors involve credentials (pypod.images.registry.session).
"""

from __future__ import annotations

import os

from pypod.errors import PypodError, RegistryError, Unsupported
from pypod.images.registry.url import PORTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping
    from typing import NoReturn

    from pypod.images.registry.access import Access
    from pypod.images.registry.routes import Response, Route
    from pypod.images.registry.url import Url

__all__ = ["REDIRECTS", "REDIRECTS_LIMIT", "Transport"]

REDIRECTS = frozenset((301, 302, 303, 307, 308))
REDIRECTS_LIMIT = 10  # as Go's client
_REPEATED_STATUS = frozenset((429, 500, 502, 503, 504))
_RETRY_AFTER_LIMIT_S = 60.0
_DELAY_LIMIT_S = 30.0
PING = "/v2/"  # the first request to a registry


class Transport:
    """Connections for one registry. ``own`` is its host: the client certificate is shown only there.

    ``name`` is the registry's name in certificate directories (docker.io, not the host behind it). Usable from
    several threads.
    """

    def __init__(self, access: Access, own: str, *, verify: bool, name: str = "") -> None:
        from pypod.images.registry.pace import Limits
        from pypod.images.registry.routes import Routes

        self._access = access
        self._own = own
        self._name = name or own
        self._verify = verify
        limits = Limits(
            connect_s=access.connect_timeout_s,
            answer_s=access.read_timeout_s,
            slow_after_s=access.slow_after_s,
            lowest_rate=access.lowest_rate,
        )
        self._routes = Routes(limits, self._context)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._routes.close()

    def send(
        self,
        method: str,
        url: Url,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
        *,
        retries: int | None = None,
    ) -> Response:
        """Send one request and return the unread response, whatever its status.

        Repeated after connection errors, 429 and 5xx, with increasing delays; a body that is not bytes is sent once. A
        request that was too slow is repeated once. Raises RegistryError when there is no answer.
        """
        from http.client import HTTPException

        from pypod.images.registry.pace import left_after

        left = self._access.retries if retries is None else retries
        if body is not None and not isinstance(body, bytes):
            left = 0
        delay_s = self._access.retry_delay_s
        route = _route(url)
        while True:
            try:
                response = self._routes.request(route, method, url, headers, body)
            except PypodError:
                raise
            except (HTTPException, OSError, ValueError) as error:
                left = left_after(error, left)
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
        """Wait, by means of the user's ``Access``."""
        self._access.sleep(seconds)

    def _context(self, route: Route) -> ssl.SSLContext:
        from pypod.images.registry.tls import certificate_directories, context

        own = self._own in (f"{route.host}:{route.port}", route.host if route.port == PORTS[route.scheme] else "")
        directories = certificate_directories(self._name, self._access.cert_dir)
        return context(directories, verify=self._verify, with_client_key=own)


def _route(url: Url) -> Route:
    from pypod.images.registry.proxies import proxy_for
    from pypod.images.registry.routes import Route

    scheme, host, port = url.origin
    proxy = proxy_for(scheme, host.strip("[]"), port, os.environ)
    if not proxy:
        return Route(scheme=scheme, host=host, port=port)
    address, user = _proxy(proxy)
    return Route(scheme=scheme, host=host, port=port, proxy=address, proxy_authorization=_basic(user))


def _proxy(text: str) -> tuple[Url, str]:
    from pypod.images.registry.url import parse_proxy

    found = parse_proxy(text)
    if found is None:
        bare = text.rpartition("@")[2]
        raise Unsupported("proxy", f"proxy {bare[:200]!a}: only http and https proxies are supported")
    return found


def _basic(user: str) -> str:
    from base64 import b64encode

    return f"Basic {b64encode(user.encode()).decode()}" if user else ""


def _retry_after_s(header: str | None, otherwise_s: float) -> float:
    """Return the delay that a server asks for (RFC 9110, section 10.2.3), within limits."""
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
    """Return whether an error is transient: not one of a certificate or a name."""
    import socket
    import ssl

    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_NONAME
    return not isinstance(error, ssl.SSLError | ValueError)


def in_words(error: Exception) -> str:
    """Return an error's message, without the number that ``str`` puts before it."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _fail(url: Url, error: Exception) -> NoReturn:
    text, hint = in_words(error), getattr(error, "hint", "")
    if "WRONG_VERSION_NUMBER" in text:  # OpenSSL's error for an answer that is not TLS
        text, hint = "the server speaks http, not https", "--tls-verify=false allows that"
    elif "CERTIFICATE_VERIFY_FAILED" in text:
        hint = "provide its authority with --cert-dir, or allow it with --tls-verify=false"
    else:
        text = _dialled(url, error) or text
    found = RegistryError(url.shown, f"no answer: {text[:300]}", hint=hint)
    pinging = f"pinging container registry {url.netloc}: " if url.path == PING else ""
    found.message = f'{pinging}Get "{url.shown}": {text[:300]}'  # as podman
    raise found from error


def _dialled(url: Url, error: Exception) -> str:
    """Return Go's words for a connection that cannot be made; empty for other errors."""
    import socket

    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {url.host}: no such host" if error.errno == socket.EAI_NONAME else ""
    refused = isinstance(error, ConnectionRefusedError)
    return f"dial tcp {url.host}:{url.origin[2]}: connect: connection refused" if refused else ""
