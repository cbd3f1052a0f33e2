"""--restart on run, create, pod create and update, what shows it, and system boot."""

from __future__ import annotations

import os
import signal

import pytest

from tests.cli.program import Program
from tests.facts import wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def root(busybox):
    return ["--network", "none", "--rootfs", busybox]


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ("no", "{no 0}"),
        ("always", "{always 0}"),
        ("unless-stopped", "{unless-stopped 0}"),
        ("on-failure", "{on-failure 0}"),
        ("on-failure:3", "{on-failure 3}"),
        ("", "{ 0}"),
    ],
)
def test_what_is_taken(pypod, root, policy: str, shown: str) -> None:
    pypod.ok("create", "--name", "c", "--restart", policy, *root, "true")
    assert pypod.ok("inspect", "c", "--format", "{{.HostConfig.RestartPolicy}}") == f"{shown}\n"
    found = pypod.ok("ps", "-a", "--filter", f"restart-policy={policy.partition(':')[0] or 'none'}", "-q")
    assert len(found.split()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--restart", "bogus"], '"bogus" is not a valid restart policy: invalid argument'),
        (["--restart", "always:3"], "restart policy retries can only be specified with on-failure restart policy"),
        (["--restart", "on-failure:-1"], "must specify restart policy retry count as a number greater than 0"),
        (
            ["--restart", "on-failure:x"],
            'parsing restart policy retry count: strconv.Atoi: parsing "x": invalid syntax',
        ),
        (["--restart", "always", "--rm"], 'the --rm option conflicts with --restart, when the restartPolicy is not ""'),
    ],
)
def test_what_is_refused(pypod, root, words, message: str) -> None:
    done = pypod("create", *words, *root, "true")
    assert done.returncode == 125
    assert message in done.stderr
    assert pypod.ok("ps", "-aq") == ""


def test_restarts_are_counted(pypod, root) -> None:
    pypod.ok("run", "-d", "--name", "c", "--restart", "on-failure:2", *root, "sh", "-c", "exit 3")
    wait_until(lambda: pypod.ok("inspect", "c", "--format", "{{.RestartCount}} {{.State.ExitCode}}") == "2 3\n")
    assert "Exited (3)" in pypod.ok("ps", "-a", "--format", "{{.Status}}")
    assert pypod.ok("ps", "-a", "--format", "table {{.Names}} {{.Restarts}}").split() == ["NAMES", "RESTARTS", "c", "2"]


def test_rm_conflicts_not_with_no(pypod, root) -> None:
    pypod.ok("run", "--rm", "--restart", "no", *root, "true")


def test_a_pods_policy_is_that_of_its_containers(pypod, root) -> None:
    pypod.ok("pod", "create", "--name", "p", "--restart", "on-failure:4")
    pypod.ok("create", "--pod", "p", "--name", "a", *root[2:], "true")
    pypod.ok("create", "--pod", "p", "--name", "b", "--restart", "no", *root[2:], "true")
    shown = pypod.ok("inspect", "a", "b", "--format", "{{.HostConfig.RestartPolicy}}")
    assert shown == "{on-failure 4}\n{no 0}\n"
    assert pypod("pod", "create", "--restart", "bogus").returncode == 125


def test_update_and_clone(pypod, root) -> None:
    pypod.ok("create", "--name", "c", *root, "true")
    pypod.ok("update", "--restart", "on-failure:5", "c")
    pypod.ok("container", "clone", "c", "d")
    shown = pypod.ok("inspect", "c", "d", "--format", "{{.HostConfig.RestartPolicy}}")
    assert shown == "{on-failure 5}\n" * 2


def test_boot(pypod, root, engine) -> None:
    for name, policy in (("a", "always"), ("b", "unless-stopped"), ("c", "unless-stopped"), ("d", "no")):
        pypod.ok("run", "-d", "--name", name, "--restart", policy, *root, "sleep", "1000")
    pypod.ok("stop", "-t", "0", "c")
    for name in "abd":
        state = engine.containers.get(name).state()
        for pid in (state.supervisor_pid, state.pid):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pypod.ok("ps", "-q") == "")
    assert sorted(pypod.ok("system", "boot").split()) == ["a", "b"]
    assert sorted(pypod.ok("ps", "--format", "{{.Names}}").split()) == ["a", "b"]
    assert pypod.ok("system", "boot") == ""
    started = pypod.ok("start", "--all", "--filter", "restart-policy=unless-stopped")  # podman's way
    assert started.split() == [engine.containers.get("c").id]
    assert pypod("system", "boot", "x").returncode == 125
