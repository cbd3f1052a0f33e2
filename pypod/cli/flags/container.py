"""The flags that say what a container is to be, and their way into the library's options."""

from __future__ import annotations

from pypod.cli.containers.healthcheck import HEALTH_FLAGS
from pypod.cli.flags import text_files
from pypod.cli.flags.limits import CONTAINER_FLAGS, limit_options
from pypod.cli.flags.network import NETWORK_FLAGS, network_options
from pypod.cli.flags.parser import Flag
from pypod.cli.flags.user_namespace import USERNS_FLAGS, userns_options
from pypod.cli.images.pull import ACCESS_FLAGS, PLATFORM_FLAGS
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.api.options import ContainerOptions
    from pypod.cli.flags.parser import Parsed
    from pypod.model.mount import Mount

# What podman has and pypod has not yet: asking for it is an error that says so, not a typing mistake.
_NOT_YET = {
    **dict.fromkeys(("restart",), "restarts"),
    **dict.fromkeys(("device", "device-cgroup-rule"), "single devices"),
}
NOT_YET_FLAGS = tuple(
    Flag(name=name, kind="stringArray", hidden=True, help=f"{what} are not available yet")
    for name, what in _NOT_YET.items()
)
PUBLISH = Flag(
    name="publish",
    short="p",
    kind="strings",
    help="Publish a container's port, or a range of ports, to the host: [[IP:]HOST_PORT:]PORT[/PROTOCOL]",
)

FLAGS: tuple[Flag, ...] = (
    *NOT_YET_FLAGS,
    *NETWORK_FLAGS,
    Flag(
        name="add-host",
        kind="stringArray",
        help="Add a custom host-to-IP mapping (host:ip, or host:host-gateway)",
        metavar="strings",
    ),
    Flag(name="cap-add", kind="strings", help="Add capabilities to the container"),
    Flag(name="cap-drop", kind="strings", help="Drop capabilities from the container"),
    Flag(name="cgroup-parent", help="Optional parent cgroup for the container"),
    Flag(name="cgroupns", help="cgroup namespace to use"),
    Flag(name="cidfile", help="Write the container ID to the file"),
    Flag(name="disable-content-trust", kind="bool", hidden=True, help="This is a Docker specific option and is a NOOP"),
    Flag(name="entrypoint", help="Overwrite the default ENTRYPOINT of the image"),
    Flag(name="env", short="e", kind="stringArray", help="Set environment variables in container"),
    Flag(name="env-file", kind="stringArray", help="Read in a file of environment variables"),
    Flag(
        name="env-merge",
        kind="stringArray",
        help="Change an environment variable of the image, as in PATH=${PATH}:/opt/bin",
    ),
    Flag(name="expose", kind="strings", help="Expose a port or a range of ports"),
    Flag(name="group-add", kind="strings", help="Add additional groups to the primary container process"),
    Flag(name="hostname", short="h", help="Set container hostname"),
    Flag(
        name="image-volume",
        default="bind",
        help="What becomes of the volumes that the image names: bind (one of the container's own), tmpfs, ignore",
    ),
    Flag(name="init", kind="bool", help="Run an init binary inside the container that forwards signals and reaps"),
    Flag(name="interactive", short="i", kind="bool", help="Keep STDIN open even if not attached"),
    Flag(name="ipc", help="IPC namespace to use"),
    Flag(name="label", short="l", kind="stringArray", help="Set metadata on container"),
    Flag(name="label-file", kind="stringArray", help="Read in a line delimited file of labels"),
    Flag(name="mount", kind="stringArray", help="Attach a filesystem mount to the container"),
    Flag(name="name", help="Assign a name to the container"),
    Flag(name="passwd", kind="bool", default=True, help="Add entries to /etc/passwd and /etc/group"),
    Flag(name="passwd-entry", help="Entry to write to /etc/passwd"),
    Flag(name="pid", help="PID namespace to use"),
    Flag(name="pod", help="Run container in an existing pod, or in new:NAME"),
    Flag(name="pod-id-file", help="Read the pod ID from the file"),
    PUBLISH,
    Flag(name="publish-all", short="P", kind="bool", help="Publish all exposed ports to random ports on the host"),
    Flag(name="pull", default="missing", help="Pull image policy: always, missing, never, newer"),
    Flag(name="privileged", kind="bool", help="Give extended privileges to container"),
    Flag(name="quiet", short="q", kind="bool", help="Suppress output information when pulling images"),
    Flag(name="read-only", kind="bool", help="Make containers root filesystem read-only"),
    Flag(name="replace", kind="bool", help="If a container with the same name exists, replace it"),
    Flag(name="rm", kind="bool", help="Remove container (and pod if created) after exit"),
    Flag(
        name="rootfs", kind="bool", help="The first argument is not an image but the rootfs to the exploded container"
    ),
    Flag(name="security-opt", kind="stringArray", help="Security Options"),
    Flag(name="shm-size", help="Size of /dev/shm", default="65536k", metavar="<number>[<unit>]"),
    Flag(name="stop-signal", help="Signal to stop a container. Default is SIGTERM"),
    Flag(
        name="stop-timeout", kind="uint", default=10, help="Timeout (in seconds) that containers stopped by user have"
    ),
    Flag(name="sysctl", kind="strings", help="Sysctl options"),
    Flag(
        name="tmpfs", kind="stringArray", help="Mount a temporary filesystem (tmpfs) into a container", metavar="tmpfs"
    ),
    Flag(name="tty", short="t", kind="bool", help="Allocate a pseudo-TTY for container"),
    Flag(name="ulimit", kind="strings", help="Ulimit options"),
    Flag(name="umask", default="0022", help="Set umask in container"),
    Flag(
        name="unsetenv", kind="stringArray", help="Unset an environment variable of the image, or one of podman's own"
    ),
    Flag(name="unsetenv-all", kind="bool", help="Unset all environment variables that were not asked for"),
    Flag(name="user", short="u", help="Username or UID (format: <name|uid>[:<group|gid>])"),
    Flag(name="uts", help="UTS namespace to use"),
    Flag(name="volume", short="v", kind="stringArray", help="Bind mount a volume into the container"),
    Flag(name="volumes-from", kind="stringArray", help="Mount volumes from the specified container(s)"),
    Flag(name="workdir", short="w", help="Working directory inside the container"),
    *ACCESS_FLAGS,
    *CONTAINER_FLAGS,
    *HEALTH_FLAGS,
    *PLATFORM_FLAGS,
    *USERNS_FLAGS,
)

