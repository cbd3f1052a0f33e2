"""run."""

from __future__ import annotations

import sys

from pypod.cli.flags import descriptors, text_files
from pypod.cli.flags.container import FLAGS, container_options
from pypod.cli.flags.objects import EXPLAIN, PRESERVE
from pypod.cli.flags.parser import Command, Flag
from pypod.cli.flags.registry import platform
from pypod.cli.images.pull import image_for
from pypod.cli.render.terminal import DEFAULT_DETACH_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod import Container, Engine, Explanation
    from pypod.cli.flags.parser import Parsed

_STREAM_FLAGS = (
    EXPLAIN,
    Flag(name="detach-keys", default=DEFAULT_DETACH_KEYS, help="Override the key sequence for detaching a container"),
    Flag(name="sig-proxy", kind="bool", default=True, help="Proxy received signals to the process"),
)
RUN = Command(
    path="pypod run",
    summary="Run a command in a new container",
    description="Runs a command in a new container from the given image or root file system.",
    synopsis="[options] IMAGE [COMMAND [ARG...]]",
    flags=(
        *(flag for flag in FLAGS if flag.name != "init-ctr"),  # of a pod that is started later
        *_STREAM_FLAGS,
        *PRESERVE,
        Flag(name="detach", short="d", kind="bool", help="Run container in background"),
        Flag(name="rmi", kind="bool", help="Remove image unless used by other containers; has no effect with --detach"),
    ),
    examples=(
        "pypod run --rm --rootfs /:O ls -l",
        "pypod run -dt --pod mipod --name apache registry.access.redhat.com/rhscl/httpd-24-rhel7",
    ),
    interspersed=False,
    min_args=1,
)


def explain(engine: Engine, options: Parsed, *, columns: int = 0, rows: int = 0, attended: bool = False) -> Explanation:
    """Return the explanation of what ``run`` would do."""
    image, command, found = container_options(options)
    ref, new = _pod_named(options)
    what: tuple[Any, ...] = (command,)
    if image:  # nothing is pulled
        what = (engine.images.for_container(image, "never", platform=platform(options)), command)
    return engine.containers.explain(
        *what, pod=ref or None, new_pod=new, columns=columns, rows=rows, attended=attended, **found
    )


def create(engine: Engine, options: Parsed) -> Container:
    """Create the container that a command line describes."""
    from pypod.errors import InvalidSpec
    from pypod.model.images.auto_update import require_full_name

    word, command, found = container_options(options)
    if word:
        require_full_name(found.get("labels", {}), word)
    image = image_for(engine, options, word, _policy(engine, options), quiet=options["quiet"]) if word else None
    name = options["name"]
    if options["replace"]:
        if not name:
            raise InvalidSpec("--replace", "cannot replace container without --name being set")
        if engine.containers.exists(name):
            _replace(engine.containers.get(name))
    pod_ref, new_pod = _pod(engine, options, found)
    try:
        what = (image, command) if image else (command,)
        container = engine.containers.create(*what, pod=pod_ref or None, **found)
        if options["cidfile"]:
            try:
                text_files.write_new_id_file(options["cidfile"], container.id, "--cidfile")
            except InvalidSpec:
                container.remove(force=True)
                raise
    except BaseException:
        if new_pod:
            engine.pods.get(new_pod).remove(force=True)
        raise
    if found.get("ports") and not container.spec().ports:
        modes = "one of the Host, Container, Pod, and None network modes are in use"
        print(f"Port mappings have been discarded as {modes}", file=sys.stderr)
    return container


def _policy(engine: Engine, options: Parsed) -> str:
    """Return when the image is pulled: as the command line says, or the configuration."""
    if options.changed("pull"):
        return str(options["pull"])
    from pypod.api.configuration import pull_policy

    return pull_policy(engine)


def _replace(container: Container) -> None:
    from pypod.errors import InUse

    others = container.dependents()
    if others:
        ids = ", ".join(other.id for other in others)
        raise InUse(container.name, f"container {container.id} has dependent containers which must be removed: {ids}")
    container.remove(force=True, volumes=False)


def _pod(engine: Engine, options: Parsed, found: dict[str, Any]) -> tuple[str, str]:
    """Return the pod to join, and its id if it was created for this container.

    A pod that is created takes over those of the container's options that pods have.
    """
    ref, new = _pod_named(options)
    if not new:
        return ref, ""
    pod = engine.pods.create_for_container(new, found)
    return pod.id, pod.id


def _pod_named(options: Parsed) -> tuple[str, str]:
    """Return the pod to join, and the name of the pod to create; one of them is empty."""
    from pypod.errors import InvalidSpec

    ref = options["pod"]
    if options["pod-id-file"]:
        if ref:
            raise InvalidSpec("--pod-id-file", "cannot specify both --pod and --pod-id-file")
        ref = text_files.read_id_file(options["pod-id-file"], "--pod-id-file")
    if not ref.startswith("new:"):
        return ref, ""
    if ref == "new:":
        raise InvalidSpec("--pod", "new pod name must be at least one character")
    return "", ref.removeprefix("new:")


def run_run(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod run``."""
    from pypod.api.engine import Engine
    from pypod.cli.containers.following import OUTPUTS, attached_streams, follow, warn_without_terminal
    from pypod.cli.render.terminal import detach_keys, size
    from pypod.errors import InvalidSpec, PodBroken

    detach = options["detach"]
    if detach and options.changed("detach-keys"):
        raise InvalidSpec("--detach-keys", "--detach and --detach-keys cannot be used together")
    passed, variables = descriptors.listening(descriptors.preserved(options))
    keys = detach_keys(options, is_terminal=options["tty"])
    columns, rows = size(0) if options["tty"] and not detach else (0, 0)
    streams = attached_streams(options)
    if options["explain"]:
        with Engine(root) as engine:
            print(explain(engine, options, columns=columns, rows=rows, attended=not detach))
        return 0
    warn_without_terminal(options)
    with Engine(root) as engine:
        container = create(engine, options)
        try:
            container.start(columns=columns, rows=rows, attended=not detach, pass_fds=passed, environment=variables)
        except BaseException as error:
            # as in podman, one that could be created stays; what podman refuses before that leaves none
            if options["rm"] or isinstance(error, InvalidSpec | PodBroken):
                container.remove(force=True)
            raise
        if detach:
            print(container.id)
            return 0
        image = container.spec().image
        log = container.open_log()
        code = follow(container, options, keys, log, stdin=options["interactive"], streams=streams)
        if not streams.intersection(OUTPUTS):
            print(container.id)
        if options["rmi"] and image:
            from pypod.cli.images.rmi import remove_named

            for failure in remove_named(engine, image):  # does not change the container's exit code
                from pypod.cli.render.plain_text import tell

                tell(f"Error: {failure}")
        return code
