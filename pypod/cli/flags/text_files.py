"""The files that flags name: variables and labels, a line each, and the ids of pods and containers."""

from __future__ import annotations

from pypod.errors import InvalidSpec


def lines(path: str, argument: str) -> list[str]:
    """Return the lines of a file without comments, empty ones, and space before them. Raises InvalidSpec."""
    try:
        # bytes that are no UTF-8 may be in a value, as they may on the command line
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            found = [raw.removesuffix("\n").removesuffix("\r").lstrip() for raw in file]
    except OSError as error:
        raise InvalidSpec(argument, f"open {path}: {error.strerror}") from error
    return [line for line in found if line and not line.startswith("#")]


def write_new_id_file(path: str, content: str, argument: str) -> None:
    """Write an id file, which must not be there yet."""
    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(content)
    except FileExistsError:
        kind = "container" if argument == "--cidfile" else "pod"
        raise InvalidSpec(
            argument, f"{kind} id file exists. Ensure another {kind} is not using it or delete {path}"
        ) from None
    except OSError as error:
        raise InvalidSpec(argument, f"{argument} {path}: {error.strerror}") from error


def read_id_file(path: str, argument: str) -> str:
    """Return the first line of an id file."""
    found = lines(path, argument)
    if not found:
        raise InvalidSpec(argument, f"{path} is empty")
    return found[0]
