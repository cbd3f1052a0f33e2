"""From podman's --userns, --uidmap, --gidmap, --subuidname and --subgidname to a specification."""

from __future__ import annotations

import os
from contextlib import suppress

from pypod.engine.session import session
from pypod.engine.session.id_maps import (
    SUBORDINATE,
    USERNS_OPTIONS,
    USERNS_VARIABLE,
    host_id,
    keep_ids,
    maps_of,
    seen_from,
)
from pypod.errors import InvalidSpec
from pypod.kernel import idmap
from pypod.kernel.proc import read_text
from pypod.model.namespace import HOST, OWN_IDS, POD, PRIVATE, Mode, not_shared
from pypod.model.user_namespace import check_map, parse_mappings, parse_userns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypedDict

    from pypod.engine.core.context import Context
    from pypod.engine.session.id_maps import Maps
    from pypod.kernel.idmap import Range
    from pypod.model.container import ContainerSpec
    from pypod.model.options.container import ContainerOptions
    from pypod.model.options.network import UserNamespaceOptions
    from pypod.model.options.pod import PodOptions
    from pypod.model.pod import PodSpec

    class Fields(TypedDict):
        """The fields of a specification that define its ids."""

        user_namespace: Mode
        uid_map: tuple[Range, ...]
        gid_map: tuple[Range, ...]


def of_container(
    context: Context, spec: ContainerSpec, options: ContainerOptions, pod: PodSpec | None
) -> ContainerSpec:
    """Return a container's specification with the user namespace that its options ask for.

    Under keep-id, the pod's included, the processes run as the caller unless another option says otherwise. Raises
    InvalidSpec, Unsupported.
    """
    asked = fields(context, options, pod)
    if asked["user_namespace"] == HOST:
        return spec
    spec = spec.replace(**asked)
    mode = pod.user_namespace if pod is not None and spec.user_namespace == POD else spec.user_namespace
    if mode.mode == "keep-id" and not options.user:
        uid, gid = keep_ids(mode)
        spec = spec.replace(
            user=f"{uid}:{gid}",
            passwd_entry=spec.passwd_entry or _own_entry(uid),
            group_entry=spec.group_entry or _own_group(),
        )
    maps_of(context, spec)
    return spec


def _own_entry(uid: int) -> str:
    """Return the user's passwd line, for a container where they keep their own id."""
    name = _own_names()[0]
    return f"{name}:*:{uid}:$GID:{name}:$HOME:/bin/sh" if name else ""


def _own_group() -> str:
    """Return the line of the user's group, for a container where they keep their own id."""
    name, group = _own_names()
    return f"{group}:x:$GID:{name}" if group else ""


def _own_names() -> tuple[str, str]:
    """Return the names of the user and of their group on the host; empty for one that has none, or an odd one."""
    import grp
    import pwd

    user = group = ""
    with suppress(KeyError):
        user = pwd.getpwuid(host_id(os.geteuid(), "uid_map")).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(host_id(os.getegid(), "gid_map")).gr_name
    plain = [name if {":", "$"}.isdisjoint(name) else "" for name in (user, group)]
    return plain[0], plain[1]


def fields(context: Context, options: UserNamespaceOptions, pod: PodSpec | None = None) -> Fields:
    """Return the fields that the options ask for; the ids of ``auto`` are allocated later (``allocated``).

    Raises InvalidSpec, Unsupported.
    """
    asked = {name: value for name in USERNS_OPTIONS if (value := getattr(options, name))}
    explicit = [name for name in USERNS_OPTIONS[1:] if name in asked]
    if explicit and "userns" in asked:
        raise InvalidSpec("--userns", "--userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive")
    if asked and pod is not None and pod.infra:
        if "userns" in asked and parse_userns(asked["userns"])[0] != POD:
            raise InvalidSpec("--userns", "--userns and --pod cannot be set together")
        if explicit:
            message = "cannot specify a new uid/gid map when entering a pod with an infra container"
            raise InvalidSpec("--uidmap", message)
    in_pod = pod is not None and pod.infra and "user" in pod.share
    if explicit:
        uids, gids = _explicit(context, asked)
        return {"user_namespace": PRIVATE, "uid_map": uids, "gid_map": gids}
    text = asked.get("userns") or ("" if in_pod else os.environ.get(USERNS_VARIABLE, ""))
    mode, _ = parse_userns(text) if text else (POD if in_pod else HOST, {})
    if mode == PRIVATE:
        raise InvalidSpec("--userns", "must provide at least one UID or GID mapping to configure a user namespace")
    if mode == POD and not in_pod:
        raise not_shared("user", has_infra=pod is not None and pod.infra)
    if mode.mode in ("keep-id", "nomap") and not context.rootless:
        raise InvalidSpec("--userns", f"{mode.mode} is only supported in rootless mode")
    return {"user_namespace": mode, "uid_map": (), "gid_map": ()}


