"""The keys of containers.conf(5) without an effect here, and why; every other key of ``keys.KEYS`` has one."""

from __future__ import annotations

# table, reason, keys; docs/reference/containers-conf.md shows these rows
_ROWS: tuple[tuple[str, str, str], ...] = (
    ("containers", "pypod sets no profiles of AppArmor and no labels of SELinux", "apparmor_profile label label_users"),
    ("containers", "interfaces are named by `--network NAME:interface_name=`, or eth0, eth1", "interface_name"),
    ("containers", "every container has a session keyring of its own", "keyring"),
    ("containers", "output is kept in the container's directory, all of it", "log_path log_size_max"),
    (
        "containers",
        "a volume is filled when the first container with it starts",
        "prepare_volume_on_create",
    ),
    (
        "engine",
        "containers are run by pypod's own programs",
        """cgroup_check conmon_env_vars conmon_path conmonrs_path exit_command_delay init_path no_pivot_root
        platform_to_oci_runtime runtime runtime_supports_json runtime_supports_kvm runtime_supports_nocgroups runtimes
        runtimes_flags""",
    ),
    (
        "engine",
        "the storage directory (`--root`) holds everything",
        "events_logfile_path image_copy_tmp_dir namespace static_dir tmp_dir volume_path",
    ),
    ("engine", "locks are the kernel's, records those of one database", "database_backend lock_type num_locks"),
    (
        "engine",
        "the last two megabytes of events are kept, with podman 4's fields",
        "events_container_create_inspect_data events_logfile_max_size healthcheck_events",
    ),
    (
        "engine",
        "there is no service, and no other machine is reached",
        """compat_api_enforce_docker_hub machine_enabled remote remote_identity remote_uri
        service_timeout ssh_config""",
    ),
    (
        "engine",
        "images are stored as they come, three layers at a time",
        "image_build_format image_default_format image_parallel_copies",
    ),
    ("engine", "a name without a transport is one of a registry, as in podman", "image_default_transport"),
    ("engine", "programs are found in $PATH", "helper_binaries_dir network_cmd_path"),
    ("engine", "a host port is held as long as its container runs", "enable_port_reservation"),
    (
        "engine",
        "pypod has neither compose, kube, CDI nor plugins",
        "cdi_spec_dirs compose_providers compose_warning_logs kube_generate_type volume_plugin_timeout volume_plugins",
    ),
    (
        "network",
        "networks are pypod's own, and their name server is on port 53",
        "cni_plugin_dirs dns_bind_port firewall_driver netavark_plugin_dirs network_backend network_config_dir",
    ),
)
WITHOUT_EFFECT: dict[tuple[str, str], str] = {
    (table, key): reason for table, reason, keys in _ROWS for key in keys.split()
}
