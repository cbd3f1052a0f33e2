"""Secrets: what is known of one besides its content, and how a container uses one."""

from __future__ import annotations

from posixpath import normpath

from pypod.errors import InvalidSpec
from pypod.model.value import Value

BYTES_LIMIT = 512_000  # podman's, exclusive
DIRECTORY = "/run/secrets"
MOUNT, ENV = "mount", "env"
FILE_DRIVER = "file"
ID_DIGITS = 25
DEFAULT_MODE = 0o444
_NAME_LIMIT = 64
_ENDS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NAME = _ENDS | frozenset("-_.")
_ALLOWED = "only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]"
_IDS = 2**32


class SecretSpec(Value):
    """A secret without its content. Times are nanoseconds since the epoch."""

    id: str
    name: str
    created_ns: int
    updated_ns: int
    driver: str = FILE_DRIVER
    options: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def check(self) -> None:
        check_name(self.name)


class SecretUse(Value):
    """The use of a secret by a container: as a file ``target``, or as the environment variable ``target``.

    ``secret_id`` identifies the content at the time of the container's creation. Until that was looked up, it is empty,
    and so may be the target of a file. ``copied`` says that the container has a copy of its own.
    """

    name: str
    secret_id: str = ""
    type: str = MOUNT
    target: str = ""
    uid: int = 0
    gid: int = 0
    mode: int = DEFAULT_MODE
    copied: bool = False

    @property
    def is_file(self) -> bool:
        """Whether it is a file in the container, not a variable."""
        return self.type == MOUNT

    def of(self, spec: SecretSpec) -> SecretUse:
        """Return this use with the secret that it names."""
        target = self.target or f"{DIRECTORY}/{spec.name}"
        return self.replace(name=spec.name, secret_id=spec.id, target=target, copied=spec.driver != FILE_DRIVER)


def check_name(name: str) -> str:
    """Return a secret's name if podman allows it. Raises InvalidSpec."""
    ends = {name[:1], name[-1:]}
    if not name or len(name) > _NAME_LIMIT or not _NAME.issuperset(name) or not _ENDS.issuperset(ends):
        raise InvalidSpec("NAME", f"{_ALLOWED}: {name}: invalid secret name")
    return name


def check_content(content: bytes) -> bytes:
    """Return the content of a secret if its size is allowed. Raises InvalidSpec."""
    if not 0 < len(content) < BYTES_LIMIT:
        raise InvalidSpec("content", f"secret data must be larger than 0 and less than {BYTES_LIMIT} bytes")
    return content


def is_secret_id(text: str) -> bool:
    """Return whether a value from a store is the id of a secret, and so safe as the name of a file."""
    return len(text) == ID_DIGITS and text.isascii() and text.isalnum()


def parse_use(text: str) -> SecretUse:
    """Parse ``NAME[,type=mount|env][,target=][,uid=][,gid=][,mode=]`` like podman's --secret. Raises ValueError."""
    words = text.split(",")
    fields: dict[str, str] = {}
    if len(words) == 1 or "=" not in words[0]:
        fields["source"] = words.pop(0)
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"option {word} must be in form option=value: parsing secret")
        if name == "type" and name in fields:
            raise ValueError("cannot set more than one secret type: parsing secret")
        name = name.lower() if name in ("UID", "GID") else name
        if name not in ("source", "type", "target", "mode", "uid", "gid"):
            raise ValueError(f"option {word} invalid: parsing secret")
        fields[name] = value
    return _use(text, fields)


def _use(text: str, fields: dict[str, str]) -> SecretUse:
    kind, source, target = fields.get("type", MOUNT), fields.get("source", ""), fields.get("target", "")
    if kind not in (MOUNT, ENV):
        raise ValueError(f"type {kind} is invalid: parsing secret")
    numbers = {
        name: _number(fields[name], base, word)
        for name, base, word in (("mode", 8, "mode"), ("uid", 10, "UID"), ("gid", 10, "GID"))
        if name in fields
    }
    if not source:
        raise ValueError(f"no source found {text}: parsing secret")
    if kind == MOUNT:
        place = _place(target) if target else ""
        return SecretUse(name=source, target=place).replace(**numbers)
    if numbers:
        raise ValueError("UID, GID, Mode options cannot be set with secret type env: parsing secret")
    variable = target or source
    if "=" in variable or "\0" in variable:
        raise ValueError(f"target {variable} invalid: parsing secret")
    return SecretUse(name=source, type=ENV, target=variable)


def _number(text: str, base: int, word: str) -> int:
    digits = "01234567" if base == 8 else "0123456789"
    if not text or not set(digits).issuperset(text) or int(text, base) >= _IDS:
        raise ValueError(f"{word} {text} invalid: parsing secret")
    return int(text, base)


def _place(target: str) -> str:
    path = "/" + normpath(target if target.startswith("/") else f"{DIRECTORY}/{target}").lstrip("/")
    if path in ("/", DIRECTORY) or "\0" in path:
        raise ValueError(f"target {target} invalid: parsing secret")
    return path
