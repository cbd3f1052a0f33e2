"""The types named in annotations of the engine, imported on access: see model/types.py."""

from __future__ import annotations

from pypod.model.types import looked_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self as Self

    from pypod.engine.core.context import Context as Context
    from pypod.kernel.cgroups.driver import Driver as Driver
    from pypod.model.container import ContainerSpec as ContainerSpec
    from pypod.model.images.config import HistoryEntry as HistoryEntry
    from pypod.model.images.config import ImageConfig as ImageConfig
    from pypod.model.pod import PodSpec as PodSpec
    from pypod.network.firewall import Channels as Channels
    from pypod.runtime.sealed_programs import Programs as Programs
    from pypod.store.records import ContainerRecord as ContainerRecord
    from pypod.store.records import Owner as Owner
    from pypod.store.records import PodRecord as PodRecord
else:
    __getattr__ = looked_up(
        __name__,
        {
            "Context": "pypod.engine.core.context",
            "Driver": "pypod.kernel.cgroups.driver",
            "ContainerSpec": "pypod.model.container",
            "HistoryEntry": "pypod.model.images.config",
            "ImageConfig": "pypod.model.images.config",
            "PodSpec": "pypod.model.pod",
            "Channels": "pypod.network.firewall",
            "Programs": "pypod.runtime.sealed_programs",
            "ContainerRecord": "pypod.store.records",
            "Owner": "pypod.store.records",
            "PodRecord": "pypod.store.records",
            "Self": "typing",
        },
    )
