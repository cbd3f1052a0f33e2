"""Image names in podman's grammar: ``[domain/]path[:tag][@digest]``.

The grammar is that of distribution (github.com/distribution/reference: regexp.go, normalize.go), messages are podman
4.3.1's, and an IPv6 address in brackets is a host as in later versions. By that grammar a name without a domain is
docker.io's; podman calls it *short* and resolves it by its configuration first (pypod.images.config.registries).
"""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.value import Value

__all__ = ["Reference", "check_domain", "is_address", "is_short", "parse", "split_transport"]

DOCKER_IO = "docker.io"
DEFAULT_TAG = "latest"
NAME_LENGTH_LIMIT = 255
# The prefixes that podman pull and push accept before a colon; docker requires // after it (containers-transports(5)).
TRANSPORTS = ("docker", "oci", "oci-archive", "docker-archive", "dir")

_COMPONENT = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
# Written without ambiguity, against backtracking; the length of a name is checked afterwards.
_PATH_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
_DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class Reference(Value):
    """A full image name: ``domain`` is a host with or without a port, ``path`` a repository there.

    >>> str(parse("busybox"))
    'docker.io/library/busybox'
    >>> parse("localhost:5000/web:v1").tag
    'v1'
    """

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Domain and path, without tag and digest."""
        return f"{self.domain}/{self.path}"

    @property
    def version(self) -> str:
        """What to request from a registry: the digest, otherwise the tag, otherwise ``latest``."""
        return self.digest or self.tag or DEFAULT_TAG

    def tagged(self) -> Reference:
        """Return it with the tag ``latest`` if it has neither tag nor digest."""
        return self if self.tag or self.digest else self.replace(tag=DEFAULT_TAG)

    def __str__(self) -> str:
        tag, digest = self.tag and f":{self.tag}", self.digest and f"@{self.digest}"
        return f"{self.name}{tag}{digest}"


def parse(text: str) -> Reference:
    """Parse an image name; the default domain is docker.io, and there the default namespace is ``library``.

    The tag is empty unless the text has one. Raises InvalidSpec with podman's message.

    >>> parse("quay.io/podman/stable@sha256:" + "0" * 64).digest[:9]
    'sha256:00'
    >>> parse("Busybox")
    Traceback (most recent call last):
    pypod.errors.InvalidSpec: repository name must be lowercase
    """
    name, tag, digest = _split(text)
    domain, path = _split_domain(name)
    if len(domain) + len(path) + 1 > NAME_LENGTH_LIMIT:
        raise _invalid(f"repository name must not be more than {NAME_LENGTH_LIMIT} characters")
    return Reference(domain=domain, path=path, tag=tag, digest=digest)


def full_name(text: str, registry: str = "localhost") -> str:
    """Return a full name for an image: with ``registry`` if it has no domain, and with a tag.

    Raises InvalidSpec for an invalid name, or one with a digest.

    >>> full_name("web"), full_name("quay.io/a/b:c"), full_name("busybox", DOCKER_IO)
    ('localhost/web:latest', 'quay.io/a/b:c', 'docker.io/library/busybox:latest')
    """
    reference = parse(f"{registry}/{text}" if is_short(text) else text).tagged()
    if reference.digest:
        raise InvalidSpec("name", f"{text}: tag by digest not supported", hint="use NAME[:TAG]")
    return str(reference)


def is_short(text: str) -> bool:
    """Return whether a name lacks a registry: podman resolves it through aliases and search registries.

    Raises InvalidSpec when it is invalid.

    >>> is_short("library/busybox"), is_short("localhost/busybox"), is_short("quay.io/podman")
    (True, False, False)
    """
    parse(text)
    first, slash, _ = text.partition("@")[0].partition("/")
    return not (slash and _is_domain(first))


def split_transport(text: str) -> tuple[str, str]:
    """Return the transport that a string begins with, or an empty string, and the rest; no file is checked.

    >>> split_transport("docker://quay.io/podman/stable"), split_transport("oci-archive:web.tar:v1")
    (('docker', 'quay.io/podman/stable'), ('oci-archive', 'web.tar:v1'))
    >>> split_transport("oci:1.0")  # could be the tag of an image called oci: podman prefers the transport, too
    ('oci', '1.0')
    >>> split_transport("docker:dind")
    ('', 'docker:dind')
    """
    name, colon, rest = text.partition(":")
    if not colon or name not in TRANSPORTS:
        return "", text
    if name == "docker":
        return (name, rest[2:]) if rest.startswith("//") else ("", text)
    return name, rest


def check_domain(text: str) -> str:
    """Return ``text``, a host with or without a port. Raises InvalidSpec when it is invalid."""
    import re

    if not re.fullmatch(_DOMAIN, text) or len(text) > NAME_LENGTH_LIMIT:
        raise _invalid()
    return text


def _split(text: str) -> tuple[str, str, str]:
    """Return name, tag and digest, each checked separately."""
    import re

    if not text:
        raise _invalid("repository name must have at least one component")
    if re.fullmatch("[a-f0-9]{64}", text):
        raise _invalid(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    found = re.fullmatch(rf"((?:{_DOMAIN}/)?{_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?", text)
    if found is None:
        # The domain may be in upper case, the path may not; with a lower-case path it would be a valid name.
        lower = re.sub("^[^@:]*(:[0-9]+/[^@:]*)?", lambda part: part[0].lower(), text)
        if lower != text and re.fullmatch(rf"(?:{_DOMAIN}/)?{_PATH}(?::{_TAG})?(?:@{_DIGEST})?", lower):
            raise _invalid("repository name must be lowercase")
        raise _invalid()
    name, tag, digest = found.groups(default="")
    if digest:
        _check_digest(digest)
    return name, tag, digest


def _check_digest(digest: str) -> None:
    algorithm, _, encoded = digest.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if length is None:
        raise _invalid("unsupported digest algorithm")
    if len(encoded) != length:
        raise _invalid("invalid checksum digest length")
    if encoded != encoded.lower():
        raise _invalid("invalid checksum digest format")


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    domain, path = (first, rest) if slash and _is_domain(first) else (DOCKER_IO, name)
    if domain == "index.docker.io":  # docker's former name for it
        domain = DOCKER_IO
    if domain == DOCKER_IO and "/" not in path:
        path = f"library/{path}"
    import re

    if not re.fullmatch(_PATH, path):
        raise _invalid("repository name must be lowercase" if path != path.lower() else "invalid reference format")
    return domain, path


def _is_domain(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost"


def _invalid(reason: str = "invalid reference format") -> InvalidSpec:
    return InvalidSpec("image", reason)


def is_address(path: str) -> bool:
    """Return whether a path is a URL.

    >>> is_address("https://example.com/x.tar"), is_address("./http:")
    (True, False)
    """
    return path.startswith(("http://", "https://"))
