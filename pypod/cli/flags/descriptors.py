"""Descriptors that this command was started with and passes on: --preserve-fds, --preserve-fd, $LISTEN_FDS."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.cli.flags.parser import Parsed

_FIRST = 3
_MOST = 250


def preserved(options: Parsed) -> dict[int, int]:
    """Return the descriptors that flags name, by number.

    Call this before anything is opened: a descriptor of our own must not be taken for one of the caller's. Raises
    InvalidSpec.
    """
    count, named = options["preserve-fds"], options["preserve-fd"]
    if count and named:
        raise InvalidSpec("--preserve-fd", "cannot specify both --preserve-fds and --preserve-fd")
    if count > _MOST:
        raise InvalidSpec("--preserve-fds", f"at most {_MOST} file descriptors can be passed, not {count}")
    numbers: Iterable[int] = range(_FIRST, _FIRST + count)
    if named:
        try:
            numbers = sorted({int(word) for word in named})
        except ValueError as error:
            raise InvalidSpec("--preserve-fd", f"invalid file descriptor: {', '.join(named)}") from error
    for number in numbers:
        if not _is_the_caller_s(number):
            why = "the preserve-fds option requires that file descriptors must be passed"
            raise InvalidSpec("--preserve-fds", f"file descriptor {number} is not available - {why}")
    return {number: number for number in numbers}


def listening(passed: dict[int, int]) -> tuple[dict[int, int], dict[str, str]]:
    """Return the sockets of sd_listen_fds(3) and the variables that name them, for one that is started by systemd.

    Without ``passed``, other descriptors that the user asked to pass on.
    """
    names = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    variables = {name: os.environ[name] for name in names if name in os.environ}
    if not variables:
        return passed, {}
    if "LISTEN_PID" in variables:
        variables["LISTEN_PID"] = "1"  # that of the container's first process
    text = variables.get("LISTEN_FDS", "")
    count = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    sockets = range(_FIRST, _FIRST + min(count, _MOST))
    if not passed and all(map(_is_the_caller_s, sockets)):
        passed = {number: number for number in sockets}
    return passed, variables


def _is_the_caller_s(number: int) -> bool:
    try:
        return number >= _FIRST and os.get_inheritable(number)
    except (OSError, OverflowError):
        return False
