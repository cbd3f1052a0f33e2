"""The C programs under strace: one of their system calls fails, or kills them."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pypod.engine.storage import drivers
from pypod.errors import PypodError
from pypod.kernel.programs import DIRECTORY
from tests.integration.inside import within


class Injector:
    """The C programs under strace, one failing call at a time."""

    def __init__(self, engine, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # probed now: later it would start programs while a monitor loads, and there is only one wrapper
        drivers.of(engine)
        self._wrapper = directory / "wrapper"
        self._trace = directory / "trace"
        self._given = engine.programs.executable
        self._what = self._last = ""
        monkeypatch.setattr(engine.programs, "executable", self._executable)

    def _executable(self, name: str) -> str:
        if not self._what:
            return self._given(name)
        kind = self._what.partition(":")[0]
        words = f"-DDD -f -qq -o {self._trace} -e trace={kind},execve,execveat -e inject={self._what}"
        self._wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("strace")} {words} {DIRECTORY}/{name} "$@"\n')
        self._wrapper.chmod(0o755)
        return str(self._wrapper)

    def run(self, what: str, action: Callable[[], None]) -> tuple[bool, BaseException | None]:
        """Run ``action`` with the failure ``what``; return whether the failure was hit, and the error."""
        self._trace.unlink(missing_ok=True)
        self._what = self._last = what
        error = None
        try:
            with within(20):
                action()
        except PypodError as caught:
            error = caught
        finally:
            self._what = ""
        return self._wait_for_tracer(), error

    def _wait_for_tracer(self) -> bool:
        """Wait for strace, which is not our child and ends after the last process it follows."""
        deadline = time.monotonic() + 10
        while tracer := _tracer(str(self._trace)):
            assert time.monotonic() < deadline, f"strace {tracer} does not end after {self._last}"
            time.sleep(0.001)
        return self._trace.exists() and any(map(_is_ours, _lives(self._trace.read_text())))


def _lives(trace: str) -> Iterator[str]:
    """Yield the calls of each process up to its exec of the container's command or the infra."""
    calls: dict[str, list[str]] = {}
    for line in trace.splitlines():
        pid, _, call = line.partition(" ")
        calls.setdefault(pid, []).append(call.strip())
    for lines in calls.values():
        text = "\n".join(lines)
        yield re.split(r'^(?:execve\("/bin/true"|execveat\().* = 0$', text, maxsplit=1, flags=re.MULTILINE)[0]


def _is_ours(calls: str) -> bool:
    return "(INJECTED)" in calls


def _tracer(trace: str) -> int:
    for name in os.listdir("/proc"):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"strace") and trace.encode() in words:
            return int(name)
    return 0


@pytest.fixture
def injector(engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Injector:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    return Injector(engine, tmp_path, monkeypatch)
