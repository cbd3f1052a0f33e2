"""The id maps of the user namespaces of containers and pods.

Outer ids are those of the caller: for root the host's, for a user those of their session, where 0 is the user.
"""

from __future__ import annotations

import os

from pypod.engine.session import session
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel import idmap
from pypod.kernel.proc import read_text
from pypod.model.namespace import HOST, OWN_IDS, POD, Mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.kernel.idmap import Range
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec

    Maps = tuple[tuple[Range, ...], tuple[Range, ...]]

USERNS_OPTIONS = ("userns", "uidmap", "gidmap", "subuidname", "subgidname")
USERNS_VARIABLE = "PODMAN_USERNS"
SUBORDINATE = {"uid": "/etc/subuid", "gid": "/etc/subgid"}


def maps_of(context: Context, spec: ContainerSpec | PodSpec) -> Maps | None:
    """Return the maps of the user namespace that a container or pod creates, None when it creates none.

    Ranges are split so that each lies within one range of the parent namespace's map, as the kernel requires. Raises
    InvalidSpec for ids that the parent does not have.
    """
    mode = spec.user_namespace
    shared = mode == HOST and "user" in getattr(spec, "share", ())
    if mode.mode not in OWN_IDS and not shared:
        return None
    own = session.of(context)
    if shared:
        whole = ((0, 0, idmap.ALL_IDS),)
        return (own.inner_uids, own.inner_gids) if own else (whole, whole)
    asked = (spec.uid_map, spec.gid_map)
    if mode.mode in ("keep-id", "nomap"):
        asked = _of_user(own, mode)
    if own is None:
        return asked
    found = (idmap.within(asked[0], own.inner_uids), idmap.within(asked[1], own.inner_gids))
    for kind, before, after in zip(SUBORDINATE, asked, found, strict=True):
        if sum(count for _, _, count in before) != sum(count for _, _, count in after):
            message = f"--{kind}map: {idmap.lines(before).strip()} names ids that the user does not have"
            hint = f"pypod unshare cat /proc/self/{kind}_map shows them; {SUBORDINATE[kind]} defines which there may be"
            raise InvalidSpec(f"--{kind}map", message, hint=hint)
    return found


def maps_for(context: Context, spec: ContainerSpec) -> Maps | None:
    """Return the maps of the user namespace that a container creates or joins, None for the current one."""
    from pypod.store import records

    mode = spec.user_namespace
    if mode == POD and spec.pod_id:
        return maps_of(context, context.pod_spec(records.find_pod(context.database, spec.pod_id)))
    if mode.mode == "ns":
        return maps_at(context, mode.target)
    if mode.mode == "container":
        other = records.find_container(context.database, mode.target)
        if other.kind == records.INFRA:
            return maps_of(context, context.pod_spec(records.find_pod(context.database, other.pod_id)))
        return maps_for(context, context.container_spec(other))
    return maps_of(context, spec)


def maps_at(context: Context, path: str) -> Maps | None:
    """Return the maps of a user namespace given by a path below /proc; for other paths they cannot be determined."""
    if not (path.startswith("/proc/") and path.endswith("/ns/user")):
        return None
    found = idmap.maps_of(path.split("/")[2])
    own = session.of(context)
    if own is None or context.inside:
        return found
    # read from outside of the session, so in ids of the host
    uids, gids = (seen_from(ranges, around) for ranges, around in zip(found, own.maps, strict=True))
    return uids, gids


def seen_from(ranges: tuple[Range, ...], around: tuple[Range, ...]) -> tuple[Range, ...]:
    """Translate a map to ids of the host into one to ids of the namespace with the map ``around``; others drop out."""
    pieces = idmap.within(ranges, tuple((outside, outside, count) for _, outside, count in around))
    return tuple((inside, idmap.inside(around, outside) or 0, count) for inside, outside, count in pieces)


def _of_user(own: session.Session | None, mode: Mode) -> Maps:
    """Return the map of keep-id, where the user has a nonzero id, or of nomap, where the user has none."""
    if own is None:
        raise InvalidSpec("--userns", f"{mode.mode} is only supported in rootless mode")
    if mode.mode == "nomap":
        if own.has_one_id:
            from pypod.engine.session import subordinate_ids

            raise Unsupported("--userns=nomap", "nomap needs ids besides the user's own", hint=subordinate_ids.notice())
        return ((0, 1, own.uids - 1),), ((0, 1, own.gids - 1),)
    wanted = keep_ids(mode)
    return _keeping(wanted[0], own.uids), _keeping(wanted[1], own.gids)


def keep_ids(mode: Mode) -> tuple[int, int]:
    """Return the user and group id that keep-id maps the user to: their own unless its options say otherwise."""
    from pypod.model.user_namespace import parse_userns

    _, options = parse_userns(str(mode))
    own = {"uid": host_id(os.geteuid(), "uid_map"), "gid": host_id(os.getegid(), "gid_map")}
    uid, gid = (int(options.get(kind, [str(own[kind])])[-1]) for kind in own)
    return uid, gid


def host_id(identifier: int, name: str) -> int:
    """Return the host's id of the caller, given the current one: inside of a session that is 0."""
    return idmap.outside(idmap.parse_map(read_text(f"/proc/self/{name}")), identifier)


def _keeping(wanted: int, count: int) -> tuple[Range, ...]:
    """Return a map where ``wanted`` is the 0 of a session of ``count`` ids and the others keep their order.

    >>> _keeping(1000, 65537)
    ((0, 1, 1000), (1000, 0, 1), (1001, 1001, 64536))
    """
    below = min(wanted, count - 1)
    ranges = ((0, 1, below), (wanted, 0, 1), (wanted + 1, below + 1, count - 1 - below))
    return tuple(one for one in ranges if one[2] > 0)


def root_of(maps: Maps | None) -> tuple[int, int]:
    """Return the user and group that own what is created for a user namespace with these maps: its root."""
    return (0, 0) if maps is None else (idmap.root_of(maps[0]), idmap.root_of(maps[1]))
