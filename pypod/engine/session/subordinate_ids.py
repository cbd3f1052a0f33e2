"""A user's subordinate ids: /etc/subuid and /etc/subgid, and the programs that map them."""

from __future__ import annotations

import os

from pypod.kernel import idmap
from pypod.kernel.proc import read_text
from pypod.kernel.programs import installed
from pypod.runtime.ops import Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.kernel.idmap import Range

_IDS = 65536  # the default of useradd(8)
_MAPPERS = (("newuidmap", "/etc/subuid"), ("newgidmap", "/etc/subgid"))


def wanted_maps() -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    """Return the maps that a session of this user would have: only their own id when anything is missing."""
    own = (os.geteuid(), os.getegid())
    given = [idmap.parse_subordinate(read_text(path), _user_name(), own[0]) for _, path in _MAPPERS]
    if not all(given) or not all(installed(name) for name, _ in _MAPPERS):
        given = [(), ()]
    return idmap.session_map(own[0], given[0]), idmap.session_map(own[1], given[1])


def mapping() -> list[Op]:
    """Return the operations of a plan that map these ids into a new user namespace."""
    maps = wanted_maps()
    if all(len(ranges) == 1 for ranges in maps):
        return [Op("idmap", *map(idmap.lines, maps), "deny")]
    return [
        Op("idmap_by", installed(name), *(number for one in ranges for number in one))
        for (name, _), ranges in zip(_MAPPERS, maps, strict=True)
    ]


def _user_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def notice() -> str:
    """Return what a user without subordinate ids should know, empty when there are some."""
    if any(len(ranges) > 1 for ranges in wanted_maps()):
        return ""
    name = _user_name() or str(os.geteuid())
    missing = " and ".join(name for name, _ in _MAPPERS if not installed(name))
    why = f"{missing} is not installed (Debian: uidmap)" if missing else f"/etc/subuid and /etc/subgid have no {name}"
    first = idmap.first_free(read_text(path) for _, path in _MAPPERS)
    ids = f"{first}-{first + _IDS - 1}"
    return (
        f"{why}: containers have one id, root, which is you; their other users do not exist, and all files of images "
        f"are yours. usermod --add-subuids {ids} --add-subgids {ids} {name}, then pypod system migrate"
    )