_OTHER = {"uid": "gid", "gid": "uid"}


def of_pod(context: Context, options: PodOptions) -> Fields:
    """Return the fields that the options of a pod ask for. Raises InvalidSpec, Unsupported."""
    if not options.infra and any(getattr(options, name) for name in USERNS_OPTIONS):
        raise InvalidSpec("--userns", "a pod without an infra container has no user namespace: invalid configuration")
    asked = fields(context, options)
    if asked["user_namespace"].mode not in ("host", *OWN_IDS):
        raise InvalidSpec("--userns", f"pods presently do not support user namespace mode {asked['user_namespace']}")
    return asked


def _explicit(context: Context, asked: Mapping[str, Any]) -> Maps:
    """Return the maps of --uidmap and its kin. If one is missing, the other serves for both."""
    found: dict[str, tuple[Range, ...]] = {}
    own = session.of(context)
    # flags may say for which of the two a mapping is
    uids, gids = (asked.get(f"{kind}map", ()) for kind in SUBORDINATE)
    texts = {"uid": uids or gids, "gid": gids or uids}
    for side, (kind, path) in enumerate(SUBORDINATE.items()):
        other_name = asked.get(f"sub{kind}name") and not asked.get(f"{kind}map")
        if texts[kind] and not other_name:
            parent = own.maps[side] if own else ((0, 0, idmap.ALL_IDS),)
            argument = f"--{kind if asked.get(f'{kind}map') else _OTHER[kind]}map"
            found[kind] = parse_mappings(texts[kind], kind, parent, argument)
        name = asked.get(f"sub{kind}name")
        if name and kind not in found:
            found[kind] = _of_name(name, path, own.maps[side] if own else None)
    for kind in SUBORDINATE:
        found[kind] = found[kind] if kind in found else found[_OTHER[kind]]
        check_map(found[kind], f"--{kind}map")
        if not context.rootless and not idmap.has(found[kind], 0):
            hint = f"map it, too: --{kind}map 0:FIRST:COUNT"
            raise InvalidSpec(f"--{kind}map", "container ID 0 cannot be mapped to a host ID", hint=hint)
    return found["uid"], found["gid"]


def _of_name(name: str, path: str, around: tuple[Range, ...] | None) -> tuple[Range, ...]:
    """Return the map of all ids that the file gives a user: the host's ids, translated by ``around`` in a session."""
    ranges, inside = [], 0
    for first, count in subordinate(name, path):
        ranges.append((inside, first, count))
        inside += count
    if not ranges:
        raise InvalidSpec(f"--{path[5:]}name", f'no {path[5:]} ranges found for user "{name}" in {path}')
    if around is None:
        return tuple(ranges)
    seen = seen_from(tuple(ranges), around)
    if sum(count for _, _, count in seen) != inside:
        hint = "give your own name; after a change of the file, pypod system migrate"
        raise InvalidSpec(f"--{path[5:]}name", f'the ids of user "{name}" in {path} are not yours', hint=hint)
    return seen


def subordinate(name: str, path: str) -> tuple[tuple[int, int], ...]:
    """Return the (first, count) that /etc/subuid or /etc/subgid assigns to a user, by name or number."""
    import pwd

    try:
        uid = pwd.getpwnam(name).pw_uid
    except KeyError:
        uid = -1
    return idmap.parse_subordinate(read_text(path), name, uid)
