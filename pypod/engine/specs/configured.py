"""What containers.conf(5) says about containers and pods, for the options that were not given.

As in podman, an option that was given replaces what a file says, except for variables, devices, annotations and mounts,
to which it adds. ``settings`` are looked up once for each creation, since that looks for changed files.
"""

from __future__ import annotations

import os

from pypod.engine.networks.options import DEFAULT_VARIABLE
from pypod.errors import InvalidSpec
from pypod.kernel.capabilities import DEFAULT_CAPABILITIES, merge
from pypod.model.ids import HOSTNAME_LIMIT
from pypod.model.namespace import PRIVATE, parse_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, TypeVar

    from pypod.engine.configuration.files import Settings
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.model.options.container import ContainerOptions
    from pypod.model.options.network import NetworkOptions, UserNamespaceOptions
    from pypod.model.options.pod import PodOptions
    from pypod.model.pod import PodSpec

    C = TypeVar("C", bound=ContainerOptions)
    P = TypeVar("P", bound=PodOptions)
    E = TypeVar("E", bound=ContainerOptions | PodOptions)

_CONTAINERS, _ENGINE, _NETWORK = "containers", "engine", "network"
HOOKS_VARIABLE = "PYPOD_HOOKS_DIRECTORIES"  # what --hooks-dir says, one directory in a line
_HOOKS_OF_ROOT = ("/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d")
# (table, key): the option that has the same meaning
_OF_CONTAINER = {
    (_CONTAINERS, "cgroups"): "cgroups",
    (_CONTAINERS, "default_ulimits"): "ulimits",
    (_CONTAINERS, "http_proxy"): "http_proxy",
    (_CONTAINERS, "env_host"): "host_environment",
    (_CONTAINERS, "init"): "init",
    (_CONTAINERS, "init_path"): "init_path",
    (_CONTAINERS, "oom_score_adj"): "oom_score_adj",
    (_CONTAINERS, "pids_limit"): "pids_limit",
    (_CONTAINERS, "privileged"): "privileged",
    (_CONTAINERS, "read_only"): "read_only",
    (_CONTAINERS, "shm_size"): "shm_size",
    (_CONTAINERS, "tz"): "timezone",
    (_CONTAINERS, "umask"): "umask",
    (_CONTAINERS, "volumes"): "volumes",
    (_ENGINE, "image_volume_mode"): "image_volume",
    (_ENGINE, "stop_timeout"): "stop_timeout",
}
# kind of namespace: its key, and its option
_NAMESPACES = {
    "cgroup": ("cgroupns", "cgroupns"),
    "ipc": ("ipcns", "ipc"),
    "pid": ("pidns", "pid"),
    "uts": ("utsns", "uts"),
}
_OF_NETWORK = {"dns_servers": "dns", "dns_searches": "dns_search", "dns_options": "dns_options", "no_hosts": "no_hosts"}
_OWN_USERS = ("", "host")  # the user namespace of the caller
_OWN_RESOLV_CONF = ("", "private", "bridge", "default")  # of a network, or a user's program
_PING = ("net.ipv4.ping_group_range", "0 0")  # set in every network namespace, by whatever name
_POLICIES = ("always", "missing", "never", "newer")
_DEFAULT_NETWORK = "podman"
_CGROUP_MANAGERS = ("", "cgroupfs", "systemd")


def of_container(context: Context, settings: Settings, options: C, pod: PodSpec | None) -> C:
    """Return the options of a container, in this pod if any, completed by the files. Raises InvalidSpec."""
    if not settings.values:
        return options
    _require_cgroup_manager(settings)
    shared = pod.share if pod is not None and pod.infra else ()
    own_network = "net" not in shared
    found = _mapped(settings, options, _OF_CONTAINER)
    if "pids_limit" in found and found["pids_limit"] <= 0:
        found["pids_limit"] = -1
    if not options.init and "init" not in found:
        found.pop("init_path", None)
    for kind, (key, name) in _NAMESPACES.items():
        if kind not in shared:
            found |= _mapped(settings, options, {(_CONTAINERS, key): name})
    if own_network:
        found |= _of_network(context, settings, options)
    found |= _added(settings, options)
    if pod is None:
        found |= _of_users(settings, options)
    found |= _sysctls(settings, options.replace(**found), net=own_network, ipc="ipc" not in shared)
    if parse_mode("ipc", found.get("ipc") or options.ipc or PRIVATE.mode).mode == "host" and "shm_size" in found:
        del found["shm_size"]
    return options.replace(**found)


