"""pod clone: create a pod like another."""

from __future__ import annotations

from pypod.api.options.pod import ClonePodOptions
from pypod.cli.flags.options import flags_of, options_given
from pypod.cli.flags.parser import Command, Flag
from pypod.cli.pods.create import INFRA_FLAGS, check_infra_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

POD_CLONE = Command(
    path="pypod pod clone",
    summary="Clone an existing pod",
    description="Create an exact copy of a pod and the containers within it",
    synopsis="[options] POD [NAME]",
    flags=(
        *flags_of(ClonePodOptions),
        *INFRA_FLAGS,
        Flag(name="destroy", kind="bool", help="Destroy the original pod"),
        Flag(name="label-file", kind="stringArray", help="Read in a line delimited file of labels"),
        Flag(name="start", kind="bool", help="Start the new pod"),
    ),
    examples=("pypod pod clone pod_name new_name",),
    min_args=1,
    max_args=2,
)


def run_pod_clone(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod pod clone``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.plain_text import warn

    check_infra_flags(options)
    ref, name, *_ = (*options.positionals, "")
    found = options_given(ClonePodOptions, options)
    with Engine(root, warn=warn) as engine:
        original = engine.pods.get(ref)
        made = original.clone(**(found | {"name": name} if name else found))
        if options["destroy"]:
            try:
                original.remove(force=True)
            except BaseException:
                made.remove(force=True)
                raise
        if options["start"]:
            made.start()
        print(made.id)
    return 0
