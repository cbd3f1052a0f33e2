"""Absolute http and https URLs: one parser, whose result also decides where a connection goes."""

from __future__ import annotations

from pypod.errors import RegistryError
from pypod.model.value import Value

PORTS = {"http": 80, "https": 443}
# RFC 3986, sections 3.3 and 3.4: characters allowed in a path or a query, and % of existing escapes.
_IN_PATH = "%/:@!$&'()*+,;=~"
_HOST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._~")


class Url(Value):
    """An absolute URL without user, password and fragment. An IPv6 ``host`` has its brackets."""

    scheme: str
    host: str
    port: int | None = None
    path: str = ""
    query: str = ""

    @property
    def netloc(self) -> str:
        """Host and port as in the URL."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """The request target (RFC 9112, section 3.2.1)."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")

    @property
    def origin(self) -> tuple[str, str, int]:
        """The scope of credentials: scheme, host and port."""
        return self.scheme, self.host.rstrip("."), self.port or PORTS[self.scheme]

    @property
    def shown(self) -> str:
        """The URL for messages: without its query, which is a secret in signed URLs."""
        return f"{self.scheme}://{self.netloc}{self.path}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.target}"

    def at(self, location: str) -> Url:
        """Return the target of a Location or Link, relative to this URL. Raises RegistryError if it is not http(s)."""
        from urllib.parse import urljoin

        try:
            return parse_url(urljoin(str(self), location))
        except ValueError as error:
            raise RegistryError(self.shown, f"invalid location {location[:200]!a}") from error


def parse_url(text: str) -> Url:
    """Parse an absolute http or https URL; raise RegistryError for any other, and for one with a password in it.

    >>> parse_url("https://Quay.io:443/v2/?n=1#x")
    Url(scheme='https', host='quay.io', port=443, path='/v2/', query='n=1')
    """
    found = _parsed(text)
    if found is None:
        raise RegistryError(ascii(text[:200]), "invalid URL")
    return found


def parse_proxy(text: str) -> tuple[Url, str] | None:
    """Return a proxy's address and its ``user:password`` (or nothing) from its URL; None unless it is an http URL."""
    from urllib.parse import unquote

    scheme, separator, rest = text.partition("://")
    user, at, bare = rest.rpartition("@")
    found = _parsed(f"{scheme}{separator}{bare}")
    return None if found is None else (found, unquote(user) if at else "")


def _parsed(text: str) -> Url | None:
    from urllib.parse import quote

    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    rest = rest.partition("#")[0]
    end = min((at for at in map(rest.find, "/?") if at >= 0), default=len(rest))
    address = _address(rest[:end].lower())
    if scheme not in PORTS or address is None or not text.isprintable():
        return None
    path, _, query = rest[end:].partition("?")
    return Url(
        scheme=scheme,
        host=address[0],
        port=address[1],
        path=quote(path, _IN_PATH),
        query=quote(query, _IN_PATH + "?"),
    )


def _address(netloc: str) -> tuple[str, int | None] | None:
    """Return host and port; None if it is neither a name nor an address, or has a user."""
    if netloc.startswith("["):
        host, bracket, port = netloc.partition("]")
        host += bracket
        usable = bool(bracket) and _is_ipv6(host[1:-1]) and port[:1] in ("", ":")
        port = port[1:]
    else:
        host, _, port = netloc.partition(":")
        usable = bool(host) and _HOST.issuperset(host)
    if not usable or (port and not (port.isascii() and port.isdecimal() and len(port) < 6)):
        return None
    number = int(port) if port else None
    return None if number is not None and not 0 < number < 1 << 16 else (host, number)


def _is_ipv6(text: str) -> bool:
    from socket import AF_INET6, inet_pton

    try:
        inet_pton(AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):
        return False
    return text.isascii()
