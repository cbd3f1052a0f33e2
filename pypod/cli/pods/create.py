"""pod create, and create without an image."""

from __future__ import annotations

from pypod.cli.flags import text_files
from pypod.cli.flags.container import NOT_YET_FLAGS, PUBLISH, refuse_not_yet
from pypod.cli.flags.limits import POD_FLAGS as LIMIT_FLAGS
from pypod.cli.flags.limits import limit_options
from pypod.cli.flags.network import NETWORK_FLAGS, network_options
from pypod.cli.flags.parser import Command, Flag
from pypod.cli.flags.selection import EXPLAIN
from pypod.cli.flags.user_namespace import USERNS_FLAGS, userns_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

POD_FLAGS: tuple[Flag, ...] = (
    *NOT_YET_FLAGS,
    *LIMIT_FLAGS,
    *NETWORK_FLAGS,
    EXPLAIN,
    Flag(name="add-host", kind="strings", help="Add a custom host-to-IP mapping (host:ip, or host:host-gateway)"),
    Flag(name="cgroup-parent", help="Set parent cgroup for the pod"),
    Flag(name="hostname", short="h", help="Set a hostname to the pod"),
    Flag(name="infra", kind="bool", default=True, help="Create an infra container associated with the pod"),
    Flag(name="infra-command", help="A static program, or one of --infra-image, to run as the infra"),
    Flag(name="infra-image", help="An image whose command is run as the infra, in the image's files"),
    Flag(name="infra-name", help="The name used as infra container name"),
    Flag(name="label", short="l", kind="stringArray", help="Set metadata on pod"),
    Flag(name="label-file", kind="stringArray", help="Read in a line delimited file of labels"),
    Flag(name="pod-id-file", help="Write the pod ID to the file"),
    PUBLISH,
    Flag(name="replace", kind="bool", help="If a pod with the same name exists, replace it"),
    Flag(name="share", default="ipc,net,uts", help="A comma delimited list of kernel namespaces the pod will share"),
    Flag(
        name="share-parent",
        kind="bool",
        default=True,
        help="Set the pod's cgroup as the cgroup parent for all containers joining the pod",
    ),
    Flag(name="shm-size", default="65536k", help="Size of /dev/shm", metavar="<number>[<unit>]"),
    Flag(name="sysctl", kind="strings", help="Sysctl options"),
    *USERNS_FLAGS,
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


def run_pod_create(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod create``."""
    from pypod.api.engine import Engine
    from pypod.cli.flags.container import labels, size_bytes, sysctls
    from pypod.errors import InvalidSpec

    refuse_not_yet(options)
    name = options["name"] or (options.positionals[0] if options.positionals else "")
    if options["name"] and options.positionals:
        raise InvalidSpec("NAME", "cannot specify --name and NAME at the same time")
    # podman-pod-create(1): what shares nothing has no infra, unless it is asked for
    infra = options["infra"] and (options.changed("infra") or options["share"] not in ("", "none"))
    with Engine(root) as engine:
        if options["explain"]:
            print(engine.pods.explain_creation(infra=infra))
            return 0
        if options["replace"]:
            if not name:
                raise InvalidSpec("--replace", "cannot replace pod without --name being set")
            if engine.pods.exists(name):
                engine.pods.get(name).remove(force=True)
        pod = engine.pods.create(
            name,
            share=options["share"] if infra or options.changed("share") else "none",
            infra=infra,
            infra_name=options["infra-name"],
            infra_command=options["infra-command"].split(),
            infra_image=options["infra-image"],
            hostname=options["hostname"],
            add_hosts=options["add-host"],
            labels=labels(options["label"], options["label-file"]),
            sysctls=sysctls(options["sysctl"]),
            shm_size=size_bytes(options["shm-size"], "--shm-size") if options.changed("shm-size") else None,
            cgroup_parent=options["cgroup-parent"],
            share_parent=options["share-parent"],
            no_hosts=options["no-hosts"],
            ports=options["publish"],
            **network_options(options),
            **userns_options(options),
            **limit_options(options),
        )
        if options["pod-id-file"]:
            try:
                text_files.write_new_id_file(options["pod-id-file"], pod.id, "--pod-id-file")
            except InvalidSpec:
                pod.remove(force=True)
                raise
        print(pod.id)
    return 0