def of_pod(context: Context, settings: Settings, options: P) -> P:
    """Return the options of a pod completed by the files. Raises InvalidSpec."""
    if not settings.values:
        return options
    _require_cgroup_manager(settings)
    found = _mapped(
        settings, options, {(_CONTAINERS, "shm_size"): "shm_size", (_ENGINE, "pod_exit_policy"): "exit_policy"}
    )
    share = options.share if isinstance(options.share, str) else ",".join(options.share)
    if options.infra:
        image = {(_ENGINE, "infra_image"): "infra_image"}
        found |= _mapped(settings, options, image)
        command = settings.get(_ENGINE, "infra_command")
        if command and not options.asked("infra_command") and found.get("infra_image"):
            found["infra_command"] = (command,)
        if "net" in share:
            found |= _of_network(context, settings, options)
        found |= _of_users(settings, options)
        found |= _sysctls(settings, options.replace(**found), net="net" in share, ipc="ipc" in share)
    return options.replace(**found)


def capabilities(settings: Settings) -> tuple[str, ...]:
    """Return the capabilities of a container that asks for none and is not privileged. Raises InvalidSpec."""
    names = settings.get(_CONTAINERS, "default_capabilities")
    if names is None:
        return tuple(DEFAULT_CAPABILITIES)
    try:
        return merge((), names, ())
    except InvalidSpec as error:
        raise settings.wrong(_CONTAINERS, "default_capabilities", error.message) from error


