"""The requirements of a policy, and the identities that a signature may claim (containers-policy.json(5))."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.model.images.reference import Reference

ACCEPT, REJECT, SIGNED_BY = "insecureAcceptAnything", "reject", "signedBy"
SIGSTORE, BASE_LAYER = "sigstoreSigned", "signedBaseLayer"
GPG_KEYS = "GPGKeys"
_KEY_TYPES = (GPG_KEYS, "signedByGPGKeys", "X509Certificates", "signedByX509CAs")
_KEYS_OF = {
    ACCEPT: (),
    REJECT: (),
    SIGNED_BY: ("keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"),
    SIGSTORE: ("keyPath", "keyData", "signedIdentity"),
    BASE_LAYER: ("baseLayerIdentity",),
}
_IDENTITIES = {
    "matchExact": (),
    "matchRepoDigestOrExact": (),
    "matchRepository": (),
    "exactReference": ("dockerReference",),
    "exactRepository": ("dockerRepository",),
    "remapIdentity": ("prefix", "signedPrefix"),
}
_DEFAULT_IDENTITY = "matchRepoDigestOrExact"


class Wrong(ValueError):
    """A policy is invalid."""


class Requirement(Value):
    """One requirement: its ``type``, and for signatures the keys and the identity that is accepted.

    ``key_data`` is in base64; ``identity`` are pairs, its type first.
    """

    type: str
    key_paths: tuple[str, ...] = ()
    key_data: str = ""
    identity: tuple[tuple[str, str], ...] = (("type", _DEFAULT_IDENTITY),)

    def accepts(self, claimed: Reference, actual: Reference | None) -> bool:
        """Return whether a signature that claims an identity fits an image; ``actual`` is None outside registries."""
        words = dict(self.identity)
        kind = words["type"]
        if kind == "exactReference":
            return _same(claimed, _reference(words["dockerReference"]))
        if kind == "exactRepository":
            return claimed.name == _reference(words["dockerRepository"]).name
        if actual is None:
            return False
        if kind == "remapIdentity":
            actual = _remapped(actual, words["prefix"], words["signedPrefix"])
        if kind == "matchRepository":
            return claimed.name == actual.name
        if kind != "matchExact" and actual.digest:
            return claimed.name == actual.name
        return not actual.digest and _same(claimed, actual)


def _same(one: Reference, other: Reference) -> bool:
    return (one.name, one.tag, one.digest) == (other.name, other.tag, other.digest)


def _remapped(actual: Reference, prefix: str, signed: str) -> Reference:
    name = actual.name
    rest = name[len(prefix) :]
    if not name.startswith(prefix) or rest[:1] not in ("", "/"):
        return actual
    domain, _, path = f"{signed}{rest}".partition("/")
    return actual.replace(domain=domain, path=path)


def _reference(text: str) -> Reference:
    from pypod.model.images.reference import parse

    return parse(text)


def parse_requirements(found: Any) -> tuple[Requirement, ...]:
    """Return the requirements of one scope. Raises Wrong."""
    if not isinstance(found, list) or not found:
        raise Wrong("List of verification policy requirements must not be empty")
    return tuple(map(_requirement, found))


def _requirement(found: Any) -> Requirement:
    if not isinstance(found, dict):
        raise Wrong("a policy requirement must be an object")
    kind = found.get("type", "")
    if kind not in _KEYS_OF:
        raise Wrong(f'Unknown policy requirement type "{kind}"')
    _only(found, ("type", *_KEYS_OF[kind]))
    if kind in (ACCEPT, REJECT):
        return Requirement(type=kind)
    if kind == BASE_LAYER:
        _identity(found.get("baseLayerIdentity"))
        return Requirement(type=kind)
    if kind == SIGNED_BY and found.get("keyType") not in _KEY_TYPES:
        raise Wrong(f'invalid keyType "{found.get("keyType", "")}"')
    given = [name for name in ("keyPath", "keyPaths", "keyData") if name in found]
    if len(given) != 1:
        names = "keyPath, keyPaths and keyData" if kind == SIGNED_BY else "keyPath and keyData"
        raise Wrong(f"Exactly one of {names} must be specified, {'more than one' if given else 'none of them'} present")
    paths = [found["keyPath"]] if "keyPath" in found else found.get("keyPaths", [])
    data = found.get("keyData", "")
    if not isinstance(data, str) or not isinstance(paths, list) or not all(isinstance(one, str) for one in paths):
        raise Wrong("keys must be strings")
    identity = _identity(found["signedIdentity"]) if "signedIdentity" in found else Requirement(type=kind).identity
    return Requirement(type=kind, key_paths=tuple(paths), key_data=data, identity=identity)


def _only(found: dict[str, Any], allowed: tuple[str, ...]) -> None:
    for key in found:
        if key not in allowed:
            raise Wrong(f'Unknown key "{key}"')


def _identity(found: Any) -> tuple[tuple[str, str], ...]:
    kind = found.get("type", "") if isinstance(found, dict) else ""
    if kind not in _IDENTITIES:
        raise Wrong(f'Unknown policy reference match type "{kind}"')
    _only(found, ("type", *_IDENTITIES[kind]))
    for name in _IDENTITIES[kind]:
        if not isinstance(found.get(name), str) or not found[name]:
            raise Wrong(f'Key "{name}" is missing')
    for name in ("dockerReference", "dockerRepository"):
        if name in found:
            try:
                _reference(found[name])
            except InvalidSpec as error:
                raise Wrong(f"Invalid format of {name} {found[name]!r}: {error}") from error
    return tuple((name, found[name]) for name in ("type", *_IDENTITIES[kind]))
