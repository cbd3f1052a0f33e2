"""pod create, and create without an image."""

from __future__ import annotations

from pypod.api.options.pod import CreatePodOptions
from pypod.cli.flags import text_files
from pypod.cli.flags.container import GPUS_FLAG, refuse_missing
from pypod.cli.flags.objects import EXPLAIN
from pypod.cli.flags.options import flags_of, options_given
from pypod.cli.flags.parser import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

# Flags about an infra that does more than to hold namespaces.
INFRA_FLAGS = (
    GPUS_FLAG,
    # accepted: it is about an infra that runs systemd, and that of pypod runs nothing else
    Flag(name="shm-size-systemd", hidden=True, help="Size of systemd specific tmpfs mounts (/run, /run/lock)"),
)
POD_FLAGS: tuple[Flag, ...] = (
    *flags_of(CreatePodOptions),
    EXPLAIN,
    *INFRA_FLAGS,
    Flag(name="label-file", kind="stringArray", help="Read in a line delimited file of labels"),
    Flag(name="pod-id-file", help="Write the pod ID to the file"),
    Flag(name="replace", kind="bool", help="If a pod with the same name exists, replace it"),
)
POD_CREATE = Command(
    path="pypod pod create",
    summary="Create a new empty pod",
    description="After creating the pod, the pod ID is printed to stdout.\n\n"
    "  You can then start it at any time with the `pypod pod start POD` command. The pod will be created with the\n"
    "  initial state `Created`.",
    synopsis="[options] [NAME]",
    flags=(*POD_FLAGS, Flag(name="name", short="n", help="Assign a name to the pod")),
    examples=("pypod pod create --name mipod", "pypod pod create --share net,uts"),
    max_args=1,
)


def check_infra_flags(options: Parsed) -> None:
    """Raise InvalidSpec for a flag about the infra that needs what this host lacks, or has an invalid value."""
    from pypod.model.options.running import RunningOptions

    refuse_missing(options)
    if options["shm-size-systemd"]:
        RunningOptions.read("shm_size_systemd", options["shm-size-systemd"])


def run_pod_create(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod create``."""
    from pypod.api.engine import Engine
    from pypod.errors import InvalidSpec

    check_infra_flags(options)
    name = options["name"] or (options.positionals[0] if options.positionals else "")
    if options["name"] and options.positionals:
        raise InvalidSpec("NAME", "cannot specify --name and NAME at the same time")
    # podman-pod-create(1): a pod that shares nothing has no infra, unless --infra asks for one
    infra = options["infra"] and (options.changed("infra") or options["share"] not in ("", "none"))
    found = {**options_given(CreatePodOptions, options), "infra": infra, "create_command": options.line}
    with Engine(root) as engine:
        if options["explain"]:
            print(engine.pods.explain_creation(infra=infra))
            return 0
        if options["replace"]:
            if not name:
                raise InvalidSpec("--replace", "cannot replace pod without --name being set")
            if engine.pods.exists(name):
                engine.pods.get(name).remove(force=True)
        pod = engine.pods.create(name, **found)
        if options["pod-id-file"]:
            try:
                text_files.write_new_id_file(options["pod-id-file"], pod.id, "--pod-id-file")
            except InvalidSpec:
                pod.remove(force=True)
                raise
        print(pod.id)
    return 0
