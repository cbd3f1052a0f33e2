"""attach."""

from __future__ import annotations

from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.flags.selection import latest
from pypod.cli.render.terminal import DEFAULT_DETACH_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

ATTACH = Command(
    path="pypod attach",
    summary="Attach to a running container",
    synopsis="[options] CONTAINER",
    flags=(
        LATEST,
        Flag(name="detach-keys", default=DEFAULT_DETACH_KEYS, help="Select the key sequence for detaching a container"),
        Flag(name="no-stdin", kind="bool", help="Do not attach STDIN. The default is false"),
        Flag(name="sig-proxy", kind="bool", default=True, help="Proxy received signals to the process"),
    ),
    examples=("pypod attach ctrID", "pypod attach --no-stdin ctrID"),
)


def run_attach(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod attach``."""
    from pypod.api.engine import Engine
    from pypod.cli.render.streaming import follow_container
    from pypod.cli.render.terminal import detach_keys
    from pypod.errors import WrongState

    names = options.positionals
    if len(names) > 1:
        raise UsageError("", f"`{options.command.path}` accepts at most one argument")
    if options["latest"] and names:
        raise UsageError("", "--latest and containers cannot be used together")
    if not options["latest"] and not names:
        raise UsageError("", f'"{options.command.path}" requires a name, id, or the "--latest" flag')
    with Engine(root) as engine:
        container = engine.containers.get(names[0]) if names else latest(engine)
        state = container.state()
        if state.status != "running":
            raise WrongState(container.name, state.status, "you can only attach to running containers")
        keys = detach_keys(options)
        attachment = container.attach()
        spec = container.spec()
        reader = container.open_log(offset=attachment.offset)
        detached = follow_container(
            container,
            attachment,
            reader,
            stdin=not options["no-stdin"] and (spec.interactive or spec.terminal),
            terminal=spec.terminal,
            detach_keys=keys,
            sig_proxy=options["sig-proxy"],
        )
        if detached:
            return 0
        code = container.wait()
        return 125 if code is None else code
