"""The classes that annotations of this package name, each imported when somebody looks it up (PEP 562).

``def spec(self) -> types.ContainerSpec`` can be read by ``typing.get_type_hints`` without the module's importing what
commands that people wait for do not need.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as Any
    from typing import Self as Self

    from pypod.api.alone_options import AloneOptions as AloneOptions
    from pypod.api.container import Container as Container
    from pypod.api.create_options import CreateOptions as CreateOptions
    from pypod.api.create_options import MemberOptions as MemberOptions
    from pypod.api.engine import Engine as Engine
    from pypod.api.explain_options import ExplainOptions as ExplainOptions
    from pypod.api.image import Image as Image
    from pypod.api.network import Network as Network
    from pypod.api.pod import Pod as Pod
    from pypod.api.pod_options import CreatePodOptions as CreatePodOptions
    from pypod.api.pod_options import NewPodOptions as NewPodOptions
    from pypod.engine.lifecycle.explain import Explanation as Explanation
    from pypod.model.options.limits import LimitOptions as LimitOptions
else:
    _WHERE = {
        "Any": "typing",
        "Self": "typing",
        "Container": "pypod.api.container",
        "Engine": "pypod.api.engine",
        "Image": "pypod.api.image",
        "Network": "pypod.api.network",
        "AloneOptions": "pypod.api.alone_options",
        "CreateOptions": "pypod.api.create_options",
        "CreatePodOptions": "pypod.api.pod_options",
        "ExplainOptions": "pypod.api.explain_options",
        "MemberOptions": "pypod.api.create_options",
        "NewPodOptions": "pypod.api.pod_options",
        "Pod": "pypod.api.pod",
        "Explanation": "pypod.engine.lifecycle.explain",
        "LimitOptions": "pypod.model.options.limits",
    }

    def __getattr__(name):
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        globals()[name] = found = getattr(import_module(_WHERE[name]), name)
        return found
