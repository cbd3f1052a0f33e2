"""The files that flags name: variables and labels, one per line, and the ids of pods and containers."""

from __future__ import annotations

import errno
import os

from pypod.errors import InvalidSpec
from pypod.model.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


_READING = {
    "--env-file": 'parsing env file "{}": ',
    "--label-file": "unable to process labels: ",
    "--pod-id-file": "reading pod ID file: ",
    "--cidfile": "reading CIDFile: ",
}


def lines(path: str, argument: str) -> list[str]:
    """Return the lines of a file without comments, empty lines and leading space. Raises InvalidSpec."""
    try:
        # a value may contain bytes that are not UTF-8, as on the command line
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            found = [raw.removesuffix("\n").removesuffix("\r").lstrip() for raw in file]
    except OSError as error:
        call, reason = "read" if error.errno == errno.EISDIR else "open", str(error.strerror)
        reason = reason[0].lower() + reason[1:]  # as in Go
        raise InvalidSpec(argument, f"{_READING.get(argument, '').format(path)}{call} {path}: {reason}") from error
    return [line for line in found if line and not line.startswith("#")]


def environment(entries: Sequence[str], files: Sequence[str]) -> dict[str, str]:
    """Return the variables of --env-file and --env: NAME=VALUE, or NAME or PREFIX* from our own environment."""
    found: dict[str, str] = {}
    read = [line for path in files if path for line in lines(path, "--env-file")]
    for entry in [*read, *entries]:
        name, separator, value = entry.partition("=")
        if not entry:
            continue
        if not name:
            raise InvalidSpec("--env", f"invalid environment variable: {quoted(entry)}")
        if separator:
            found[name] = value
        elif name.endswith("*"):
            found.update({key: val for key, val in os.environ.items() if key.startswith(name[:-1])})
        elif name in os.environ:
            found[name] = os.environ[name]
    return found


def labels(entries: Sequence[str], files: Sequence[str] = ()) -> dict[str, str]:
    """Return the labels of --label-file and --label, NAME=VALUE; a bare name has an empty value."""
    read = [line for path in files if path for line in lines(path, "--label-file")]
    for name in (line.partition("=")[0] for line in read):
        if any(character in name for character in " \t"):
            wrong = f"name {quoted(name)} has white spaces, poorly formatted name"
            raise InvalidSpec("--label-file", f"unable to process labels: {wrong}")
    found = {}
    for entry in [*read, *entries]:
        name, _, value = entry.partition("=")
        if not name:
            raise InvalidSpec("--label", f"unable to process labels: invalid label format: {quoted(entry)}")
        found[name] = value
    return found


def write_new_id_file(path: str, content: str, argument: str) -> None:
    """Write an id file, which must not exist yet. Raises InvalidSpec."""
    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(content)
    except FileExistsError:
        kind = "container" if argument == "--cidfile" else "pod"
        raise InvalidSpec(
            argument, f"{kind} id file exists. Ensure another {kind} is not using it or delete {path}"
        ) from None
    except OSError as error:
        message = f"opening cidfile {path}" if argument == "--cidfile" else f"opening {argument[2:]} {path}"
        raise InvalidSpec(argument, message, hint=error.strerror or "") from error


def read_id_file(path: str, argument: str) -> str:
    """Return the first line of an id file. Raises InvalidSpec."""
    found = lines(path, argument)
    if not found:
        raise InvalidSpec(argument, f"{path} is empty")
    return found[0]
