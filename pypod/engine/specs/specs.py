"""Turn the arguments of a call into a specification: defaults, merging, and validation."""

from __future__ import annotations

import os

from pypod.engine.networks.options import asked_network, dns_fields
from pypod.engine.resources.limits import from_options
from pypod.engine.specs.process import capabilities_of, check_environment, check_user, groups_of, ulimits_of
from pypod.engine.specs.running import SYSTEMD_STOP_SIGNAL, running_fields
from pypod.engine.specs.security import security_options
from pypod.engine.specs.variables import unset_environment
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.abi import SIGTERM, signal_number
from pypod.kernel.capabilities import DEFAULT_CAPABILITIES, bounding_set, merge
from pypod.kernel.idmap import in_user_namespace
from pypod.model import restart
from pypod.model.container import DEFAULT_SHM_BYTES, ContainerSpec
from pypod.model.ids import is_text
from pypod.model.mount import VOLUME, parse_tmpfs
from pypod.model.namespace import HOST, POD, PRIVATE, SHAREABLE, Mode, not_shared, parse_mode
from pypod.model.network_flags import HOST_GATEWAY
from pypod.model.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from pypod.engine.images.stored import StoredImage
    from pypod.model.mount import Mount
    from pypod.model.network_flags import Asked
    from pypod.model.options.container import ContainerOptions
    from pypod.model.options.pod import PodOptions
    from pypod.model.pod import PodSpec


# The sysctls of the IPC namespace, which a container may set in an IPC namespace of its own (podman-run(1), --sysctl).
_IPC_SYSCTLS = frozenset(
    f"kernel.{name}" for name in "msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced".split()
)


def _idmap(options: ContainerOptions) -> bool:
    """Return whether the root directory is to be id-mapped to the container's user namespace."""
    if not options.idmap:
        return False
    if options.overlay or not options.rootfs:
        raise InvalidSpec("idmap", "idmap needs a root directory that is used directly: without an image and :O")
    if in_user_namespace():
        message = "the kernel does not let a user id-map a file system that root mounted (mount_setattr(2))"
        hint = "pypod unshare chown changes the owners permanently; --rootfs DIR:O leaves the directory as it is"
        raise Unsupported("--rootfs DIR:idmap", message, hint=hint)
    return True


def container_spec(
    command: Sequence[str] | str,
    options: ContainerOptions,
    *,
    name: str,
    pod_id: str = "",
    pod: PodSpec | None = None,
    image: StoredImage | None = None,
    capabilities: Sequence[str] = DEFAULT_CAPABILITIES,
) -> ContainerSpec:
    """Return the specification of a container; raise InvalidSpec naming the invalid argument.

    Only the name and the layers of ``image`` are used: its configuration is already merged into the options.
    ``capabilities`` are those that a container has without asking.
    """
    modes = _modes(options, pod)
    asked = asked_of(options, pod)
    modes["net"] = asked.mode
    privileged = options.privileged
    security = security_options((*(pod.security_opt if pod else ()), *options.security_opt))
    base = tuple(bounding_set()) if privileged else tuple(capabilities)
    sysctls = tuple(sorted(options.sysctls.items()))
    of_host = [kind for kind in ("net", "ipc") if modes[kind] == HOST]
    check_sysctls(sysctls, net=modes["net"] == PRIVATE, ipc=modes["ipc"] == PRIVATE, of_host=of_host)
    add_hosts = check_add_hosts(options.add_hosts)
    check_hosts(add_hosts, asked, no_hosts=options.no_hosts)
    _check_shared(options, modes)
    idmap = _idmap(options)
    words, entrypoint = (command,) if isinstance(command, str) else tuple(command), tuple(options.entrypoint or ())
    running = running_fields(options, (*entrypoint, *words), image, pod)
    stop_signal = options.stop_signal or (SYSTEMD_STOP_SIGNAL if running["systemd"] else SIGTERM)
    return ContainerSpec(
        name=name,
        command=words,
        entrypoint=entrypoint,
        rootfs="" if image else rootfs_path(options.rootfs),
        image=image.used_name if image else "",
        layers=image.layer_directories() if image else (),
        create_working_directory=image is not None
        and options.working_directory == image.config.working_directory != "",
        overlay=not idmap if options.overlay is None else options.overlay,
        idmap=idmap,
        pod_id=pod_id,
        environment=check_environment(options.environment),
        unset_environment=unset_environment(options),
        working_directory=options.working_directory or "/",
        user=check_user(options.user),
        groups=groups_of(options.groups),
        passwd=options.passwd,
        passwd_entry=options.passwd_entry,
        hostname=options.hostname,
        add_hosts=add_hosts,
        no_hosts=options.no_hosts,
        no_hostname=options.no_hostname or (pod is not None and pod.no_hostname),
        hosts_file=check_hosts_file(options.hosts_file),
        capabilities=capabilities_of(base, options.cap_add, options.cap_drop),
        added_capabilities=merge((), options.cap_add, ()),
        privileged=privileged,
        mounts=mounts_of(options),
        volumes_from=tuple(options.volumes_from),
        read_only=options.read_only,
        net=modes["net"],
        net_program=asked.program,
        pid=modes["pid"],
        ipc=modes["ipc"],
        uts=modes["uts"],
        no_shm=options.ipc == "none",
        ipc_private=options.ipc == "private",
        cgroup=modes["cgroup"],
        user_namespace=POD if pod is not None and pod.infra and "user" in pod.share else HOST,
        init=options.init,
        ulimits=ulimits_of(options.ulimits),
        sysctls=sysctls,
        labels=tuple(sorted(options.labels.items())),
        stop_signal=signal_number(stop_signal, argument="--stop-signal"),
        stop_timeout_s=options.stop_timeout,
        shm_size_bytes=DEFAULT_SHM_BYTES if options.shm_size is None else options.shm_size,
        interactive=options.interactive,
        terminal=options.terminal,
        remove=options.remove,
        init_container=options.init_container,
        **_restart(options, pod),
        cgroup_parent=options.cgroup_parent,
        limits=from_options(options),
        oom_score_adj=options.oom_score_adj,
        umask=options.umask,
        healthcheck=options.healthcheck,
        exposed_ports=_exposed_ports(options.exposed_ports),
        create_command=tuple(options.create_command),
        **dns_fields(asked, options),
        **running,
        **security,
    )


