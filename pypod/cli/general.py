"""The flags before the verb: podman's, carried out where they mean something here, and refused where they cannot work.

They apply to this process and those that it starts, so most become variables of the environment, which the library
reads as well.
"""

from __future__ import annotations

import os
import sys

from pypod.cli.flags.parser import Flag
from pypod.errors import InvalidSpec, Unsupported
from pypod.model.reports.event import LOGGERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

_STRINGS = "stringArray"
_REMOTE = "there is no service to connect to: pypod works on the storage of this machine"
FLAGS: tuple[Flag, ...] = (
    Flag(name="root", help="Path to the directory where all data is stored", metavar="string"),
    Flag(name="version", short="v", kind="bool", help="Print the version"),
    Flag(name="cgroup-manager", help='Cgroup manager to use ("cgroupfs"|"systemd")', default="cgroupfs"),
    Flag(name="events-backend", help='Events backend to use ("file"|"none")', default="file"),
    Flag(name="hooks-dir", kind="strings", help="Set the OCI hooks directory path (may be set multiple times)"),
    Flag(
        name="log-level",
        help="Log messages above specified level (trace, debug, info, warn, warning, error, fatal, panic)",
        default="warn",
    ),
    Flag(name="module", kind=_STRINGS, help="Load the containers.conf(5) module"),
    Flag(name="noout", kind="bool", help="do not output to stdout"),
    Flag(name="out", help="Send output (stdout) from pypod to a file"),
    Flag(name="runtime", help="Path to the OCI-compatible binary used to run containers", default="pypod"),
    Flag(name="storage-driver", help="Select which storage driver is used to manage storage of images and containers"),
    Flag(name="storage-opt", kind=_STRINGS, help="Used to pass an option to the storage driver"),
    # accepted, since the one storage directory holds everything, or since nothing here has a use for them
    Flag(name="conmon", help="Accepted for compatibility with podman: pypod has a monitor of its own"),
    Flag(name="network-cmd-path", help="Accepted for compatibility with podman; has no effect"),
    Flag(name="network-config-dir", help="Accepted for compatibility with podman: --root holds the networks"),
    Flag(name="runroot", help="Accepted for compatibility with podman: --root holds everything"),
    Flag(name="runtime-flag", kind=_STRINGS, help="Accepted for compatibility with podman; has no effect"),
    Flag(name="syslog", kind="bool", help="Accepted for compatibility with podman; has no effect"),
    Flag(name="tmpdir", help="Accepted for compatibility with podman: --root holds everything"),
    Flag(name="volumepath", help="Path to the volume directory: always that of the storage"),
    *(
        Flag(name=name, kind=kind, hidden=True, help="Accepted for compatibility with podman; has no effect")
        for name, kind in (
            ("cpu-profile", "string"),
            ("db-backend", "string"),
            ("default-mounts-file", "string"),
            ("max-workers", "int"),
            ("memory-profile", "string"),
            ("ssh", "string"),
            ("trace", "bool"),
        )
    ),
    Flag(name="registries-conf", hidden=True, help="Path to a registries.conf to use for image processing"),
    # refused
    *(
        Flag(name=name, short=short, kind=kind, hidden=True, help="Not available")
        for name, short, kind in (
            ("connection", "c", "string"),
            ("identity", "", "string"),
            ("imagestore", "", "string"),
            ("namespace", "", "string"),
            ("remote", "r", "bool"),
            ("transient-store", "", "bool"),
            ("url", "", "string"),
        )
    ),
)
_LEVELS = ("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic")
QUIET_LEVELS = ("error", "fatal", "panic")
_CGROUP_MANAGERS = ("cgroupfs", "systemd")
_RUNTIME = "pypod"
_DRIVERS = ("overlay", "overlay2", "vfs")
_STORAGE_OPTIONS = (
    *("additionalimagestore", "force_mask", "ignore_chown_errors", "imagestore", "inodes", "mount_program"),
    *("mountopt", "size", "skip_mount_home", "use_composefs"),
)


