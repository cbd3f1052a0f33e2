"""Asking a person: for a line, and for one that is not shown."""

from __future__ import annotations

import os
import sys

from pypod.errors import InvalidSpec


def shown_line(prompt: str, argument: str, failure: str) -> str:
    """Return what is typed, without spaces around it. Raises InvalidSpec, which begins with ``failure``: nothing is."""
    print(prompt, end="", flush=True)
    line = sys.stdin.readline()
    if not line:
        raise InvalidSpec(argument, f"{failure}: EOF")
    return line.strip()


def hidden_line(prompt: str, argument: str, failure: str) -> str:
    """Return a line from the terminal that is stdin, without showing it: hidden before somebody is asked to type.

    Raises InvalidSpec, which begins with ``failure``.
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
