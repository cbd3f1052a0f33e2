"""What the probe's attempts come to, beside what they should, and beside podman's."""

from __future__ import annotations

from tests.facts import IS_UML
from tests.images import podman
from tests.integration.inside import Box, Report

# what is not of podman's default capabilities, whatever this machine's containers.conf says
NOT_DEFAULT = ("NET_RAW", "MKNOD", "AUDIT_WRITE")


def table(**rows: str) -> dict[str, str]:
    """Names of attempts, parted by bars, by what comes of them."""
    names = ((error, name.strip()) for error, several in rows.items() for name in several.replace("\n", "|").split("|"))
    return {name: error for error, name in names if name}


def attempted(box: Box, how: str = "run", **options) -> dict[str, str]:
    return _known(box.report(how, "attempts", **options))


def attempted_in_podman(box: Box, *options: str) -> dict[str, str]:
    """The same in a container of podman's."""
    dropped = [f"--cap-drop={name}" for name in NOT_DEFAULT if name not in " ".join(options)]
    script = 'podman run --rm --network=none --cgroups=disabled "$@" /probe attempts'
    return _known(Report(podman.apart(script, *dropped, *options, "--rootfs", box.rootfs).decode()))


def _known(report: Report) -> dict[str, str]:
    """Without those that the guest of tests/vm cannot tell: it takes a host's system calls of 32 bits for its own."""
    outcomes = report.outcomes
    return {name: value for name, value in outcomes.items() if not (IS_UML and name.startswith(("i386", "x32")))}


def unlike(found: dict[str, str], expected: dict[str, str], *, absent: str = "") -> dict[str, tuple[str, str]]:
    """Where what came of attempts is another thing than expected, or than ``absent``: what this kernel has not."""
    return {
        name: (found[name], outcome)
        for name, outcome in expected.items()
        if name in found and found[name] not in (outcome, absent)
    }
