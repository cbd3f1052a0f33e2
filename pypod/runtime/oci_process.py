"""The process part of an OCI configuration: user, capabilities, limits and environment. Pure functions.

For a container's first process, and for processes that are executed in it later.
"""

from __future__ import annotations

from pypod.kernel.abi import DIGITS_LIMIT
from pypod.model.container import DEFAULT_ENVIRONMENT, KEEP_GROUPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pypod.model.container import ContainerSpec, Ulimit

# Annotations for what the specification lacks. The first is also used by crun and podman.
KEEP_GROUPS_ANNOTATION = "run.oci.keep_original_groups"
GROUPS_ANNOTATION = "io.pypod.groups"  # names, to be looked up in the container's group file
ACCOUNT_ANNOTATION = "io.pypod.account"
PASSWD_ANNOTATION, GROUP_ANNOTATION = "io.pypod.passwd", "io.pypod.group"  # lines to add to these files
UNLIMITED = 2**64 - 1
NOBODY = 65534  # as the kernel's overflow ids (user_namespaces(7))


def user_of(user: str, groups: Sequence[str], umask: int) -> dict[str, Any]:
    """Return ``process.user``.

    ``username`` is present when a lookup in the container's passwd and group files is needed, if only for the group of
    a numeric user; ``uid`` and ``gid`` are then the values without an entry. A runtime that uses them for a user given
    by name gets nobody's ids, never root's. The first of ``additionalGids`` is ``gid``.
    """
    name, _, group = user.partition(":")
    uid = 0 if is_root(user) else int(name) if _is_id(name) else NOBODY
    gid = int(group) if _is_id(group) else NOBODY if group or uid == NOBODY else 0
    # The primary group is among the others, as in podman: a program with setgid(2) cannot drop it (CVE-2022-2989).
    gids = [gid, *(int(one) for one in groups if _is_id(one))]
    found: dict[str, Any] = {"uid": uid, "gid": gid, "umask": umask, "additionalGids": gids}
    if not (_is_id(name) and _is_id(group)):
        found["username"] = user or "0"
    return found


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= DIGITS_LIMIT and int(text) < 2**32 - 1


def group_annotations(groups: Sequence[str]) -> dict[str, str]:
    """Return the annotations for supplementary groups that are not numeric."""
    if KEEP_GROUPS in groups:
        return {KEEP_GROUPS_ANNOTATION: "1"}
    names = ",".join(one for one in groups if not _is_id(one))
    return {GROUPS_ANNOTATION: names} if names else {}


def entry_annotations(spec: ContainerSpec) -> dict[str, str]:
    """Return the annotations for lines of the passwd and group files beyond those of ``passwd_entry``."""
    found = {PASSWD_ANNOTATION: "\n".join(spec.host_users)} if spec.host_users else {}
    user, _, group = spec.user.partition(":")
    number = group or user
    if spec.passwd and spec.group_entry and _is_id(number):
        line = spec.group_entry
        for name, value in (("GROUPNAME", number), ("GID", number), ("USERLIST", user)):
            line = line.replace(f"${name}", value)
        found[GROUP_ANNOTATION] = line
    return found


def rlimits(ulimits: Sequence[Ulimit]) -> list[dict[str, Any]]:
    """Return ``process.rlimits``: the largest number there stands for unlimited."""
    return [
        {
            "type": one.name,
            "soft": one.soft if one.soft >= 0 else UNLIMITED,
            "hard": one.hard if one.hard >= 0 else UNLIMITED,
        }
        for one in ulimits
    ]


def capability_sets(user: str, capabilities: Sequence[str], added: Sequence[str]) -> dict[str, list[str]]:
    """Return the five capability sets.

    An ordinary user has those that were added by name, as in podman: exec keeps them only if they are ambient
    (capabilities(7)). The others are gained from the bounding set through setuid programs.
    """
    if is_root(user):
        held = {name: list(capabilities) for name in ("bounding", "effective", "permitted")}
        return {**held, "inheritable": [], "ambient": []}
    few = {name: list(added) for name in ("effective", "permitted", "inheritable", "ambient")}
    return {"bounding": list(capabilities), **few}


def is_root(user: str) -> bool:
    """Return whether ``user`` (NAME or ID, with or without a group) denotes the superuser."""
    return user.partition(":")[0] in ("", "0", "root")


def environment(spec: ContainerSpec, hostname: str, identifier: str) -> dict[str, str]:
    """Return the environment of a container's first process, except for a HOME that its passwd file has."""
    values = variables(spec)
    if spec.systemd:
        values.setdefault("container_uuid", identifier[:32])
    values.setdefault("HOSTNAME", hostname)
    return values


def variables(spec: ContainerSpec) -> dict[str, str]:
    """Return the environment of every process in the container: podman's defaults, overridden by what was asked for.

    As in podman, a hostname that was asked for is part of it; another is a variable of the first process only.
    """
    values = {name: value for name, value in DEFAULT_ENVIRONMENT if name not in spec.unset_environment}
    if spec.hostname:
        values["HOSTNAME"] = spec.hostname
    values.update(spec.environment)
    return values


def assigned(values: Mapping[str, str]) -> list[str]:
    """Return variables in the form of environ(7)."""
    return [f"{name}={value}" for name, value in values.items()]
