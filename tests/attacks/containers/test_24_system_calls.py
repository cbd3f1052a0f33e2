"""System calls that a container must not make, through every ABI of the machine (CVE-2026-31431, CVE-2026-123876)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.attempts import attempted, attempted_in_podman, table, unlike

pytestmark = pytest.mark.root

# Their outcomes under podman's profile with the default capabilities.
DENIED = table(
    EPERM="""
        socket AF_PACKET|socket raw|unshare mnt|setns|mount tmpfs|mknod|mknod on /dev|sethostname|bpf
        perf_event_open|init_module|kexec_load|open_by_handle_at|userfaultfd|settimeofday|swapon|reboot|syslog
        raise limit|i386 unshare mnt|i386 socketcall raw|i386 bpf|x32 bpf""",
    ENOSYS="personality",
    EINVAL="socket audit",
)
# Left to the host: the outcome is the same without the profile. The profile cannot compare the arguments of i386's
# socketcall, which lie in memory, and lets anybody create user namespaces where the host does (README.md beside the
# profile).
LEFT_TO_THE_HOST = (
    "socket AF_ALG|socket AF_VSOCK|unshare user|clone3 user|clone user|i386 getpid|i386 socketcall audit|x32 getpid"
    "|i386 socketcall AF_ALG"
).split("|")

both = pytest.mark.parametrize("how", ["run", "exec"])


def table_here() -> dict[str, str]:
    """Return what is denied here: the profile leaves access to the kernel's messages to the host."""
    is_restricted = Path("/proc/sys/kernel/dmesg_restrict").read_text() != "0\n"
    return {name: error for name, error in DENIED.items() if name != "syslog" or is_restricted}


@both
def test_what_is_denied_is_what_is_documented(box, how: str) -> None:
    found = attempted(box, how)
    assert unlike(found, table_here()) == {}
    on_x86 = sum(name.startswith(("i386", "x32")) for name in DENIED)
    assert len(DENIED.keys() & found.keys()) >= len(DENIED) - on_x86


@both
def test_what_is_left_to_the_host_is_what_is_documented(box, how: str) -> None:
    found, unfiltered = attempted(box, how), attempted(box, how, security_opt=["seccomp=unconfined"])
    assert unlike(found, {name: unfiltered[name] for name in LEFT_TO_THE_HOST if name in unfiltered}) == {}


def test_without_the_profile_the_same_attempts_work(box) -> None:
    """Sanity check: the probe is able to make these calls."""
    found = attempted(box, security_opt=["seccomp=unconfined"])
    assert found["personality"] == "ok"
    assert found["socket audit"] == "ok"
    privileged = attempted(box, privileged=True)
    assert [privileged[name] for name in ("socket raw", "unshare mnt", "mount tmpfs", "mknod", "sethostname")] == [
        *["ok"] * 5
    ]


@pytest.mark.parametrize("added", [(), ("SYS_ADMIN",), ("NET_RAW", "SYS_PTRACE", "AUDIT_WRITE")], ids=str)
def test_the_same_calls_as_in_podman(box, added: tuple[str, ...]) -> None:
    """Capabilities also select rules of the profile."""
    theirs = attempted_in_podman(box, *(f"--cap-add={name}" for name in added))
    assert unlike(attempted(box, cap_add=added), {name: theirs[name] for name in (*DENIED, *LEFT_TO_THE_HOST)}) == {}
