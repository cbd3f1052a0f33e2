"""The driver for users who cannot create cgroups: no limits, no accounting, no freezer.

A container with its own pid namespace still ends together with its init process: the kernel kills the rest
(pid_namespaces(7)). In the host's pid namespace its supervisor kills the processes reparented to it. In one shared by a
pod, what outlives its container ends with the pod.
"""

from __future__ import annotations

from pypod.errors import Unsupported
from pypod.kernel.cgroups.settings import legacy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from pypod.kernel.cgroups.detect import ShownTree
    from pypod.kernel.cgroups.settings import Setting
    from pypod.kernel.cgroups.usage import Usage

_MAY_NOT = "this user cannot create cgroups"
HINT = "without cgroups there are no limits, no statistics and no pause"


class NoDriver:
    """Implements the protocol of ``Driver`` without groups: none ever exists. ``lead`` and ``why`` say why."""

    __slots__ = ("_why",)

    mode = "none"
    prefix = ""
    clones_into_cgroup = False
    named: tuple[str, ...] = ()
    filters_devices = False
    shown = ("/sys/fs/cgroup", "")
    accounted: tuple[str, ...] = ()

    def __init__(self, why: str = "", lead: str = _MAY_NOT) -> None:
        self._why = f"{lead}: {why}" if why else lead

    def trees(self, own: Collection[str]) -> tuple[ShownTree, ...]:
        del own
        return ()

    def make_shown(self) -> None:
        return

    def controllers(self) -> tuple[str, ...]:
        return ()

    def create(self, path: str, controllers: tuple[str, ...] = (), accounted: tuple[str, ...] = ()) -> None:
        del path, accounted
        if controllers:
            raise Unsupported("cgroups", f"no {', '.join(controllers)} limits: {self._why}", hint=HINT)

    def settings(
        self, resources: dict[str, Any], defaults: Collection[str] = (), path: str = ""
    ) -> tuple[Setting, ...]:
        del path
        for one in legacy(resources, defaults):
            if not one.optional:
                raise Unsupported("cgroups", f"{one.flag}: {self._why}", hint=HINT)
        return ()

    def apply(self, path: str, setting: Setting) -> None:
        del path
        raise Unsupported("cgroups", f"{setting.flag}: {self._why}", hint=HINT)

    def directory(self, path: str, controller: str) -> str:
        del path, controller
        return ""

    def present(self, path: str) -> tuple[str, ...]:
        del path
        return ()

    def usage(self, path: str) -> Usage:
        del path
        raise Unsupported("cgroups", f"no statistics: {self._why}", hint=HINT)

    def memory_limit(self, path: str) -> int | None:
        del path
        return None

    def unreclaimable_bytes(self, path: str) -> int:
        del path
        return 0

    def oom_file(self, path: str) -> str:
        del path
        return ""

    def tracking_directory(self, path: str) -> str:
        del path
        return ""

    def join_files(self, path: str, controllers: tuple[str, ...] = ()) -> tuple[str, ...]:
        del path, controllers
        return ()

    def processes(self, path: str) -> list[int]:
        del path
        return []

    def is_empty(self, path: str) -> bool:
        del path
        return True

    def kill(self, path: str, *, timeout_s: float = 5.0) -> bool:
        del path, timeout_s
        return True

    def freeze(self, path: str, frozen: bool, *, timeout_s: float = 2.0) -> None:
        del path, frozen, timeout_s
        raise self._no_freezer()

    def freezer_file(self, path: str) -> str:
        del path
        raise self._no_freezer()

    def _no_freezer(self) -> Unsupported:
        return Unsupported("freezer", f"containers cannot be paused: {self._why}", hint=HINT)

    def is_frozen(self, path: str) -> bool:
        del path
        return False

    def remove(self, path: str, *, timeout_s: float = 1.0) -> bool:
        del path, timeout_s
        return True
