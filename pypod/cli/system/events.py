"""events: past and new events of pods, containers and images."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.cli.flags.parser import Parsed
    from pypod.cli.go.values import Struct
    from pypod.model.reports.event import Event

EVENTS = Command(
    path="pypod events",
    summary="Show pypod events",
    description=(
        "Monitor pypod events.\n\n"
        "  By default, streaming mode is used, printing new events as they occur.  Previous events can be listed via "
        "--since and --until."
    ),
    synopsis="[options]",
    flags=(
        Flag(name="filter", short="f", kind="stringArray", help="filter output"),
        Flag(name="format", help="format the output using a Go template"),
        Flag(name="no-trunc", kind="bool", default=True, help="do not truncate the output"),
        Flag(name="since", help="show all events created since timestamp"),
        Flag(
            name="stream",
            kind="bool",
            default=True,
            hidden=True,  # as in podman
            help="keep printing new events after the past ones",
        ),
        Flag(name="until", help="show all events until timestamp"),
    ),
    examples=(
        "pypod events",
        "pypod events --filter event=create",
        "pypod events --format {{.Image}}",
        "pypod events --since 1h30s",
    ),
    max_args=0,
)


def run_events(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod events``."""
    from time import time_ns

    from pypod.api.engine import Engine
    from pypod.cli.flags.filters import split

    now_ns = time_ns()
    since, until = _moment_ns(options, "since", now_ns), _moment_ns(options, "until", now_ns)
    show = _writer(options)
    filters = split(options["filter"], message="{} is an invalid filter")
    stream = options["stream"]
    with Engine(root) as engine:
        for event in engine.events(since, until, filters=filters, follow=stream):
            sys.stdout.write(show(event))
            if stream:
                sys.stdout.flush()
    return 0


def _moment_ns(options: Parsed, flag: str, now_ns: int) -> int | None:
    from pypod.cli.flags.times import parse_moment_ns

    if not options[flag]:
        return None
    try:
        return parse_moment_ns(options[flag], now_ns, future=flag == "until")
    except (ValueError, OverflowError) as error:
        raise InvalidSpec(f"--{flag}", f"unable to convert {flag} time of {options[flag]}: {error}") from error


def _writer(options: Parsed) -> Callable[[Event], str]:
    """Return a function that formats an event as a line. Raises TemplateError."""
    text: str = options["format"]
    if not text:
        return lambda event: f"{human(event, truncate=not options['no-trunc'])}\n"
    from pypod.cli.render.output import compile_format, is_json

    if is_json(text):
        from pypod.cli.go.json import encode

        return lambda event: encode(as_json(event), escape_html=True) + "\n"
    from pypod.cli.go.json import json_text

    _, template = compile_format(text, name="events", functions={"json": json_text}, each=False)
    return lambda event: template.render(fields(event))


def human(event: Event, *, truncate: bool = False) -> str:
    """Format an event as one line, like podman; unprintable characters of labels become ``\\x`` and digits."""
    from pypod.cli.go.values import go_time
    from pypod.cli.render.smartcols import escaped
    from pypod.model.ids import short

    identifier = short(event.id) if truncate else event.id
    about = event.name
    if event.type not in ("image", "volume"):
        found = [f"image={event.image}", f"name={event.name}"]
        found += [f"pod_id={event.pod_id}"] if event.pod_id else []
        about = f"({', '.join([*found, *(f'{key}={value}' for key, value in event.attributes)])})"
    words = [go_time(event.time_ns), event.type, event.action, *([] if event.type == "volume" else [identifier]), about]
    text = " ".join(words)
    return escaped(text).replace("\n", "\\x0a")


def as_json(event: Event) -> Struct:
    """Return an event in the form of podman's JSON: without empty fields and without an exit code of 0."""
    from pypod.cli.go.values import Struct
    from pypod.model.moment import rfc3339

    found = {
        "ContainerExitCode": event.exit_code or None,
        "ID": event.id or None,
        "Image": event.image or None,
        "Name": event.name or None,
        "Status": event.action,
        "Time": rfc3339(event.time_ns),
        "Type": event.type,
        "PodID": event.pod_id or None,
    }
    given = {name: value for name, value in found.items() if value is not None}
    return Struct(given, Attributes=dict(event.attributes) if event.type == "container" else None)


def fields(event: Event) -> Struct:
    """Return the fields of an event for templates."""
    from pypod.cli.go.values import Moment, NilMap, Struct
    from pypod.model.moment import rfc3339

    attributes = dict(event.attributes) if event.type == "container" else NilMap()

    class Row(Struct):
        type_name = "*events.Event"

    return Row(
        ContainerExitCode=event.exit_code or 0,
        ID=event.id,
        Image=event.image,
        Name=event.name,
        Network="",
        Status=event.action,
        Time=Moment(event.time_ns, rfc3339(event.time_ns)),
        Type=event.type,
        HealthStatus="",
        Details=Struct(ID="", PodID=event.pod_id, Attributes=attributes),
        PodID=event.pod_id,
        Attributes=attributes,
    )
