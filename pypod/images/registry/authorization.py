"""The Authorization header for one registry: basic, or a token from the server that the registry's 401 points to.

The token protocol is distribution's (docs/spec/auth: token.md, oauth.md), used when containers/image uses it.
The address of a token server comes from the registry: it gets the credentials that the user stored for that registry,
over a connection no less protected than the registry's own, and no others.
"""

from __future__ import annotations

from pypod.errors import RegistryError, Unauthorized
from pypod.model import plain_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pypod.images.registry.challenge import Challenge
    from pypod.images.registry.url import Url
    from pypod.model.credentials import Credentials

    # (method, address, headers, body) -> body; follows redirects without credentials
    Fetch = Callable[[str, Url, Mapping[str, str], bytes | None], bytes]

_LIFETIME_S, _MARGIN_S = 60, 5  # of a token without a stated lifetime; token.md
_TOKEN_LENGTH_LIMIT = 64 << 10


class Authorization:
    """The authorization for one registry, learned from its challenges. Usable from several threads.

    ``look_up`` finds the credentials; it is called once, and only if the registry wants some. ``known`` is whether
    there were any.
    """

    def __init__(self, fetch: Fetch, look_up: Callable[[], Credentials | None], *, secure: bool) -> None:
        from threading import Lock

        self._fetch = fetch
        self._look_up = look_up
        self._credentials: Credentials | None = None
        self._looked_up = False
        self._secure = secure
        self._challenges: tuple[Challenge, ...] = ()
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}
        self._lock = Lock()

    @property
    def known(self) -> bool:
        return self._credentials is not None

    def learn(self, headers: Sequence[str]) -> None:
        """Take over the challenges of a 401 from the registry itself; keep the old ones if none are usable."""
        from pypod.images.registry.challenge import parse

        found = tuple(one for one in parse(headers) if one.scheme in ("basic", "bearer"))
        with self._lock:
            self._challenges = found or self._challenges

    def forget(self, scopes: tuple[str, ...], header: str) -> None:
        """Drop the token for ``scopes`` if it is still the refused one."""
        with self._lock:
            if scopes in self._tokens and self._tokens[scopes][0] == header:
                del self._tokens[scopes]

    def header(self, scopes: tuple[str, ...]) -> str:
        """Return the value of Authorization for ``scopes``, or an empty string. Raises RegistryError."""
        with self._lock:
            if self._challenges and not self._looked_up:
                self._credentials, self._looked_up = self._look_up(), True
            by_scheme = {one.scheme: one for one in reversed(self._challenges)}
            if "bearer" in by_scheme:
                return self._bearer(by_scheme["bearer"], scopes)
            if "basic" in by_scheme and self._credentials is not None and self._credentials.user:
                return _basic(self._credentials)
        return ""

    def _bearer(self, challenge: Challenge, scopes: tuple[str, ...]) -> str:
        from time import monotonic

        header, expires_s = self._tokens.get(scopes, ("", 0.0))
        if not header or monotonic() >= expires_s:
            token, lifetime_s = self._ask(challenge, scopes)
            header = f"Bearer {token}"
            self._tokens[scopes] = header, monotonic() + max(lifetime_s, _LIFETIME_S) - _MARGIN_S
        return header

    def _ask(self, challenge: Challenge, scopes: tuple[str, ...]) -> tuple[str, int]:
        from urllib.parse import urlencode

        from pypod.images.registry.url import parse_url

        realm = parse_url(challenge["realm"])
        if self._secure and realm.scheme != "https":
            raise RegistryError(
                realm.shown, "the registry wants its credentials sent here, unencrypted: refused", status=401
            )
        query = [("service", challenge["service"])] if challenge["service"] else []
        known = self._credentials
        if known is not None and known.identity_token:
            form = [
                *query,
                ("client_id", "pypod"),
                ("grant_type", "refresh_token"),
                ("refresh_token", known.identity_token),
            ]
            form += [("scope", " ".join(scopes))] if scopes else []
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return _read(realm, self._fetch("POST", realm, headers, urlencode(form).encode()))
        query += [("scope", scope) for scope in scopes]
        headers = {}
        if known is not None:
            query.append(("account", known.user))
            headers["Authorization"] = _basic(known)
        joined = "&".join(part for part in (realm.query, urlencode(query)) if part)
        return _read(realm, self._fetch("GET", realm.replace(query=joined), headers, None))


def _basic(credentials: Credentials) -> str:
    from base64 import b64encode

    text = f"{credentials.user}:{credentials.password}"
    return f"Basic {b64encode(text.encode('utf-8', 'surrogateescape')).decode()}"


def _read(realm: Url, body: bytes) -> tuple[str, int]:
    """Return token and lifetime in seconds from a token server's answer."""
    try:
        found = plain_json.loads(body)
    except (ValueError, RecursionError):
        found = None
    found = found if isinstance(found, dict) else {}
    token = found.get("token") or found.get("access_token")
    # It becomes part of a header, so it must not contain a line break.
    usable = isinstance(token, str) and len(token) <= _TOKEN_LENGTH_LIMIT and token.isascii() and token.isprintable()
    if not isinstance(token, str) or not usable:
        raise Unauthorized(realm.shown, "the token server's answer has no token", status=401)
    lifetime = found.get("expires_in")
    return token, lifetime if isinstance(lifetime, int) and 0 < lifetime < 1 << 31 else 0
