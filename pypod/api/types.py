"""The types named in annotations of handles, imported on access: see model/types.py."""

from __future__ import annotations

from pypod.model.types import looked_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as Any
    from typing import BinaryIO as BinaryIO
    from typing import Self as Self

    from pypod.api.container import Container as Container
    from pypod.api.containers import Containers as Containers
    from pypod.api.engine import Engine as Engine
    from pypod.api.images.image import Image as Image
    from pypod.api.images.images import Images as Images
    from pypod.api.images.manifest_lists import ManifestLists as ManifestLists
    from pypod.api.images.summary import ImageSummary as ImageSummary
    from pypod.api.networks.network import Network as Network
    from pypod.api.networks.networks import Networks as Networks
    from pypod.api.options.alone import AloneOptions as AloneOptions
    from pypod.api.options.create import CloneOptions as CloneOptions
    from pypod.api.options.create import CreateOptions as CreateOptions
    from pypod.api.options.create import MemberOptions as MemberOptions
    from pypod.api.options.explain import ExplainOptions as ExplainOptions
    from pypod.api.options.pod import ClonePodOptions as ClonePodOptions
    from pypod.api.options.pod import CreatePodOptions as CreatePodOptions
    from pypod.api.options.pod import NewPodOptions as NewPodOptions
    from pypod.api.pod import Pod as Pod
    from pypod.api.pods import Pods as Pods
    from pypod.api.secrets.secret import Secret as Secret
    from pypod.api.secrets.secrets import Secrets as Secrets
    from pypod.api.summaries import ContainerSummary as ContainerSummary
    from pypod.api.summaries import PodSummary as PodSummary
    from pypod.api.volumes.volume import Volume as Volume
    from pypod.api.volumes.volumes import Volumes as Volumes
    from pypod.display.picture import Picture as Picture
    from pypod.engine.containers.attach import Attachment as Attachment
    from pypod.engine.containers.logs import LogReader as LogReader
    from pypod.engine.core.enter import Entered as Entered
    from pypod.engine.inspect.check import HostReport as HostReport
    from pypod.engine.inspect.lsns import Namespaces as Namespaces
    from pypod.engine.inspect.lsns import ProcessFacts as ProcessFacts
    from pypod.engine.inspect.sharing import Matrix as Matrix
    from pypod.engine.inspect.watching import NamespaceWatcher as NamespaceWatcher
    from pypod.engine.lifecycle.explain import Explanation as Explanation
    from pypod.engine.lifecycle.process import ExecResult as ExecResult
    from pypod.engine.lifecycle.process import Process as Process
    from pypod.engine.session.session import Invocation as Invocation
    from pypod.images.config.registries import Choose as Choose
    from pypod.images.registry.access import Access as Access
    from pypod.model.container import ContainerSpec as ContainerSpec
    from pypod.model.container import ContainerState as ContainerState
    from pypod.model.credentials import Credentials as Credentials
    from pypod.model.images.config import ImageStep as ImageStep
    from pypod.model.images.config import LayerUse as LayerUse
    from pypod.model.images.image import Platform as Platform
    from pypod.model.mount import Mount as Mount
    from pypod.model.network import Connection as Connection
    from pypod.model.network import Route as Route
    from pypod.model.options.limits import LimitOptions as LimitOptions
    from pypod.model.options.update import UpdateOptions as UpdateOptions
    from pypod.model.pod import PodSpec as PodSpec
    from pypod.model.pod import PodState as PodState
    from pypod.model.port import Port as Port
    from pypod.model.process import ContainerProcess as ContainerProcess
    from pypod.model.reports.disk_usage import DiskUsage as DiskUsage
    from pypod.model.reports.event import Event as Event
    from pypod.model.reports.log import Piece as Piece
    from pypod.model.reports.progress import Progress as Progress
    from pypod.model.reports.stats import Stats as Stats
    from pypod.model.secret import SecretSpec as SecretSpec
    from pypod.model.volume import VolumeRecord as VolumeRecord
    from pypod.network.interfaces import Interface as Interface
    from pypod.store.images import Named as Named
    from pypod.store.records import ContainerRecord as ContainerRecord
    from pypod.store.records import PodRecord as PodRecord