def _check_shared(options: ContainerOptions, modes: Mapping[str, Mode]) -> None:
    """Raise InvalidSpec for an option of a namespace that the container shares with others."""
    if options.add_hosts and modes["net"] == POD:
        raise InvalidSpec(
            "--add-host",
            "extra host entries must be specified on the pod: network cannot be configured when it is shared "
            "with a pod",
        )
    if options.add_hosts and modes["net"].mode == "container":
        raise InvalidSpec(
            "--add-host",
            "cannot set extra host entries when the container is joined to another containers network namespace",
        )
    if options.shm_size is not None and modes["ipc"].mode == "host":
        raise InvalidSpec("--shm-size", "cannot set shmsize when running in the host IPC namespace")
    if options.init and modes["pid"] != PRIVATE:
        raise InvalidSpec("--init", "cannot add init binary as PID 1 (PID namespace isn't private)")


def _restart(options: ContainerOptions, pod: PodSpec | None) -> dict[str, Any]:
    """Return the fields of its restart policy, or of its pod's. Raises InvalidSpec."""
    asked = options.restart or (pod.restart if pod is not None and not options.remove else "")
    if not asked:
        return {}
    policy, retries = restart.parse(asked)
    restart.require_kept(policy, remove=options.remove)
    return {"restart_policy": policy, "restart_retries": retries}


def _exposed_ports(words: Sequence[str]) -> tuple[str, ...]:
    """Return ports in the form that images use: NUMBER/PROTOCOL, or a range."""
    from pypod.model.port import parse_exposed

    found = []
    for word in words:
        port = parse_exposed(word)
        last = f"-{port.container_port + port.count - 1}" if port.count > 1 else ""
        found.append(f"{port.container_port}{last}/{port.protocol}")
    return tuple(found)


def rootfs_path(path: str) -> str:
    """Return the absolute path of a root file system; raise InvalidSpec if the directory does not exist."""
    if not path:
        raise InvalidSpec("--rootfs", "an image or --rootfs is required")
    absolute = os.path.abspath(path)
    if not os.path.isdir(absolute):
        hint = "in Python :O is left out: overlay=True is the default" if path.endswith(":O") else ""
        reason = "not a directory" if os.path.exists(absolute) else "no such file or directory"
        raise InvalidSpec("--rootfs", f"running container create option: stat {path}: {reason}", hint=hint)
    return absolute


def asked_of(options: ContainerOptions, pod: PodSpec | None) -> Asked:
    """Return the network that a container's options ask for. Raises InvalidSpec."""
    asked = asked_network(options, shared=pod is not None and pod.infra and "net" in pod.share)
    if asked.mode == POD and (pod is None or not pod.infra or "net" not in pod.share):
        raise not_shared("net", has_infra=pod is not None and pod.infra)
    return asked


def _modes(options: ContainerOptions, pod: PodSpec | None) -> dict[str, Mode]:
    shared = pod.share if pod is not None and pod.infra else ()
    modes = {}
    asked = {"pid": options.pid, "ipc": options.ipc, "uts": options.uts, "cgroup": options.cgroupns}
    for kind, given in asked.items():
        if given:
            mode = parse_mode(kind, given)
            if mode == POD and (pod is None or kind not in shared):
                raise not_shared(kind, has_infra=pod is not None and pod.infra)
            mode = of_pod(kind, pod) if mode == POD and pod else mode
        else:
            mode = of_pod(kind, pod) if pod and kind in shared and kind in SHAREABLE else PRIVATE
        modes[kind] = mode
    if options.cgroups == "disabled":  # in its caller's cgroup, as it is
        modes["cgroup"] = HOST
    return modes


