"""pypod: pods and containers inside your Python process. No daemon; the kernel says what is true.

>>> import pypod
>>> with pypod.Pod.create("mipod") as pod:                      # doctest: +SKIP
...     pod.run(["sh", "-c", "hostname"], rootfs="/").wait()
0
"""

from __future__ import annotations

__version__ = "0.1.0"

# name: module. Looked up when first used (PEP 562): a shell command pays only for what it needs.
_WHERE = {
    "Access": "pypod.images.registry.access",
    "Attachment": "pypod.engine.containers.attach",
    "Container": "pypod.api.container",
    "ContainerSummary": "pypod.api.summaries",
    "Engine": "pypod.api.engine",
    "Event": "pypod.model.reports.event",
    "ExecResult": "pypod.engine.lifecycle.process",
    "Explanation": "pypod.engine.lifecycle.explain",
    "Healthcheck": "pypod.model.health",
    "HostReport": "pypod.engine.inspect.check",
    "Image": "pypod.api.images.image",
    "ImageSummary": "pypod.api.images.summary",
    "Interface": "pypod.network.interfaces",
    "LogReader": "pypod.engine.containers.logs",
    "ManifestList": "pypod.api.images.manifest_list",
    "Matrix": "pypod.engine.inspect.sharing",
    "Mount": "pypod.model.mount",
    "NamespaceFacts": "pypod.engine.inspect.lsns",
    "NamespaceWatcher": "pypod.engine.inspect.watching",
    "Network": "pypod.api.networks.network",
    "Pod": "pypod.api.pod",
    "PodSummary": "pypod.api.summaries",
    "Port": "pypod.model.port",
    "Process": "pypod.engine.lifecycle.process",
    "ProcessFacts": "pypod.engine.inspect.lsns",
    "Progress": "pypod.model.reports.progress",
    "Registries": "pypod.api.images.registries",
    "Secret": "pypod.api.secrets.secret",
    "Volume": "pypod.api.volumes.volume",
    "check": "pypod.api.functions",
    "compare": "pypod.api.functions",
    "events": "pypod.api.functions",
    "lsns": "pypod.api.functions",
    "processes_in": "pypod.api.functions",
    **dict.fromkeys(
        (
            "AlreadyExists",
            "AmbiguousName",
            "CommandNotExecutable",
            "CommandNotFound",
            "DeadlineExceeded",
            "InUse",
            "InvalidImage",
            "InvalidSpec",
            "LaunchFailed",
            "NoSuchContainer",
            "NoSuchImage",
            "NoSuchNetwork",
            "NoSuchPod",
            "NoSuchSecret",
            "NoSuchUser",
            "NoSuchVolume",
            "NotFound",
            "NotInRegistry",
            "PermissionDenied",
            "PodBroken",
            "PortInUse",
            "PypodError",
            "RegistryError",
            "StoreError",
            "SystemFailure",
            "Unauthorized",
            "UnknownOption",
            "Unsupported",
            "WrongState",
        ),
        "pypod.errors",
    ),
}

__all__ = [*sorted((*_WHERE, "__version__"))]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.container import Container as Container
    from pypod.api.engine import Engine as Engine
    from pypod.api.functions import check as check
    from pypod.api.functions import compare as compare
    from pypod.api.functions import events as events
    from pypod.api.functions import lsns as lsns
    from pypod.api.functions import processes_in as processes_in
    from pypod.api.images.image import Image as Image
    from pypod.api.images.manifest_list import ManifestList as ManifestList
    from pypod.api.images.registries import Registries as Registries
    from pypod.api.images.summary import ImageSummary as ImageSummary
    from pypod.api.networks.network import Network as Network
    from pypod.api.pod import Pod as Pod
    from pypod.api.secrets.secret import Secret as Secret
    from pypod.api.summaries import ContainerSummary as ContainerSummary
    from pypod.api.summaries import PodSummary as PodSummary
    from pypod.api.volumes.volume import Volume as Volume
    from pypod.engine.containers.attach import Attachment as Attachment
    from pypod.engine.containers.logs import LogReader as LogReader
    from pypod.engine.inspect.check import HostReport as HostReport
    from pypod.engine.inspect.lsns import NamespaceFacts as NamespaceFacts
    from pypod.engine.inspect.lsns import ProcessFacts as ProcessFacts
    from pypod.engine.inspect.sharing import Matrix as Matrix
    from pypod.engine.inspect.watching import NamespaceWatcher as NamespaceWatcher
    from pypod.engine.lifecycle.explain import Explanation as Explanation
    from pypod.engine.lifecycle.process import ExecResult as ExecResult
    from pypod.engine.lifecycle.process import Process as Process
    from pypod.errors import *  # noqa: F403
    from pypod.images.registry.access import Access as Access
    from pypod.model.health import Healthcheck as Healthcheck
    from pypod.model.mount import Mount as Mount
    from pypod.model.port import Port as Port
    from pypod.model.reports.event import Event as Event
    from pypod.model.reports.progress import Progress as Progress
    from pypod.network.interfaces import Interface as Interface
else:  # with __getattr__, type checkers would accept any name

    def __getattr__(name: str) -> object:
        if name not in _WHERE:
            raise AttributeError(f"module 'pypod' has no attribute {name!r}")
        from importlib import import_module

        module = import_module(_WHERE[name])
        value = getattr(module, name)
        if isinstance(value, type):  # field types are strings: evaluate them in the defining module, not here
            kinds = vars(value).get("__annotations__", {})
            kinds.update((field, eval(kind, vars(module))) for field, kind in kinds.items())  # noqa: S307
        value.__module__ = "pypod"
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