_MODES = ("cgroupns", "ipc", "pid", "uts")
_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "": 1}


def refuse_not_yet(options: Parsed) -> None:
    """Raise InvalidSpec for the first flag that pypod does not have yet."""
    for name, what in _NOT_YET.items():
        if options.changed(name):
            raise InvalidSpec(f"--{name}", f"--{name}: {what} are not available yet")


def container_options(options: Parsed) -> tuple[str, list[str], ContainerOptions]:
    """Return the image (or nothing), the command and the library's options of a container. Raises InvalidSpec."""
    refuse_not_yet(options)
    image, *words = options.positionals or ("",)
    found: ContainerOptions = {}
    if options["rootfs"]:
        if not image:
            raise InvalidSpec("--rootfs", "--rootfs needs a directory")
        found["rootfs"], word = _rootfs(image)
        found["overlay"], found["idmap"] = word == "O", word == "idmap"
        image = ""
    elif not image:
        raise InvalidSpec("IMAGE", "an image or --rootfs is needed")
    for name in _MODES:
        if options[name]:
            found[name] = options[name]  # type: ignore[literal-required]
    found.update(network_options(options))  # type: ignore[typeddict-item]
    found.update(userns_options(options))  # type: ignore[typeddict-item]
    for flag, key in (
        ("name", "name"),
        ("hostname", "hostname"),
        ("user", "user"),
        ("cgroup-parent", "cgroup_parent"),
        ("stop-signal", "stop_signal"),
        ("workdir", "working_directory"),
    ):
        if options[flag]:
            found[key] = options[flag]  # type: ignore[literal-required]
    if options.changed("entrypoint"):
        found["entrypoint"] = _entrypoint(options["entrypoint"])
    found["environment"] = environment(options["env"], options["env-file"])
    found["env_merge"] = options["env-merge"]
    found["unsetenv"], found["unsetenv_all"] = options["unsetenv"], options["unsetenv-all"]
    found["labels"] = _labels(options["label"], options["label-file"])
    found["sysctls"] = _pairs(options["sysctl"], "--sysctl")
    found["add_hosts"], found["no_hosts"] = options["add-host"], options["no-hosts"]
    found["cap_add"], found["cap_drop"] = options["cap-add"], options["cap-drop"]
    found["groups"] = options["group-add"]
    found["passwd"], found["passwd_entry"] = options["passwd"], options["passwd-entry"]
    found["exposed_ports"] = options["expose"]
    found["ports"], found["publish_all"] = options["publish"], options["publish-all"]
    found["security_opt"] = options["security-opt"]
    found["volumes"], found["tmpfs"] = options["volume"], options["tmpfs"]
    found["volumes_from"] = options["volumes-from"]
    found["image_volume"] = options["image-volume"]
    found["mounts"] = _mounts(options["mount"])
    found["ulimits"] = options["ulimit"]
    found["init"], found["interactive"] = options["init"], options["interactive"]
    found["terminal"], found["remove"] = options["tty"], options["rm"]
    found["privileged"], found["read_only"] = options["privileged"], options["read-only"]
    if options.changed("shm-size"):  # the default is podman's, in its own counting (65536 thousands)
        found["shm_size"] = size_bytes(options["shm-size"], "--shm-size")
    found["stop_timeout"] = options["stop-timeout"]
    found["umask"] = _octal(options["umask"])
    found.update(limit_options(options))  # type: ignore[typeddict-item]  # it has all of the other's
    if options["health-cmd"] or options["no-healthcheck"]:
        from pypod.cli.containers.healthcheck import healthcheck_option

        found["healthcheck"] = healthcheck_option(options)
    return image, words, found


