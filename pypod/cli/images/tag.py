"""tag and untag: add and remove names of images."""

from __future__ import annotations

from pypod.cli.flags.parser import Command
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

TAG = Command(
    path="pypod tag",
    summary="Add an additional name to a local image",
    description="Adds one or more additional names to locally-stored image.",
    synopsis="IMAGE TARGET_NAME [TARGET_NAME...]",
    examples=("pypod tag 0e3bbc2 fedora:latest", "pypod tag httpd myregistryhost:5000/fedora/httpd:v2"),
    min_args=2,
)
UNTAG = Command(
    path="pypod untag",
    summary="Remove a name from a local image",
    description="Removes one or more names from a locally-stored image; all of them if no name is given.",
    synopsis="IMAGE [IMAGE...]",
    examples=("pypod untag 0e3bbc2", "pypod untag httpd myregistryhost:5000/fedora/httpd:v2"),
    min_args=1,
)


def run_tag(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod tag``."""
    from pypod.api.engine import Engine

    word, *names = options.positionals
    with Engine(root) as engine:
        image = engine.images.find(word)
        for name in [_full(name) for name in names]:  # validate all names before adding any
            image.tag(name)
    return 0


def _full(name: str) -> str:
    from pypod.model.images.reference import full_name, parse

    try:
        parse(name)
    except InvalidSpec as error:
        error.message = f'normalizing name "{name}": {error.message}'
        raise
    return full_name(name)


def run_untag(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod untag``."""
    from pypod.api.engine import Engine

    word, *names = options.positionals
    with Engine(root) as engine:
        engine.images.find(word).untag(*names)
    return 0
