"""The keys of containers.conf(5) and their types: those of podman 4.3 and 5."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEXT, TEXTS, WHOLE, YES, TABLE, TABLES = "string", "slice", "integer", "boolean", "map", "slice of maps"
# In a size, podman accepts a number as well.
SIZE = "string or integer"

_CONTAINERS = {
    TEXT: """apparmor_profile base_hosts_file cgroupns cgroups host_containers_internal_ip init_path interface_name
        ipcns log_driver log_path log_tag netns pidns rootless_networking seccomp_profile shm_size tz umask userns
        utsns""",
    TEXTS: """annotations cgroup_conf default_capabilities default_sysctls default_ulimits devices dns_options
        dns_searches dns_servers env mounts volumes""",
    WHOLE: "log_size_max oom_score_adj pids_limit userns_size",
    YES: """container_name_as_hostname env_host http_proxy init keyring label label_users no_hosts
        prepare_volume_on_create privileged read_only""",
}
_ENGINE = {
    TEXT: """active_service cgroup_manager compression_format conmonrs_path database_backend detach_keys
        events_logfile_path events_logger image_build_format image_copy_tmp_dir image_default_format
        image_default_transport image_volume_mode infra_command infra_image init_path kube_generate_type lock_type
        namespace network_cmd_path pod_exit_policy pull_policy remote_identity remote_uri retry_delay runtime ssh_config
        static_dir tmp_dir volume_path""",
    TEXTS: """add_compression cdi_spec_dirs compose_providers conmon_env_vars conmon_path env helper_binaries_dir
        hooks_dir network_cmd_options runtime_supports_json runtime_supports_kvm runtime_supports_nocgroups""",
    WHOLE: """compression_level exit_command_delay image_parallel_copies num_locks retry service_timeout stop_timeout
        volume_plugin_timeout""",
    YES: """cgroup_check chown_copied_files compat_api_enforce_docker_hub compose_warning_logs enable_port_reservation
        events_container_create_inspect_data healthcheck_events machine_enabled multi_image_archive no_pivot_root
        remote""",
    SIZE: "events_logfile_max_size",
    TABLE: "platform_to_oci_runtime runtimes runtimes_flags service_destinations volume_plugins",
}
_NETWORK = {
    TEXT: """default_network default_rootless_network_cmd default_subnet firewall_driver network_backend
        network_config_dir""",
    TEXTS: "cni_plugin_dirs netavark_plugin_dirs pasta_options",
    WHOLE: "dns_bind_port",
    TABLES: "default_subnet_pools",
}
_SECRETS = {TEXT: "driver", TABLE: "opts"}

KEYS: dict[str, dict[str, str]] = {
    table: {key: kind for kind, words in kinds.items() for key in words.split()}
    for table, kinds in (
        ("containers", _CONTAINERS),
        ("engine", _ENGINE),
        ("network", _NETWORK),
        ("secrets", _SECRETS),
    )
}
# Tables of other programs and commands, which are taken as they are.
FOREIGN = ("machine", "farms", "podmansh", "configmaps")
_TYPES: dict[str, tuple[type, ...]] = {
    TEXT: (str,),
    TEXTS: (list,),
    WHOLE: (int,),
    YES: (bool,),
    TABLE: (dict,),
    TABLES: (list,),
    SIZE: (str, int),
}
_NAMES = {str: "string", bool: "boolean", int: "int64", float: "float64", list: "array", dict: "table"}


def checked(name: str, value: Any, kind: str) -> Any:
    """Return a value if it has the type of its key. Raises ValueError in podman's words."""
    fits = isinstance(value, _TYPES[kind]) and (kind == YES or not isinstance(value, bool))
    if not fits or (kind == TABLES and not all(isinstance(one, dict) for one in value)):
        raise ValueError(incompatible(name, value, kind))
    return value


def incompatible(name: str, value: object, kind: str) -> str:
    """Return podman's words for a value of a wrong type."""
    found = _NAMES.get(type(value), type(value).__name__)
    return f'(last key "{name}"): incompatible types: TOML value has type {found}; destination has type {kind}'
