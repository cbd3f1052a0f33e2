"""The fields of a specification that ``RunningOptions`` set: checked against the host, resolved, and kept."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec
from pypod.model.ids import is_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pypod.engine.images.stored import StoredImage
    from pypod.model.mount import Mount
    from pypod.model.options.container import ContainerOptions
    from pypod.model.pod import PodSpec

SYSTEMD_STOP_SIGNAL = "SIGRTMIN+3"  # systemd(1): halt
SECCOMP_LABEL = "io.containers.seccomp.profile"  # podman's, of images
_SYSTEMD_COMMANDS = ("/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init")
_ZONES = "/usr/share/zoneinfo"
_LOCAL_ZONE = "/etc/localtime"
_PERSONALITIES = ("LINUX", "LINUX32")  # config-linux.md of the OCI runtime specification
_LONGEST_S = 2**31
_FILE_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_OURS = "io.pypod."


def running_fields(
    options: ContainerOptions,
    arguments: Sequence[str],
    image: StoredImage | None = None,
    pod: PodSpec | None = None,
) -> dict[str, Any]:
    """Return the fields of a container with this command line. Raises InvalidSpec naming the flag."""
    return {
        "seccomp_profile": _seccomp_of_image(options, image),
        "annotations": _annotations(options.annotations),
        "timezone": _timezone(options.timezone),
        "personality": _personality(options.personality),
        "init_path": _init_path(options.init_path) if options.init else "",
        "read_only_tmpfs": options.read_only_tmpfs,
        "chroot_directories": tuple(map(_chroot_directory, options.chroot_directories)),
        "host_users": tuple(
            _host_user(one, options.working_directory or "/", options.mounts) for one in options.host_users
        ),
        "group_entry": _entry(options.group_entry),
        "systemd": uses_systemd(options, arguments),
        "systemd_tmpfs_bytes": options.shm_size_systemd,
        **_devices(options, pod),
        "cgroups": _cgroups(options),
        "cgroup_conf": _cgroup_conf(options),
        "requires": tuple(options.requires),
        "timeout_s": _timeout(options.timeout),
        "pidfile": os.path.abspath(options.pidfile) if options.pidfile else "",
        "conmon_pidfile": os.path.abspath(options.conmon_pidfile) if options.conmon_pidfile else "",
    }


def _devices(options: ContainerOptions, pod: PodSpec | None) -> dict[str, Any]:
    of_pod = {one.path: one for one in pod.devices} if pod is not None else {}
    if not (options.devices or options.device_cgroup_rules or of_pod):
        return {}
    from pypod.engine.specs import devices

    own = {one.path: one for one in devices.devices(options.devices)}
    rules = devices.rules(options.device_cgroup_rules)
    return {"devices": tuple({**of_pod, **own}.values()), "device_rules": rules}


def _cgroups(options: ContainerOptions) -> str:
    mode, flag = options.cgroups, "--cgroups"
    if mode not in ("enabled", "disabled", "no-conmon", "split"):
        raise InvalidSpec(flag, f'running container create option: invalid cgroup mode "{mode}": invalid argument')
    if mode == "disabled" and options.cgroup_parent:
        raise InvalidSpec(flag, "cannot set cgroup parent if not creating cgroups: invalid argument")
    if mode == "split" and options.cgroup_parent:
        raise InvalidSpec(flag, "cannot specify --cgroup-mode=split with a cgroup-parent: invalid argument")
    if mode == "disabled" and (options.limits() is not None or options.cgroup_conf):
        hint = "the container would be in its caller's cgroup"
        raise InvalidSpec(flag, "cannot set limits if not creating cgroups: invalid argument", hint=hint)
    return mode


def _cgroup_conf(options: ContainerOptions) -> tuple[tuple[str, str], ...]:
    for key, value in options.cgroup_conf.items():
        if "." not in key.strip(".") or not set(key) <= _FILE_NAME or "\n" in value or "\0" in value:
            raise InvalidSpec("--cgroup-conf", f"invalid cgroup configuration {key}={value}: not a file of a cgroup")
    return tuple(sorted(options.cgroup_conf.items()))


def uses_systemd(options: ContainerOptions, arguments: Sequence[str]) -> bool:
    """Return whether the command is set up for systemd: on request, or because it is one (podman-run(1), --systemd).

    Raises InvalidSpec for --init beside --systemd=always: both would be the first process.
    """
    if options.systemd != "true":
        if options.systemd == "always" and options.init:
            raise InvalidSpec("--init", "cannot use container-init binary with systemd=always")
        return options.systemd == "always"
    words = arguments[2:] if tuple(arguments[:2]) == ("/bin/sh", "-c") and len(arguments) > 2 else arguments
    return bool(words) and (words[0] in _SYSTEMD_COMMANDS or words[0].rpartition("/")[2] == "systemd")


def _seccomp_of_image(options: ContainerOptions, image: StoredImage | None) -> str:
    """Return the profile in the image's labels if the policy asks for it, else an empty string."""
    policy, flag = options.seccomp_policy, "--seccomp-policy"
    if policy not in ("default", "image"):
        raise InvalidSpec(flag, f'invalid seccomp policy "{policy}": valid policies are ["default" "image"]')
    if policy == "default" or "seccomp=unconfined" in options.security_opt:
        return ""
    if image is None:
        raise InvalidSpec(flag, "cannot read seccomp profile without a valid image")
    profile = dict(image.config.labels).get(SECCOMP_LABEL, "")
    if not profile:
        raise InvalidSpec(flag, "no seccomp policy defined by image")
    return profile