def settle(parsed: Parsed) -> None:
    """Carry out the flags before the verb. Raises InvalidSpec, Unsupported."""
    given = {flag.name: parsed[flag.name] for flag in FLAGS if parsed.changed(flag.name)}
    level = given.get("log-level", "warn").lower()
    if level not in _LEVELS:
        words = f'Log Level "{level}" is not supported, choose from: {", ".join(_LEVELS)}'
        raise InvalidSpec("--log-level", words)
    _refuse(given)
    _storage(given)
    if "module" in given:
        os.environ["PYPOD_MODULES"] = "\n".join(given["module"])
    if given.get("events-backend"):
        os.environ["PYPOD_EVENTS_BACKEND"] = str(given["events-backend"])
    if "hooks-dir" in given:
        os.environ["PYPOD_HOOKS_DIRECTORIES"] = "\n".join(map(os.path.abspath, given["hooks-dir"]))
    path = given.get("registries-conf")
    if path:
        if not os.path.exists(path):
            message = f"locating specified registries.conf: stat {path}: no such file or directory"
            raise InvalidSpec("--registries-conf", f"configuring runtime: {message}")
        os.environ["CONTAINERS_REGISTRIES_CONF"] = path
    _output(given)


def _refuse(given: dict[str, object]) -> None:
    for name in ("remote", "url", "connection", "identity"):
        if given.get(name):
            raise Unsupported(f"--{name}", f"--{name} is not available: {_REMOTE}")
    for name in ("namespace", "imagestore", "transient-store"):
        if given.get(name):
            raise Unsupported(f"--{name}", f"--{name} is not available", hint="use another --root")
    manager, backend = given.get("cgroup-manager", _CGROUP_MANAGERS[0]), given.get("events-backend", LOGGERS[0])
    if manager not in _CGROUP_MANAGERS:
        words = "cgroup manager must be one of cgroupfs and systemd: invalid argument"
        raise InvalidSpec("--cgroup-manager", f"configuring runtime: {words}")
    if backend not in LOGGERS:
        words = f'configuring runtime: "{backend}" is not a valid events backend: invalid argument'
        raise InvalidSpec("--events-backend", words)
    if backend == "journald":
        raise Unsupported("--events-backend", "events are not written to the journal", hint="use file or none")
    runtime = str(given.get("runtime", _RUNTIME))
    if os.path.basename(runtime) != _RUNTIME:
        words = f'default OCI runtime "{runtime}" not found: invalid argument'
        raise Unsupported("--runtime", words, hint="containers are run by pypod itself")


def _storage(given: dict[str, object]) -> None:
    driver = given.get("storage-driver")
    if driver:
        if driver not in _DRIVERS:
            raise InvalidSpec("--storage-driver", f"unknown storage driver {driver!r}", hint="use overlay or vfs")
        os.environ["STORAGE_DRIVER"] = str(driver).removesuffix("2")
    if "storage-opt" not in given:
        return
    words = [word for word in given["storage-opt"] if word]  # type: ignore[attr-defined]
    for word in words:
        name = word.partition("=")[0].rpartition(".")[2]
        if name not in _STORAGE_OPTIONS:
            raise InvalidSpec("--storage-opt", f"overlay: Unknown option {word.partition('=')[0]}")
    os.environ["STORAGE_OPTS"] = ",".join(words)


def require_volume_path(parsed: Parsed, root: str | None) -> None:
    """Raise Unsupported when --volumepath is not the directory that the storage keeps its volumes in."""
    asked = parsed["volumepath"]
    if asked:
        from pypod.api.session import volume_path

        own = volume_path(root)
        if os.path.abspath(asked) != own:
            words = f'volume path "{own}" of this storage does not match our volume path "{asked}"'
            raise Unsupported("--volumepath", f"{words}: configuration mismatch", hint="choose a place with --root")


def _output(given: dict[str, object]) -> None:
    """Redirect what we print; a container's output is written to descriptor 1, and stays."""
    path = os.devnull if given.get("noout") else str(given.get("out") or "")
    if path:
        try:
            sys.stdout = open(path, "w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        except OSError as error:
            raise InvalidSpec("--out", f"open {path}: {(error.strerror or '').lower()}") from error


def tell_details(parsed: Parsed) -> None:
    """Write to stderr what podman logs at the levels debug and info, as far as it applies here."""
    level = parsed["log-level"].lower()
    if level not in ("trace", "debug", "info"):
        return
    _log("info", f"podman filtering at log level {level}")
    if level != "info":
        from pypod.api.configuration import details

        for line in details():
            _log("debug", line)


def _log(level: str, message: str) -> None:
    import time

    from pypod.cli.go.strconv import quote

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stderr.write(f'time="{now}" level={level} msg={quote(message)}\n')
