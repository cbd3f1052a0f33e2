"""The options for explaining the run of a container that does not exist yet."""

from __future__ import annotations

from pypod.api import types
from pypod.api.options import arguments as read
from pypod.api.options.create import MemberOptions
from pypod.model.options.classes import field, frozen
from pypod.model.options.fields import about


@frozen(kw_only=True)
class ExplainOptions(MemberOptions):
    """Options of ``Containers.explain``."""

    pod: types.Pod | str | None = field(default=None, converter=read.pod, metadata=read.POD)
    new_pod: str = field(default="", metadata=about("The name of a pod that it would create", flag=""))
    columns: int = field(default=0, metadata=about("The width of its terminal", flag=""))
    rows: int = field(default=0, metadata=about("The height of its terminal", flag=""))
    attended: bool = field(default=False, metadata=about("Whether the caller would wait for its end", flag=""))