def variables(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return the variables of every container, which those of an image override. Raises InvalidSpec."""
    return tuple(_pairs(settings, "env").items())


def without_option(context: Context, settings: Settings, spec: ContainerSpec) -> dict[str, Any]:
    """Return the fields of a specification that no option says. Raises InvalidSpec."""
    hostname = spec.hostname
    if settings.get(_CONTAINERS, "container_name_as_hostname") and spec.uts == PRIVATE and not hostname:
        hostname = "".join([one for one in spec.name if one.isalnum() or one == "-"]).strip("-")[:HOSTNAME_LIMIT]
    tag = settings.get(_CONTAINERS, "log_tag") or ""
    return {
        "hostname": hostname,
        "host_address": host_address(settings),
        "log_tag": tag,
        "hooks_directories": _hooks_directories(context, settings),
    }


def _hooks_directories(context: Context, settings: Settings) -> tuple[str, ...]:
    """Return the directories of OCI hooks that exist: of --hooks-dir, of containers.conf, or root's usual ones."""
    asked = os.environ.get(HOOKS_VARIABLE, "").splitlines() or settings.get(_ENGINE, "hooks_dir")
    found = asked or (() if context.rootless else _HOOKS_OF_ROOT)
    return tuple(one for one in found if os.path.isdir(one))


def host_address(settings: Settings) -> str:
    """Return the address of host.containers.internal; empty to choose one, ``none`` for no such name."""
    address: str = settings.get(_CONTAINERS, "host_containers_internal_ip") or ""
    if address not in ("", "none"):
        import _socket

        try:
            _socket.inet_pton(_socket.AF_INET6 if ":" in address else _socket.AF_INET, address)
        except (OSError, ValueError) as error:
            raise settings.wrong(_CONTAINERS, "host_containers_internal_ip", f"invalid IP {address!r}") from error
    return address


def pull_policy(settings: Settings) -> str:
    """Return the pull policy for containers without one of their own. Raises InvalidSpec."""
    policy: str = settings.get(_ENGINE, "pull_policy") or "missing"
    if policy not in _POLICIES:
        raise settings.wrong(
            _ENGINE, "pull_policy", f'invalid pull type "{policy}": unsupported pull policy "{policy}"'
        )
    return policy


def _require_cgroup_manager(settings: Settings) -> None:
    """Raise InvalidSpec for a manager that podman does not have either; those that it has mean the same here."""
    name = settings.get(_ENGINE, "cgroup_manager") or ""
    if name not in _CGROUP_MANAGERS:
        words = f"unsupported Cgroup manager: {name} - cannot validate cgroup parent: invalid argument"
        raise settings.wrong(_ENGINE, "cgroup_manager", words)


def _mapped(settings: Settings, options: E, table: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Return the options of a table of keys that a file has and the caller has not given."""
    found = {}
    for (section, key), name in table.items():
        value = settings.get(section, key)
        if value is None or value == "" or options.asked(name) or not hasattr(options, name):
            continue
        found[name] = _read(settings, section, key, options, name, value)
    return found


def _read(settings: Settings, section: str, key: str, options: E, name: str, value: Any) -> Any:
    try:
        return type(options).read(name, value)
    except InvalidSpec as error:
        raise settings.wrong(section, key, error.message) from error


def _added(settings: Settings, options: ContainerOptions) -> dict[str, Any]:
    """Return the options to which a file adds."""
    found: dict[str, Any] = {}
    if annotations := _pairs(settings, "annotations"):
        found["annotations"] = {**annotations, **options.annotations}
    if files := _pairs(settings, "cgroup_conf"):
        found["cgroup_conf"] = {**files, **options.cgroup_conf}
    if words := settings.get(_CONTAINERS, "mounts"):
        found["mounts"] = (*_mounts(settings, words), *options.mounts)
    if (words := settings.get(_CONTAINERS, "devices")) and hasattr(options, "devices"):
        found["devices"] = (*_read(settings, _CONTAINERS, "devices", options, "devices", list(words)), *options.devices)
    profile = settings.get(_CONTAINERS, "seccomp_profile")
    if profile and not any(word.startswith(("seccomp=", "seccomp:")) for word in options.security_opt):
        if not os.path.isfile(profile):
            raise settings.wrong(_CONTAINERS, "seccomp_profile", f"open {profile}: no such file or directory")
        found["security_opt"] = (*options.security_opt, f"seccomp={profile}")
    return found


def _mounts(settings: Settings, words: Iterable[str]) -> list[Any]:
    from pypod.model.mount_flags import parse_mount

    try:
        return [parse_mount(word) for word in words]
    except InvalidSpec as error:
        raise settings.wrong(_CONTAINERS, "mounts", error.message) from error


def _pairs(settings: Settings, key: str) -> dict[str, str]:
    found = {}
    for word in settings.get(_CONTAINERS, key) or ():
        name, equals, value = word.partition("=")
        if not name or not (equals or key == "env"):
            raise settings.wrong(_CONTAINERS, key, f"{word!r} must be in the form of KEY=VALUE")
        if equals:
            found[name] = value
        elif name in os.environ:  # as with --env
            found[name] = os.environ[name]
    return found


def _of_network(context: Context, settings: Settings, options: E) -> dict[str, Any]:
    found: dict[str, Any] = {}
    word = "" if options.asked("network") else os.environ.get(DEFAULT_VARIABLE, "")
    if not options.asked("network") and not word:
        word = _network(context, settings)
        found = {"network": word} if word else {}
    asked: Sequence[str] = [options.network] if isinstance(options.network, str) else options.network
    names = {text.partition(":")[0] for text in (*asked, word)}
    table = {(_CONTAINERS, key): name for key, name in _OF_NETWORK.items()}
    if names & {"none", "container"}:
        table = {place: name for place, name in table.items() if name == "no_hosts"}
    if options.add_hosts:
        table = {place: name for place, name in table.items() if name != "no_hosts"}
    return found | _mapped(settings, options, table) | _hosts(settings, options)


def _hosts(settings: Settings, options: NetworkOptions) -> dict[str, Any]:
    """Return what the files say about the content of /etc/hosts."""
    base = settings.get(_CONTAINERS, "base_hosts_file")
    if not base or options.asked("hosts_file"):
        return {}
    if base not in ("none", "image") and not os.path.isfile(base):
        raise settings.wrong(_CONTAINERS, "base_hosts_file", f"open {base}: no such file or directory")
    return {"hosts_file": base}


def _network(context: Context, settings: Settings) -> str:
    """Return the network of whoever asks for none; empty for the usual one."""
    mode = settings.get(_CONTAINERS, "netns") or "private"
    if mode not in ("private", "bridge"):
        return str(mode)
    if not context.rootless:
        name = settings.get(_NETWORK, "default_network") or _DEFAULT_NETWORK
        return "" if name == _DEFAULT_NETWORK else str(name)
    command = settings.get(_NETWORK, "default_rootless_network_cmd") or settings.get(_CONTAINERS, "rootless_networking")
    words = {
        "pasta": settings.get(_NETWORK, "pasta_options"),
        "slirp4netns": settings.get(_ENGINE, "network_cmd_options"),
    }
    if command not in words:
        return ""
    options = words[command]
    return f"{command}:{','.join(options)}" if options else str(command)


def _of_users(settings: Settings, options: UserNamespaceOptions) -> dict[str, Any]:
    from pypod.engine.session.id_maps import USERNS_OPTIONS, USERNS_VARIABLE

    word = settings.get(_CONTAINERS, "userns") or ""
    if word in _OWN_USERS or USERNS_VARIABLE in os.environ or any(getattr(options, name) for name in USERNS_OPTIONS):
        return {}
    size = settings.get(_CONTAINERS, "userns_size")
    return {"userns": f"{word}:size={size}" if word == "auto" and size else word}


def _sysctls(settings: Settings, options: Any, *, net: bool, ipc: bool) -> dict[str, Any]:
    """Return the sysctls: those of the files that the namespaces allow, below those that were asked for."""
    from pypod.engine.specs.specs import check_sysctls

    words = settings.get(_CONTAINERS, "default_sysctls") or ()
    network = options.network if isinstance(options.network, str) else " ".join(options.network)
    net = net and network.partition(":")[0] not in ("host", "container", "ns")
    ipc = ipc and parse_mode("ipc", getattr(options, "ipc", "") or PRIVATE.mode) == PRIVATE
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise settings.wrong(_CONTAINERS, "default_sysctls", f"{word!r} must be in the form of name=value")
        try:
            check_sysctls([(name, value)], net=net, ipc=ipc)
        except InvalidSpec:  # it belongs to a namespace that is shared: podman only warns
            continue
        if (name.replace("/", "."), value) != _PING:
            found[name] = value
    return {"sysctls": {**found, **(options.sysctls or {})}} if found else {}
