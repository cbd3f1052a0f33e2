"""A process as the configuration describes it: its user, limits, environment, privileges and program."""

from __future__ import annotations

from pypod.kernel.abi import RESOURCES
from pypod.kernel.capabilities import mask
from pypod.runtime.compiler.slots import numbered
from pypod.runtime.oci_process import GROUPS_ANNOTATION, KEEP_GROUPS_ANNOTATION
from pypod.runtime.ops import Op, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.runtime.compiler.surroundings import Surroundings

_PERSONALITIES = {"LINUX": 0, "LINUX32": 8}  # PER_LINUX and PER_LINUX32 of personality(2)


def oom_score(process: dict[str, Any]) -> list[Op]:
    """Return the operation that sets the OOM score, with the host's privileges: before the process exists."""
    return [Op("oom_score", process["oomScoreAdj"])] if "oomScoreAdj" in process else []


def process_ops(config: dict[str, Any], around: Surroundings) -> list[Op]:
    """Return the operations that set a process up as the configuration says, up to its exec."""
    return [*prepared(config, around), *secured(config, around)]


def prepared(config: dict[str, Any], around: Surroundings) -> list[Op]:
    process = config["process"]
    names = config["annotations"].get(GROUPS_ANNOTATION, "")
    numbers = process["user"]["additionalGids"][1:]  # the first is the primary group, which may need a lookup
    groups = [*(names.split(",") if names else ()), *numbers]
    return [
        *_personality(config),
        *[_limit(entry) for entry in process["rlimits"]],
        *([Op("keep_groups")] if keeps_groups(config, around) else []),
        shared("user", user_of(process), *map(str, groups)),
        shared("umask", oct(process["user"]["umask"]).replace("0o", "0")),
        shared("working_directory", process["cwd"], int(around.create_cwd)),
        Op("environment", *process["env"]),
        *[Op("secret_variable", slot, use.target) for slot, _, use in numbered(config, around) if not use.is_file],
    ]


def user_of(process: dict[str, Any]) -> str:
    user = process["user"]
    return str(user.get("username") or f"{user['uid']}:{user['gid']}")


def keeps_groups(config: dict[str, Any], around: Surroundings) -> bool:
    """Return whether a process keeps the caller's supplementary groups; no user namespace takes them away."""
    return around.keep_groups or config["annotations"].get(KEEP_GROUPS_ANNOTATION) == "1"


def _personality(config: dict[str, Any]) -> list[Op]:
    asked = config.get("linux", {}).get("personality")
    return [Op("personality", _PERSONALITIES[asked["domain"]])] if asked else []


def _limit(entry: dict[str, Any]) -> Op:
    return shared("resource_limit", RESOURCES[entry["type"].removeprefix("RLIMIT_")], entry["soft"], entry["hard"])


def secured(config: dict[str, Any], around: Surroundings) -> list[Op]:
    process = config["process"]
    filters = [shared("seccomp", around.seccomp, around.seccomp_flags)] if around.seccomp else []
    no_new = [Op("no_new_privileges")] if process["noNewPrivileges"] else []
    # Without no_new_privs a filter needs CAP_SYS_ADMIN: then it goes before the capabilities are dropped (seccomp(2)).
    limited = _capabilities(process["capabilities"])
    secured = [*no_new, limited, *filters] if no_new else [*filters, limited]
    return [*secured, Op("execute", *process["args"])]


def _capabilities(sets: dict[str, list[str]]) -> Op:
    order = ("bounding", "effective", "permitted", "inheritable", "ambient")
    return shared("capabilities", *(f"{mask(sets[name]):x}" for name in order))
