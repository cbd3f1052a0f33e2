"""view: a web page with a live view of a pod."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec, NoSuchPod, PypodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.api.engine import Engine
    from pypod.cli.flags.parser import Parsed

VIEW = Command(
    path="pypod view",
    summary="Show a live view of a pod in a browser",
    description=(
        "Prints the address of a page that draws the pod: its containers, their namespaces and their monitors.\n"
        "  The page follows changes made by other commands, is reachable from this host only (127.0.0.1), and is\n"
        "  served until control-C."
    ),
    synopsis="[options] POD",
    flags=(Flag(name="port", short="p", kind="uint", help="Port to listen on (default: a free one)"),),
    examples=("pypod view mipod", "pypod view --port 8080 mipod"),
    min_args=1,
    max_args=1,
)


def run_view(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod view``."""
    from pypod.api.engine import Engine
    from pypod.cli.namespaces.page import Server

    port = options["port"]
    if port > 65535:
        raise InvalidSpec("--port", f"{port} is not a port number (1 to 65535)")
    with Engine(root) as engine:
        name = engine.pods.get(options.positionals[0]).name
        try:
            server = Server(f"pod {name}", lambda: content(engine, name), port)
        except OSError as error:
            raise InvalidSpec("--port", f"listen on 127.0.0.1:{port}: {error.strerror}") from error
        with server:
            sys.stdout.write(f"{server.address}\n")
            sys.stdout.flush()
            try:
                server.serve_forever(poll_interval=60)
            except KeyboardInterrupt:
                return 0
    return 0


def content(engine: Engine, name: str) -> str:
    """Return the content of the page: the picture and the matrix, or why there are none."""
    from pypod.display.markup import element

    try:
        pod = engine.pods.get(name)
        return f"{pod.picture()._repr_html_()}{pod.matrix()._repr_html_()}"
    except NoSuchPod:
        return element("p", f"pod {name}: removed")
    except PypodError as error:  # the pod is being changed: the next look will show the result
        return element("p", f"pod {name}: {error}")
