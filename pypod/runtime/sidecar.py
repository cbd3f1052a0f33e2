"""Errors of sidecar processes (the operation ``sidecar``) that did not start, in the program's own words."""

from __future__ import annotations

import os

from pypod.errors import LaunchFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.runtime.launcher import Report
    from pypod.runtime.ops import Op

_LOG_LIMIT = 4096  # characters
_TUN = "/dev/net/tun must exist and be accessible to you: an administrator can chmod it to 666"
_TAKEN = "publish on another port of the host, or stop the process that holds it (ss -tulnp)"
# Messages of pasta and slirp4netns, and the matching hints.
_HINTS = (
    ("tun socket", _TUN),
    ("set up tap device", _TUN),
    ("/dev/net/tun", _TUN),
    ("External interface not usable", "pasta needs a default route on the host: --network none, or slirp4netns"),
    ("Permission denied", "users may publish only ports from net.ipv4.ip_unprivileged_port_start up (ip(7))"),
    ("Address already in use", _TAKEN),
    ("add_hostfwd", _TAKEN),
)
_NOISE = (
    "to syslog",  # pasta, when no syslog daemon runs
    "child failed(",  # slirp4netns, after its child reported the reason
)


def failure(op: Op, report: Report) -> LaunchFailed:
    """Return the error for a program that could not be run, or exited before it was ready."""
    given = op.named()
    directory, program = str(given["DIRECTORY"]), str(given["PROGRAM"])
    said = _said(f"{directory}/log") if report.call in ("exit", "request") else os.strerror(report.error)
    hint = next((hint for text, hint in _HINTS if text in said), "")
    message = f"{os.path.basename(program)} failed: {said or 'it gave no reason'}"
    return LaunchFailed(op.describe(), report.call, report.error, message=message, hint=hint)


def _said(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file.read(_LOG_LIMIT).splitlines()]
    except OSError:
        return ""
    told = [line for line in lines if line and not any(noise in line for noise in _NOISE)]
    usage = next((at for at, line in enumerate(told) if line.startswith("Usage:")), len(told))
    return told[usage - 1] if usage else ""  # the lines before are warnings
