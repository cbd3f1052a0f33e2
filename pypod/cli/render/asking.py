"""Prompt the user for a line, for a hidden line, or for a choice."""

from __future__ import annotations

import os
import sys

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.model.images.reference import Reference


def shown_line(prompt: str, argument: str, failure: str) -> str:
    """Return a typed line, stripped. At end of file raises InvalidSpec, whose message begins with ``failure``."""
    print(prompt, end="", flush=True)
    line = sys.stdin.readline()
    if not line:
        raise InvalidSpec(argument, f"{failure}: EOF" if failure else "EOF")
    return line.strip()


def hidden_line(prompt: str, argument: str, failure: str) -> str:
    """Return a line typed at the terminal on stdin, without echo, which is off before the prompt appears.

    Raises InvalidSpec, whose message begins with ``failure``.
    """
    import termios

    if not os.isatty(0):
        print(prompt, end="", flush=True)
        raise InvalidSpec(argument, f"{failure}: inappropriate ioctl for device")
    before = termios.tcgetattr(0)
    hidden = list(before)
    hidden[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(0, termios.TCSADRAIN, hidden)
        print(prompt, end="", flush=True)
        line = sys.stdin.readline()
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
    if not line:
        raise InvalidSpec(argument, f"{failure}: EOF")
    print()
    return line.rstrip("\r\n")


def chosen_name(names: Sequence[Reference]) -> Reference:
    """Return the name that the user chooses at the terminal. Raises InvalidSpec when there is no answer."""
    print("Please select an image:")
    print("".join([f"{number:4}  {name}\n" for number, name in enumerate(names, 1)]), end="")
    while True:
        answer = shown_line(f"1-{len(names)} [1]: ", "image", "short name") or "1"
        if answer.isascii() and answer.isdigit() and 0 < int(answer) <= len(names):
            return names[int(answer) - 1]


def agreed(warning: str, exit_code: int = InvalidSpec.exit_code) -> bool:
    """Ask, like podman, whether to continue. At end of file raises InvalidSpec, which ends with this exit code."""
    sys.stdout.write(f"{warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer:
        error = InvalidSpec("--force", "EOF")
        error.exit_code = exit_code
        raise error
    return answer[:1].lower() == "y"


def is_somebody_there() -> bool:
    """Return whether a prompt can be seen and answered: as in podman, stdin and stdout are terminals."""
    return os.isatty(0) and os.isatty(1)
