"""OCI hooks of an ordinary user's containers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.facts import wait_until
from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.users]

STAGES = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]


def test_they_run_as_root_of_the_users_namespace(user: User, plain: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch(mode=0o666)
    log.chmod(0o666)
    for stage in STAGES:
        script = f'cat > /dev/null; echo "{stage} $(id -u) $(readlink /proc/self/ns/user)" >> {log}'
        hook = {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}
        content = {"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": [stage]}
        (tmp_path / f"{stage}.json").write_text(json.dumps(content))
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    flags = ("--hooks-dir", str(tmp_path))
    try:
        assert user.ok(*flags, "run", "--name", "hooked", "--rootfs", f"{plain}:O", "echo", "hi") == "hi\n"
        wait_until(lambda: len(log.read_text().splitlines()) == len(STAGES))
    finally:
        user.ok("rm", "-f", "-t", "0", "hooked")
    rows = [line.split() for line in log.read_text().splitlines()]
    assert [stage for stage, *_ in rows] == STAGES
    assert {uid for _, uid, _ in rows} == {"0"}
    (namespace,) = {namespace for *_, namespace in rows}
    assert namespace != os.readlink("/proc/self/ns/user")
