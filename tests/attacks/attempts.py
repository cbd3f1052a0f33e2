"""Compare the outcomes of the probe's attempts with the expected ones and with podman's."""

from __future__ import annotations

from tests.facts import IS_UML
from tests.images import podman
from tests.integration.inside import Box, Report

# capabilities that podman does not add by default, whatever containers.conf on this machine says
NOT_DEFAULT = ("NET_RAW", "MKNOD", "AUDIT_WRITE")


def table(**rows: str) -> dict[str, str]:
    """Return the expected outcome of each attempt, from names separated by bars, grouped by outcome."""
    names = ((error, name.strip()) for error, several in rows.items() for name in several.replace("\n", "|").split("|"))
    return {name: error for error, name in names if name}


def attempted(box: Box, how: str = "run", **options) -> dict[str, str]:
    return _known(box.report(how, "attempts", **options))


def attempted_in_podman(box: Box, *options: str) -> dict[str, str]:
    """Return the outcomes of the same attempts in a podman container."""
    dropped = [f"--cap-drop={name}" for name in NOT_DEFAULT if name not in " ".join(options)]
    script = 'podman run --rm --network=none --cgroups=disabled "$@" /probe attempts'
    return _known(Report(podman.apart(script, *dropped, *options, "--rootfs", box.rootfs).decode()))


def _known(report: Report) -> dict[str, str]:
    """Drop the 32-bit attempts in the guest of tests/vm, which takes 32-bit system calls of the host for its own."""
    outcomes = report.outcomes
    return {name: value for name, value in outcomes.items() if not (IS_UML and name.startswith(("i386", "x32")))}


def unlike(found: dict[str, str], expected: dict[str, str], *, absent: str = "") -> dict[str, tuple[str, str]]:
    """Return the outcomes that are neither as expected nor ``absent`` (this kernel lacks the feature)."""
    return {
        name: (found[name], outcome)
        for name, outcome in expected.items()
        if name in found and found[name] not in (outcome, absent)
    }