def _rootfs(text: str) -> tuple[str, str]:
    """Return the directory, and the word after it."""
    path, separator, word = text.rpartition(":")
    return (path, word) if separator and word in ("O", "rw", "idmap") else (text, "")


def _entrypoint(text: str) -> list[str]:
    """Read --entrypoint: a JSON list of strings, or one word."""
    if not text.startswith("["):
        return [text] if text else []
    import json

    try:
        words = json.loads(text)
    except ValueError:
        return [text]
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else [text]


def environment(entries: Sequence[str], files: Sequence[str]) -> dict[str, str]:
    """Return the variables of --env-file and --env: NAME=VALUE, NAME from our own, PREFIX* for all that begin so."""
    import os

    found: dict[str, str] = {}
    lines = [line for path in files for line in text_files.lines(path, "--env-file")]
    for entry in [*lines, *entries]:
        name, separator, value = entry.partition("=")
        if not entry:
            continue
        if not name:
            raise InvalidSpec("--env", f"invalid environment variable {entry!r}")
        if separator:
            found[name] = value
        elif name.endswith("*"):
            found.update({key: val for key, val in os.environ.items() if key.startswith(name[:-1])})
        elif name in os.environ:
            found[name] = os.environ[name]
    return found


def labels(entries: Sequence[str], files: Sequence[str] = ()) -> dict[str, str]:
    """Return labels NAME=VALUE; a name alone has an empty value."""
    return _labels(entries, files)


def _labels(entries: Sequence[str], files: Sequence[str]) -> dict[str, str]:
    lines = [line for path in files for line in text_files.lines(path, "--label-file")]
    found = {}
    for entry in [*lines, *entries]:
        name, _, value = entry.partition("=")
        if not name:
            raise InvalidSpec("--label", f"invalid label format: {entry!r}")
        found[name] = value
    return found


def _pairs(entries: Sequence[str], argument: str) -> dict[str, str]:
    found = {}
    for entry in entries:
        name, separator, value = entry.partition("=")
        if not separator or not name:
            raise InvalidSpec(argument, f"invalid {argument[2:]} {entry!r}, must be in the form of KEY=VALUE")
        found[name] = value
    return found


def sysctls(entries: Sequence[str]) -> dict[str, str]:
    """Return --sysctl entries as a mapping."""
    return _pairs(entries, "--sysctl")


def _mounts(texts: Sequence[str]) -> list[Mount]:
    from pypod.model.mount import parse_mount

    return [parse_mount(text) for text in texts]


def size_bytes(text: str, argument: str) -> int:
    """Read a size with a unit of b, k, m or g (1024s), as podman's --shm-size."""
    lowered = text.lower().removesuffix("b") if text[-2:].lower() in ("kb", "mb", "gb") else text.lower()
    unit = lowered[-1:] if lowered[-1:] in _UNITS and lowered[-1:] else ""
    number = lowered[: len(lowered) - len(unit)]
    try:
        value = float(number) * _UNITS[unit]
    except ValueError:
        raise InvalidSpec(argument, f"invalid size: {text!r}") from None
    if not 0 <= value < 2**63:
        raise InvalidSpec(argument, f"invalid size: {text!r}")
    return int(value)


def _octal(text: str) -> int:
    try:
        value = int(text, 8)
    except ValueError:
        value = -1
    if not 0 <= value <= 0o777:
        raise InvalidSpec("--umask", f"invalid umask {text!r}")
    return value
