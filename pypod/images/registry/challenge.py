"""Challenges of a registry's 401: the header WWW-Authenticate (RFC 9110, 11.6.1), which is untrusted."""

from __future__ import annotations

from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LENGTH_LIMIT = 16 << 10
_CHALLENGES_LIMIT = 16
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105


class Challenge(Value):
    """One authentication challenge: ``scheme`` (``bearer``, ``basic``) and names of parameters in lower case.

    >>> parse(['Bearer realm="https://auth.example/token",service="r"'])[0]["realm"]
    'https://auth.example/token'
    """

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def __getitem__(self, name: str) -> str:
        """Return a parameter, or an empty string; the first of several with one name, as in Go's parsers."""
        return next((value for key, value in self.parameters if key == name), "")


def parse(headers: Iterable[str]) -> list[Challenge]:
    """Parse the challenges in WWW-Authenticate headers. The rest of a header after a syntax error is ignored."""
    found: list[Challenge] = []
    for header in headers:
        found += _parse_one(header[:_LENGTH_LIMIT])
    return found[:_CHALLENGES_LIMIT]


def _parse_one(text: str) -> list[Challenge]:
    import re

    token = re.compile(rf"[\s,]*({_TOKEN})")
    parameter = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN})?)', re.DOTALL)
    found: list[tuple[str, list[tuple[str, str]]]] = []
    at = 0
    while at < len(text) and len(found) <= _CHALLENGES_LIMIT:
        pair = parameter.match(text, at) if found else None
        if pair is not None:
            quoted, plain = pair[2], pair[3]
            value = plain or "" if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].append((pair[1].lower(), value))
            at = pair.end()
            if text.startswith('"', at):  # an unterminated quoted string
                break
            continue
        scheme = token.match(text, at)
        if scheme is None:
            break
        found.append((scheme[1].lower(), []))
        at = scheme.end()
    return [Challenge(scheme=scheme, parameters=tuple(parameters)) for scheme, parameters in found]
