"""Links that lead out of a root file system, and the check that they are refused."""

from __future__ import annotations

from pathlib import Path

from pypod.errors import LaunchFailed, PypodError

WAYS_OUT = {
    "absolute": "/{}",
    "upwards": "../" * 20 + "{}",
    "magic": "/proc/1/root/{}",
    "root": "/",
    "loop": "loop",
}


def way_out(way: str, canary: Path) -> str:
    """Return the target of a symbolic link that leads to the canary or to another forbidden place."""
    return WAYS_OUT[way].format(str(canary).lstrip("/"))


def check_refusal(error: PypodError, *calls: str) -> None:
    assert isinstance(error, LaunchFailed), repr(error)
    assert error.errno, error
    assert error.call in calls or not calls, error
