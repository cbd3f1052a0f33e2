"""Containers that an ordinary user initializes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.facts import is_there
from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.users]


@pytest.mark.parametrize("flags", [(), ("--userns", "keep-id"), ("--userns", "keep-id", "--user", "7")], ids=" ".join)
def test_nobody_looks_into_it_until_it_runs(user: User, plain: Path, flags: tuple[str, ...]) -> None:
    """The owner of its files in /proc is root as long as it cannot be dumped (proc(5))."""
    command = ("sh", "-c", "echo hello; exec sleep 1000")
    user.ok("create", "--name", "held", *flags, "--rootfs", f"{plain}:O", *command)
    try:
        assert user.ok("init", "held") == "held\n"
        status, pid = user.ok("inspect", "--format", "{{.State.Status}} {{.State.Pid}}", "held").split()
        assert (status, os.stat(f"/proc/{pid}/environ").st_uid) == ("initialized", 0)
        refused = user.pypod("cp", "held:/etc/hostname", "-")
        assert (refused.returncode, "is only initialized" in refused.stderr) == (125, True), refused
        assert user.ok("start", "held") == "held\n"
        assert user.ok("inspect", "--format", "{{.State.Status}} {{.State.Pid}}", "held").split() == ["running", pid]
        assert user.ok("exec", "held", "echo", "there") == "there\n"
        user.ok("stop", "-t", "0", "held")
        user.ok("init", "held")
        pid = user.ok("inspect", "--format", "{{.State.Pid}}", "held").strip()
    finally:
        user.ok("rm", "-f", "-t", "0", "held")
    assert not is_there(int(pid))
