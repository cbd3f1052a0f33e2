"""Requests to one registry: its address, its credentials, its redirects and its errors.

The rule that everything else serves: credentials are sent only to the host that they are for. A redirect to another
scheme, host or port drops them, and a 401 from anything but the registry itself is an error, not a challenge
(CVE-2020-15157, GHSA-742w-89gc-8m9c).
"""

from __future__ import annotations

from pypod.errors import NotInRegistry, RegistryError, Unauthorized
from pypod.images.registry.transport import PING, REDIRECTS, REDIRECTS_LIMIT, Transport
from pypod.images.registry.url import parse_url
from pypod.model import plain_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from http.client import HTTPMessage
    from typing import NoReturn, Self

    from pypod.images.config.registries import Endpoint
    from pypod.images.registry.access import Access
    from pypod.images.registry.authorization import Authorization
    from pypod.images.registry.routes import Response
    from pypod.images.registry.url import Url
    from pypod.model.credentials import Credentials

__all__ = ["Session"]

_ERROR_BYTES_LIMIT = 64 << 10
_ANSWER_BYTES_LIMIT = 1 << 20
_DRAIN_BYTES_LIMIT = 64 << 10


class Session:
    """A session with the registry of ``endpoint``; usable from several threads. The first request finds its scheme.

    ``look_up`` finds the credentials, if the registry wants any.
    """

    def __init__(self, endpoint: Endpoint, access: Access, look_up: Callable[[], Credentials | None]) -> None:
        from threading import Lock

        self.endpoint = endpoint
        self.access = access
        self.insecure = endpoint.insecure if access.tls_verify is None else not access.tls_verify
        self._look_up = look_up
        name = endpoint.reference.domain
        self._transport = Transport(access, endpoint.host.lower(), verify=not self.insecure, name=name)
        self._headers = {"User-Agent": access.user_agent, "Accept-Encoding": "identity"}
        self._lock = Lock()
        self._found: tuple[Url, Authorization] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def open(
        self,
        method: str,
        address: str,
        *,
        scopes: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        expected: tuple[int, ...] = (200,),
    ) -> tuple[Response, Url]:
        """Send a request; return the unread response, and its URL. Raises RegistryError and its subclasses.

        ``address`` is a path on the registry or a URL that the registry gave.
        """
        base, authorization = self._registry()
        url = self.resolve(base, address)
        once = body is not None and not isinstance(body, bytes)
        header = authorization.header(scopes) if url.origin == base.origin else ""
        response, last = self._follow(method, url, headers or {}, body, header)
        if response.status == 401 and last == url and url.origin == base.origin and not once:
            # Only the registry's own first answer is a challenge; one behind a redirect is ignored.
            authorization.learn(response.headers.get_all("WWW-Authenticate", ()))
            authorization.forget(scopes, header)
            fresh = authorization.header(scopes)
            if fresh != header:
                finish(response)
                response, last = self._follow(method, url, headers or {}, body, fresh)
        if response.status not in expected:
            self.fail(response, last)
        return response, last

    def read(
        self,
        method: str,
        address: str,
        *,
        scopes: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        limit_bytes: int = _ANSWER_BYTES_LIMIT,
    ) -> tuple[HTTPMessage, bytes, Url]:
        """Return headers and whole body of an answer, and its URL; repeat the request when the answer is truncated."""
        from http.client import HTTPException

        from pypod.images.registry.pace import left_after

        left = self.access.retries
        while True:
            response, url = self.open(method, address, scopes=scopes, headers=headers)
            try:
                return response.headers, read_body(response, limit_bytes, url), url
            except (HTTPException, OSError) as error:
                left = left_after(error, left)
                if not left:
                    raise _cut_off(url, error) from error
                left -= 1
                self._transport.sleep(self.access.retry_delay_s)

    def resolve(self, base: Url, location: str) -> Url:
        """Return the target of a Location or Link. Raises RegistryError for a downgrade from https to http."""
        url = base.at(location)
        if base.scheme == "https" and url.scheme == "http" and not self.insecure:
            raise RegistryError(base.shown, f"it leads from https to {url.shown}: refused")
        return url

    def sleep(self, seconds: float) -> None:
        """Wait, by means of the user's ``Access``."""
        self._transport.sleep(seconds)

    def fail(self, response: Response, url: Url) -> NoReturn:
        """Raise the error for a response with an unexpected status."""
        reason = _reason(response)
        status = response.status
        if status in (401, 403):
            if status == 401 and reason.startswith("status "):  # the answer to HEAD has no message
                reason = "unauthorized: authentication required"
            known = self._found is not None and self._found[1].known
            hint = "" if known and status == 401 else f"log in with: pypod login {self.endpoint.reference.domain}"
            wrong = "invalid username/password: " if known and status == 401 else ""
            raise Unauthorized(url.shown, f"{wrong}{reason}", status=status, hint=hint)
        if status == 404:
            raise NotInRegistry(url.shown, reason, status=status)
        if status in REDIRECTS:
            raise RegistryError(url.shown, f"unexpected redirect ({status})", status=status)
        raise RegistryError(url.shown, reason, status=status)

    def _registry(self) -> tuple[Url, Authorization]:
        with self._lock:
            if self._found is None:
                self._found = self._ping()
            return self._found

    def _ping(self) -> tuple[Url, Authorization]:
        """Find out whether the registry speaks TLS, and its challenges (distribution-spec: end-1)."""
        from pypod.images.registry.authorization import Authorization

        response, base = self._first_answer()
        authorization = Authorization(self._fetch, self._look_up, secure=base.scheme == "https")
        if response.status == 401:
            authorization.learn(response.headers.get_all("WWW-Authenticate", ()))
            finish(response)
        elif response.status == 200:
            finish(response)
        else:
            self.fail(response, base)
        return base, authorization

    def _first_answer(self) -> tuple[Response, Url]:
        host = self.endpoint.host
        secure = parse_url(f"https://{host}{PING}")
        if not self.insecure:
            return self._transport.send("GET", secure, self._headers), secure
        try:
            return self._transport.send("GET", secure, self._headers, retries=0), secure
        except RegistryError as unencrypted:
            plain = parse_url(f"http://{host}{PING}")
            try:
                return self._transport.send("GET", plain, self._headers), plain
            except RegistryError as error:
                raise error from unencrypted

    def _follow(
        self, method: str, url: Url, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None, header: str
    ) -> tuple[Response, Url]:
        home = url.origin
        for _ in range(REDIRECTS_LIMIT + 1):
            if url.origin != home:
                header = ""  # for good, even if a later redirect leads back
            sent = {**self._headers, **headers, **({"Authorization": header} if header else {})}
            response = self._transport.send(method, url, sent, body)
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or method not in ("GET", "HEAD") or not location:
                return response, url
            finish(response)
            url = self.resolve(url, location)
        raise RegistryError(url.shown, f"more than {REDIRECTS_LIMIT} redirects")

    def _fetch(self, method: str, url: Url, headers: Mapping[str, str], body: bytes | None) -> bytes:
        """Send a request to a token server."""
        own = {name: value for name, value in headers.items() if name != "Authorization"}
        response, last = self._follow(method, url, own, body, headers.get("Authorization", ""))
        if response.status != 200:
            self.fail(response, last)
        return read_once(response, _ANSWER_BYTES_LIMIT, last)