def of_pod(kind: str, pod: PodSpec) -> Mode:
    """Return the mode of a namespace that the pod shares: the infra's, unless the pod names another."""
    mode: Mode = getattr(pod, kind, PRIVATE)
    return POD if mode == PRIVATE else mode


def check_add_hosts(entries: Sequence[str]) -> tuple[str, ...]:
    """Return --add-host entries (HOST:IP, HOST:host-gateway); raise InvalidSpec for anything else."""
    for entry in entries:
        name, separator, address = entry.partition(":")
        if not separator or not name or any(c.isspace() for c in entry) or not is_text(entry):
            raise InvalidSpec("--add-host", f"bad format for add-host: {quoted(entry)}")
        if address == HOST_GATEWAY:
            continue
        import _socket

        family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
        try:
            _socket.inet_pton(family, address)
        except (OSError, ValueError):  # ValueError: an embedded NUL
            raise InvalidSpec("--add-host", f"invalid IP address in add-host: {quoted(address)}") from None
    return tuple(entries)


def check_hosts_file(path: str) -> str:
    """Return --hosts-file: an absolute path, ``image`` or ``none``. Raises InvalidSpec when there is no such file."""
    import os

    if path in ("", "image", "none"):
        return path
    if not os.path.isfile(path):
        raise InvalidSpec("--hosts-file", f"failed to read base hosts file: open {path}: no such file or directory")
    return os.path.abspath(path)


def check_hosts(add_hosts: Sequence[str], asked: Asked, *, no_hosts: bool, infra: bool = True) -> None:
    """Raise InvalidSpec for host entries without an /etc/hosts to write them to, or an unreachable host-gateway."""
    if add_hosts and no_hosts:
        raise InvalidSpec("--no-hosts", "--no-hosts and --add-host cannot be set together")
    gateways = [entry for entry in add_hosts if entry.endswith(f":{HOST_GATEWAY}")]
    if gateways and not _reaches_host(asked):
        message = f'unable to replace "{HOST_GATEWAY}" of host entry "{gateways[0]}"'
        raise InvalidSpec("--add-host", message, hint="there is no network on which the host could be reached")
    if no_hosts and not infra:
        raise InvalidSpec("--no-hosts", "cannot specify --no-hosts without an infra container")


def _reaches_host(asked: Asked) -> bool:
    if asked.program:
        from pypod.engine.networks.user_network import host_address
        from pypod.network.user_mode import parse

        return bool(host_address(parse(asked.program)))
    if asked.connections and in_user_namespace():
        from pypod.engine.networks.user_network import host_of_default

        return bool(host_of_default())
    return asked.mode == HOST or bool(asked.connections)


def check_sysctls(sysctls: Sequence[tuple[str, str]], *, net: bool, ipc: bool, of_host: Collection[str] = ()) -> None:
    """Raise InvalidSpec for a sysctl that does not belong to a namespace of the container's (or pod's) own.

    ``of_host`` has the kinds of namespaces that are the host's.
    """
    for key, value in sysctls:
        name = key.replace("/", ".")
        if ".." in name or name.startswith("."):
            raise InvalidSpec("--sysctl", f"invalid sysctl {key!r}")
        for_net, for_ipc = name.startswith("net."), name in _IPC_SYSCTLS or name.startswith("fs.mqueue.")
        if (for_net and net) or (for_ipc and ipc):
            continue
        if (for_net and "net" in of_host) or (for_ipc and "ipc" in of_host):
            kind = "Network" if for_net else "IPC"
            message = f"sysctl {key}={value} can't be set since {kind} Namespace set to host: invalid argument"
            raise InvalidSpec("--sysctl", message)
        raise InvalidSpec(
            "--sysctl",
            f"sysctl '{key}' is not allowed",
            hint="only net.* and IPC sysctls are, in a namespace of its own; for a shared one set it on the pod",
        )


def mounts_of(options: ContainerOptions | PodOptions) -> tuple[Mount, ...]:
    """Return all mounts that are asked for, one for each target. Raises InvalidSpec."""
    tmpfs = {mount.target: mount for mount in map(parse_tmpfs, getattr(options, "tmpfs", ()))}  # the last one wins
    if not options.volumes and not options.mounts:
        return tuple(tmpfs.values())
    from pypod.engine.storage.volumes import with_names
    from pypod.model.mount_flags import parse_volume

    found: dict[str, Mount] = {}
    volumes = [parse_volume(text) for text in options.volumes]
    for mount in (*volumes, *options.mounts, *tmpfs.values()):
        target = os.path.normpath(mount.target)
        if target not in found:
            found[target] = mount
        elif not (volumes and _is_same(found[target], mount)):
            raise InvalidSpec(mount.argument, f"{target}: duplicate mount destination")
    return with_names(found.values())


def _is_same(one: Mount, other: Mount) -> bool:
    """Return whether two mounts on one target are the same, as podman compares them: a volume's options may differ."""
    if one.type == other.type == VOLUME:
        return one.source == other.source
    return one == other.replace(argument=one.argument, target=one.target)
