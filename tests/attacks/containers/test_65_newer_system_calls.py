"""System calls that are newer or belong to another ABI: x32, clone3, io_uring, bpf, fsopen, keyctl, memfd_secret."""

from __future__ import annotations

import pytest

from tests.attacks.attempts import attempted, attempted_in_podman, table, unlike
from tests.facts import IS_UML

pytestmark = pytest.mark.root

DENIED = table(
    EPERM="""
        pivot_root|fsopen|fspick|open_tree clone|move_mount|mount_setattr|bpf map|fanotify_init|finit_module
        delete_module|kexec_file_load|acct|quotactl|clock_settime|setdomainname|iopl|ioperm|i386 fsopen
        i386 userfaultfd|x32 userfaultfd|x32 bpf|userfaultfd""",
    ENOSYS="io_uring_setup|add_key|request_key|lsm_list_modules|i386 io_uring_setup",
)
# as in podman
LEFT_TO_THE_HOST = "memfd_secret|keyctl|i386 keyctl|x32 keyctl|x32 fsopen|x32 unshare mnt|clone3 user".split("|")
# differences because this test runs podman without a cgroup of its own
OF_CGROUPS = (
    "write /sys/fs/cgroup/unified/cgroup.procs|write /sys/fs/cgroup/cgroup.procs|mount cgroup v1"
    "|release_agent in a user namespace|devices.allow in a user namespace"
).split("|")


@pytest.mark.parametrize("how", ["run", "exec"])
def test_what_is_denied(box, how: str) -> None:
    found = attempted(box, how)
    assert unlike(found, DENIED) == {}
    if not IS_UML and "i386 getpid" in found:
        assert DENIED.keys() | set(LEFT_TO_THE_HOST) <= found.keys()


def test_without_the_profile_the_same_calls_are_the_kernels(box) -> None:
    """Sanity check: most are refused by the profile, not because this kernel lacks them."""
    denied, unfiltered = attempted(box), attempted(box, security_opt=["seccomp=unconfined"])
    by_the_profile = {name for name in DENIED if denied[name] != unfiltered[name]}
    assert {"io_uring_setup", "add_key", "request_key", "bpf map", "lsm_list_modules"} <= by_the_profile
    assert attempted(box, privileged=True)["fsopen"] == "ok"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, ()),
        ({"cap_add": ["SYS_ADMIN"]}, ("--cap-add=SYS_ADMIN",)),
        ({"cap_add": ["SYS_ADMIN", "BPF", "SYS_MODULE"]}, ("--cap-add=SYS_ADMIN,BPF,SYS_MODULE",)),
        ({"cap_drop": ["all"]}, ("--cap-drop=all",)),
        ({"security_opt": ["no-new-privileges"]}, ("--security-opt=no-new-privileges",)),
        ({"user": "1001"}, ("--user=1001",)),
    ],
    ids=str,
)
def test_every_attempt_beside_podman(box, ours: dict, theirs: tuple[str, ...]) -> None:
    """The outcomes are equal; no attempt that podman refuses is allowed."""
    expected = attempted_in_podman(box, *theirs)
    found = attempted(box, **ours)
    assert found.keys() == expected.keys()
    differing = unlike(found, {name: value for name, value in expected.items() if name not in OF_CGROUPS})
    assert differing == {}
    let_through = [name for name in OF_CGROUPS if found[name] == "ok" != expected[name]]
    assert let_through == []