def _annotations(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for name in given:
        if name.startswith(_OURS):
            raise InvalidSpec("--annotation", f"annotation {name!r}: names in {_OURS}* are reserved")
    return tuple(sorted(given.items()))


def _timezone(zone: str) -> str:
    """Return the time zone; raise InvalidSpec unless it is local, or the name of a file of the host's database."""
    if zone:
        timezone_file(zone)
    return zone


def timezone_file(zone: str) -> str:
    """Return the path of a time zone's file on this host. Raises InvalidSpec."""
    if "\0" in zone or not is_text(zone):
        raise InvalidSpec("--tz", f"invalid time zone {zone!r}")
    path = os.path.realpath(_LOCAL_ZONE if zone == "local" else f"{_ZONES}/{zone}")
    inside = zone == "local" or path.startswith(f"{os.path.realpath(_ZONES)}/")
    if not inside or not os.path.isfile(path):
        shown = os.path.normpath(f"{_ZONES}/{zone}")
        problem = "no such file or directory" if not os.path.isdir(path) else "not a time zone"
        raise InvalidSpec("--tz", f"running container create option: stat {shown}: {problem}")
    return path


def _timeout(seconds: int) -> int:
    if not 0 <= seconds <= _LONGEST_S:
        raise InvalidSpec("--timeout", f"invalid timeout {seconds}: must be from 0 to {_LONGEST_S} seconds")
    return seconds


def _personality(domain: str) -> str:
    if domain and domain.upper() not in _PERSONALITIES:
        hint = f"use {' or '.join(_PERSONALITIES)}"
        raise InvalidSpec("--personality", f"unknown persona specified `{domain}`", hint=hint)
    return domain.upper()


def _init_path(path: str) -> str:
    if path and not os.path.isfile(path):
        message = f"container-init binary not found on the host: stat {path}: no such file or directory"
        raise InvalidSpec("--init-path", message)
    return os.path.abspath(path) if path else ""


def _chroot_directory(path: str) -> str:
    if not path.startswith("/"):
        raise InvalidSpec("--chrootdirs", f"the directory {path!r} is invalid, it needs to be an absolute path")
    return os.path.normpath(path)


def _host_user(name: str, working_directory: str, mounts: Sequence[Mount]) -> str:
    """Return the passwd line of a user of the host as podman writes it: the home is used where it is mounted."""
    import pwd

    try:
        found = pwd.getpwuid(int(name)) if name.isascii() and name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError, ValueError):
        raise InvalidSpec("--hostuser", f"user: unknown user {name}") from None
    mounted = tuple(f"{os.path.normpath(mount.target)}/" for mount in mounts)
    home = found.pw_dir if f"{found.pw_dir}/".startswith(mounted or "\n") else working_directory
    full_name = found.pw_gecos.partition(",")[0]
    return _entry(f"{found.pw_name}:*:{found.pw_uid}:{found.pw_gid}:{full_name}:{home}:/bin/sh", "--hostuser")


def _entry(line: str, argument: str = "--group-entry") -> str:
    if not {"\n", "\0"}.isdisjoint(line) or not is_text(line):
        raise InvalidSpec(argument, f"invalid entry {line!r}: it must be a line of text")
    return line
