"""release_agent of a v1 cgroup, which runs a program on the host, and devices.allow (CVE-2022-0492)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.attempts import attempted

pytestmark = pytest.mark.root

STEERING = ("release_agent in a user namespace", "devices.allow in a user namespace")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cap_add": ["SYS_PTRACE"]},
        {"security_opt": ["seccomp=unconfined"]},
        {"uidmap": ["0:200000:2000"], "idmap": True},
        {"pids_limit": 100},
        {"cgroupns": "host"},
    ],
    ids=str,
)
def test_out_of_reach(box, options: dict) -> None:
    found = attempted(box, **options)
    assert found["mount cgroup v1"] == "EPERM"
    # in a cgroup of its own, such as a limit on PIDs creates, there is no release_agent
    assert {found[name] for name in STEERING} <= {"EPERM", "ENOENT", "EACCES"}


def test_a_privileged_container_may_mount_them_as_podmans(box) -> None:
    found = attempted(box, privileged=True)
    if Path("/sys/fs/cgroup/pids").is_dir():
        assert found["mount cgroup v1"] == "ok"
    assert {found[name] for name in STEERING} <= {"EPERM", "ENOENT"}
