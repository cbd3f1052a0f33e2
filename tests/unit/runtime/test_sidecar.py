"""Errors of a sidecar process that did not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod.runtime.launcher import Report
from pypod.runtime.ops import Op
from pypod.runtime.sidecar import failure


@pytest.mark.parametrize(
    ("program", "log", "message", "hint"),
    [
        (
            "slirp4netns",
            'open("/dev/net/tun"): Permission denied\nchild failed(1)\n',
            'slirp4netns failed: open("/dev/net/tun"): Permission denied',
            "/dev/net/tun must exist and be accessible to you: an administrator can chmod it to 666",
        ),
        (
            "pasta",
            "No interfaces with usable routes\nCouldn't write to syslog\n",
            "pasta failed: No interfaces with usable routes",
            "",
        ),
        ("pasta", "", "pasta failed: it gave no reason", ""),
    ],
)
def test_its_own_words_are_told(tmp_path: Path, program: str, log: str, message: str, hint: str) -> None:
    (tmp_path / "log").write_text(log)
    report = Report(kind=0, operation=0, error=0, pid=0, start_time=0, status=0, call="exit")
    error = failure(Op("sidecar", str(tmp_path), "boot", "", f"/usr/bin/{program}"), report)
    assert error.message == message
    assert error.hint == hint
