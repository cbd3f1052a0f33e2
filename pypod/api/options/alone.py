"""The options for creating a container outside any pod."""

from __future__ import annotations

from pypod.api import types
from pypod.api.options import arguments as read
from pypod.api.options.create import MemberOptions
from pypod.model.options.classes import field, frozen


@frozen(kw_only=True)
class AloneOptions(MemberOptions):
    """Options of ``Container.create`` and ``Container.run``."""

    engine: types.Engine | None = field(default=None, converter=read.engine, metadata=read.ENGINE)