else:
    __getattr__ = looked_up(
        __name__,
        {
            "AloneOptions": "pypod.api.options.alone",
            "Container": "pypod.api.container",
            "Containers": "pypod.api.containers",
            "CloneOptions": "pypod.api.options.create",
            "CreateOptions": "pypod.api.options.create",
            "MemberOptions": "pypod.api.options.create",
            "Engine": "pypod.api.engine",
            "ExplainOptions": "pypod.api.options.explain",
            "Image": "pypod.api.images.image",
            "ImageSummary": "pypod.api.images.summary",
            "Images": "pypod.api.images.images",
            "ManifestLists": "pypod.api.images.manifest_lists",
            "Network": "pypod.api.networks.network",
            "Networks": "pypod.api.networks.networks",
            "Pod": "pypod.api.pod",
            "ClonePodOptions": "pypod.api.options.pod",
            "CreatePodOptions": "pypod.api.options.pod",
            "NewPodOptions": "pypod.api.options.pod",
            "Pods": "pypod.api.pods",
            "Secret": "pypod.api.secrets.secret",
            "Secrets": "pypod.api.secrets.secrets",
            "Volume": "pypod.api.volumes.volume",
            "Volumes": "pypod.api.volumes.volumes",
            "ContainerSummary": "pypod.api.summaries",
            "PodSummary": "pypod.api.summaries",
            "Picture": "pypod.display.picture",
            "Attachment": "pypod.engine.containers.attach",
            "LogReader": "pypod.engine.containers.logs",
            "Entered": "pypod.engine.core.enter",
            "HostReport": "pypod.engine.inspect.check",
            "Namespaces": "pypod.engine.inspect.lsns",
            "ProcessFacts": "pypod.engine.inspect.lsns",
            "Matrix": "pypod.engine.inspect.sharing",
            "NamespaceWatcher": "pypod.engine.inspect.watching",
            "Explanation": "pypod.engine.lifecycle.explain",
            "ExecResult": "pypod.engine.lifecycle.process",
            "Process": "pypod.engine.lifecycle.process",
            "Invocation": "pypod.engine.session.session",
            "Choose": "pypod.images.config.registries",
            "Access": "pypod.images.registry.access",
            "ContainerSpec": "pypod.model.container",
            "ContainerState": "pypod.model.container",
            "Credentials": "pypod.model.credentials",
            "DiskUsage": "pypod.model.reports.disk_usage",
            "Event": "pypod.model.reports.event",
            "Platform": "pypod.model.images.image",
            "ImageStep": "pypod.model.images.config",
            "LayerUse": "pypod.model.images.config",
            "Piece": "pypod.model.reports.log",
            "Mount": "pypod.model.mount",
            "Connection": "pypod.model.network",
            "Route": "pypod.model.network",
            "LimitOptions": "pypod.model.options.limits",
            "UpdateOptions": "pypod.model.options.update",
            "PodSpec": "pypod.model.pod",
            "PodState": "pypod.model.pod",
            "Port": "pypod.model.port",
            "ContainerProcess": "pypod.model.process",
            "Progress": "pypod.model.reports.progress",
            "SecretSpec": "pypod.model.secret",
            "Stats": "pypod.model.reports.stats",
            "VolumeRecord": "pypod.model.volume",
            "Interface": "pypod.network.interfaces",
            "Named": "pypod.store.images",
            "ContainerRecord": "pypod.store.records",
            "PodRecord": "pypod.store.records",
            "Any": "typing",
            "BinaryIO": "typing",
            "Self": "typing",
        },
    )
