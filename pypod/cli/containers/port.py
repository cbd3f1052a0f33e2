"""port: the host ports that forward to the ports of a container."""

from __future__ import annotations

import sys

from pypod.cli.flags import selection
from pypod.cli.flags.objects import LATEST
from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.errors import InvalidSpec
from pypod.model.port import ALL_ADDRESSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.container import Container
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed
    from pypod.model.port import Port

PORT = Command(
    path="pypod port",
    summary="List port mappings or a specific mapping for the container",
    description="List port mappings for the container, or look up the public-facing port that is NAT-ed to the "
    "PRIVATE_PORT.",
    synopsis="[options] CONTAINER [PORT[/PROTOCOL]]",
    flags=(Flag(name="all", short="a", kind="bool", help="Display port information for all containers"), LATEST),
    examples=("pypod port --all", "pypod port web 80/tcp"),
    max_args=2,
)
_SHORT = 12


def run_port(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod port``."""
    from pypod.api.engine import Engine

    words = options.positionals
    if options["all"] and (words or options["latest"]):
        raise UsageError("", "no arguments are needed with --all")
    if not words and not options["latest"] and not options["all"]:
        raise UsageError("", "you must supply a running container name or id")
    wanted = words[0 if options["latest"] else 1 :]
    number, protocol = _wanted(wanted[0]) if wanted else (0, "")
    with Engine(root) as engine:
        containers = _containers(engine, options)
        lines = []
        for container in containers:
            ports = container.ports if container.state().status == "running" else ()
            if wanted:
                lines.append(_find(ports, number, protocol, wanted[0]) if ports else "")
            else:
                lines += _lines(ports, f"{container.id[:_SHORT]}\t" if options["all"] else "")
    sys.stdout.write("".join(f"{line}\n" for line in lines if line))
    return 0


def _containers(engine: Engine, options: Parsed) -> list[Container]:
    if options["all"]:
        infras = [pod.infra for pod in engine.pods.list()]
        return [*engine.containers.list(), *(one for one in infras if one is not None)]
    return [selection.latest(engine) if options["latest"] else engine.containers.get(options.positionals[0])]


def _wanted(text: str) -> tuple[int, str]:
    from pypod.cli.go.strconv import quote

    number, *protocol = text.split("/")
    if len(protocol) > 1:
        raise InvalidSpec("PORT", f"port formats are port/protocol. '{text}' is invalid")
    problem = "" if number.isascii() and number.isdigit() else "invalid syntax"
    if not problem and (len(number) > len("65535") or int(number) > 65535):
        problem = "value out of range"
    if problem:
        raise InvalidSpec("PORT", f"strconv.ParseUint: parsing {quote(number)}: {problem}")
    return int(number), protocol[0] if protocol else "tcp"


def _find(ports: tuple[Port, ...], number: int, protocol: str, text: str) -> str:
    for port in ports:
        at = number - port.container_port
        if port.protocol == protocol and 0 <= at < port.count:
            return f"{port.host_ip or ALL_ADDRESSES}:{port.host_port + at}"
    raise InvalidSpec("PORT", f'failed to find published port "{text}"')


def _lines(ports: tuple[Port, ...], prefix: str) -> list[str]:
    return [
        f"{prefix}{port.container_port + at}/{port.protocol} -> {port.host_ip or ALL_ADDRESSES}:{port.host_port + at}"
        for port in ports
        for at in range(port.count)
    ]
