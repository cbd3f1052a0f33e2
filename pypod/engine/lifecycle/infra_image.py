"""An infra that runs an image's command, with the image's files as its root (podman's --infra-image).

It is a reduced container: no capabilities, no mounts from the host, and a read-only root. It only has to keep running,
as it holds the pod's namespaces.
"""

from __future__ import annotations

from pypod.engine.lifecycle.derived import ulimits
from pypod.engine.specs import specs
from pypod.engine.specs.image_defaults import with_defaults
from pypod.errors import Unsupported
from pypod.model.namespace import PRIVATE, Mode
from pypod.runtime.compiler.plans import container_ops
from pypod.runtime.oci import Places, runtime_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.engine.images.stored import StoredImage
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.runtime.compiler.surroundings import Surroundings
    from pypod.runtime.ops import Op
    from pypod.store.records import ContainerRecord

_MOUNTED = ("/proc", "/dev", "/dev/pts", "/dev/shm")  # noqa: S108
_HELD = ("net", "ipc", "uts", "cgroup")


def infra_spec(pod: PodSpec, image: StoredImage, name: str) -> ContainerSpec:
    """Return the specification of a pod's infra that runs an image; the pod's infra command replaces the image's.

    Raises InvalidSpec when neither has a command, Unsupported for a pod that shares a user namespace.
    """
    from pypod.model.options.container import ContainerOptions

    if "user" in pod.share:
        raise Unsupported("--infra-image", "an infra of an image cannot hold a user namespace", hint="use --share")
    given = ContainerOptions(entrypoint=pod.infra_command or None)
    options, command = with_defaults(given, (), image.config)
    spec = specs.container_spec(command, options.replace(mounts=()), name=name, image=image)
    held = {kind: PRIVATE if kind in pod.held else Mode(mode="host") for kind in _HELD}
    if pod.net == "host":
        held["net"] = Mode(mode="host")
    return spec.replace(
        **held,
        sysctls=pod.sysctls,
        shm_size_bytes=pod.shm_size_bytes,
        capabilities=(),
        no_new_privileges=True,
        create_working_directory=False,
    )


def image_ops(
    context: Context, record: ContainerRecord, spec: ContainerSpec, hostname: str, around: Surroundings
) -> list[Op]:
    """Return the operations of such an infra, which follow the settings common to every infra."""
    places = Places(
        root=context.layout.merged,
        hosts="",
        hostname_file="",
        resolv_conf="",
        container_env="",
        init="",
        cgroup_path=record.cgroup,
        cgroup_mount=context.cgroups.shown,
        hostname=hostname,
        shared_shm=False,
        ulimits=ulimits(spec),
        rootless=context.rootless,
        foreign=tuple(kind for kind in _HELD if spec.namespace(kind).mode == "host"),
    )
    config = runtime_spec(spec, places)
    config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] in _MOUNTED]
    for name in ("maskedPaths", "readonlyPaths"):  # sysfs is not mounted
        config["linux"][name] = [path for path in config["linux"][name] if path.startswith("/proc/")]
    seccomp, flags = context.default_filter(())
    whole = around.replace(seccomp=seccomp, seccomp_flags=flags, keyring=f"_ses.{record.id}")
    return container_ops(config, whole)
