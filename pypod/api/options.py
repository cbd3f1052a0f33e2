"""What the front doors take beside their arguments, for type checkers: the defaults are where each is documented."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypedDict

    from pypod.api.image import Image
    from pypod.engine.containers.options import ContainerOptions as ContainerOptions  # noqa: PLC0414
    from pypod.engine.resources.limits import LimitOptions as LimitOptions  # noqa: PLC0414
    from pypod.images.config.registries import Choose
    from pypod.images.registry.access import Access
    from pypod.model.image import Platform
    from pypod.model.network import Route
    from pypod.model.port import Port
    from pypod.model.progress import Progress

    class NamespaceOptions(TypedDict, total=False):
        """Of pods and of containers alike."""

        hostname: str
        add_hosts: Sequence[str]
        no_hosts: bool
        network: str | Sequence[str]
        network_aliases: Sequence[str]
        ip: str
        ip6: str
        mac_address: str
        dns: Sequence[str]
        dns_options: Sequence[str]
        dns_search: Sequence[str]
        ports: Sequence[str | int | Port] | Mapping[str | int, str | int]
        userns: str
        uidmap: Sequence[str]
        gidmap: Sequence[str]
        subuidname: str
        subgidname: str
        cgroup_parent: str

    class PodOptions(LimitOptions, NamespaceOptions, total=False):
        """Of ``Pods.create``. Sizes in bytes."""

        share: str | Sequence[str]
        infra: bool
        infra_name: str
        infra_command: Sequence[str]
        infra_image: Image | str
        labels: Mapping[str, str] | None
        sysctls: Mapping[str, str] | None
        shm_size: int | None
        share_parent: bool
        ephemeral: bool

    class NetworkOptions(TypedDict, total=False):
        """Of ``Networks.create``."""

        driver: str
        subnets: Sequence[str]
        gateways: Sequence[str]
        ip_ranges: Sequence[str]
        ipv6: bool
        internal: bool
        dns: bool
        dns_servers: Sequence[str]
        options: Mapping[str, str] | None
        labels: Mapping[str, str] | None
        routes: Sequence[str | Route]
        interface: str
        ipam: str

    class PullOptions(TypedDict, total=False):
        """Of ``Images.pull``."""

        platform: str
        access: Access | None
        progress: Callable[[Progress], None] | None
        choose: Choose | None

    class SaveOptions(TypedDict, total=False):
        """Of ``Images.save``."""

        format: str
        fd: int
        tags: Sequence[str]
        compress: bool
        progress: Callable[[Progress], None] | None

    class PushOptions(TypedDict, total=False):
        """Of ``Images.push``."""

        access: Access | None
        format: str
        compression: str
        compress: bool
        progress: Callable[[Progress], None] | None

    class ImportOptions(TypedDict, total=False):
        """Of ``Images.import_tree``."""

        message: str
        changes: Sequence[str]
        platform: Platform | None
        progress: Callable[[Progress], None] | None

    class CommitOptions(TypedDict, total=False):
        """Of ``Container.commit``."""

        author: str
        message: str
        changes: Sequence[str]
        include_volumes: bool
        pause: bool
        squash: bool
        format: str
        progress: Callable[[Progress], None] | None
