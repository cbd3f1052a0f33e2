"""container runlabel: run the command that a label of an image describes, on the host."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.cli.flags.registry import ACCESS_FLAGS
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pypod.cli.flags.parser import Parsed

_PROGRAMS = ("docker", "podman", "pypod")  # a label that names one of them means the program that reads it
RUNLABEL = Command(
    path="pypod container runlabel",
    summary="Execute the command described by an image label",
    description=(
        "Executes a command as described by a label of an image: on the host, and with your privileges.\n"
        "  Only do this with images that you trust, and look with --display first."
    ),
    synopsis="[options] LABEL IMAGE [ARG...]",
    flags=(
        *ACCESS_FLAGS,
        Flag(name="display", kind="bool", help="Preview the command that the label would run"),
        Flag(name="name", short="n", help="Assign a name to the container"),
        Flag(name="quiet", short="q", kind="bool", help="Suppress output information when installing images"),
        Flag(name="replace", kind="bool", help="Replace existing container with a new one from the image"),
    ),
    examples=("pypod container runlabel --display run IMAGE", "pypod container runlabel install IMAGE arg1 arg2"),
    interspersed=False,
    min_args=2,
)


def run_runlabel(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod container runlabel``. Raises InvalidSpec."""
    from pypod.api.engine import Engine
    from pypod.cli.flags.registry import access
    from pypod.cli.render.telling import Telling

    label, ref, *arguments = options.positionals
    with Engine(root) as engine:
        with Telling(quiet=options["quiet"]) as telling:
            image = engine.images.for_container(ref, access=access(options), progress=telling)
        text = dict(image.config.labels).get(label)
        if not text:
            raise InvalidSpec("LABEL", f"cannot find the value of label: {label} in image: {ref}")
        shown = image.used_name or image.id
        name = options["name"] or shown.rpartition("/")[2].partition("@")[0].partition(":")[0]
        variables = {"NAME": name, "IMAGE": shown}
        words = command([*text.split(), *arguments], variables)
        if options["display"]:
            print("command:", *words)
            return 0
        if options["replace"] and engine.containers.exists(name):
            engine.containers.get(name).remove(force=True)
    environment = {**os.environ, **variables, **({"PYPOD_ROOT": root} if root else {})}
    return _execute(words, environment)


def command(words: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Return the command of a label's words: IMAGE and NAME stand for themselves, $X for a variable, or for nothing.

    Raises InvalidSpec for a quote without an end.

    >>> command(["podman", "run", "--name=NAME", "$IMAGE", "'a b'"], {"NAME": "web", "IMAGE": "httpd"})
    ['pypod', 'run', '--name=web', 'httpd', 'a b']
    """
    first, *rest = words
    known = {**variables, "PWD": os.getcwd()}
    replaced = [_replaced(word, variables) for word in rest]
    text = _expanded(" ".join([first, *replaced]), known)
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise InvalidSpec("LABEL", f"the label is no command: {text}: {error}") from error
    if os.path.basename(found[0]) in _PROGRAMS:
        found[0] = "pypod"
    return found


def _replaced(word: str, variables: Mapping[str, str]) -> str:
    before, equals, last = word.rpartition("=")
    return f"{before}{equals}{variables[last]}" if last in variables else word


def _expanded(text: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: known.get(found[1] or found[2], ""), text)


def _execute(words: Sequence[str], environment: Mapping[str, str]) -> int:
    program = [sys.executable, "-m", "pypod"] if words[0] == "pypod" else words[:1]
    shown = f"`{' '.join(words)}` failed"
    try:
        code = subprocess.run([*program, *words[1:]], env=environment, check=False).returncode
    except FileNotFoundError as error:
        message = f'{shown}: exec: "{words[0]}": executable file not found in $PATH'
        raise InvalidSpec("LABEL", message) from error
    if code:
        raise InvalidSpec("LABEL", f"{shown}: exit status {code}")
    return 0