def read_once(response: Response, limit_bytes: int, url: Url) -> bytes:
    """Read a body of at most ``limit_bytes``; raise RegistryError when it is longer or truncated."""
    from http.client import HTTPException

    try:
        return read_body(response, limit_bytes, url)
    except (HTTPException, OSError) as error:
        raise _cut_off(url, error) from error


def _cut_off(url: Url, error: Exception) -> RegistryError:
    return RegistryError(url.shown, f"the answer was cut off: {error}", hint=getattr(error, "hint", ""))


def read_body(response: Response, limit_bytes: int, url: Url) -> bytes:
    """Return a body; raise RegistryError when it exceeds ``limit_bytes``, OSError or HTTPException when truncated."""
    pieces, size = [], 0
    try:
        while size <= limit_bytes and (piece := response.read(min(limit_bytes + 1 - size, 1 << 20))):
            pieces.append(piece)
            size += len(piece)
    except BaseException:
        response.close()
        raise
    if size > limit_bytes:
        response.close()
        raise RegistryError(url.shown, f"the answer is larger than {limit_bytes} bytes")
    response.release()
    return b"".join(pieces)


def finish(response: Response) -> None:
    """Read the short rest of a body so that the connection can be reused; close the connection if it is long.

    Needed after HEAD, too: http.client considers the connection busy until then (ResponseNotReady).
    """
    from http.client import HTTPException

    left = _DRAIN_BYTES_LIMIT
    try:
        while left > 0:
            piece = response.read(left)
            if not piece:
                response.release()
                return
            left -= len(piece)
    except (HTTPException, OSError):
        pass
    response.close()


def _reason(response: Response) -> str:
    """Return a registry's error message (distribution-spec: error codes), cut and free of control characters."""
    from http.client import HTTPException

    try:
        body = response.read(_ERROR_BYTES_LIMIT)
    except (HTTPException, OSError):
        body = b""
    response.close()
    try:
        found = plain_json.loads(body)
        errors = found["errors"]
        parts = [_error(one) for one in errors[:3] if isinstance(one, dict)]
    except (ValueError, RecursionError, KeyError, TypeError):
        parts = []
    status = f"status {response.status} {response.reason or ''}".rstrip()
    return _safe("; ".join(part for part in parts if part), 500) or _safe(status, 100)


def _error(one: Mapping[str, object]) -> str:
    code = str(one.get("code") or "").lower().replace("_", " ")
    return ": ".join(part for part in (code, str(one.get("message") or "")) if part)


def _safe(text: str, length: int) -> str:
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:length])
    return shown if len(text) <= length else f"{shown}..."
