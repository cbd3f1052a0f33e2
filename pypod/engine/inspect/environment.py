"""The variables of a container that inspect shows: those that it was created with, and those that its start added."""

from __future__ import annotations

from pypod.engine.storage import layers
from pypod.runtime.oci_process import assigned, environment, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.store.records import ContainerRecord

_ID, _HOME, _FIELDS = 2, 5, 7  # of passwd(5)


def environment_of(
    context: Context, record: ContainerRecord, spec: ContainerSpec, hostname: str, *, started: bool
) -> list[str]:
    """Return the variables of a container, in the form of environ(7)."""
    if not started:
        return assigned(variables(spec))
    values = environment(spec, hostname, record.id)
    home = "" if "HOME" in values else _home(layers.tree(context.layout, record.id, spec), spec.user)
    return assigned({**values, "HOME": home} if home else values)


def _home(directories: list[str], user: str) -> str:
    """Return the home directory that /etc/passwd has for a user, empty for none. A number is never taken for a name."""
    wanted = user.partition(":")[0] or "0"
    key = _ID if wanted.isdigit() else 0
    for line in layers.etc_file(directories, "passwd").splitlines():
        fields = line.split(":")
        if len(fields) == _FIELDS and fields[key] == wanted:
            return fields[_HOME]
    return ""
