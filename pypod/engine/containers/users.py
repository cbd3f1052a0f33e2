"""The user and group that a container runs as, in its own numbers, from the passwd and group files in its root."""

from __future__ import annotations

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.images.trees.places import Root

_BYTES_LIMIT = 1 << 20  # as pause/process/user.c


def ids_of(root: Root, user: str) -> tuple[int, int]:
    """Return the ids of ``USER[:GROUP]``, names or numbers; an empty user is root.

    Raises InvalidSpec for a name that the files do not have.
    """
    name, _, group = user.partition(":")
    uid, gid = _account(root, name or "0")
    return uid, _number(root, "/etc/group", group) if group else gid


def _account(root: Root, name: str) -> tuple[int, int]:
    for fields in _lines(root, "/etc/passwd"):
        if len(fields) > 3 and fields[2].isdigit() and fields[3].isdigit() and name in (fields[0], fields[2]):
            return int(fields[2]), int(fields[3])
    if name.isdigit():
        return int(name), 0
    raise InvalidSpec("--user", f"unable to find user {name}: no matching entries in passwd file")


def _number(root: Root, path: str, name: str) -> int:
    for fields in _lines(root, path):
        if len(fields) > 2 and fields[0] == name and fields[2].isdigit():
            return int(fields[2])
    if name.isdigit():
        return int(name)
    raise InvalidSpec("--user", f"unable to find group {name}: no matching entries in group file")


def _lines(root: Root, path: str) -> list[list[str]]:
    text = root.read(path, _BYTES_LIMIT).decode("utf-8", "surrogateescape")
    return [line.split(":") for line in text.splitlines()]
