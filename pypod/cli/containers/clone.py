"""container clone: create a container like another."""

from __future__ import annotations

from pypod.cli.flags.options import flags_of, options_given
from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec
from pypod.model.options.limits import LimitOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

CLONE = Command(
    path="pypod container clone",
    summary="Clone an existing container",
    description="Creates a copy of an existing container, with the same configuration under another name.",
    synopsis="[options] CONTAINER [NAME] [IMAGE]",
    flags=(
        *flags_of(LimitOptions, without=("oom_kill_disable", "pids_limit", "device_read_iops", "device_write_iops")),
        Flag(name="destroy", kind="bool", help="Destroy the original container"),
        Flag(name="force", short="f", kind="bool", help="Force the existing container to be destroyed"),
        Flag(name="name", help="Set a custom name for the cloned container"),
        Flag(name="pod", help="Clone the container in an existing pod"),
        Flag(name="run", kind="bool", help="Run the new container"),
    ),
    examples=("pypod container clone ctrID", "pypod container clone --cpus=2 --destroy ctrID new_name"),
    min_args=1,
    max_args=3,
)


def run_clone(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod container clone``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.plain_text import warn

    if options["force"] and not options["destroy"]:
        raise InvalidSpec("--force", "cannot set --force without --destroy: invalid argument")
    ref, name, image, *_ = (*options.positionals, "", "")
    with Engine(root, warn=warn) as engine:
        original = engine.containers.get(ref)
        made = original.clone(
            name or options["name"],
            image=image,
            pod=options["pod"] or None,
            **options_given(LimitOptions, options),
        )
        if options["destroy"]:
            try:
                original.remove(force=options["force"])
            except BaseException:
                made.remove()
                raise
        if options["run"]:
            made.start()
        print(made.id)
    return 0
