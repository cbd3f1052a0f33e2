"""Identifiers and names of pods and containers."""

from __future__ import annotations

from pypod.errors import InvalidSpec

INFRA_IMAGE = "pypod/infra"  # shown as the image of an infra that runs none
SHORT_ID_LENGTH = 12
HOSTNAME_LIMIT = 64  # HOST_NAME_MAX of Linux

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_REST = _FIRST | frozenset("_.-")
_HEX = frozenset("0123456789abcdef")

# Our own lists; podman and docker have others.
_MOODS = (
    "able agile ample azure brave brisk calm candid clever cosy crisp daring deft eager early fair fleet fond frank "
    "gentle glad grand happy hardy honest jolly keen kind lively loyal lucid merry mellow neat noble patient placid "
    "proud quick quiet rapid ready serene sharp sincere smart snug solid spry steady sunny swift tidy true vivid warm "
    "wise witty zesty"
).split()
_BEINGS = (
    "orca humpback narwhal beluga dolphin porpoise seal walrus otter manatee dugong puffin petrel heron osprey tern "
    "gannet curlew plover egret ibis stork crane swift swallow martin wren robin linnet siskin finch lark thrush "
    "dipper kestrel merlin hobby harrier buzzard kite owl hare fox badger stoat marten vole shrew hedgehog squirrel "
    "dormouse lynx ibex chamois marmot bison elk moose reindeer"
).split()


def new_id() -> str:
    """Return a new identifier: 64 hexadecimal digits."""
    import os

    return os.urandom(32).hex()


def new_name() -> str:
    """Return a random name such as ``brisk_otter``; the caller must make sure that it is free."""
    import os

    number = int.from_bytes(os.urandom(4), "little")
    return f"{_MOODS[number % len(_MOODS)]}_{_BEINGS[number // len(_MOODS) % len(_BEINGS)]}"


def check_name(name: str, argument: str = "--name", *, where: str = "") -> str:
    """Return ``name`` if podman allows it; raise InvalidSpec naming ``argument``, and ``where`` it was, otherwise."""
    if not name or name[0] not in _FIRST or not _REST.issuperset(name):
        raise InvalidSpec(argument, f"{where}names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument")
    return name


def check_hostname(hostname: str, argument: str = "--hostname") -> str:
    """Return ``hostname`` if the kernel accepts it (64 bytes) and it can be written to /etc/hosts."""
    odd = any(c.isspace() or ord(c) < 33 for c in hostname) or not is_text(hostname)
    if odd or not hostname or len(hostname.encode()) > HOSTNAME_LIMIT:
        raise InvalidSpec(argument, f"invalid hostname {hostname!r}: 1 to {HOSTNAME_LIMIT} bytes without spaces")
    return hostname


def is_text(text: str) -> bool:
    """Return whether ``text`` is valid Unicode: non-UTF-8 bytes of the command line become lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def is_id(text: str) -> bool:
    """Return whether ``text`` may be an identifier or a prefix of one."""
    return 0 < len(text) <= 64 and _HEX.issuperset(text)


def short(identifier: str) -> str:
    """Return the first 12 digits."""
    return identifier[:SHORT_ID_LENGTH]


def is_whole_id(value: object) -> bool:
    """Return whether a value from a store is a whole identifier, and so safe as a directory name (0.1 us)."""
    return isinstance(value, str) and len(value) == 64 and value.isascii() and value.isalnum()
