"""The flags that describe a container, and their conversion to the library's options."""

from __future__ import annotations

from pypod.cli.flags.health import HEALTH_FLAGS, healthcheck_option
from pypod.cli.flags.options import flags_of, options_given
from pypod.cli.flags.parser import Flag
from pypod.cli.flags.registry import ACCESS_FLAGS, DECRYPTION_FLAGS, PLATFORM_FLAGS, POLICY_FLAG, RETRY_FLAGS
from pypod.errors import InvalidSpec
from pypod.model.options.container import ContainerOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.cli.flags.parser import Parsed

# What these flags need is not there: podman's words, as far as it has some.
_REFUSED = {
    "gpus": "setting up CDI devices: unresolvable CDI devices nvidia.com/gpu={}",
    "rdt-class": "Intel RDT is not available: no class of service {}",
}
GPUS_FLAG = Flag(name="gpus", hidden=True, help="GPU devices to add to the container ('all' to pass all GPUs)")
REFUSED_FLAGS = (
    GPUS_FLAG,
    Flag(name="rdt-class", hidden=True, help="Class of Service (COS) that the container should be assigned to"),
)
# The flags include those without an option in the library: files, and settings of the command itself.
FLAGS: tuple[Flag, ...] = (
    *flags_of(ContainerOptions),
    *REFUSED_FLAGS,
    Flag(name="attach", short="a", kind="strings", help="Attach to STDIN, STDOUT or STDERR"),
    Flag(name="cidfile", help="Write the container ID to the file"),
    Flag(name="disable-content-trust", kind="bool", hidden=True, help="This is a Docker specific option and is a NOOP"),
    Flag(name="env-file", kind="stringArray", help="Read in a file of environment variables"),
    Flag(name="label-file", kind="stringArray", help="Read in a line delimited file of labels"),
    Flag(name="pod", help="Run container in an existing pod, or in new:NAME"),
    Flag(name="pod-id-file", help="Read the pod ID from the file"),
    Flag(name="pull", default="missing", help="Pull image policy: always, missing, never, newer"),
    Flag(name="quiet", short="q", kind="bool", help="Suppress output information when pulling images"),
    Flag(name="replace", kind="bool", help="If a container with the same name exists, replace it"),
    Flag(
        name="rootfs", kind="bool", help="The first argument is not an image but the rootfs to the exploded container"
    ),
    *ACCESS_FLAGS,
    *DECRYPTION_FLAGS,
    *HEALTH_FLAGS,
    *PLATFORM_FLAGS,
    *RETRY_FLAGS,
    POLICY_FLAG,
)


def refuse_missing(options: Parsed) -> None:
    """Raise InvalidSpec for the first flag that needs what is not there."""
    known = {flag.name for flag in options.command.flags}
    for name, why in _REFUSED.items():
        if name in known and options[name]:
            hint = "pypod has no CDI: name the devices with --device" if name == "gpus" else ""
            raise InvalidSpec(f"--{name}", why.format(options[name]), hint=hint)


def container_options(options: Parsed) -> tuple[str, list[str], dict[str, Any]]:
    """Return the image (or nothing), the command and the library's options of a container. Raises InvalidSpec."""
    refuse_missing(options)
    image, *words = options.positionals or ("",)
    if not image:
        message = "--rootfs requires a directory" if options["rootfs"] else "an image or --rootfs is required"
        raise InvalidSpec("--rootfs" if options["rootfs"] else "IMAGE", message)
    found = options_given(ContainerOptions, options)
    found["create_command"] = options.line
    if options["rootfs"]:
        found["rootfs"], word = _rootfs(image)
        found["overlay"], found["idmap"] = word == "O", word == "idmap"
        image = ""
    if options["health-cmd"] or options["no-healthcheck"]:
        found["healthcheck"] = healthcheck_option(options)
    return image, words, found


def _rootfs(text: str) -> tuple[str, str]:
    """Return the directory, and the option after the colon."""
    path, separator, word = text.rpartition(":")
    return (path, word) if separator and word in ("O", "rw", "idmap") else (text, "")
