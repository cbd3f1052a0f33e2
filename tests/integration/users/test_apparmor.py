"""A host whose AppArmor allows user namespaces only to programs with a profile, stricter than Ubuntu 24.04."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.users]

FEATURES = Path("/sys/kernel/security/apparmor/features/namespaces/mask")
HEAD = "abi <abi/4.0>,\ninclude <tunables/global>\n"
# Applies to programs without a profile. "/" is AppArmor's name for a file in memory.
EVERYTHING = """
  capability, network, mount, remount, umount, pivot_root, ptrace, signal, dbus, unix, mqueue, change_profile,
  /{,**} rwlkm,
  link /{,**} -> /{,**},
  /{,**} pix,
"""


@contextmanager
def profile(text: str, directory: Path) -> Iterator[None]:
    directory.mkdir()
    file = directory / "profile"
    file.write_text(HEAD + text)
    subprocess.run(["apparmor_parser", "--add", "--skip-cache", file], check=True)
    try:
        yield
    finally:
        subprocess.run(["apparmor_parser", "--remove", file], check=True)


@pytest.fixture
def confined(user: User, tmp_path: Path):
    """Run pypod as a user whose programs get user namespaces only with a profile of their own."""
    if not (FEATURES.exists() and "userns_create" in FEATURES.read_text()):
        pytest.skip("apparmor: this kernel has none that knows of user namespaces, or it is off")
    for tool in ("apparmor_parser", "aa-exec"):
        if shutil.which(tool) is None:
            pytest.skip(f"apparmor: {tool} is not installed")
    name = f"{user.name}-denied"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["aa-exec", "-p", name, "--", *user.words(user.python, "-m", "pypod", *words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    flags = "attach_disconnected,mediate_deleted"
    with profile(f"profile {name} flags=({flags}) {{{EVERYTHING}  deny userns,\n}}", tmp_path / "denied"):
        user.ok("system", "migrate")
        yield run
        user.ok("system", "migrate")


def test_the_launcher_alone_needs_a_profile(confined, user: User, tmp_path: Path) -> None:
    words = ("run", "--rm", "--network", "none", "--rootfs", "/usr:O", "/bin/cat", "/proc/self/uid_map")
    refused, checked = confined(*words), confined("system", "check")
    assert (refused.returncode, checked.returncode) == (125, 1)
    assert "this host allows users no user namespaces" in refused.stderr
    assert "AppArmor" in refused.stderr
    assert "AppArmor" in next(line for line in checked.stdout.splitlines() if line.startswith("missing     session"))
    launcher = user.tree / "pypod" / "_libexec" / "launch"
    with profile(f"profile {user.name} {launcher} flags=(unconfined) {{\n  userns,\n}}", tmp_path / "allowed"):
        done = confined(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
